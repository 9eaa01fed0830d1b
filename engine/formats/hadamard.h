// The orthonormal Walsh-Hadamard transform: spreads outliers over all dimensions of a head, so that few bits serve all
// of them alike. It is its own inverse. A head size that is no power of two is tiled by powers of two (96 = 64 + 32).
#pragma once
#include <cmath>

namespace strata {

// The sums and differences of four values with four others, in a form that compilers turn into vectors.
inline void hadamard_step4(float* x, float* y) {
    float a[4], b[4];
    for (int i = 0; i < 4; ++i) a[i] = x[i];
    for (int i = 0; i < 4; ++i) b[i] = y[i];
    for (int i = 0; i < 4; ++i) x[i] = a[i] + b[i];
    for (int i = 0; i < 4; ++i) y[i] = a[i] - b[i];
}

// x (n), in place; n a power of two, 4 or more. Neighbours first, then pairs, and so on.
inline void hadamard_block(float* x, int n) {
    for (int i = 0; i < n; i += 4) {
        const float a = x[i] + x[i + 1], b = x[i] - x[i + 1], c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
        x[i] = a + c;
        x[i + 1] = b + d;
        x[i + 2] = a - c;
        x[i + 3] = b - d;
    }
    for (int half = 4; half < n; half *= 2)
        for (int i = 0; i < n; i += 2 * half)
            for (int j = i; j < i + half; j += 4) hadamard_step4(x + j, x + j + half);
    const float scale = 1.0f / std::sqrt(float(n));
    for (int i = 0; i < n; ++i) x[i] = x[i] * scale;
}

// The largest power of two that is not above n, nor above `limit` (itself a power of two).
inline int hadamard_block_size(int n, int limit = 128) {
    int size = 1;
    while (2 * size <= n && 2 * size <= limit) size *= 2;
    return size;
}

// x (n), in place, block after block; n a multiple of 4.
inline void hadamard(float* x, int n) {
    for (int size; n > 0; x += size, n -= size) {
        size = hadamard_block_size(n);
        hadamard_block(x, size);
    }
}

}  // namespace strata
