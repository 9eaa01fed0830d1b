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

inline void decode_q6_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockQ6_K>(blocks + b * int64_t(sizeof(BlockQ6_K)));
        for (int i = 0; i < 256; ++i) {
            // A block is two halves of 128 values, a half four runs of 32. Runs 0 and 1 lie in the low nibbles of the
            // half's first and second 32 bytes, runs 2 and 3 in the high nibbles of the same bytes; run r has bits 2r
            // and 2r+1 of `high`.
            const int half = i / 128, run = i % 128 / 32;
            const int low = block.low[half * 64 + run % 2 * 32 + i % 32] >> (run < 2 ? 0 : 4) & 15;
            const int high = block.high[half * 32 + i % 32] >> (2 * run) & 3;
            const float scale = half_to_float(block.scale) * float(block.scales[i / 16]);
            out[b * 256 + i] = scale * float((low | high << 4) - 32);
        }
    }
}

}  // namespace strata
