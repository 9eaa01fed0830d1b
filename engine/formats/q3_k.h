// Q3_K: 256 values in 16 groups of 16; value = scale * (group scale - 32) * (q - 4), q in 0..7, group scales in 0..63.
// Weights only. Published with ggml (ggml-common.h, block_q3_K).
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

struct BlockQ3_K {
    static constexpr int kValues = 256;
    uint8_t high[32];    // bit r of byte i is bit 2 of value 32r + i
    uint8_t low[64];     // the low 2 bits, as in Q2_K
    uint8_t groups[12];  // 6 bits each: see q3_k_group_scales
    uint16_t scale;      // half
};
static_assert(sizeof(BlockQ3_K) == 110);

// The group scales of one half of a block, 0..63, a byte each. The low 4 bits of scale g lie in byte g % 8, in the low
// nibble for the first half; its high 2 bits in byte 8 + g % 4, at bit 2 * (g / 4).
inline uint64_t q3_k_group_scales(const uint8_t* groups, int half) {
    const uint64_t low = load_unaligned<uint64_t>(groups) >> (4 * half) & 0x0f0f0f0f0f0f0f0f;
    const uint32_t packed = load_unaligned<uint32_t>(groups + 8) >> (4 * half);
    const uint64_t high = (packed & 0x03030303) | uint64_t(packed >> 2 & 0x03030303) << 32;
    return low | high << 4;
}

inline void decode_q3_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockQ3_K>(blocks + b * int64_t(sizeof(BlockQ3_K)));
        for (int i = 0; i < 256; ++i) {
            const int half = i / 128, run = i % 128 / 32, group = i / 16;
            const int low = block.low[half * 32 + i % 32] >> (2 * run) & 3;
            const int high = block.high[i % 32] >> (i / 32) & 1;
            const int group_low = block.groups[group % 8] >> (group < 8 ? 0 : 4) & 15;
            const int group_high = block.groups[8 + group % 4] >> (2 * (group / 4)) & 3;
            const float scale = half_to_float(block.scale) * float((group_low | group_high << 4) - 32);
            out[b * 256 + i] = scale * float((low | high << 2) - 4);
        }
    }
}

}  // namespace strata
