// Q4_0: 32 values share a half-precision scale; value = scale * (q - 8), q in 0..15. Byte i of a block holds value i in
// its low nibble and value 16 + i in its high nibble. Used for weights and for rows of the KV cache.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

struct BlockQ4_0 {
    static constexpr int kValues = 32;
    uint16_t scale;  // half
    uint8_t q[kValues / 2];
};
static_assert(sizeof(BlockQ4_0) == 18);

inline void decode_q4_0(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        const uint8_t* block = blocks + i / 32 * sizeof(BlockQ4_0);
        const int at = int(i % 32);
        const int q = at < 16 ? block[2 + at] & 15 : block[2 + at - 16] >> 4;
        out[i] = half_to_float(load_unaligned<uint16_t>(block)) * float(q - 8);
    }
}

// As llama.cpp quantises: the value of largest magnitude, with its sign, becomes -8.
inline void encode_q4_0(const float* x, uint8_t* blocks, int n) {
    for (int b = 0; b < n / 32; ++b, x += 32) {
        float extreme = 0;
        for (int i = 0; i < 32; ++i)
            if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
        BlockQ4_0 block;
        block.scale = float_to_half(extreme / -8.0f);
        const float scale = half_to_float(block.scale), inverse = scale != 0 ? 1.0f / scale : 0.0f;
        const auto code = [&](float value) {
            const float q = std::floor(value * inverse + 8.5f);
            return uint8_t(q < 0 ? 0 : q > 15 ? 15 : q);
        };
        for (int i = 0; i < 16; ++i) block.q[i] = uint8_t(code(x[i]) | code(x[16 + i]) << 4);
        std::memcpy(blocks + b * sizeof block, &block, sizeof block);
    }
}

}  // namespace strata
