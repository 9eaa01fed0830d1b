// Recall: that questions are what they claim to be, that asking leaves no trace, and how answers are counted.
#include "engine/eval/recall.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "tests/engine/shipped_model.h"

namespace strata {
namespace {

const Tokenizer& tokenizer() { return shipped_model().tokenizer(); }

// Prose of our own: no held-out novel is part of the repository.
const RecallFiller& filler() {
    static const RecallFiller the_filler = [] {
        std::string text;
        for (int i = 0; i < 150; ++i)
            text += "It was a dark night, and the wind blew over the " + std::to_string(i) +
                    " hills.\nThe old man sat by the fire and told a long story. Nobody listened to him but the cat,\n"
                    "who had heard it before, and did not believe a word of it.\n";
        return RecallFiller(tokenizer(), tokenizer().encode(text));
    }();
    return the_filler;
}

// As ChatML is written; engine/cli/chat_template.cpp renders a file's own (tests/tools/cli_test.mjs).
std::vector<int> chat_ml_turn(bool first, std::string_view message) {
    const std::string before = std::string(first ? "" : "<|im_end|>\n") + "<|im_start|>user\n";
    const std::string text = before + std::string(message) + "<|im_end|>\n<|im_start|>assistant\n";
    const ByteRange literal{before.size(), before.size() + message.size()};
    return tokenizer().encode(text, SpecialTokens::parse, {&literal, 1});
}

RecallTask task(RecallForm form, int64_t age, int n = 30, uint64_t seed = 1) {
    return {form, age, n, seed, chat_ml_turn};
}

std::vector<RecallContext> contexts(const RecallTask& task) {
    auto result = recall_contexts(tokenizer(), filler(), task);
    EXPECT_TRUE(result) << (result ? "" : result.error().message);
    return result ? std::move(*result) : std::vector<RecallContext>{};
}

std::string text_before(const RecallContext& context, const RecallQuestion& question) {
    return tokenizer().decode(std::span(context.tokens).first(size_t(question.asked_at)), true);
}

bool same(const std::vector<RecallContext>& a, const std::vector<RecallContext>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const RecallContext& x, const RecallContext& y) {
        return x.tokens == y.tokens &&
               std::equal(x.questions.begin(), x.questions.end(), y.questions.begin(), y.questions.end(),
                          [](const RecallQuestion& p, const RecallQuestion& q) {
                              return p.asked_at == q.asked_at && p.told_at == q.told_at && p.question == q.question &&
                                     p.answer == q.answer;
                          });
    });
}

constexpr RecallForm kForms[] = {RecallForm::raw, RecallForm::chat};
constexpr int64_t kAges[] = {64, 128, 256, 512, 1024, 1536, 3000};

TEST(Recall, TheSameSeedAsksTheSameQuestions) {
    for (const RecallForm form : kForms) {
        const auto first = contexts(task(form, 256));
        EXPECT_TRUE(same(first, contexts(task(form, 256))));
        EXPECT_FALSE(same(first, contexts(task(form, 256, 30, 2))));
        const auto more = contexts(task(form, 256, 60));
        EXPECT_TRUE(same({first.begin(), first.end() - 1}, {more.begin(), more.begin() + int64_t(first.size()) - 1}))
            << "more questions do not change the first ones";
    }
}

