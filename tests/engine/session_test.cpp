// A conversation's promises on the model that we ship: the same bits whatever the batches, threads and backend.
#include "engine/session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/shipped_model.h"
#include "tests/engine/some_tokens.h"

namespace strata {
namespace {

std::vector<float> final_logits(const SessionOptions& options, const std::vector<int>& tokens, size_t call) {
    const auto session = Session::open(shipped_model(), options);
    EXPECT_TRUE(session);
    for (size_t at = 0; at < tokens.size(); at += call)
        EXPECT_TRUE((*session)->append(std::span(tokens).subspan(at, std::min(call, tokens.size() - at))));
    const auto logits = (*session)->logits();
    return {logits.begin(), logits.end()};
}

const KvOptions kPolicies[] = {{KvType::fp32, KvType::fp32, 0, 0},
                               {KvType::fp16, KvType::fp16, 0, 0},
                               {KvType::hq4_0, KvType::hq4_0, 128, 128},
                               {KvType::turbo_kv_4b, KvType::q4_0, 64, 0}};

TEST(Session, LogitsDoNotDependOnBatchesCallsThreadsOrBackend) {
    const auto tokens = some_tokens(300);
    for (const KvOptions& kv : kPolicies) {
        SCOPED_TRACE(kv.policy());
        const auto reference = final_logits({kv, 1, 64, nullptr}, tokens, tokens.size());
        EXPECT_EQ(reference, final_logits({kv, 2, 64, nullptr}, tokens, tokens.size()));
        EXPECT_EQ(reference, final_logits({kv, 3, 17, nullptr}, tokens, 100));
        EXPECT_EQ(reference, final_logits({kv, 2, 1, nullptr}, tokens, tokens.size()));
        EXPECT_EQ(reference, final_logits({kv, 1, 64, nullptr}, tokens, 1));
    }
    const KvOptions& kv = kPolicies[2];
    EXPECT_EQ(final_logits({kv, 1, 64, nullptr}, tokens, 64), final_logits({kv, 2, 64, "scalar"}, tokens, 64));
}

TEST(Session, ReadingInPartsAndGivingPartsUpGivesTheSameBits) {
    const auto tokens = some_tokens(300);
    std::vector<int> others = some_tokens(300);
    std::reverse(others.begin(), others.end());
    KvOptions quality;
    quality.preset = KvPreset::quality;
    for (const KvOptions& kv : {kPolicies[1], quality}) {
        const auto reference = final_logits({kv, 1, 64, nullptr}, tokens, tokens.size());
        for (const int layers : {1, 2, 100}) {
            const auto session = Session::open(shipped_model(), {kv, 2, 64, nullptr});
            ASSERT_TRUE(session);
            Session& s = **session;
            for (int calls = 0; s.position() < 300; ++calls) {
                ASSERT_LT(calls, 300 * shipped_model().config().n_layers);
                const size_t done = size_t(s.position());
                if (calls % 3 == 1 && layers < 100) {  // begun, and dropped by what follows
                    ASSERT_EQ(*s.append_some(std::span(others).subspan(done), 1), 0);
                    ASSERT_EQ(s.position(), int64_t(done));
                    if (calls % 2 == 0) {
                        ASSERT_TRUE(s.append(std::span(tokens).subspan(done, 1)));
                    }
                    continue;
                }
                size_t read = 0;
                while (read == 0) {
                    const auto some = s.append_some(std::span(tokens).subspan(done), layers);
                    ASSERT_TRUE(some);
                    read = size_t(*some);
                }
                EXPECT_EQ(s.position(), int64_t(done + read));
            }
            EXPECT_EQ(reference, std::vector<float>(s.logits().begin(), s.logits().end())) << layers << " layers";
            EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), s.tokens().begin(), s.tokens().end()));
        }
    }
    const auto session = Session::open(shipped_model(), {quality, 1, 64, nullptr});
    ASSERT_TRUE((*session)->append(some_tokens(10)));
    EXPECT_EQ(*(*session)->append_some(tokens, 1), 0);
    EXPECT_TRUE((*session)->truncate(4));  // what was begun belonged to ten tokens
    while (*(*session)->append_some(std::span(tokens).subspan(4), 1) == 0) {
    }
    EXPECT_EQ((*session)->position(), 64);
    EXPECT_FALSE((*session)->append_some(std::vector<int>{-1}, 1));
}

