// Q5_1: 32 values share a half-precision scale and a minimum; value = scale * q + minimum, q in 0..31, bits as in Q5_0.
// Weights only. Published with ggml (ggml-common.h, block_q5_1).
#pragma once
#include <cstdint>

#include "engine/formats/nibbles.h"

namespace strata {

struct BlockQ5_1 {
    static constexpr int kValues = 32;
    uint16_t scale, minimum;  // halves
    uint8_t fifth[4];         // 32 bits, little-endian
    uint8_t q[kValues / 2];
};
static_assert(sizeof(BlockQ5_1) == 24);

inline void decode_q5_1(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 32; ++b) {
        const auto block = load_unaligned<BlockQ5_1>(blocks + b * int64_t(sizeof(BlockQ5_1)));
        for (int i = 0; i < 32; ++i) {
            const float q = float(nibble_and_bit(block.q, block.fifth, i));
            out[b * 32 + i] = half_to_float(block.scale) * q + half_to_float(block.minimum);
        }
    }
}

}  // namespace strata
