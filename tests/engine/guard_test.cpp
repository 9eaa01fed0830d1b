#include "engine/eval/guard.h"

#include <gtest/gtest.h>

#include "tests/engine/shipped_model.h"

namespace strata {
namespace {

SessionOptions at(KvPreset preset) {
    SessionOptions options;
    options.kv.preset = preset;
    return options;
}

TEST(Guard, TheShippedModelNeedsNone) {
    for (const KvPreset preset : {KvPreset::quality, KvPreset::balanced, KvPreset::max}) {
        const auto result = guard(shipped_model(), at(preset));
        ASSERT_TRUE(result);
        EXPECT_TRUE(result->guarded_layers.empty()) << kv_preset_name(preset) << ": " << result->kld;
        EXPECT_LE(result->kld, kGuardThreshold);
    }
}

// With a bar that cannot be met every layer is guarded, the one that gains most first, and it helps.
TEST(Guard, LayersThatCauseItAreGuarded) {
    const auto none = guard(shipped_model(), at(KvPreset::max), 0.0);
    ASSERT_TRUE(none);
    EXPECT_EQ(int(none->guarded_layers.size()), shipped_model().config().n_layers);
    EXPECT_LT(none->kld, none->kld_without);
    const auto some = guard(shipped_model(), at(KvPreset::max), (none->kld + none->kld_without) / 2);
    ASSERT_TRUE(some);
    EXPECT_FALSE(some->guarded_layers.empty());
    EXPECT_LT(some->guarded_layers.size(), none->guarded_layers.size());
    EXPECT_TRUE(std::is_sorted(some->guarded_layers.begin(), some->guarded_layers.end()));
    EXPECT_EQ(guard(shipped_model(), {}).error().code, ErrorCode::invalid_argument);
}

// Steps of any size find the same; a run that is ended early is on the safe side.
TEST(Guard, InStepsItFindsTheSame) {
    const double threshold = 0.003;  // below what the preset costs, so that layers are searched
    const auto whole = guard(shipped_model(), at(KvPreset::max), threshold);
    ASSERT_TRUE(whole);
    ASSERT_FALSE(whole->guarded_layers.empty());
    auto run = GuardRun::open(shipped_model(), at(KvPreset::max), threshold);
    ASSERT_TRUE(run);
    double before = 0;
    EXPECT_LT((*run)->result().kld_without, 0);
    while (!(*run)->done()) {
        ASSERT_TRUE((*run)->step(40));
        const bool searching = (*run)->result().kld_without >= 0 && !(*run)->done();
        const int n_guarded = int((*run)->result().guarded_layers.size());
        EXPECT_TRUE(!searching || n_guarded == shipped_model().config().n_layers) << n_guarded;
        before = std::max(before, (*run)->progress());
        EXPECT_LE(before, 1);
    }
    EXPECT_EQ((*run)->progress(), 1);
    EXPECT_EQ((*run)->result().guarded_layers, whole->guarded_layers);
    EXPECT_EQ((*run)->result().kld, whole->kld);
    EXPECT_EQ((*run)->result().kld_without, whole->kld_without);
}

}  // namespace
}  // namespace strata
