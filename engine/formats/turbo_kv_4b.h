// turbo_kv_4b, a format for rows of the KV cache published with the C engine quant.cpp: the Hadamard transform of the
// row, each value as the nearest of the 16 levels that are best for a normal distribution (Lloyd and Max). The largest
// magnitude of a Hadamard block becomes the outermost level, so one half-precision scale per block is all that is
// needed: 66 bytes for 128 values. Here the levels are int8 (127 stands for 2.7326), which moves a level by at most
// 0.011, a sixteenth of the distance to its neighbour.
//
// Layout of a block: the scale, then for each 32 values 16 bytes, value i in the low nibble of byte i and value 16 + i
// in the high nibble. A block has up to 128 values; a smaller head is one block, a larger one several.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/formats/hadamard.h"

namespace strata {

constexpr int8_t kTurboLevels[16] = {-127, -96, -75, -58, -44, -31, -18, -6, 6, 18, 31, 44, 58, 75, 96, 127};

inline int turbo_block_size(int values_left) { return hadamard_block_size(values_left); }

// head_dim: a multiple of 32.
inline int turbo_row_bytes(int head_dim) {
    int bytes = 0;
    for (int d = 0; d < head_dim; d += turbo_block_size(head_dim - d)) bytes += 2 + turbo_block_size(head_dim - d) / 2;
    return bytes;
}

// x (head_dim), already rotated.
inline void encode_turbo(const float* x, uint8_t* row, int head_dim) {
    const auto nearest = [](float value) {
        int best = 0;
        for (int i = 1; i < 16; ++i)
            if (std::fabs(value - float(kTurboLevels[i])) < std::fabs(value - float(kTurboLevels[best]))) best = i;
        return best;
    };
    for (int d = 0, size; d < head_dim; d += size) {
        size = turbo_block_size(head_dim - d);
        float largest = 0;
        for (int i = 0; i < size; ++i) largest = std::fmax(largest, std::fabs(x[d + i]));
        const uint16_t half = float_to_half(largest / 127.0f);
        const float scale = half_to_float(half), inverse = scale > 0 ? 1.0f / scale : 0.0f;
        std::memcpy(row, &half, sizeof half);
        row += sizeof half;
        for (int group = d; group < d + size; group += 32, row += 16)
            for (int i = 0; i < 16; ++i)
                row[i] = uint8_t(nearest(x[group + i] * inverse) | nearest(x[group + 16 + i] * inverse) << 4);
    }
}

}  // namespace strata
