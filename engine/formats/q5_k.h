// Q5_K: Q4_K with a fifth bit; value = scale * group scale * q - minimum * group minimum, q in 0..31. Weights only.
// Published with ggml (ggml-common.h, block_q5_K).
#pragma once
#include <cstdint>

#include "engine/formats/q4_k.h"

namespace strata {

struct BlockQ5_K {
    static constexpr int kValues = 256;
    uint16_t scale, minimum;  // halves
    GroupsQ4_K groups;
    uint8_t fifth[32];  // bit g of byte i is bit 4 of value i of group g
    uint8_t q[128];     // as in Q4_K
};
static_assert(sizeof(BlockQ5_K) == 176);

inline void decode_q5_k(const uint8_t* blocks, float* out, int64_t n) {
    for (int64_t b = 0; b < n / 256; ++b) {
        const auto block = load_unaligned<BlockQ5_K>(blocks + b * int64_t(sizeof(BlockQ5_K)));
        for (int i = 0; i < 256; ++i) {
            const int group = i / 32;
            const int low = block.q[group / 2 * 32 + i % 32] >> (4 * (group % 2)) & 15;
            const int q = low | (block.fifth[i % 32] >> group & 1) << 4;
            const float scale = half_to_float(block.scale) * float(block.groups.scale(group));
            const float minimum = half_to_float(block.minimum) * float(block.groups.minimum(group));
            out[b * 256 + i] = scale * float(q) - minimum;
        }
    }
}

}  // namespace strata
