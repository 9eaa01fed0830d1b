// The choice of the next token: what each option keeps, and that a seed fixes everything.
#include "engine/sampler/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

namespace strata {
namespace {

// Every option off: plain sampling at temperature 1.
SamplerOptions plain(uint64_t seed = 1) { return {1.0f, 0, 1.0f, 0.0f, 1.0f, 64, seed}; }

Sampler create(const SamplerOptions& options) {
    auto sampler = Sampler::create(options);
    EXPECT_TRUE(sampler);
    return std::move(*sampler);
}

std::map<int, int> frequencies(const SamplerOptions& options, const std::vector<float>& logits, int draws = 4000) {
    Sampler sampler = create(options);
    std::map<int, int> counts;
    for (int i = 0; i < draws; ++i) ++counts[sampler.sample(logits)];
    return counts;
}

std::set<int> choices(const SamplerOptions& options, const std::vector<float>& logits) {
    std::set<int> ids;
    for (const auto& [id, count] : frequencies(options, logits)) ids.insert(id);
    return ids;
}

std::vector<float> logs(const std::vector<double>& probabilities) {
    std::vector<float> logits;
    for (const double p : probabilities) logits.push_back(float(std::log(p)));
    return logits;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

TEST(Sampler, AtTemperatureZeroTakesTheLikeliestAndTheLowestIdAmongEquals) {
    SamplerOptions greedy;
    greedy.temperature = 0;
    EXPECT_EQ(create(greedy).sample(std::vector<float>{1, 3, 2}), 1);
    EXPECT_EQ(create(greedy).sample(std::vector<float>{1, 3, 2, 3}), 1);
    EXPECT_EQ(create(greedy).sample(std::vector<float>{-5}), 0);
}

TEST(Sampler, NeverTakesALogitThatIsNotFinite) {
    const std::vector<float> logits{kNaN, kInfinity, -2, -kInfinity, -3};
    EXPECT_EQ(choices(plain(), logits), (std::set<int>{2, 4}));
    SamplerOptions greedy;
    greedy.temperature = 0;
    EXPECT_EQ(create(greedy).sample(logits), 2);
    EXPECT_EQ(create(greedy).sample(std::vector<float>{kNaN, kInfinity}), 0);
}

TEST(Sampler, FollowsTheProbabilitiesOfTheLogits) {
    const std::vector<double> probabilities{.5, .05, .3, .15};
    for (const float temperature : {0.5f, 1.0f, 2.0f}) {
        SamplerOptions options = plain();
        options.temperature = temperature;
        const int draws = 20000;
        auto counts = frequencies(options, logs(probabilities), draws);
        double total = 0;
        for (const double p : probabilities) total += std::pow(p, 1 / temperature);
        for (int id = 0; id < 4; ++id) {
            const double expected = std::pow(probabilities[size_t(id)], 1 / temperature) / total;
            const double deviation = std::sqrt(expected * (1 - expected) / draws);
            EXPECT_NEAR(counts[id] / double(draws), expected, 4 * deviation) << "id " << id << " at " << temperature;
        }
    }
}

TEST(Sampler, TopKKeepsTheKLikeliest) {
    const auto logits = logs({.1, .4, .2, .3});
    for (const auto& [k, expected] : std::map<int, std::set<int>>{
             {0, {0, 1, 2, 3}}, {1, {1}}, {2, {1, 3}}, {3, {1, 2, 3}}, {4, {0, 1, 2, 3}}, {1000, {0, 1, 2, 3}}}) {
        SamplerOptions options = plain();
        options.top_k = k;
        EXPECT_EQ(choices(options, logits), expected) << k;
    }
}

TEST(Sampler, TopKKeepsTheLowestIdsAmongEqualsOfALargeVocabulary) {
    std::vector<float> logits(10000);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = float(i * 7919 % 100);  // 99 a hundred times
    std::vector<int> likeliest;
    for (size_t i = 0; likeliest.size() < 3; ++i)
        if (logits[i] == 99) likeliest.push_back(int(i));
    SamplerOptions options = plain();
    options.top_k = 3;
    EXPECT_EQ(choices(options, logits), std::set<int>(likeliest.begin(), likeliest.end()));
}

TEST(Sampler, TopPKeepsTheSmallestSetWithThatProbability) {
    const auto logits = logs({.1, .4, .2, .3});
    for (const auto& [p, expected] : std::map<float, std::set<int>>{
             {0.0f, {1}}, {0.3f, {1}}, {0.5f, {1, 3}}, {0.65f, {1, 3}}, {0.8f, {1, 2, 3}}, {1.0f, {0, 1, 2, 3}}}) {
        SamplerOptions options = plain();
        options.top_p = p;
        EXPECT_EQ(choices(options, logits), expected) << p;
    }
}

TEST(Sampler, MinPDropsWhatIsUnlikelyBesideTheLikeliest) {
    const auto logits = logs({.1, .4, .2, .3});
    for (const auto& [p, expected] :
         std::map<float, std::set<int>>{{0.0f, {0, 1, 2, 3}}, {0.4f, {1, 2, 3}}, {0.6f, {1, 3}}, {1.0f, {1}}}) {
        SamplerOptions options = plain();
        options.min_p = p;
        EXPECT_EQ(choices(options, logits), expected) << p;
    }
}

TEST(Sampler, ThePenaltyCountsARecentTokenOnceAndForgetsOldOnes) {
    SamplerOptions options;
    options.temperature = 0;
    options.repeat_penalty = 1.5f;
    options.repeat_last_n = 2;
    Sampler sampler = create(options);
    const std::vector<float> logits{4.0f, 3.0f, 2.0f};
    EXPECT_EQ(sampler.sample(logits), 0);
    sampler.accept(0);  // 4 / 1.5 = 2.67
    EXPECT_EQ(sampler.sample(logits), 1);
    sampler.accept(0);  // twice is as once: not 4 / 2.25 = 1.78
    EXPECT_EQ(sampler.sample(std::vector<float>{4.0f, 2.5f, 2.0f}), 0);
    sampler.accept(1);
    sampler.accept(2);  // only 1 and 2 are recent now
    EXPECT_EQ(sampler.sample(logits), 0);
}

TEST(Sampler, ThePenaltyMakesNegativeLogitsLower) {
    SamplerOptions options;
    options.temperature = 0;
    options.repeat_penalty = 2;
    Sampler sampler = create(options);
    sampler.accept(0);
    EXPECT_EQ(sampler.sample(std::vector<float>{-1.0f, -1.5f}), 1);
    sampler.accept(99);  // an id that these logits do not have
    EXPECT_EQ(sampler.sample(std::vector<float>{-1.0f, -1.5f}), 1);
}

// With 1000 equal logits a draw u in [0, 1) takes id floor(1000 u). The ids were computed in Python from the published
// definitions of SplitMix64 and xoshiro256**.
TEST(Sampler, ASeedFixesTheChoicesInEveryBuild) {
    const std::vector<float> logits(1000, -7.0f);
    const std::map<uint64_t, std::vector<int>> expected{
        {0, {601, 747, 103, 416, 732, 999, 422, 535}},
        {42, {83, 378, 680, 924, 991, 769, 719, 850}},
        {std::numeric_limits<uint64_t>::max(), {559, 767, 507, 747, 567, 731, 370, 767}}};
    for (const auto& [seed, ids] : expected) {
        Sampler sampler = create(plain(seed));
        for (const int id : ids) EXPECT_EQ(sampler.sample(logits), id) << "seed " << seed;
    }
}

TEST(Sampler, RefusesImpossibleOptionsByName) {
    const auto error_of = [](auto change) {
        SamplerOptions options;
        change(options);
        const auto sampler = Sampler::create(options);
        return sampler ? std::string("none") : sampler.error().message;
    };
    using O = SamplerOptions;
    EXPECT_EQ(error_of([](O&) {}), "none");
    EXPECT_EQ(error_of([](O& o) { o.temperature = -1; }), "temperature is -1; expected 0 to 100");
    EXPECT_EQ(error_of([](O& o) { o.top_p = 1.5f; }), "top_p is 1.5; expected 0 to 1");
    for (const float bad : {kNaN, kInfinity, -kInfinity, -1.0f}) {
        EXPECT_NE(error_of([&](O& o) { o.temperature = bad; }).find("temperature"), std::string::npos);
        EXPECT_NE(error_of([&](O& o) { o.top_p = bad; }).find("top_p"), std::string::npos);
        EXPECT_NE(error_of([&](O& o) { o.min_p = bad; }).find("min_p"), std::string::npos);
        EXPECT_NE(error_of([&](O& o) { o.repeat_penalty = bad; }).find("repeat_penalty"), std::string::npos);
    }
    EXPECT_NE(error_of([](O& o) { o.repeat_penalty = 0; }).find("repeat_penalty"), std::string::npos);
    EXPECT_NE(error_of([](O& o) { o.top_k = -1; }).find("top_k"), std::string::npos);
    EXPECT_NE(error_of([](O& o) { o.repeat_last_n = -1; }).find("repeat_last_n"), std::string::npos);
}

}  // namespace
}  // namespace strata
