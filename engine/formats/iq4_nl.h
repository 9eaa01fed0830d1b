// IQ4_NL: 32 values share a half-precision scale; value = scale * level of the code, one of 16 levels that lie closer
// together near zero. Nibbles as in Q4_0. Weights only. Published with ggml (ggml-common.h, block_iq4_nl).
#pragma once
#include <cstdint>

#include "engine/formats/nibbles.h"

namespace strata {

inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct BlockIQ4_NL {
    static constexpr int kValues = 32;
    uint16_t scale;  // half
    uint8_t q[kValues / 2];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

inline void decode_iq4_nl(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 32; ++b) {
        const auto block = load_unaligned<BlockIQ4_NL>(blocks + b * int64_t(sizeof(BlockIQ4_NL)));
        for (int i = 0; i < 32; ++i) {
            out[b * 32 + i] = half_to_float(block.scale) * float(kIq4Levels[nibble(block.q, i)]);
        }
    }
}

}  // namespace strata
