// One answer, token by token, on the model that we ship.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine/session.h"
#include "tests/engine/shipped_model.h"

namespace strata {
namespace {

struct Answer {
    std::vector<int> tokens;  // with the one that ended it
    std::vector<std::string> pieces;
    StopReason reason = StopReason::none;
    int n_generated = 0;

    std::string text() const {
        std::string all;
        for (const std::string& piece : pieces) all += piece;
        return all;
    }
};

Answer answer(Session& session, const GenerationOptions& options) {
    Answer result;
    auto generation = Generation::start(session, options);
    EXPECT_TRUE(generation);
    while (result.reason == StopReason::none) {
        const auto step = generation->step();
        EXPECT_TRUE(step);
        result.tokens.push_back(step->token);
        result.pieces.push_back(step->text);
        result.reason = step->stop;
    }
    result.n_generated = generation->n_generated();
    return result;
}

std::unique_ptr<Session> after(const std::string& prompt) {
    auto session = Session::open(shipped_model(), {});
    EXPECT_TRUE(session);
    EXPECT_TRUE((*session)->append(shipped_model().tokenizer().encode(prompt, SpecialTokens::parse)));
    return std::move(*session);
}

constexpr const char* kQuestion = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n";

GenerationOptions greedy(int max_tokens = 60) {
    GenerationOptions options;
    options.sampler.temperature = 0;
    options.max_tokens = max_tokens;
    return options;
}

TEST(Generation, TheEndOfTheTurnIsNotKeptInMemory) {
    const auto session = after(kQuestion);
    const int64_t before = session->position();
    const Answer made = answer(*session, greedy());
    EXPECT_EQ(made.reason, StopReason::end_of_turn);
    EXPECT_TRUE(shipped_model().tokenizer().is_end_of_generation(made.tokens.back()));
    EXPECT_EQ(made.n_generated, int(made.tokens.size()) - 1);
    EXPECT_EQ(session->position(), before + made.n_generated);
    EXPECT_NE(made.text().find("Paris"), std::string::npos) << made.text();
    EXPECT_EQ(made.text().find("<|im_end|>"), std::string::npos);
}

TEST(Generation, AnEndOfTurnCanBeMadeAnOrdinaryToken) {
    const auto session = after(kQuestion);
    GenerationOptions options = greedy(80);
    options.stop_at_end_of_generation = false;
    const Answer made = answer(*session, options);
    EXPECT_EQ(made.reason, StopReason::max_tokens);
    EXPECT_EQ(made.n_generated, 80);
}

TEST(Generation, StopsAtMaxTokensAndKeepsTheLastInMemory) {
    const auto session = after(kQuestion);
    const int64_t before = session->position();
    const Answer made = answer(*session, greedy(3));
    EXPECT_EQ(made.reason, StopReason::max_tokens);
    EXPECT_EQ(made.n_generated, 3);
    EXPECT_EQ(session->position(), before + 3);
    EXPECT_EQ(session->tokens().back(), made.tokens.back());
}

TEST(Generation, TheSameSeedGivesTheSameAnswer) {
    GenerationOptions options;
    options.sampler.temperature = 1.5f;
    options.sampler.seed = 7;
    options.max_tokens = 40;
    const auto first = answer(*after("It was a dark night, and"), options).tokens;
    EXPECT_EQ(first, answer(*after("It was a dark night, and"), options).tokens);
    options.sampler.seed = 8;
    EXPECT_NE(first, answer(*after("It was a dark night, and"), options).tokens);
}

TEST(Generation, ThePenaltyKnowsThePrompt) {
    const std::string prompt = "The king went out. The queen went out. The king went out. The queen went";
    const auto session = after(prompt);
    const auto in_prompt = [&](int token) {
        const auto tokens = session->tokens();
        return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    };
    GenerationOptions options = greedy(1);
    EXPECT_TRUE(in_prompt(answer(*after(prompt), options).tokens[0]));
    options.sampler.repeat_penalty = 100;
    EXPECT_FALSE(in_prompt(answer(*after(prompt), options).tokens[0]));
    options.sampler.repeat_last_n = 0;
    EXPECT_TRUE(in_prompt(answer(*after(prompt), options).tokens[0]));
}

// At a high temperature over the whole vocabulary, single bytes of every value are sampled.
TEST(Generation, EveryPieceIsValidUtf8) {
    const auto session = after("The");
    GenerationOptions options;
    options.sampler = {100.0f, 0, 1.0f, 0.0f, 1.0f, 0, 3};
    options.max_tokens = 400;
    options.stop_at_end_of_generation = false;
    const Answer made = answer(*session, options);
    EXPECT_NE(made.text().find("\uFFFD"), std::string::npos) << "no broken character was sampled: nothing is tested";
    for (const std::string& piece : made.pieces) {
        Utf8Stream stream;
        EXPECT_EQ(stream.push(piece) + stream.finish(), piece);
    }
    Utf8Stream stream;
    std::string whole;
    for (const int token : made.tokens) whole += stream.push(shipped_model().tokenizer().piece(token));
    EXPECT_EQ(made.text(), whole + stream.finish());
}

TEST(Generation, WhatMayBecomeAStopTextIsHeldBackAndShownWhenItDoesNot) {
    const Answer whole = answer(*after(kQuestion), greedy());
    const std::string text = whole.text();
    ASSERT_GT(text.size(), 10u);
    GenerationOptions options = greedy();
    options.stop = {text.substr(text.size() - 5) + "never"};  // the answer ends in its beginning
    const Answer same = answer(*after(kQuestion), options);
    EXPECT_EQ(same.text(), text);
    EXPECT_EQ(same.reason, StopReason::end_of_turn);
    EXPECT_GE(same.pieces.back().size(), 5u) << "the beginning was shown before it was known to be none";
}

TEST(Generation, TheFirstOfSeveralStopTextsCounts) {
    const std::string text = answer(*after(kQuestion), greedy()).text();
    ASSERT_GT(text.size(), 16u);
    GenerationOptions options = greedy();
    options.stop = {text.substr(12, 3), text.substr(5, 6), "", "not in the answer"};
    const Answer made = answer(*after(kQuestion), options);
    EXPECT_EQ(made.reason, StopReason::stop_text);
    EXPECT_EQ(made.text(), text.substr(0, 5));
}

TEST(Generation, RefusesOptionsThatMakeNoSense) {
    const auto session = after(kQuestion);
    EXPECT_FALSE(Generation::start(*session, greedy(0)));
    GenerationOptions options;
    options.sampler.top_p = 2;
    const auto generation = Generation::start(*session, options);
    ASSERT_FALSE(generation);
    EXPECT_EQ(generation.error().code, ErrorCode::invalid_argument);
}

TEST(Generation, EveryStopReasonHasAName) {
    EXPECT_STREQ(stop_reason_name(StopReason::none), "none");
    EXPECT_STREQ(stop_reason_name(StopReason::end_of_turn), "end_of_turn");
    EXPECT_STREQ(stop_reason_name(StopReason::stop_text), "stop_text");
    EXPECT_STREQ(stop_reason_name(StopReason::max_tokens), "max_tokens");
}

}  // namespace
}  // namespace strata
