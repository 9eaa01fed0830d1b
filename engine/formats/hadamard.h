// The orthonormal Walsh-Hadamard transform: spreads outliers over all dimensions of a head, so that few bits serve all
// of them alike. It is its own inverse. A head size that is no power of two is tiled by powers of two (96 = 64 + 32).
#pragma once
#include <cmath>

namespace strata {

// x (n), in place; n a power of two.
inline void hadamard_block(float* x, int n) {
    for (int half = 1; half < n; half *= 2)
        for (int i = 0; i < n; i += 2 * half)
            for (int j = i; j < i + half; ++j) {
                const float a = x[j], b = x[j + half];
                x[j] = a + b;
                x[j + half] = a - b;
            }
    const float scale = 1.0f / std::sqrt(float(n));
    for (int i = 0; i < n; ++i) x[i] = x[i] * scale;
}

// The largest power of two that is not above n, nor above `limit` (itself a power of two).
inline int hadamard_block_size(int n, int limit = 128) {
    int size = 1;
    while (2 * size <= n && 2 * size <= limit) size *= 2;
    return size;
}

// x (n), in place, block after block.
inline void hadamard(float* x, int n) {
    for (int size; n > 0; x += size, n -= size) {
        size = hadamard_block_size(n);
        hadamard_block(x, size);
    }
}

}  // namespace strata
