// Q6_K: 256 values in 16 groups of 16; value = scale * group_scale * (q - 32), q in 0..63. Weights only.
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

struct BlockQ6_K {
    static constexpr int kValues = 256;
    uint8_t low[128];   // the low 4 bits of q
    uint8_t high[64];   // the high 2 bits of q
    int8_t scales[16];  // one for each 16 values
    uint16_t scale;     // half
};
static_assert(sizeof(BlockQ6_K) == 210);

// The 32 values that begin at `at` (a multiple of 32) as q - 32.
inline void unpack_q6_k(const BlockQ6_K& block, int at, int8_t* out) {
    // A block is two halves of 128 values, a half four runs of 32. Runs 0 and 1 lie in the low nibbles of the half's
    // first and second 32 bytes, runs 2 and 3 in the high nibbles of the same bytes; run r has bits 2r and 2r+1 of
    // `high`.
    const int half = at / 128, run = at % 128 / 32;
    const uint8_t* low = block.low + half * 64 + (run & 1) * 32;
    const uint8_t* high = block.high + half * 32;
    for (int i = 0; i < 32; ++i) {
        const int nibble = run < 2 ? low[i] & 15 : low[i] >> 4;
        out[i] = int8_t((nibble | (high[i] >> (2 * run) & 3) << 4) - 32);
    }
}

inline void decode_q6_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t at = 0; at < n; at += 32) {
        const auto block = load_unaligned<BlockQ6_K>(blocks + at / 256 * sizeof(BlockQ6_K));
        const int within = int(at % 256);
        int8_t q[32];
        unpack_q6_k(block, within, q);
        for (int i = 0; i < 32; ++i)
            out[at + i] = half_to_float(block.scale) * float(block.scales[(within + i) / 16]) * float(q[i]);
    }
}

}  // namespace strata
