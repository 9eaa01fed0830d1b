// Q8_0: 32 values share a half-precision scale; value = scale * q. Used for weights and for rows of the KV cache.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

struct BlockQ8_0 {
    static constexpr int kValues = 32;
    uint16_t scale;  // half
    int8_t q[kValues];
};
static_assert(sizeof(BlockQ8_0) == 34);

inline void decode_q8_0(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        const uint8_t* block = blocks + i / 32 * sizeof(BlockQ8_0);
        out[i] = half_to_float(load_unaligned<uint16_t>(block)) * float(int8_t(block[2 + i % 32]));
    }
}

inline void encode_q8_0(const float* x, uint8_t* blocks, int n) {
    for (int b = 0; b < n / 32; ++b, x += 32) {
        float largest = 0;
        for (int i = 0; i < 32; ++i) largest = std::fmax(largest, std::fabs(x[i]));
        BlockQ8_0 block;
        block.scale = float_to_half(largest / 127.0f);
        const float scale = half_to_float(block.scale), inverse = scale > 0 ? 1.0f / scale : 0.0f;
        for (int i = 0; i < 32; ++i) {
            const float q = std::nearbyint(x[i] * inverse);
            block.q[i] = int8_t(q < -127 ? -127 : q > 127 ? 127 : q);
        }
        std::memcpy(blocks + b * sizeof block, &block, sizeof block);
    }
}

}  // namespace strata
