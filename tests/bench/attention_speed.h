// How fast one query's attention over a long memory is, as decoding does it: for tests/bench/kernel_speed.cpp.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/attention.h"
#include "tests/bench/kernel_speed.h"

namespace strata {

inline KvOptions memory_named(const std::string& name) {
    KvOptions options;
    if (const auto preset = kv_preset_from_name(name)) options.preset = *preset;
    if (const auto type = kv_type_from_name(name)) options.key_type = options.value_type = *type;
    return options;
}

// One line of JSON: nanoseconds per position and query head of an attention over 16,384 positions, all of them in
// memory and none in a cache, as when a token's weights have been read since; and once again right after, where caches
// that are large enough have them.
inline std::string attention_speed(const Kernels& k, int head_dim, int group, const std::string& kv,
                                   double budget_seconds, ThreadPool& pool) {
    constexpr int kPositions = 16384, kKvHeads = 4;
    const KvShape shape{1, kKvHeads, head_dim};
    auto created = KvCache::create(shape, memory_named(kv));
    CHECK(bool(created));
    KvCache& cache = **created;
    cache.prepare_for(k);
    uint32_t state = 1;
    const auto random = [&] {
        state = state * 1664525u + 1013904223u;
        return float(int(state >> 16) - 32768) / 32768.0f;
    };
    std::vector<float> rows(size_t(kPagePositions * kKvHeads * head_dim)), values(rows.size());
    for (int at = 0; at < kPositions; at += kPagePositions) {
        for (size_t i = 0; i < rows.size(); ++i) rows[i] = random(), values[i] = random();
        CHECK(bool(cache.reserve(kPagePositions, k, pool)));
        for (int head = 0; head < kKvHeads; ++head) cache.write(0, head, kPagePositions, rows.data(), values.data());
        cache.advance(kPagePositions);
    }
    CHECK(bool(cache.truncate(kPositions - 1)));  // the newest position is the query's own

    const int n_heads = kKvHeads * group;
    Attention attention(cache, n_heads, 1, k, pool);
    attention.reserve(kPositions);
    std::vector<float> queries(size_t(n_heads * head_dim)), out(queries.size());
    for (float& x : queries) x = random();
    CHECK(bool(cache.reserve(1, k, pool)));
    for (int head = 0; head < kKvHeads; ++head) cache.write(0, head, 1, rows.data(), values.data());

    const std::vector<uint64_t> other(size_t(128) << 17, 1);  // 128 MB that take the place of the memory in the caches
    const auto middle = [&](bool cold) {
        std::vector<double> times;
        double spent = 0;
        while (times.size() < 5 || (spent < budget_seconds / 2 && times.size() < 50)) {
            if (cold) keep(xor_of(other.data(), int64_t(other.size())));
            const double start = now_seconds();
            attention.attend({0}, kPositions - 1, 1, queries.data(), out.data());
            times.push_back(now_seconds() - start);
            spent += times.back();
        }
        std::sort(times.begin(), times.end());
        return times[times.size() / 2] * 1e9 / (double(kPositions) * n_heads);
    };
    const double cold = middle(true), again = middle(false);
    char line[256];
    std::snprintf(line, sizeof line,
                  "{\"backend\":\"%s\",\"attention\":\"%s\",\"head_dim\":%d,\"group\":%d,\"positions\":%d,"
                  "\"n_threads\":%d,\"ns\":%.3f,\"again_ns\":%.3f}",
                  k.name, kv.c_str(), head_dim, group, kPositions, pool.threads(), cold, again);
    return line;
}

}  // namespace strata