// splitmix64 as published (Vigna): a seed means the same questions for ever.
TEST(Recall, RandomNumbersAreThoseOfSplitMix64) {
    RecallRandom random(1234567);
    EXPECT_EQ(random.next(), 6457827717110365317ull);
    EXPECT_EQ(random.next(), 3203168211198807973ull);
    std::set<int> seen;
    for (int i = 0; i < 200; ++i) seen.insert(random.below(7));
    EXPECT_EQ(seen, (std::set<int>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(Recall, FactsAreAsOldAsTheyShouldBe) {
    for (const RecallForm form : kForms) {
        for (const int64_t age : kAges) {
            int n = 0;
            for (const RecallContext& context : contexts(task(form, age))) {
                int64_t before = 0;
                for (const RecallQuestion& question : context.questions) {
                    ++n;
                    EXPECT_LE(std::abs(question.age() - age), form == RecallForm::raw ? 0 : age / 10);
                    EXPECT_GE(question.asked_at, before);
                    EXPECT_GT(question.told_at, 0);
                    EXPECT_LE(question.told_at, question.asked_at);
                    EXPECT_FALSE(question.answer.empty());
                    before = question.asked_at;
                }
                EXPECT_EQ(int64_t(context.tokens.size()), before) << "nothing is read for no question";
            }
            EXPECT_EQ(n, 30) << age;
        }
    }
}

TEST(Recall, UpTo1536TokensEverythingLiesWithin2048) {
    for (const RecallForm form : kForms)
        for (const RecallContext& context : contexts(task(form, 1536, 300)))
            for (const RecallQuestion& question : context.questions)
                EXPECT_LE(question.asked_at + int64_t(question.question.size() + question.answer.size()), 2048);
}

TEST(Recall, RawQuestionsAskForWhatWasSaidAmongConfusableFacts) {
    for (const int64_t age : {128, 512}) {
        for (const RecallContext& context : contexts(task(RecallForm::raw, age))) {
            for (const RecallQuestion& question : context.questions) {
                const std::string asked = tokenizer().decode(question.question);
                ASSERT_EQ(asked.rfind("\nWhat is the ", 0), 0u) << asked;
                const std::string again = asked.substr(asked.find("? ") + 2);  // "The A of OWNER is"
                const std::string told = "\n" + again + tokenizer().decode(question.answer) + ".\n";
                const std::string before = text_before(context, question);
                EXPECT_NE(before.find(told), std::string::npos) << told;
                EXPECT_TRUE(
                    tokenizer().decode(std::span(context.tokens).first(size_t(question.told_at))).ends_with(told));
                const std::string attribute = again.substr(0, again.find(" of ") + 4);
                int n = 0;
                for (size_t at = 0; (at = before.find("\n" + attribute, at)) != std::string::npos; ++at) ++n;
                EXPECT_EQ(n, 5) << attribute;
            }
        }
    }
}

TEST(Recall, ChatQuestionsAreConversationsInTheModelsMarkup) {
    for (const int64_t age : {128, 512, 1536}) {
        for (const RecallContext& context : contexts(task(RecallForm::chat, age))) {
            for (const RecallQuestion& question : context.questions) {
                const std::string asked = tokenizer().decode(question.question, true);
                const std::string answer = tokenizer().decode(question.answer);
                const size_t slot_at = asked.find("assistant\nYour ");
                ASSERT_NE(slot_at, std::string::npos) << asked;
                const std::string slot = asked.substr(slot_at + 15);  // "SLOT is"
                const std::string name = slot.substr(0, slot.size() - 3);
                const std::string end = "?<|im_end|>\n<|im_start|>assistant\nYour " + slot;
                EXPECT_TRUE(asked == "<|im_end|>\n<|im_start|>user\nWhat is my " + name + end ||
                            asked == "<|im_end|>\n<|im_start|>user\nDo you remember my " + name + end)
                    << asked;

                const std::string before = text_before(context, question);
                EXPECT_EQ(before.rfind("<|im_start|>user\nMy ", 0), 0u) << before.substr(0, 60);
                EXPECT_NE(before.find("<|im_start|>user\nMy " + slot + answer + ".<|im_end|>\n<|im_start|>assistant\n"),
                          std::string::npos)
                    << slot << answer;
                EXPECT_TRUE(before.ends_with("<|im_end|>\n<|im_start|>assistant\nThank you, I have read it."))
                    << before.substr(before.size() - 80);
                const std::string whole = before + asked + answer;
                std::vector<int> tokens(context.tokens.begin(), context.tokens.begin() + question.asked_at);
                tokens.insert(tokens.end(), question.question.begin(), question.question.end());
                tokens.insert(tokens.end(), question.answer.begin(), question.answer.end());
                EXPECT_EQ(tokens, tokenizer().encode(whole, SpecialTokens::parse)) << "as if rendered in one piece";
            }
        }
    }
}

TEST(Recall, EverySlotIsAskedForOnce) {
    for (const RecallContext& context : contexts(task(RecallForm::chat, 1024, 60))) {
        std::set<std::vector<int>> questions;
        for (const RecallQuestion& question : context.questions)
            EXPECT_TRUE(questions.insert(question.question).second);
    }
}

// Each question alone, written out greedily from a fresh session: what asking many in one session stands for.
TEST(Recall, AnswersAreThoseOfGreedyDecodingFromAFreshSession) {
    KvOptions kv;
    for (const std::optional<KvPreset> preset : {std::optional<KvPreset>(), {KvPreset::exact}, {KvPreset::max}}) {
        kv.preset = preset;
        SessionOptions options;
        options.kv = kv;
        int n_right = 0;
        for (const RecallForm form : kForms) {
            for (const RecallContext& context : contexts(task(form, 256, 10))) {
                const auto answers = recall_answers(shipped_model(), context, options);
                ASSERT_TRUE(answers);
                ASSERT_EQ(answers->size(), context.questions.size());
                for (size_t i = 0; i < context.questions.size(); ++i) {
                    const RecallQuestion& question = context.questions[i];
                    const auto session = Session::open(shipped_model(), options);
                    ASSERT_TRUE((*session)->append(std::span(context.tokens).first(size_t(question.asked_at))));
                    ASSERT_TRUE((*session)->append(question.question));
                    std::vector<int> written;
                    while (written.size() < question.answer.size()) {
                        const auto logits = (*session)->logits();
                        written.push_back(int(std::max_element(logits.begin(), logits.end()) - logits.begin()));
                        ASSERT_TRUE((*session)->append(std::span(written).last(1)));
                    }
                    EXPECT_EQ((*answers)[i], written == question.answer) << i;
                    n_right += (*answers)[i];
                }
            }
        }
        EXPECT_GT(n_right, 10) << kv.policy() << ": half of them at least";
    }
}

TEST(Recall, WhatCannotBeSeenIsNotRecalled) {
    SessionOptions options;
    options.kv.key_type = options.kv.value_type = KvType::fp32;
    options.kv.visible_window = 64;
    int n_right = 0;
    for (const RecallContext& context : contexts(task(RecallForm::raw, 256, 20))) {
        const auto answers = recall_answers(shipped_model(), context, options);
        ASSERT_TRUE(answers);
        n_right += int(std::count(answers->begin(), answers->end(), true));
    }
    EXPECT_LE(n_right, 2);
}

TEST(Recall, AMemoryThatCannotForgetAQuestionIsRefused) {
    SessionOptions options;
    options.kv.key_type = options.kv.value_type = KvType::q4_0;
    options.kv.key_window = options.kv.value_window = 1;
    const std::vector<int> tokens(100, 50), long_question(300, 60);  // more rows than the exact ring holds
    const auto answers = recall_answers(shipped_model(), {tokens, {{10, 100, long_question, {70}}}}, options);
    ASSERT_FALSE(answers);
    EXPECT_EQ(answers.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(answers.error().message.find("q4_0"), std::string::npos);
}

TEST(Recall, TallyComparesQuestionByQuestionAndTakesContextsAsClusters) {
    const RecallAnswers exact{{true, true, false}, {true}, {true, false}};
    const RecallAnswers other{{true, false, false}, {false}, {true, true}};
    const RecallTally tally_of_other = tally(other, exact);
    EXPECT_EQ(tally_of_other.n, 6);
    EXPECT_EQ(tally_of_other.correct, 3);
    EXPECT_EQ(tally_of_other.n_only_reference, 2);
    EXPECT_EQ(tally_of_other.n_only_this, 1);
    EXPECT_NEAR(tally_of_other.accuracy.mean, 0.5, 1e-12);
    // Sums of deviations: 1 - 1.5, 0 - 0.5, 2 - 1.
    EXPECT_NEAR(tally_of_other.accuracy.se, std::sqrt(1.5 * (0.25 + 0.25 + 1)) / 6, 1e-12);
    EXPECT_NEAR(tally_of_other.difference.mean, -1.0 / 6, 1e-12);

    EXPECT_EQ(tally(exact, {}).n_only_this, 0);
    EXPECT_EQ(tally(exact, exact).difference.se, 0);
    EXPECT_EQ(tally({}, {}).n, 0);
    const RecallAnswers single{{true}, {false}, {true}, {true}};  // contexts of one question: the usual formula
    EXPECT_NEAR(tally(single, {}).accuracy.se, std::sqrt(0.75 * 0.25 / 3), 1e-12);
}

TEST(Recall, RefusesWhatCannotBeAsked) {
    const RecallFiller small(tokenizer(), tokenizer().encode("A short text.\n"));
    for (const RecallForm form : kForms) {
        const auto result = recall_contexts(tokenizer(), small, task(form, 512));
        ASSERT_FALSE(result);
        EXPECT_NE(result.error().message.find("filler"), std::string::npos);
        EXPECT_FALSE(recall_contexts(tokenizer(), filler(), task(form, 512, 0)));
        EXPECT_FALSE(recall_contexts(tokenizer(), filler(), task(form, 10)));
    }
    EXPECT_FALSE(recall_contexts(tokenizer(), filler(), task(RecallForm::raw, 1000000)));
}

}  // namespace
}  // namespace strata
