// Q4_1: 32 values share a half-precision scale and a minimum; value = scale * q + minimum, q in 0..15, nibbles as in
// Q4_0. Weights only. Published with ggml (ggml-common.h, block_q4_1).
#pragma once
#include <cstdint>

#include "engine/formats/nibbles.h"

namespace strata {

struct BlockQ4_1 {
    static constexpr int kValues = 32;
    uint16_t scale, minimum;  // halves
    uint8_t q[kValues / 2];
};
static_assert(sizeof(BlockQ4_1) == 20);

inline void decode_q4_1(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 32; ++b) {
        const auto block = load_unaligned<BlockQ4_1>(blocks + b * int64_t(sizeof(BlockQ4_1)));
        for (int i = 0; i < 32; ++i) {
            const float q = float(nibble(block.q, i));
            out[b * 32 + i] = half_to_float(block.scale) * q + half_to_float(block.minimum);
        }
    }
}

}  // namespace strata
