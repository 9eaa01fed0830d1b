// What becomes of Q4_0 blocks when they are rounded again to 3 bits, and those to 2: the way to make old rows smaller
// without nested codes (engine/formats/tile.h), kept as a rival to measure against. The recipe of Q4_0 with fewer bits:
// 32 values share a half-precision scale; value = scale * (q - 2^(bits - 1)). After the scale: the two low bits, four
// values to a byte, lowest first; for 3 bits then the highest bits, eight to a byte.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/formats/q4_0.h"

namespace strata {

constexpr int requantised_block_bytes(int bits) { return 2 + 4 * bits; }

// q (n) in -4..3 or -2..1, scales (n / 32).
inline void unpack_requantised(const uint8_t* blocks, int bits, int64_t n, int8_t* q, float* scales) {
    for (int64_t b = 0; b < n / 32; ++b, blocks += requantised_block_bytes(bits), q += 32) {
        scales[b] = half_to_float(load_unaligned<uint16_t>(blocks));
        const uint8_t *low = blocks + 2, *high = low + 8;
        for (int i = 0; i < 32; ++i) {
            const int code = (low[i / 4] >> i % 4 * 2 & 3) | (bits == 3 ? (high[i / 8] >> i % 8 & 1) << 2 : 0);
            q[i] = int8_t(code - (1 << (bits - 1)));
        }
    }
}

// x (32) to one block. The value of largest magnitude, with its sign, becomes the lowest level.
inline void encode_few_bits(const float* x, int bits, uint8_t* block) {
    const int levels = 1 << bits;
    float extreme = 0;
    for (int i = 0; i < 32; ++i)
        if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
    const uint16_t half = float_to_half(extreme / float(-levels / 2));
    const float scale = half_to_float(half), inverse = scale != 0 ? 1.0f / scale : 0.0f;
    std::memset(block, 0, size_t(requantised_block_bytes(bits)));
    std::memcpy(block, &half, sizeof half);
    uint8_t *low = block + 2, *high = low + 8;
    for (int i = 0; i < 32; ++i) {
        const float q = std::floor(x[i] * inverse + float(levels / 2) + 0.5f);
        const int code = q < 0 ? 0 : q > float(levels - 1) ? levels - 1 : int(q);
        low[i / 4] = uint8_t(low[i / 4] | (code & 3) << i % 4 * 2);
        if (bits == 3) high[i / 8] = uint8_t(high[i / 8] | code >> 2 << i % 8);
    }
}

// x (n), n a multiple of 32, rounded to 4 bits, those to 3, and for bits == 2 those to 2.
inline void encode_requantised(const float* x, int bits, uint8_t* blocks, int n) {
    for (int b = 0; b < n / 32; ++b, x += 32, blocks += requantised_block_bytes(bits)) {
        uint8_t block[sizeof(BlockQ4_0)];  // the largest of them
        float rounded[32];
        encode_q4_0(x, block, 32);
        decode_q4_0(block, rounded, 32);
        for (int step = 3; step >= bits; --step) {
            encode_few_bits(rounded, step, block);
            int8_t q[32];
            float scale;
            unpack_requantised(block, step, 32, q, &scale);
            for (int i = 0; i < 32; ++i) rounded[i] = scale * float(q[i]);
        }
        std::memcpy(blocks, block, size_t(requantised_block_bytes(bits)));
    }
}

}  // namespace strata
