// How fast the matrix products of one table of kernels are, on one thread: for tests/bench/kernel_speed.cpp and the
// WebAssembly module's `kernelSpeed`.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "engine/base/bits.h"
#include "engine/kernels/kernels.h"

namespace strata {

// Seconds of the fastest of many short runs: on a machine that others use too, the one that was not interrupted.
template <class Fn>
double fastest(double budget_seconds, Fn&& run) {
    using Clock = std::chrono::steady_clock;
    double best = 1e9;
    const auto begin = Clock::now();
    do {
        const auto start = Clock::now();
        run();
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    } while (std::chrono::duration<double>(Clock::now() - begin).count() < budget_seconds);
    return best;
}

// Random bytes, with scales that keep all values finite.
inline std::vector<uint8_t> speed_weights(TensorType type, int64_t values) {
    const TensorTraits& traits = tensor_traits(type);
    std::vector<uint8_t> bytes(size_t(values / traits.block_values * traits.block_bytes));
    uint32_t state = 1;
    for (uint8_t& byte : bytes) {
        state = state * 1664525u + 1013904223u;
        byte = uint8_t(state >> 24) & 0x3f;  // as floats and halves of any position: small and finite
    }
    return bytes;
}

// One line of JSON: a matrix of rows x cols times n_tokens.
inline std::string matmul_speed(const Kernels& k, TensorType type, int64_t rows, int64_t cols, int n_tokens,
                                double budget_seconds) {
    const auto weights = speed_weights(type, rows * cols);
    std::vector<float> x(size_t(n_tokens * cols)), scales(x.size() / 32), out(size_t(n_tokens * rows));
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(int(i * 7919 % 2001) - 1000) * 0.001f;
    std::vector<uint8_t> q(x.size() * k.activation_bytes);
    for (int t = 0; t < n_tokens; ++t)
        k.quantise_row(x.data() + t * cols, q.data() + size_t(t * cols) * k.activation_bytes,
                       scales.data() + t * cols / 32, cols);
    const MatmulArgs args{weights.data(), cols, x.data(), q.data(), scales.data(), n_tokens, out.data(), rows};
    const double seconds = fastest(budget_seconds, [&] { k.matmul(type)(args, 0, rows); });
    char line[256];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"type\":\"%s\",\"rows\":%d,\"cols\":%d,\"n_tokens\":%d,\"ms\":%.4f,"
                  "\"gb_per_s\":%.2f,\"gop_per_s\":%.1f}",
                  k.name, tensor_traits(type).name, int(rows), int(cols), n_tokens, seconds * 1e3,
                  double(weights.size()) / seconds / 1e9, 2e-9 * double(rows) * double(cols) * n_tokens / seconds);
    return line;
}

// What a core reads from memory at most: sums over `bytes`.
inline std::string read_speed(size_t bytes, double budget_seconds) {
    const std::vector<uint64_t> memory(bytes / 8, 1);
    uint64_t sum = 0;
    const double seconds = fastest(budget_seconds, [&] {
        uint64_t s[8] = {};
        for (size_t i = 0; i + 8 <= memory.size(); i += 8)
            for (size_t j = 0; j < 8; ++j) s[j] ^= memory[i + j];
        for (const uint64_t each : s) sum += each;
    });
    char line[128];
    std::snprintf(line, sizeof line, "{\"read\":\"memory\",\"bytes\":%.0f,\"gb_per_s\":%.2f,\"check\":%d}",
                  double(bytes), double(bytes) / seconds / 1e9, int(sum % 2));
    return line;
}

}  // namespace strata
