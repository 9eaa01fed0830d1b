// Q4_K: 256 values in 8 groups of 32; value = scale * group scale * q - minimum * group minimum, q in 0..15, group
// scales and minimums in 0..63. Weights only. Published with ggml (ggml-common.h, block_q4_K).
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

// The 8 group scales and 8 group minimums of Q4_K and Q5_K, 6 bits each, in 12 bytes.
struct GroupsQ4_K {
    uint8_t bytes[12];

    // The first four lie in the low 6 bits of bytes 0-3 and 4-7. Of the others, bytes 8-11 hold the low 4 bits, of
    // scales in the low nibble; the high 2 bits are on top of bytes 0-3 and 4-7.
    int scale(int group) const {
        return group < 4 ? bytes[group] & 63 : (bytes[group + 4] & 15) | bytes[group - 4] >> 6 << 4;
    }
    int minimum(int group) const {
        return group < 4 ? bytes[group + 4] & 63 : bytes[group + 4] >> 4 | bytes[group] >> 6 << 4;
    }

    // Those of groups 0-3 (half 0) or 4-7 (half 1), a byte each.
    uint32_t scales(int half) const {
        if (half == 0) return word(0) & 0x3f3f3f3f;
        return (word(2) & 0x0f0f0f0f) | (word(0) >> 2 & 0x30303030);
    }
    uint32_t minimums(int half) const {
        if (half == 0) return word(1) & 0x3f3f3f3f;
        return (word(2) >> 4 & 0x0f0f0f0f) | (word(1) >> 2 & 0x30303030);
    }

private:
    uint32_t word(int i) const { return load_unaligned<uint32_t>(bytes + 4 * i); }
};

struct BlockQ4_K {
    static constexpr int kValues = 256;
    uint16_t scale, minimum;  // halves
    GroupsQ4_K groups;
    uint8_t q[128];  // groups 2g and 2g+1 are the low and the high nibbles of the same 32 bytes
};
static_assert(sizeof(BlockQ4_K) == 144);

inline void decode_q4_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockQ4_K>(blocks + b * int64_t(sizeof(BlockQ4_K)));
        for (int i = 0; i < 256; ++i) {
            const int group = i / 32;
            const int q = block.q[group / 2 * 32 + i % 32] >> (4 * (group % 2)) & 15;
            const float scale = half_to_float(block.scale) * float(block.groups.scale(group));
            const float minimum = half_to_float(block.minimum) * float(block.groups.minimum(group));
            out[b * 256 + i] = scale * float(q) - minimum;
        }
    }
}

}  // namespace strata
