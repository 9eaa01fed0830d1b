// How fast the matrix products of one table of kernels are: for tests/bench/kernel_speed.cpp.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/base/bits.h"
#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "tests/engine/random_blocks.h"

namespace strata {

inline double now_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of the fastest of many short runs: on a machine that others use too, the one that was not interrupted. A
// browser's clock is coarse, so a run is repeated until it takes a while.
template <class Fn>
double fastest(double budget_seconds, Fn&& run) {
    constexpr double kLeast = 2e-3;
    double best = 1e9, elapsed = 0;
    const double begin = now_seconds();
    for (int times = 1;;) {
        const double start = now_seconds();
        for (int i = 0; i < times; ++i) run();
        const double end = now_seconds();
        elapsed = end - start;
        if (elapsed < kLeast)
            times *= 2;
        else
            best = std::min(best, elapsed / times);
        if (end - begin >= budget_seconds && best < 1e9) return best;
    }
}

// What is computed for its time only.
inline void keep(uint64_t value) {
    volatile uint64_t kept = value;
    (void)kept;
}

inline uint64_t xor_of(const uint64_t* words, int64_t n) {  // n: a multiple of 16
    typedef uint64_t Two __attribute__((vector_size(16)));  // a tab has no wider loads
    Two s[8] = {};
    for (int64_t i = 0; i < n; i += 16)
        for (int64_t j = 0; j < 8; ++j) {
            Two two;
            std::memcpy(&two, words + i + 2 * j, sizeof two);
            s[j] ^= two;
        }
    Two all = {};
    for (const Two& each : s) all ^= each;
    return all[0] ^ all[1];
}

// One line of JSON: a matrix of rows x cols times n_tokens.
inline std::string matmul_speed(const Kernels& k, TensorType type, int64_t rows, int64_t cols, int n_tokens,
                                double budget_seconds, ThreadPool& pool) {
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
    const double seconds = fastest(budget_seconds, [&] {
        pool.for_rows(rows, 16, [&](int64_t begin, int64_t end, int) { k.matmul(type)(args, begin, end); });
    });
    char line[256];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"type\":\"%s\",\"rows\":%d,\"cols\":%d,\"n_tokens\":%d,\"n_threads\":%d,"
                  "\"ms\":%.4f,\"gb_per_s\":%.2f,\"gop_per_s\":%.1f}",
                  k.name, tensor_traits(type).name, int(rows), int(cols), n_tokens, pool.threads(), seconds * 1e3,
                  double(weights.size()) / seconds / 1e9, 2e-9 * double(rows) * double(cols) * n_tokens / seconds);
    return line;
}

