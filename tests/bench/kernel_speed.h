// How fast the matrix products of one table of kernels are, on one thread: for tests/bench/kernel_speed.cpp.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "engine/kernels/kernels.h"
#include "tests/engine/random_blocks.h"

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

// One line of JSON: a matrix of rows x cols times n_tokens.
inline std::string matmul_speed(const Kernels& k, TensorType type, int64_t rows, int64_t cols, int n_tokens,
                                double budget_seconds) {
    std::mt19937 rng(1);
    const auto weights =
        random_blocks(type, size_t(rows * cols), 0.02, rng);  // as in a model: scales are not subnormal
    std::vector<float> x(size_t(n_tokens * cols)), scales(x.size() / 32), out(size_t(n_tokens * rows));
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(int(i * 7919 % 2001) - 1000) * 0.001f;
    std::vector<float> sums(size_t(n_tokens * n_activation_sums(cols)));
    std::vector<uint8_t> q(x.size() * k.activation_bytes);
    for (int t = 0; t < n_tokens; ++t) {
        uint8_t* row = q.data() + size_t(t * cols) * k.activation_bytes;
        k.quantise_row(x.data() + t * cols, row, scales.data() + t * cols / 32, cols);
        k.sum_activations(row, cols, sums.data() + t * n_activation_sums(cols));
    }
    const MatmulArgs args{weights.data(), cols,       x.data(), q.data(),   scales.data(),
                          n_tokens,       out.data(), rows,     sums.data()};
    const double seconds = fastest(budget_seconds, [&] { k.matmul(type)(args, 0, rows); });
    char line[256];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"type\":\"%s\",\"rows\":%d,\"cols\":%d,\"n_tokens\":%d,\"ms\":%.4f,"
                  "\"gb_per_s\":%.2f,\"gop_per_s\":%.1f}",
                  k.name, tensor_traits(type).name, int(rows), int(cols), n_tokens, seconds * 1e3,
                  double(weights.size()) / seconds / 1e9, 2e-9 * double(rows) * double(cols) * n_tokens / seconds);
    return line;
}

// One line of JSON: nanoseconds per position and query to score and to add up 256 positions, sealed at 4 bits or exact.
inline std::string attention_speed(const Kernels& k, int head_dim, int n, double budget_seconds) {
    constexpr int kTiles = 4, kPositions = kTiles * kTilePositions;
    const size_t d = size_t(head_dim), stride = kPositions;
    std::vector<float> x(size_t(kPositions) * d), scratch(kTilePositions * d), scores(size_t(n) * stride, 0.5f),
        out(size_t(n) * d), scales(static_cast<size_t>(n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(int(i * 7919 % 2001) - 1000) * 0.001f;
    const size_t query_bytes = size_t(padded_head_dim(head_dim)) * k.activation_bytes;
    std::vector<uint8_t> queries(size_t(n) * query_bytes);
    for (int i = 0; i < n; ++i)
        k.quantise_query(x.data() + size_t(i) * d, head_dim, queries.data() + size_t(i) * query_bytes,
                         &scales[size_t(i)]);
    std::vector<uint8_t> header(size_t(tile_header_bytes(head_dim))), codes(kTilePositions * d);
    k.encode_tile(x.data(), head_dim, 0, scratch.data(), header.data(), codes.data());
    const auto sealed = [&](TileSide side, std::vector<uint8_t>& bytes) {
        bytes.resize(size_t(tile_pages(4)) * size_t(tile_page_bytes(head_dim)));
        TileView tile{header.data(), {}, 4};
        uint8_t* pages[kMaxTilePages] = {};
        for (int p = 0; p < tile_pages(4); ++p)
            tile.pages[p] = pages[p] = bytes.data() + size_t(p) * size_t(tile_page_bytes(head_dim));
        pack_tile(side, codes.data(), head_dim, 4, pages);
        return tile;
    };
    std::vector<uint8_t> key_bytes, value_bytes;
    const TileView keys = sealed(TileSide::keys, key_bytes), values = sealed(TileSide::values, value_bytes);
    const auto ns = [&](auto&& run) { return fastest(budget_seconds, run) * 1e9 / (double(kPositions) * n); };
    const double sealed_scores = ns([&] {
        for (int t = 0; t < kTiles; ++t)
            k.tile_scores(keys, head_dim, queries.data(), scales.data(), n, scores.data() + t * kTilePositions,
                          int64_t(stride));
    });
    std::fill(scores.begin(), scores.end(), 0.5f);
    const double sealed_values = ns([&] {
        for (int t = 0; t < kTiles; ++t)
            k.tile_values(values, head_dim, scores.data() + t * kTilePositions, int64_t(stride), n, out.data(),
                          head_dim);
    });
    const double exact_scores = ns([&] {
        for (int i = 0; i < n; ++i)
            k.scores_f32(x.data() + size_t(i) * d, x.data(), kPositions, head_dim, scores.data() + size_t(i) * stride);
    });
    std::fill(scores.begin(), scores.end(), 0.5f);
    const double exact_values = ns([&] {
        for (int i = 0; i < n; ++i)
            k.accumulate(scores.data() + size_t(i) * stride, x.data(), kPositions, head_dim,
                         out.data() + size_t(i) * d);
    });
    char line[256];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"attention\":\"4 bits\",\"head_dim\":%d,\"queries\":%d,\"scores_ns\":%.2f,"
                  "\"values_ns\":%.2f,\"f32_scores_ns\":%.2f,\"f32_values_ns\":%.2f}",
                  k.name, head_dim, n, sealed_scores, sealed_values, exact_scores, exact_values);
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
