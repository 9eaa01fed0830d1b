// Q5_0: 32 values share a half-precision scale; value = scale * (q - 16), q in 0..31. The low four bits lie as in Q4_0;
// bit i of `fifth` is bit 4 of value i. Weights only. Published with ggml (ggml-common.h, block_q5_0).
#pragma once
#include <cstdint>

#include "engine/formats/nibbles.h"

namespace strata {

struct BlockQ5_0 {
    static constexpr int kValues = 32;
    uint16_t scale;    // half
    uint8_t fifth[4];  // 32 bits, little-endian
    uint8_t q[kValues / 2];
};
static_assert(sizeof(BlockQ5_0) == 22);

inline void decode_q5_0(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 32; ++b) {
        const auto block = load_unaligned<BlockQ5_0>(blocks + b * int64_t(sizeof(BlockQ5_0)));
        for (int i = 0; i < 32; ++i) {
            out[b * 32 + i] = half_to_float(block.scale) * float(nibble_and_bit(block.q, block.fifth, i) - 16);
        }
    }
}

}  // namespace strata