// One line of JSON: nanoseconds per position and query to score and to add up 256 positions, sealed at 4 bits, exact,
// or in FP16; in cache.
inline std::string tile_speed(const Kernels& k, int head_dim, int n, double budget_seconds) {
    constexpr int kTiles = 4, kPositions = kTiles * kTilePositions;
    const size_t d = size_t(head_dim), stride = kPositions;
    std::vector<float> x(size_t(kPositions) * d), scratch(kTilePositions * d), scores(size_t(n) * stride, 0.5f),
        out(size_t(n) * d), scales(static_cast<size_t>(n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(int(i * 7919 % 2001) - 1000) * 0.001f;
    std::vector<uint8_t> queries(size_t(n * padded_head_dim(head_dim)) * k.query_bytes);
    k.quantise_queries(x.data(), n, head_dim, queries.data(), scales.data());
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
            k.tile_scores({&keys, 1}, nullptr, head_dim, queries.data(), scales.data(), n,
                          scores.data() + t * kTilePositions, int64_t(stride));
    });
    std::fill(scores.begin(), scores.end(), 0.5f);
    const double sealed_values = ns([&] {
        for (int t = 0; t < kTiles; ++t)
            k.tile_values({&values, 1}, nullptr, head_dim, scores.data() + t * kTilePositions, int64_t(stride), n,
                          out.data(), head_dim);
    });
    const double exact_scores =
        ns([&] { k.scores_f32(x.data(), n, x.data(), kPositions, head_dim, scores.data(), int64_t(stride)); });
    std::fill(scores.begin(), scores.end(), 0.5f);
    const double exact_values = ns(
        [&] { k.accumulate(scores.data(), int64_t(stride), n, x.data(), kPositions, head_dim, out.data(), head_dim); });
    std::vector<uint8_t> halves(x.size() * 2);
    for (size_t i = 0; i < x.size(); ++i) {
        const uint16_t half = float_to_half(x[i]);
        std::memcpy(halves.data() + 2 * i, &half, 2);
    }
    std::fill(scores.begin(), scores.end(), 0.5f);
    const auto staged = [&](auto&& use) {  // a tile at a time, once for all queries
        return ns([&] {
            for (int t = 0; t < kTiles; ++t) {
                const size_t at = size_t(t) * kTilePositions;
                k.stage_f16(halves.data() + at * d * 2, int64_t(kTilePositions * d), scratch.data());
                use(scores.data() + at);
            }
        });
    };
    const double half_values = staged([&](const float* weights) {
        k.accumulate(weights, int64_t(stride), n, scratch.data(), kTilePositions, head_dim, out.data(), head_dim);
    });
    const double half_scores = staged([&](float* results) {
        k.scores_f32(x.data(), n, scratch.data(), kTilePositions, head_dim, results, int64_t(stride));
    });
    char line[384];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"tiles\":\"4 bits\",\"head_dim\":%d,\"queries\":%d,\"scores_ns\":%.2f,"
                  "\"values_ns\":%.2f,\"f32_scores_ns\":%.2f,\"f32_values_ns\":%.2f,"
                  "\"f16_scores_ns\":%.2f,\"f16_values_ns\":%.2f}",
                  k.name, head_dim, n, sealed_scores, sealed_values, exact_scores, exact_values, half_scores,
                  half_values);
    return line;
}

// What it costs to write to memory that the system has not given yet: one page fault for each 4 KB. Of a model that is
// loaded, no part can be faster.
inline std::string touch_speed(size_t bytes) {
    const double start = now_seconds();
    const std::unique_ptr<uint8_t[]> memory(new uint8_t[bytes]);
    volatile uint8_t* const at = memory.get();
    for (size_t i = 0; i < bytes; i += 4096) at[i] = 1;
    char line[128];
    std::snprintf(line, sizeof line, "{\"touch\":\"fresh memory\",\"bytes\":%.0f,\"ms\":%.1f}", double(bytes),
                  (now_seconds() - start) * 1e3);
    return line;
}

// What the threads together read from memory at most: all that lies side by side ("memory"), or as attention reads its
// tiles ("pieces"): for one head after the other, the 2 KB of its keys or values in every tile (64 dimensions at 4
// bits), between which those of 30 layers' three heads lie.
inline std::string read_speed(bool pieces, size_t bytes, double budget_seconds, ThreadPool& pool) {
    constexpr int64_t kTile = 30 * 3 * 2 * 2048 / 8;  // in words
    const std::vector<uint64_t> memory(bytes / 8 / kTile * kTile, 1);
    const int64_t words = int64_t(memory.size());
    const int64_t piece = pieces ? 2048 / 8 : kTile, step = pieces ? kTile : words;
    std::vector<uint64_t> sums(size_t(pool.threads()) * 8);
    const double seconds = fastest(budget_seconds, [&] {
        pool.for_rows(step / piece, 1, [&](int64_t begin, int64_t end, int thread) {
            for (int64_t i = begin; i < end; ++i)
                for (int64_t at = i * piece; at < words; at += step)
                    sums[size_t(thread) * 8] ^= xor_of(memory.data() + at, piece);
        });
    });
    keep(sums[0]);
    char line[128];
    std::snprintf(line, sizeof line, "{\"read\":\"%s\",\"bytes\":%.0f,\"n_threads\":%d,\"gb_per_s\":%.2f}",
                  pieces ? "pieces" : "memory", double(words * 8), pool.threads(), double(words * 8) / seconds / 1e9);
    return line;
}

}  // namespace strata
