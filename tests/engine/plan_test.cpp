// The plan is made from a header; what really happens must agree with it.
#include "engine/model/plan.h"

#include <gtest/gtest.h>

#include "engine/session.h"
#include "tests/engine/gguf_builder.h"
#include "tests/engine/shipped_model.h"
#include "tests/engine/some_tokens.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

constexpr size_t kHeader = 256 << 10;  // more than the shipped model's header

MemoryPlan plan_of_shipped_model() {
    const auto bytes = shipped_model_bytes();
    auto plan = plan_memory(bytes.first(kHeader), bytes.size(), bytes.size());
    CHECK(plan);
    return *plan;
}

TEST(Plan, AgreesWithTheOpenedModel) {
    const MemoryPlan plan = plan_of_shipped_model();
    const Model& model = shipped_model();
    EXPECT_EQ(plan.weight_types, model.weight_types());
    EXPECT_EQ(plan.n_parameters, model.n_parameters());
    EXPECT_EQ(plan.config.n_vocab, model.config().n_vocab);
    EXPECT_EQ(plan.weight_bytes, shipped_model_bytes().size());
}

TEST(Plan, BytesPerTokenAreWhatAConversationTakes) {
    const MemoryPlan plan = plan_of_shipped_model();
    for (const KvPreset preset : kKvPresets) {
        SessionOptions options;
        options.kv.preset = preset;
        auto session = Session::open(shipped_model(), options);
        ASSERT_TRUE(session);
        const auto bytes_at = [&](int n) {
            while ((*session)->position() < n) EXPECT_TRUE((*session)->append(some_tokens(64)));
            const KvStats stats = (*session)->stats();
            return double(stats.bytes - stats.kept_bytes - stats.spare_bytes);
        };
        const double before = bytes_at(1024);
        const double grown = (bytes_at(2048) - before) / 1024;
        EXPECT_NEAR(grown, plan.bytes_per_token[size_t(preset)]->global, 0.02 * grown) << kv_preset_name(preset);
        EXPECT_LE((*session)->scratch_bytes(), plan.working_bytes + uint64_t(2048 * plan.scratch_per_token));
    }
}

TEST(Plan, TokensThatFitFollowFromTheBytes) {
    const MemoryPlan plan = plan_of_shipped_model();
    const uint64_t fixed = plan.weight_bytes + plan.working_bytes + plan.window_bytes;
    EXPECT_EQ(plan.tokens_within(KvPreset::quality, fixed), 0);
    EXPECT_GT(plan.tokens_within(KvPreset::quality, fixed + 1'000'000), 192);
    EXPECT_GT(plan.tokens_within(KvPreset::max, fixed + 100'000'000),
              plan.tokens_within(KvPreset::quality, fixed + 100'000'000));
}

TEST(Plan, SaysWhatIsWrongBeforeTheDownload) {
    const auto bytes = shipped_model_bytes();
    EXPECT_EQ(plan_memory(bytes.first(1000), bytes.size(), bytes.size()).error().code, ErrorCode::corrupt_file);
    EXPECT_EQ(plan_memory(bytes.subspan(8, 1000), bytes.size(), bytes.size()).error().code, ErrorCode::not_gguf);
    EXPECT_EQ(plan_memory(bytes.first(kHeader), kHeader, kHeader).error().code, ErrorCode::corrupt_file)
        << "a file that ends before its weights";
}

// Nothing of the file but its header is there to contradict it.
TEST(Plan, AHeaderThatAsksForTheImpossibleIsRefused) {
    GgufBuilder builder;
    builder.header(0, 8).string("general.architecture", "llama").u32("llama.block_count", 1024);
    builder.u32("llama.embedding_length", 1 << 24).u32("llama.feed_forward_length", 1 << 24);
    builder.u32("llama.attention.head_count", 4096).u32("llama.attention.head_count_kv", 4096);
    builder.u32("llama.attention.key_length", 1024).u32("llama.context_length", 2048);
    const auto plan = plan_memory(builder.span(), builder.span().size(), 0);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code, ErrorCode::corrupt_file);
    EXPECT_NE(plan.error().message.find("key values of each token"), std::string::npos) << plan.error().message;
}

}  // namespace
}  // namespace strata