TEST(Session, GoingBackWithinTheWindowGivesTheSameBits) {
    const auto tokens = some_tokens(400);
    for (const KvOptions& kv : kPolicies) {
        const auto session = Session::open(shipped_model(), {kv, 1, 64, nullptr});
        ASSERT_TRUE(session);
        ASSERT_TRUE((*session)->append(std::span(tokens).first(310)));
        ASSERT_TRUE((*session)->append(some_tokens(40)));
        const auto exact = (*session)->truncate(310);
        ASSERT_TRUE(exact);
        EXPECT_TRUE(*exact) << kv.policy();
        EXPECT_EQ((*session)->position(), 310);
        ASSERT_TRUE((*session)->append(std::span(tokens).subspan(310)));
        const auto logits = (*session)->logits();
        EXPECT_EQ(final_logits({kv, 1, 64, nullptr}, tokens, 400), std::vector<float>(logits.begin(), logits.end()))
            << kv.policy();
    }
}

TEST(Session, BadInputLeavesTheConversationAsItWas) {
    const auto session = Session::open(shipped_model(), {});
    ASSERT_TRUE(session);
    ASSERT_TRUE((*session)->append(some_tokens(10)));
    const std::vector<float> before((*session)->logits().begin(), (*session)->logits().end());
    for (const int bad : {-1, 4096, 1 << 30}) {
        const std::vector<int> tokens{5, bad};
        const Status status = (*session)->append(tokens);
        ASSERT_FALSE(status);
        EXPECT_EQ(status.error().code, ErrorCode::invalid_argument);
    }
    EXPECT_FALSE((*session)->truncate(11));
    EXPECT_FALSE((*session)->truncate(-1));
    EXPECT_EQ((*session)->position(), 10);
    EXPECT_EQ(before, std::vector<float>((*session)->logits().begin(), (*session)->logits().end()));
}

TEST(Session, RefusesOptionsThatMakeNoSense) {
    for (const SessionOptions& options :
         {SessionOptions{{}, 0, 64, nullptr}, SessionOptions{{}, 1, 65, nullptr}, SessionOptions{{}, 1, 64, "mmx"},
          SessionOptions{{KvType::fp16, KvType::fp16, -5, 0}, 1, 64, nullptr}})
        EXPECT_FALSE(Session::open(shipped_model(), options));
}

TEST(Generation, EndsBeforeAStopTextAndShowsNothingOfIt) {
    const auto session = Session::open(shipped_model(), {});
    ASSERT_TRUE(session);
    const auto prompt = shipped_model().tokenizer().encode(
        "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n", SpecialTokens::parse);
    ASSERT_TRUE((*session)->append(prompt));
    const auto answer = [&](std::vector<std::string> stop, StopReason expected) {
        EXPECT_TRUE((*session)->truncate(int64_t(prompt.size()) - 1));
        EXPECT_TRUE((*session)->append(std::span(prompt).last(1)));
        GenerationOptions options;
        options.sampler.temperature = 0;
        options.max_tokens = 60;
        options.stop = std::move(stop);
        auto generation = Generation::start(**session, options);
        EXPECT_TRUE(generation);
        std::string text;
        for (;;) {
            const auto step = generation->step();
            EXPECT_TRUE(step);
            text += step->text;
            if (step->stop == StopReason::none) continue;
            EXPECT_EQ(step->stop, expected);
            return text;
        }
    };
    const std::string whole = answer({}, StopReason::end_of_turn);
    ASSERT_GT(whole.size(), 12u);
    const std::string stop = whole.substr(8, 4);
    EXPECT_EQ(answer({stop}, StopReason::stop_text), whole.substr(0, whole.find(stop)));
}

TEST(Generation, AnEmptyPromptIsAnError) {
    const auto session = Session::open(shipped_model(), {});
    ASSERT_TRUE(session);
    const auto generation = Generation::start(**session, {});
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace strata
