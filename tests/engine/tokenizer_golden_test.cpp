// 5,000 generated texts per tokenizer, against llama.cpp: see tests/golden/tokenizer/README.md.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/model/model.h"
#include "engine/tokenizer/byte_level.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/engine/facts.h"
#include "tests/engine/generated_texts.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

using nlohmann::json;

json read_golden(const std::string& name) { return json::parse(read_file("tests/golden/tokenizer/" + name)); }

std::vector<std::string> split(const std::string& line) {
    std::istringstream words(line);
    return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

// The vocabularies that tests/peers/llama/make_tokenizer_golden.mjs gives to llama.cpp.
struct SyntheticVocabulary {
    std::vector<std::string> texts, merges;
    Vocabulary vocabulary;

    SyntheticVocabulary(const json& trained, const std::string& pre_tokenizer) {
        begin(trained);
        for (int byte = 0; byte < 256; ++byte) {
            add(to_byte_level(std::string(1, static_cast<char>(byte))), TokenKind::normal);
        }
        merges = trained["merges"].get<std::vector<std::string>>();
        for (std::string merge : merges) add(merge.erase(merge.find(' '), 1), TokenKind::normal);
        for (const auto& word : trained["words"]) add(word, TokenKind::normal);
        vocabulary.model = "gpt2";
        vocabulary.pre_tokenizer = pre_tokenizer;
        vocabulary.merges.assign(merges.begin(), merges.end());
        vocabulary.tokens.assign(texts.begin(), texts.end());
    }

    SyntheticVocabulary(const json& trained, bool add_space_prefix) {
        add("<unk>", TokenKind::unknown);
        begin(trained);
        for (int byte = 0; byte < 256; ++byte) {
            char text[8];
            std::snprintf(text, sizeof text, "<0x%02X>", byte);
            add(text, TokenKind::byte);
        }
        vocabulary.scores.assign(texts.size(), 0);
        float score = 0;
        for (const auto& piece : trained["pieces"]) {
            vocabulary.scores.push_back(score -= 1);
            add(piece, TokenKind::normal);
        }
        vocabulary.model = "llama";
        vocabulary.unknown = 0;
        vocabulary.add_space_prefix = add_space_prefix;
        vocabulary.tokens.assign(texts.begin(), texts.end());
    }

    SyntheticVocabulary(const SyntheticVocabulary&) = delete;

private:
    void begin(const json& trained) {
        for (const auto& text : trained["control"]) add(text, TokenKind::control);
        for (const auto& text : trained["user_defined"]) add(text, TokenKind::user_defined);
    }
    void add(const std::string& text, TokenKind kind) {
        texts.push_back(text);
        vocabulary.kinds.push_back(kind);
    }
};

// Also counts the texts that are identical, as plain text and with special tokens.
json expect_digests(const Tokenizer& tokenizer, const json& expected, const std::string& name) {
    static const GeneratedTexts generated;
    json counts = {{"name", name}};
    for (const auto& [key, special] :
         {std::pair{"as_text", SpecialTokens::as_text}, {"parsed", SpecialTokens::parse}}) {
        const auto digests = split(expected[key]);
        EXPECT_GE(digests.size(), 10u);
        uint32_t different = 0;
        for (uint32_t block = 0; block < digests.size(); ++block) {
            const auto encode = [&, special = special](const std::string& text) {
                return tokenizer.encode(text, special);
            };
            if (generated.digest(block, encode) == digests[block]) continue;
            if (++different == 1) ADD_FAILURE() << name << ", " << key << ": block " << block << " differs";
        }
        EXPECT_EQ(different, 0u) << "blocks of " << digests.size() << " that differ: " << name << ", " << key;
        const auto all = uint32_t(digests.size());
        counts[key] = {{"texts", all * GeneratedTexts::kTextsPerBlock},
                       {"identical", (all - different) * GeneratedTexts::kTextsPerBlock}};
    }
    return counts;
}

TEST(TokenizerGolden, EveryPreTokenizerCutsAsLlamaCppDoes) {
    const json trained = read_golden("synthetic.json"), golden = read_golden("synthetic.digests.json");
    std::set<std::string> tested;
    json counts = json::array();
    for (const auto& result : golden["results"]) {
        const std::string name = result["name"];
        if (name.substr(0, 5) == "llama" && find_pre_tokenizer(name) == nullptr) continue;  // SentencePiece
        const SyntheticVocabulary synthetic(trained, name);
        const auto tokenizer = Tokenizer::open(synthetic.vocabulary);
        ASSERT_TRUE(tokenizer) << name << ": " << tokenizer.error().message;
        counts.push_back(expect_digests(*tokenizer, result, name));
        counts.back()["grammar"] = int(find_pre_tokenizer(name)->grammar);
        tested.insert(name);
    }
    std::string names;
    for (const auto& result : golden["results"]) {
        if (tested.count(result["name"])) names += (names.empty() ? "" : ", ") + result["name"].get<std::string>();
    }
    EXPECT_EQ(names, known_pre_tokenizers());  // none is known that has not been compared
    report_fact({{"kind", "pre-tokenizers"}, {"texts", counts}});
}

TEST(TokenizerGolden, SentencePieceMergesAsLlamaCppDoes) {
    const json trained = read_golden("synthetic.json"), golden = read_golden("synthetic.digests.json");
    json counts = json::array();
    for (const bool add_space_prefix : {true, false}) {
        const std::string name = add_space_prefix ? "llama" : "llama without space";
        const SyntheticVocabulary synthetic(trained, add_space_prefix);
        const auto tokenizer = Tokenizer::open(synthetic.vocabulary);
        ASSERT_TRUE(tokenizer) << tokenizer.error().message;
        bool found = false;
        for (const auto& result : golden["results"]) {
            if (result["name"] != name) continue;
            counts.push_back(expect_digests(*tokenizer, result, name));
            found = true;
        }
        EXPECT_TRUE(found) << name;
    }
    report_fact({{"kind", "SentencePiece"}, {"texts", counts}});
}

// Those that llama.cpp knows and the engine does not: the message says which it is, and what to do.
TEST(TokenizerGolden, OtherPreTokenizersAreRefusedByName) {
    const json trained = read_golden("synthetic.json");
    const std::vector<std::string> names = {"afmoe",
                                            "chameleon",
                                            "exaone-moe",
                                            "gemma4",
                                            "granite-embed-multi-311m",
                                            "granite-embed-multi-97m",
                                            "jais-2",
                                            "jina-de",
                                            "jina-es",
                                            "jina-v1-en",
                                            "jina-v2-code",
                                            "jina-v2-de",
                                            "jina-v2-es",
                                            "kimi-k2",
                                            "modern-bert",
                                            "roberta-bpe",
                                            "sarvam-moe",
                                            "tiny_aya",
                                            "youtu"};
    std::string message;
    for (const std::string& name : names) {
        const SyntheticVocabulary synthetic(trained, name);
        const auto tokenizer = Tokenizer::open(synthetic.vocabulary);
        ASSERT_FALSE(tokenizer) << name;
        EXPECT_EQ(tokenizer.error().code, ErrorCode::unsupported_tokenizer);
        message = tokenizer.error().message;
        EXPECT_EQ(message.find("the pre-tokenizer \"" + name + "\" is not supported"), 0u) << message;
        EXPECT_NE(message.find("choose a model"), std::string::npos) << message;
    }
    report_fact({{"kind", "refused pre-tokenizers"}, {"names", names}, {"message", message}});
}

class GeneratedTextsOf : public testing::TestWithParam<const char*> {};

TEST_P(GeneratedTextsOf, AreEncodedAsByLlamaCpp) {
    const std::string path = std::string("../shared/data/vocab/ggml-vocab-") + GetParam() + ".gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "the vocabularies are not in ../shared/data/vocab";
    const std::string bytes = read_file(path);
    const auto file = GgufFile::open(bytes_of(bytes));
    ASSERT_TRUE(file) << file.error().message;
    const auto tokenizer = open_tokenizer(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const json golden = read_golden("generated.digests.json");
    bool found = false;
    for (const auto& result : golden["results"]) {
        if (result["vocabulary"] != std::string("ggml-vocab-") + GetParam() + ".gguf") continue;
        report_fact({{"kind", "vocabulary"}, {"texts", expect_digests(*tokenizer, result, GetParam())}});
        found = true;
    }
    EXPECT_TRUE(found);
}

INSTANTIATE_TEST_SUITE_P(TokenizerGolden, GeneratedTextsOf,
                         testing::Values("llama-spm", "phi-3", "llama-bpe", "qwen2", "gpt-2", "mpt", "starcoder",
                                         "deepseek-coder"));

}  // namespace
}  // namespace strata
