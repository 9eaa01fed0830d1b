// IQ4_XS: 256 values in 8 groups of 32; value = scale * (group scale - 32) * level of the code, with the levels of
// IQ4_NL and group scales in 0..63. Weights only. Published with ggml (ggml-common.h, block_iq4_xs).
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/formats/iq4_nl.h"

namespace strata {

struct BlockIQ4_XS {
    static constexpr int kValues = 256;
    uint16_t scale;          // half
    uint16_t groups_high;    // bits 2g and 2g+1: the high 2 bits of group scale g
    uint8_t groups_low[4];   // nibble g: its low 4 bits
    uint8_t q[kValues / 2];  // 16 bytes a group, nibbles as in Q4_0
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// The group scales of one half of a block, 0..63, a byte each.
inline uint32_t iq4_xs_group_scales(const uint8_t* block, int half) {
    // Nibbles, then pairs of bits, are spread to bytes in two steps each.
    uint32_t low = load_unaligned<uint16_t>(block + offsetof(BlockIQ4_XS, groups_low) + 2 * half);
    low = (low | low << 8) & 0x00ff00ff;
    low = (low | low << 4) & 0x0f0f0f0f;
    uint32_t high = load_unaligned<uint16_t>(block + offsetof(BlockIQ4_XS, groups_high)) >> (8 * half) & 255;
    high = (high | high << 12) & 0x000f000f;
    high = (high | high << 6) & 0x03030303;
    return low | high << 4;
}

inline void decode_iq4_xs(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockIQ4_XS>(blocks + b * int64_t(sizeof(BlockIQ4_XS)));
        for (int i = 0; i < 256; ++i) {
            const int group = i / 32;
            const int low = block.groups_low[group / 2] >> (4 * (group % 2)) & 15;
            const int high = block.groups_high >> (2 * group) & 3;
            const float scale = half_to_float(block.scale) * float((low | high << 4) - 32);
            out[b * 256 + i] = scale * float(kIq4Levels[nibble(block.q + group * 16, i % 32)]);
        }
    }
}

}  // namespace strata
