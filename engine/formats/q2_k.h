// Q2_K: 256 values in 16 groups of 16; value = scale * group scale * q - minimum * group minimum, q in 0..3, group
// scales and minimums in 0..15. Weights only. Published with ggml (ggml-common.h, block_q2_K).
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

struct BlockQ2_K {
    static constexpr int kValues = 256;
    uint8_t groups[16];  // low nibble: group scale, high nibble: group minimum
    uint8_t q[64];       // each half of 128 values has 32 bytes; its run r of 32 values is bits 2r and 2r+1 of them
    uint16_t scale, minimum;  // halves
};
static_assert(sizeof(BlockQ2_K) == 84);

inline void decode_q2_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockQ2_K>(blocks + b * int64_t(sizeof(BlockQ2_K)));
        for (int i = 0; i < 256; ++i) {
            const int half = i / 128, run = i % 128 / 32;
            const int q = block.q[half * 32 + i % 32] >> (2 * run) & 3;
            const uint8_t group = block.groups[i / 16];
            const float scale = half_to_float(block.scale) * float(group & 15);
            const float minimum = half_to_float(block.minimum) * float(group >> 4);
            out[b * 256 + i] = scale * float(q) - minimum;
        }
    }
}

}  // namespace strata
