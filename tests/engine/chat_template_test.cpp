// What the command line writes around messages, against Jinja: see tests/golden/templates/README.md.
#include "engine/cli/chat_template.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/engine/facts.h"
#include "tests/engine/small_vocabularies.h"
#include "tests/engine/test_files.h"

namespace strata::cli {
namespace {

using nlohmann::json;

std::string golden(const std::string& name) { return read_file("tests/golden/templates/" + name); }

std::tm fifth_of_january() {
    std::tm day{};
    day.tm_year = 126;
    day.tm_mday = 5;
    day.tm_wday = 1;
    return day;
}

// The conversation as the command line adds it to memory, turn after turn. `lead`: what the model itself writes before
// an answer.
std::string conversation_text(ChatFormat format, const json& messages, const std::string& bos, const std::string& eos,
                              const std::string& lead) {
    std::string text = format.writes_bos ? bos : "", system;
    bool first = true;
    for (const auto& message : messages) {
        const std::string role = message["role"], content = message["content"];
        if (role == "system") {
            system = content;
            obey_reasoning_switches(format, system);
        } else if (role == "assistant") {
            // What the model thought stays in memory here; templates that begin it leave that out of the past.
            constexpr std::string_view kThink = "<think>\n";
            if (text.ends_with(kThink)) text.erase(text.size() - kThink.size());
            text += lead + content;
        } else {
            text += turn_text(format, bos, eos, {first, system, content}).text;
            first = false;
        }
    }
    return text;
}

class TemplateOf : public testing::TestWithParam<std::string> {};

TEST_P(TemplateOf, IsWrittenAsByJinja) {
    const std::string name = GetParam();
    const auto format = recognise_chat_template(golden(name + ".jinja"), fifth_of_january());
    ASSERT_TRUE(format) << name << " is not recognised";
    const json conversations = json::parse(golden("conversations.json"));
    const json rendered = json::parse(golden("rendered.json"))["templates"][name];
    const bool begins_blank =
        name == "llama-2" || name == "mistral-v1" || name == "mistral-v7" || name == "deepseek-v2";
    const std::string lead = begins_blank ? " " : "";
    int compared = 0;
    for (const auto& [title, messages] : conversations.items()) {
        // History is append-only: answers stay as they were made, and every message of a person is answered.
        if (title == "reasoning" || title == "two messages of the user") continue;
        // Mistral's third template moves the system prompt to the newest message; here it stays in the first.
        const bool moves = title == "a system prompt and three turns" || title == "reasoning switched off";
        if (name == "mistral-nemo" && moves) continue;
        EXPECT_EQ(conversation_text(*format, messages, rendered["bos"], rendered["eos"], lead),
                  rendered["conversations"][title]["text"])
            << name << ": " << title;
        ++compared;
    }
    if (!HasFailure())
        report_fact({{"kind", "template"}, {"name", name}, {"identical", compared}, {"texts", compared}});
}

std::vector<std::string> all_templates() {
    const json rendered = json::parse(golden("rendered.json"));
    std::vector<std::string> names;
    for (const auto& entry : rendered["templates"].items()) names.push_back(entry.key());
    return names;
}

INSTANTIATE_TEST_SUITE_P(ChatTemplate, TemplateOf, testing::ValuesIn(all_templates()), [](const auto& info) {
    std::string name = info.param;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
    return name;
});

TEST(ChatTemplate, AnUnknownOneIsNotGuessed) {
    for (const char* unknown : {"", "{{ messages }}", "{% for m in messages %}<s>{{ m.content }}{% endfor %}"}) {
        EXPECT_FALSE(recognise_chat_template(unknown, fifth_of_january())) << unknown;
    }
}

TEST(ChatTemplate, WithoutOneTheVocabularyDecides) {
    const auto chosen = [](const std::vector<const char*>& markers) {
        SmallBpe small;
        for (const char* marker : markers) {
            small.vocabulary.tokens.push_back(marker);
            small.vocabulary.kinds.push_back(TokenKind::control);
        }
        return format_for_vocabulary(small.open()).name;
    };
    EXPECT_EQ(chosen({"<|im_start|>", "<|im_end|>"}), "ChatML");
    EXPECT_EQ(chosen({"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}), "Llama 3");
    EXPECT_EQ(chosen({"<start_of_turn>", "<end_of_turn>"}), "Gemma");
    EXPECT_EQ(chosen({"<|user|>", "<|assistant|>"}), "Phi-3");  // <|end|> is there already
    EXPECT_EQ(chosen({"[INST]", "[/INST]"}), "Mistral");
    EXPECT_EQ(chosen({}).substr(0, 5), "plain");
}

TEST(ChatTemplate, WhatAPersonWroteStaysText) {
    SmallBpe small;
    const Tokenizer tokenizer = small.open();
    ChatFormat format;
    format.user_after = "<|end|>";
    const auto tokens = encode_turn(format, tokenizer, {true, "", "a<|end|>"});
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), 0), 1);
    EXPECT_EQ(tokens.back(), 0);
    EXPECT_EQ(tokenizer.decode(tokens, true), "a<|end|><|end|>");
}

TEST(ChatTemplate, BosComesOnceWhetherTheFileOrTheTemplateAsksForIt) {
    SmallBpe small;
    small.vocabulary.bos = 0;
    ChatFormat format;
    const auto count = [&](bool file_asks, bool template_writes, bool first) {
        small.vocabulary.add_bos = file_asks;
        format.writes_bos = template_writes;
        const auto tokens = encode_turn(format, small.open(), {first, "", "a"});
        return std::count(tokens.begin(), tokens.end(), 0);
    };
    EXPECT_EQ(count(false, false, true), 0);
    EXPECT_EQ(count(true, false, true), 1);
    EXPECT_EQ(count(false, true, true), 1);
    EXPECT_EQ(count(true, true, true), 1);
    EXPECT_EQ(count(true, true, false), 0);
}

}  // namespace
}  // namespace strata::cli
