// The promises of the memory of rows, on random rows: what a query sees, what the bytes are, what going back keeps.
#include "engine/kv/kv_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "engine/formats/hadamard.h"
#include "engine/formats/requantised.h"
#include "engine/kv/attention.h"
#include "tests/engine/allocations.h"

namespace strata {
namespace {

const KvShape kShape{2, 2, 64};
constexpr int kHeads = 6;
constexpr size_t kRow = 2 * 64;

std::vector<float> random_rows(size_t n, unsigned seed) {
    std::mt19937 rng(seed);
    std::normal_distribution<float> normal;
    std::vector<float> rows(n * kRow);
    for (float& v : rows) v = normal(rng);
    return rows;
}

std::unique_ptr<KvCache> open_cache(const KvOptions& options) {
    auto cache = KvCache::create(kShape, options);
    EXPECT_TRUE(cache);
    return std::move(*cache);
}

// Writes positions [position, position + n) of all layers and heads; n must stay in a page.
void write(KvCache& cache, const std::vector<float>& k, const std::vector<float>& v, int n) {
    ThreadPool pool(1);
    ASSERT_TRUE(cache.reserve(n, best_kernels(), pool));
    const size_t at = size_t(cache.position()) * kRow;
    for (int layer = 0; layer < kShape.n_layers; ++layer)
        for (int head = 0; head < kShape.n_kv_heads; ++head) cache.write(layer, head, n, k.data() + at, v.data() + at);
}

// Reads in steps of `batch`, attends at every position, returns the outputs (positions, heads, head_dim) of layer 1.
std::vector<float> run(const KvOptions& options, int64_t positions, int batch, int threads, const char* simd) {
    const auto cache = open_cache(options);
    ThreadPool pool(threads);
    Rope rope({std::vector<double>(32, 0.1)});
    rope.reserve(positions);
    Attention attention(*cache, kHeads, 64, *find_kernels(simd), pool);
    const auto k = random_rows(size_t(positions), 1), v = random_rows(size_t(positions), 2);
    std::mt19937 rng(3);
    std::normal_distribution<float> normal;
    std::vector<float> queries(size_t(positions) * kHeads * 64), out(queries.size());
    for (float& q : queries) q = normal(rng);
    while (cache->position() < positions) {
        const int64_t p = cache->position();
        const int n = int(std::min<int64_t>({batch, 64 - p % 64, positions - p}));
        write(*cache, k, v, n);
        attention.reserve(p + n);
        attention.attend({1, &rope}, p, n, queries.data() + p * kHeads * 64, out.data() + p * kHeads * 64);
        cache->advance(n);
    }
    return out;
}

const KvOptions kPolicies[] = {{KvType::fp32, KvType::fp32, 0, 0},
                               {KvType::fp16, KvType::fp16, 0, 0},
                               {KvType::q8_0, KvType::q4_0, 0, 0},
                               {KvType::q4_0, KvType::fp16, 100, 0},
                               {KvType::hq4_0, KvType::hq4_0, 128, 128},
                               {KvType::turbo_kv_4b, KvType::fp16, 64, 0},
                               {KvType::turbo_kv_4b, KvType::turbo_kv_4b, 1, 65},
                               {KvType::hq4_0, KvType::q8_0, 300, 64},
                               {KvType::hq3_0, KvType::hq3_0, 0, 128},
                               {KvType::fp16, KvType::hq2_0, 64, 64}};

class Policy : public testing::TestWithParam<KvOptions> {};

TEST_P(Policy, AttentionDoesNotDependOnBatchesThreadsOrBackend) {
    constexpr int64_t kPositions = 330;
    const auto reference = run(GetParam(), kPositions, 64, 1, "scalar");
    EXPECT_EQ(reference, run(GetParam(), kPositions, 1, 1, best_kernels().name));
    EXPECT_EQ(reference, run(GetParam(), kPositions, 7, 3, best_kernels().name));
    EXPECT_EQ(reference, run(GetParam(), kPositions, 64, 2, best_kernels().name));
}

// Softmax attention in double over exact rows: the error is that of the format.
TEST_P(Policy, AttentionIsCloseToExactAttention) {
    constexpr int64_t kPositions = 200;
    const auto actual = run(GetParam(), kPositions, 64, 1, best_kernels().name);
    const auto exact = run({KvType::fp32, KvType::fp32, 0, 0}, kPositions, 64, 1, "scalar");
    double error = 0, size = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
        error += std::pow(double(actual[i]) - double(exact[i]), 2);
        size += std::pow(double(exact[i]), 2);
    }
    EXPECT_LT(std::sqrt(error / size), 0.25);
}

TEST_P(Policy, ReportedBytesAreAllocatedBytes) {
    const auto k = random_rows(2048, 1), v = random_rows(2048, 2);
    const size_t before = allocated_bytes();
    const auto cache = open_cache(GetParam());
    while (cache->position() < 2048) {
        write(*cache, k, v, 64);
        cache->advance(64);
    }
    EXPECT_NEAR(double(allocated_bytes() - before) / double(cache->stats().bytes), 1.0, 0.01);
}

TEST_P(Policy, TiersCoverEveryPositionAndEveryByte) {
    const auto cache = open_cache(GetParam());
    const auto k = random_rows(400, 1), v = random_rows(400, 2);
    for (int step = 0; step <= 400; ++step) {
        const KvStats stats = cache->stats();
        int64_t positions = 0;
        uint64_t bytes = 0;
        for (const KvTier& tier : stats.tiers) {
            EXPECT_EQ(tier.first, positions);
            positions += tier.positions;
            bytes += tier.bytes;
        }
        EXPECT_EQ(positions, step);
        EXPECT_EQ(bytes, stats.bytes) << "at " << step;
        EXPECT_EQ(stats.bytes_fp16, uint64_t(step) * 2 * 2 * kRow * 2);
        if (step == 400) break;
        write(*cache, k, v, 1);
        cache->advance(1);
    }
}

// The exact rows of the window after going back: those still in the ring are untouched, older ones are as good as their
// format.
TEST_P(Policy, TruncateRestoresTheWindow) {
    const auto cache = open_cache(GetParam());
    const auto k = random_rows(640, 1), v = random_rows(640, 2);
    while (cache->position() < 640) {
        write(*cache, k, v, 64);
        cache->advance(64);
    }
    for (const int64_t end : {639, 600, 130, 70, 0}) {
        const auto truncated = cache->truncate(end);
        ASSERT_TRUE(truncated);
        const bool exact = *truncated;
        EXPECT_EQ(cache->position(), end);
        EXPECT_TRUE(exact || GetParam().key_window > 0 || GetParam().value_window > 0);
        const KvSide& keys = cache->rows()->keys();
        for (int64_t p = keys.encoded_for(end - 1); p < end && keys.window() > 0; ++p) {
            const float* row = keys.exact_page(1, 1, p / 64) + p % 64 * 64;
            const float* original = k.data() + size_t(p) * kRow + 64;
            double error = 0, size = 0;
            for (int i = 0; i < 64; ++i) {
                error += std::pow(double(row[i]) - double(original[i]), 2);
                size += std::pow(double(original[i]), 2);
            }
            EXPECT_LT(std::sqrt(error / size), exact ? 1e-9 : 0.2)
                << "position " << p << " after going back to " << end;
        }
    }
    write(*cache, k, v, 1);
    cache->advance(1);
    EXPECT_EQ(cache->stats().positions, 1);
}

INSTANTIATE_TEST_SUITE_P(RowFormats, Policy, testing::ValuesIn(kPolicies), [](const auto& info) {
    std::string name = info.param.policy();
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
});

// A head of any size has exact rows, also one that no rotation fits. Two blocks of them, against softmax in double.
TEST(KvCache, HeadsOfAnySizeAreAttendedTo) {
    constexpr int kPositions = 300;
    for (const int head_dim : {1, 2, 3, 5, 6, 10, 14, 20}) {
        const KvShape shape{1, 1, head_dim};
        const auto created = KvCache::create(shape, {KvType::fp32, KvType::fp32, 0, 0});
        ASSERT_TRUE(created);
        KvCache& cache = **created;
        ThreadPool pool(1);
        Attention attention(cache, 2, 64, best_kernels(), pool);
        attention.reserve(kPositions);
        const size_t d = size_t(head_dim);
        std::mt19937 rng(7);
        std::normal_distribution<float> normal;
        std::vector<float> k(kPositions * d), v(k.size()), queries(kPositions * 2 * d), out(queries.size());
        for (auto* values : {&k, &v, &queries})
            for (float& x : *values) x = normal(rng);
        for (int p = 0, n; p < kPositions; p += n) {
            n = p < 256 ? 64 : 1;
            ASSERT_TRUE(cache.reserve(n, best_kernels(), pool));
            cache.write(0, 0, n, k.data() + size_t(p) * d, v.data() + size_t(p) * d);
            attention.attend({0}, p, n, queries.data() + size_t(p) * 2 * d, out.data() + size_t(p) * 2 * d);
            cache.advance(n);
        }
        for (const size_t p : {0, 100, 255, 256, 299})
            for (const size_t head : {0, 1}) {
                const float* query = queries.data() + (p * 2 + head) * d;
                std::vector<double> expected(d);
                double sum = 0;
                for (size_t at = 0; at <= p; ++at) {
                    double dot = 0;
                    for (size_t c = 0; c < d; ++c) dot += double(query[c]) * double(k[at * d + c]);
                    const double weight = std::exp(dot / std::sqrt(double(d)));
                    sum += weight;
                    for (size_t c = 0; c < d; ++c) expected[c] += weight * double(v[at * d + c]);
                }
                for (size_t c = 0; c < d; ++c)
                    EXPECT_NEAR(out[(p * 2 + head) * d + c], expected[c] / sum, 1e-5) << head_dim << ", at " << p;
            }
    }
}

TEST(KvCache, RefusesFormatsThatDoNotFit) {
    const auto cache = KvCache::create({2, 2, 80}, {KvType::q4_0, KvType::fp16, 0, 0});
    ASSERT_FALSE(cache);
    EXPECT_EQ(cache.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(cache.error().message.find("80"), std::string::npos);
    EXPECT_TRUE(KvCache::create({2, 2, 80}, {KvType::fp16, KvType::fp32, 0, 0}));
    EXPECT_FALSE(KvCache::create(kShape, {KvType::q4_0, KvType::fp16, -1, 0}));
}

// 4 bits rounded to 3 and to 2: the codes are those of the file's format, and what was on a level of all three stays.
TEST(Requantised, PacksItsLevels) {
    float x[64], expected[64];
    for (int i = 0; i < 64; ++i) expected[i] = float(i / 32 + 1) * float(i % 4 * 2 - 4);  // -4 -2 0 2, twice that
    for (const int bits : {3, 2}) {
        std::vector<uint8_t> blocks(2 * size_t(requantised_block_bytes(bits)) + 1, 0xee);
        encode_requantised(expected, bits, blocks.data(), 64);
        EXPECT_EQ(blocks.back(), 0xee) << "bytes after the last block are not touched";
        int8_t q[64];
        float scales[2];
        unpack_requantised(blocks.data(), bits, 64, q, scales);
        for (int i = 0; i < 64; ++i) x[i] = scales[i / 32] * float(q[i]);
        EXPECT_EQ(0, std::memcmp(x, expected, sizeof x)) << bits;
    }
}

TEST(Hadamard, IsItsOwnInverseForEveryHeadSize) {
    for (const int n : {32, 64, 80, 96, 128, 256}) {
        std::vector<float> x(size_t(n), 0);
        for (int i = 0; i < n; ++i) x[size_t(i)] = float(i % 7) - 3;
        auto y = x;
        hadamard(y.data(), n);
        EXPECT_NE(x, y);
        hadamard(y.data(), n);
        for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 1e-5);
    }
}

}  // namespace
}  // namespace strata
