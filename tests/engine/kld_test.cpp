// KL divergence between memories: the number itself against a slow twin, its summary, and two sessions in lockstep.
#include "engine/eval/kld.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/engine/shipped_model.h"
#include "tests/engine/some_tokens.h"

namespace strata {
namespace {

// In long double and from the definition: the sum of p log(p / q).
double slow_kld(const std::vector<float>& exact, const std::vector<float>& candidate) {
    const auto log_of_sum = [](const std::vector<float>& logits) {
        long double sum = 0;
        for (const float x : logits) sum += std::exp((long double)(x));
        return std::log(sum);
    };
    const long double a = log_of_sum(exact), b = log_of_sum(candidate);
    long double kld = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        const long double log_p = exact[i] - a, log_q = candidate[i] - b;
        kld += std::exp(log_p) * (log_p - log_q);
    }
    return double(kld);
}

std::vector<float> random_logits(std::mt19937& random, size_t n, float spread) {
    std::normal_distribution<float> normal(0, spread);
    std::vector<float> logits(n);
    for (float& x : logits) x = normal(random);
    return logits;
}

TEST(Kld, IsTheSumOfItsDefinitionHoweverSmallItIs) {
    std::mt19937 random(1);
    for (const size_t n : {2, 3, 17, 4096}) {
        for (const float noise : {3.0f, 1.0f, 0.1f, 1e-2f, 1e-3f}) {
            const auto exact = random_logits(random, n, 4);
            auto candidate = exact;
            for (float& x : candidate) x += random_logits(random, 1, noise)[0];
            const double expected = slow_kld(exact, candidate);
            EXPECT_NEAR(kl_divergence(exact, candidate), expected, 2e-6 * expected) << n << " " << noise;
        }
    }
}

TEST(Kld, IsZeroForEqualLogitsAndForAConstantBetweenThem) {
    std::mt19937 random(2);
    const auto exact = random_logits(random, 100, 10);
    EXPECT_EQ(kl_divergence(exact, exact), 0);
    auto shifted = exact;
    for (float& x : shifted) x = x + 64;
    EXPECT_LT(kl_divergence(exact, shifted), 1e-11);
    EXPECT_GE(kl_divergence(exact, shifted), 0);
}

TEST(Kld, StaysFiniteForExtremeLogits) {
    const std::vector<float> sure{200, 0, -200}, otherwise{-200, 0, 200};
    EXPECT_TRUE(std::isfinite(kl_divergence(sure, otherwise)));
    EXPECT_GT(kl_divergence(sure, otherwise), 50);
    EXPECT_NEAR(kl_divergence(std::vector<float>{60, 0}, std::vector<float>{0, 0}), std::log(2), 1e-6);
}

TEST(Kld, PercentilesLieBetweenTheSamples) {
    const std::vector<double> sorted{1, 2, 4, 8, 16};
    EXPECT_EQ(percentile(sorted, 0), 1);
    EXPECT_EQ(percentile(sorted, 0.5), 4);
    EXPECT_EQ(percentile(sorted, 1), 16);
    EXPECT_NEAR(percentile(sorted, 0.99), 8 + 0.96 * 8, 1e-12);
    EXPECT_EQ(percentile(std::vector<double>{7}, 0.999), 7);
}

TEST(Kld, SummaryCountsFromPosition256OnAndByAge) {
    std::vector<KldScore> scores;
    for (int64_t position = 0; position < 1100; ++position) {
        const double kld = position < 256 ? 1000 : double(position % 5);
        scores.push_back({position, kld, 3, 3 + (position % 2 == 0 ? 0.5 : 0), position % 4 != 0});
    }
    const KldSummary summary = summarise(scores);
    EXPECT_EQ(summary.n, 1100 - 256);
    double mean = 0, squares = 0;
    for (int64_t position = 256; position < 1100; ++position) mean += double(position % 5) / 844;
    for (int64_t position = 256; position < 1100; ++position) squares += std::pow(double(position % 5) - mean, 2);
    EXPECT_NEAR(summary.kld.mean, mean, 1e-12);
    EXPECT_NEAR(summary.kld.se, std::sqrt(squares / 843 / 844), 1e-12);
    EXPECT_EQ(summary.median_kld, 2);
    EXPECT_EQ(summary.p99_kld, 4);
    EXPECT_EQ(summary.max_kld, 4);
    EXPECT_NEAR(summary.same_top.mean, 0.75, 1e-12);
    EXPECT_NEAR(summary.ppl_exact, std::exp(3), 1e-9);
    EXPECT_NEAR(summary.ppl, std::exp(3.25), 1e-9);
    EXPECT_NEAR(summary.ppl_ratio.mean, std::exp(0.25), 1e-12);
    EXPECT_NEAR(summary.ppl_ratio.se, std::exp(0.25) * 0.25 / std::sqrt(843), 1e-9);

    ASSERT_EQ(summary.by_age.size(), 3u);
    EXPECT_EQ(summary.by_age[0].from, 256);
    EXPECT_EQ(summary.by_age[0].to, 512);
    EXPECT_EQ(summary.by_age[0].n, 256);
    EXPECT_EQ(summary.by_age[2].from, 1024);
    EXPECT_EQ(summary.by_age[2].to, 2048);
    EXPECT_EQ(summary.by_age[2].n, 1100 - 1024);
    EXPECT_NEAR(summary.by_age[1].nll_difference.mean, 0.25, 1e-12);
}

TEST(Kld, OfNoScoresIsNothing) {
    EXPECT_EQ(summarise({}).n, 0);
    EXPECT_EQ(summarise(std::vector<KldScore>{{255, 1, 1, 1, true}}).n, 0);
    EXPECT_TRUE(summarise({}).by_age.empty());
}

KldOptions with(const KvOptions& kv) {
    KldOptions options;
    options.session.kv = kv;
    return options;
}

KvOptions rows(KvType type, int window = 0) {
    KvOptions kv;
    kv.key_type = kv.value_type = type;
    kv.key_window = kv.value_window = window;
    return kv;
}

TEST(Kld, OfTheExactMemoryIsExactlyZero) {
    const auto result = kl_divergence(shipped_model(), uneven_tokens(400), with(rows(KvType::fp32)));
    ASSERT_TRUE(result);
    ASSERT_EQ(result->scores.size(), 399u);
    for (const KldScore& score : result->scores) {
        EXPECT_EQ(score.kld, 0);
        EXPECT_EQ(score.nll, score.nll_exact);
    }
    const KldSummary summary = summarise(result->scores);
    EXPECT_EQ(summary.same_top.mean, 1);
    EXPECT_EQ(summary.ppl_ratio.mean, 1);
    EXPECT_EQ(summary.ppl_ratio.se, 0);
}

TEST(Kld, InLockstepEqualsWhatTwoSessionsSayAloneAfterEachOther) {
    const auto tokens = uneven_tokens(300);
    const auto result = kl_divergence(shipped_model(), tokens, with(rows(KvType::q4_0, 32)));
    ASSERT_TRUE(result);
    const auto read = [&](const KvOptions& kv) {
        SessionOptions options;
        options.kv = kv;
        const auto session = Session::open(shipped_model(), options);
        std::vector<std::vector<float>> logits;
        EXPECT_TRUE((*session)->score(
            tokens, [&](int64_t, std::span<const float> row) { logits.emplace_back(row.begin(), row.end()); }));
        return logits;
    };
    const auto exact = read(rows(KvType::fp32)), coarse = read(rows(KvType::q4_0, 32));
    double largest = 0;
    for (size_t i = 0; i < result->scores.size(); ++i) {
        EXPECT_EQ(result->scores[i].position, int64_t(i));
        EXPECT_EQ(result->scores[i].kld, kl_divergence(exact[i], coarse[i])) << i;
        EXPECT_EQ(result->scores[i].nll, negative_log_likelihood(coarse[i], tokens[i + 1]));
        EXPECT_EQ(result->scores[i].nll_exact, negative_log_likelihood(exact[i], tokens[i + 1]));
        largest = std::max(largest, result->scores[i].kld);
    }
    EXPECT_GT(largest, 0);
    EXPECT_EQ(result->kv.positions, 299);
}

TEST(Kld, DoesNotDependOnThreadsOrBatches) {
    auto options = with(rows(KvType::hq4_0, 64));
    const auto one = kl_divergence(shipped_model(), uneven_tokens(300), options);
    options.session.threads = 2;
    options.session.micro_batch = 7;
    const auto other = kl_divergence(shipped_model(), uneven_tokens(300), options);
    ASSERT_TRUE(one && other);
    for (size_t i = 0; i < one->scores.size(); ++i) EXPECT_EQ(one->scores[i].kld, other->scores[i].kld);
}

TEST(Kld, OfATieredMemoryGrowsFromPresetToPreset) {
    const auto tokens = uneven_tokens(700);
    double before = -1;
    for (const KvPreset preset : kKvPresets) {
        KvOptions kv;
        kv.preset = preset;
        const auto result = kl_divergence(shipped_model(), tokens, with(kv));
        ASSERT_TRUE(result) << kv_preset_name(preset);
        const double mean = summarise(result->scores).kld.mean;
        EXPECT_GT(mean, before) << kv_preset_name(preset);
        if (preset == KvPreset::exact) {
            EXPECT_EQ(mean, 0);
        }
        before = mean;
    }
}

TEST(Kld, NeedsATextThatReachesBeyondTheWindow) {
    const auto options = with(rows(KvType::fp16));
    EXPECT_FALSE(kl_divergence(shipped_model(), {}, options));
    const auto too_short = kl_divergence(shipped_model(), uneven_tokens(257), options);
    ASSERT_FALSE(too_short);
    EXPECT_EQ(too_short.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(too_short.error().message.find("258"), std::string::npos);
    const auto enough = kl_divergence(shipped_model(), uneven_tokens(258), options);
    ASSERT_TRUE(enough);
    EXPECT_EQ(summarise(enough->scores).n, 1);
}

TEST(Kld, ReportsProgressAndCanBeStopped) {
    auto options = with(rows(KvType::fp16));
    int64_t seen = 0;
    options.progress = [&](int64_t done, int64_t total) {
        EXPECT_EQ(total, 299);
        EXPECT_GT(done, seen);
        seen = done;
        return true;
    };
    ASSERT_TRUE(kl_divergence(shipped_model(), uneven_tokens(300), options));
    EXPECT_EQ(seen, 299);
    options.progress = [](int64_t, int64_t) { return false; };
    EXPECT_FALSE(kl_divergence(shipped_model(), uneven_tokens(300), options));
}

}  // namespace
}  // namespace strata
