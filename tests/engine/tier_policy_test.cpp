// The rule that gives a tile its tier: swept, since it is a pure value.
#include "engine/kv/tier_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace strata {
namespace {

constexpr std::array<uint64_t, kTiers> kSizes{6400, 1064, 936, 808, 680, 552};
constexpr TileBytes kBytes{kSizes, kSizes};

TEST(TierPolicy, OlderIsNeverFiner) {
    for (const KvPreset preset : kKvPresets)
        for (const double fine : {0.0, 0.3, 1.0, 7.5, 100.0}) {
            const TierPolicy policy(finest_tier(preset), fine);
            EXPECT_GE(policy.tier_at(0), finest_tier(preset));
            for (int64_t age = 1; age < 2000; ++age) EXPECT_GE(policy.tier_at(age), policy.tier_at(age - 1));
        }
}

TEST(TierPolicy, WithoutABudgetEveryTileKeepsThePresetsTier) {
    for (const KvPreset preset : kKvPresets)
        for (const int64_t age : {0, 1, 1000, 1 << 20})
            EXPECT_EQ(TierPolicy(finest_tier(preset)).tier_at(age), finest_tier(preset));
}

// For every number of tiles and budget: what fits is used, and a finer policy would not fit.
TEST(TierPolicy, ABudgetIsKeptAndUsed) {
    for (const KvPreset preset : kKvPresets)
        for (const size_t n : {1u, 2u, 9u, 60u, 300u})
            for (uint64_t percent = 5; percent <= 110; percent += 5) {
                const Tier finest = finest_tier(preset);
                const std::vector<Tier> tiers(n, Tier::exact);
                const uint64_t most = n * kSizes[size_t(finest)], least = n * kSizes[size_t(kCoarsest)];
                const uint64_t budget = most * percent / 100;
                const TierPolicy policy = fit_tiers(finest, tiers, kBytes, budget);
                const uint64_t used = bytes_under(policy, tiers, kBytes);
                if (budget < least) {
                    EXPECT_EQ(used, least);
                    continue;
                }
                EXPECT_LE(used, budget);
                if (percent >= 100) {
                    EXPECT_EQ(used, most);
                } else {
                    // The next step moves one tile at each of four borders: less than that is left over.
                    EXPECT_GT(used + 5 * kSizes[size_t(finest)], budget) << n << " tiles, " << percent << " %";
                }
            }
}

TEST(TierPolicy, WhatIsCoarseStaysCoarse) {
    const std::vector<Tier> tiers{Tier::k2v2, Tier::k3v3, Tier::k4v4};
    const TierPolicy policy = fit_tiers(Tier::k4v4, tiers, kBytes, 1 << 20);
    EXPECT_EQ(bytes_under(policy, tiers, kBytes), 552u + 808u + 1064u);
}

// What windowed layers have let go of takes nothing, and what is left may be finer for it.
TEST(TierPolicy, TheOldestTilesCountWhatIsLeftOfThem) {
    const std::vector<Tier> tiers(40, Tier::k4v4);
    TileBytes bytes = kBytes;
    for (uint64_t& size : bytes.oldest) size /= 2;
    bytes.n_oldest = 30;
    EXPECT_EQ(bytes_under(TierPolicy(Tier::k4v4), tiers, bytes), 30u * 532 + 10 * 1064);
    const uint64_t budget = 30u * 276 + 10 * 1064;
    const auto tier_of_oldest = [&](const TileBytes& of) {
        const TierPolicy policy = fit_tiers(Tier::k4v4, tiers, of, budget);
        EXPECT_LE(bytes_under(policy, tiers, of), std::max(budget, uint64_t(40 * 552)));
        return policy.tier_at(20);
    };
    EXPECT_LT(tier_of_oldest(bytes), tier_of_oldest(kBytes));
}

}  // namespace
}  // namespace strata
