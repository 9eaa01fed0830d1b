#include "engine/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <random>
#include <sstream>

#include "engine/model/model.h"
#include "engine/tokenizer/byte_level.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/unicode.h"
#include "tests/engine/facts.h"
#include "tests/engine/gguf_builder.h"
#include "tests/engine/small_vocabularies.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

using Ids = std::vector<int>;

// Golden vectors are in llama.cpp's format: see tests/golden/tokenizer/README.md.
std::vector<std::string> read_texts(const std::string& path) {
    constexpr std::string_view kSeparator = "\n__ggml_vocab_test__\n";
    const std::string all = read_file(path);
    std::vector<std::string> texts;
    size_t begin = 0;
    for (size_t end; (end = all.find(kSeparator, begin)) != std::string::npos; begin = end + kSeparator.size()) {
        texts.push_back(all.substr(begin, end - begin));
    }
    return texts;
}

std::vector<Ids> read_ids(const std::string& path) {
    std::istringstream file(read_file(path));
    std::vector<Ids> rows;
    for (std::string line; std::getline(file, line);) {
        std::istringstream numbers(line);
        rows.emplace_back(std::istream_iterator<int>(numbers), std::istream_iterator<int>());
    }
    return rows;
}

void expect_golden(const Tokenizer& tokenizer, const std::string& texts_path, const std::string& ids_path,
                   SpecialTokens special, size_t n_cases) {
    const auto texts = read_texts(texts_path);
    const auto expected = read_ids(ids_path);
    ASSERT_EQ(texts.size(), n_cases);
    ASSERT_EQ(expected.size(), n_cases);
    for (size_t i = 0; i < texts.size(); ++i) {
        EXPECT_EQ(tokenizer.encode(texts[i], special), expected[i]) << ids_path << " case " << i << ": " << texts[i];
    }
}

// A model file and its tokenizer, which borrows the file's bytes.
struct OpenFile {
    std::string bytes;
    Result<GgufFile> file;
    Result<Tokenizer> tokenizer;

    explicit OpenFile(const std::string& path)
        : bytes(read_file(path)), file(GgufFile::open(bytes_of(bytes))), tokenizer(open_from(file)) {}

    static Result<Tokenizer> open_from(const Result<GgufFile>& file) {
        if (!file) return file.error();
        return open_tokenizer(*file);
    }
};

const Tokenizer& default_tokenizer() {
    static const OpenFile opened(kDefaultModel);
    return *opened.tokenizer;
}

class VocabularyVectors : public testing::TestWithParam<const char*> {};

TEST_P(VocabularyVectors, AreIdentical) {
    const std::string path = std::string("../shared/data/vocab/ggml-vocab-") + GetParam() + ".gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "the vocabularies are not in ../shared/data/vocab";
    const OpenFile opened(path);
    ASSERT_TRUE(opened.tokenizer) << opened.tokenizer.error().message;
    constexpr size_t kTexts = 46;
    expect_golden(*opened.tokenizer, path + ".inp", path + ".out", SpecialTokens::as_text, kTexts);
    if (!HasFailure()) report_fact({{"kind", "vectors"}, {"name", GetParam()}, {"texts", kTexts}});
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, VocabularyVectors,
                         testing::Values("llama-spm", "phi-3", "llama-bpe", "qwen2", "gpt-2", "mpt", "starcoder",
                                         "deepseek-coder"));

TEST(Tokenizer, DefaultModelEqualsTheTrainingKit) {
    const std::string golden = "tests/golden/tokenizer/kit";
    expect_golden(default_tokenizer(), golden + ".inp", golden + ".out", SpecialTokens::as_text, 35);
    expect_golden(default_tokenizer(), golden + ".inp", golden + ".special.out", SpecialTokens::parse, 35);
}

TEST(Tokenizer, DefaultModelEqualsLlamaCppOnManyScripts) {
    const std::string golden = "tests/golden/tokenizer/unicode";
    expect_golden(default_tokenizer(), golden + ".inp", golden + ".out", SpecialTokens::as_text, 29);
    expect_golden(default_tokenizer(), golden + ".inp", golden + ".special.out", SpecialTokens::parse, 29);
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text,
                                SpecialTokens special = SpecialTokens::as_text) {
    std::vector<std::string> shown;
    for (const int id : tokenizer.encode(text, special)) shown.push_back(tokenizer.piece(id, true));
    return shown;
}

using Pieces = std::vector<std::string>;

void expect_error(const Vocabulary& vocabulary, ErrorCode code, std::string_view part) {
    const auto tokenizer = Tokenizer::open(vocabulary);
    ASSERT_FALSE(tokenizer) << "expected an error that says: " << part;
    EXPECT_EQ(error_name(tokenizer.error().code), std::string(error_name(code))) << tokenizer.error().message;
    EXPECT_NE(tokenizer.error().message.find(part), std::string::npos) << tokenizer.error().message;
}

TEST(Tokenizer, MergesByRankAndOfEqualsTheLeftmost) {
    const SmallBpe small;
    const Tokenizer tokenizer = small.open();
    EXPECT_EQ(pieces(tokenizer, "aaaa"), (Pieces{"aa", "aa"}));
    EXPECT_EQ(pieces(tokenizer, "aaaaa"), (Pieces{"aa", "aaa"}));
    EXPECT_EQ(pieces(tokenizer, "aab"), (Pieces{"aa", "b"}));
    EXPECT_EQ(pieces(tokenizer, "abc"), (Pieces{"abc"}));
    EXPECT_EQ(pieces(tokenizer, "cbc"), (Pieces{"c", "bc"}));
}

TEST(Tokenizer, LlamaBpePrefersAWholeWordToItsMerges) {
    // "xyz" is a token that no merge leads to: the last one needs "yz", and "xy" is merged first.
    const std::vector<std::string> merges = {"x y", "y z", "x yz"};
    EXPECT_EQ(pieces(SmallBpe("llama-bpe", merges).open(), "xyz"), (Pieces{"xyz"}));
    EXPECT_EQ(pieces(SmallBpe("qwen2", merges).open(), "xyz"), (Pieces{"xy", "z"}));
}

// The words that the pre-tokenizer of this name cuts a text into, with "·" between them.
std::string words(std::string_view pre_tokenizer, std::string_view text) {
    std::string shown;
    for_each_word(find_pre_tokenizer(pre_tokenizer)->grammar, text, [&](std::string_view word) {
        if (!shown.empty()) shown += "·";
        shown += word;
    });
    return shown;
}

TEST(PreTokenizer, CutsWhereEachFamilyDoes) {
    EXPECT_EQ(words("gpt-2", "xx  x11"), "xx· · x·11");
    EXPECT_EQ(words("gpt-2", "x's 's 'S.."), "x·'s· '·s· '·S·..");
    EXPECT_EQ(words("mpt", "we'll've"), "we·'ll·'ve");
    EXPECT_EQ(words("gpt-2", "x\n\nx  "), "x·\n·\n·x·  ");
    EXPECT_EQ(words("gpt-2", "x11  1"), "x·11· · 1");
    EXPECT_EQ(words("smollm", "x11  1"), "x·1·1·  ·1");
    EXPECT_EQ(words("starcoder", "²½ x"), "²·½· x");
    EXPECT_EQ(words("llama-bpe", "x'S 1111"), "x·'S· ·111·1");
    EXPECT_EQ(words("llama-bpe", "\n \n  x\u3000y"), "\n \n· · x·\u3000y");
    EXPECT_EQ(words("qwen2", "x11"), "x·1·1");
    EXPECT_EQ(words("qwen2", "x.x\tx"), "x·.x·\tx");
    EXPECT_EQ(words("qwen2", "..\n\nx \nx"), "..\n\n·x· \n·x");
    EXPECT_EQ(words("deepseek-coder", "x\n\nx 11 .."), "x·\n·\n·x· ·1·1· ..");
    EXPECT_EQ(words("deepseek-coder", "a你好b, 你 = c"), "a·你好·b·,· ·你· =· c");
    EXPECT_EQ(words("qwen2", "e\u0301 \xFF\xFE"), "e·\u0301· \xFF\xFE");
    EXPECT_EQ(words("qwen35", "e\u0301 x"), "e\u0301· x");
    EXPECT_EQ(words("minicpm5", "a1234"), "a·123·4");
    EXPECT_EQ(words("seed-coder", "..\n\nx"), "..·\n\n·x");
    EXPECT_EQ(words("gpt-4o", "HTTPServer's camelCase 1234 //\n"), "HTTPServer's· camel·Case· ·123·4· //\n");
    EXPECT_EQ(words("gpt-4o", "ÉCOLE École COLÉ"), "É·COLE· École· COLÉ");
    EXPECT_EQ(words("tekken", "it's 12"), "it·'s· ·1·2");
    EXPECT_EQ(words("falcon", "a+b 12345 x's"), "a·+·b· ·123·45· x·'·s");
    EXPECT_EQ(words("default", "12 1234`"), "12· ·123·4·`");
    EXPECT_EQ(words("deepseek-llm", "x  \ny 123 你好"), "x·  ·\n·y· ·123· ·你好");
    EXPECT_EQ(words("deepseek-v3", "foo.bar 1234 かな "), "foo·.bar· ·123·4· ·かな· ");
    EXPECT_EQ(words("viking", "a1, b|c"), "a·1·,· b·|·c");
    EXPECT_EQ(words("bloom", "a1, b|c"), "a1·,· b·|·c");
}

TEST(Tokenizer, MergesLikeASlowTwin) {
    const OpenFile opened(kDefaultModel);
    ASSERT_TRUE(opened.tokenizer);
    std::vector<std::pair<std::string, std::string>> merges;
    const auto stated = *opened.file->strings("tokenizer.ggml.merges");
    for (const std::string_view merge : stated) {
        const size_t space = merge.find(' ');
        merges.emplace_back(from_byte_level(merge.substr(0, space)), from_byte_level(merge.substr(space + 1)));
    }
    std::mt19937 random(1);
    for (int round = 0; round < 30; ++round) {
        std::string word;
        for (int i = 0; i < 12; ++i) word += "etaoinshr"[random() % 9];
        std::vector<std::string> slow;
        for (const char c : word) slow.emplace_back(1, c);
        for (bool merged = true; merged;) {
            merged = false;
            for (size_t rank = 0; rank < merges.size() && !merged; ++rank) {
                for (size_t i = 0; i + 1 < slow.size() && !merged; ++i) {
                    if (slow[i] != merges[rank].first || slow[i + 1] != merges[rank].second) continue;
                    slow[i] += slow[i + 1];
                    slow.erase(slow.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                    merged = true;
                }
            }
        }
        EXPECT_EQ(pieces(*opened.tokenizer, word), slow) << word;
    }
}

std::string random_bytes(std::mt19937& random, size_t size) {
    // Half of the bytes from a few, so that words, spaces, tags and broken UTF-8 all come up.
    static constexpr std::string_view kFrequent = "aab c  \n'.1\xE2\x96\xC3\xA9\xF0\x9F[tag]<|end|>";
    std::string bytes;
    for (size_t i = 0; i < size; ++i) {
        bytes += random() % 2 ? kFrequent[random() % kFrequent.size()] : static_cast<char>(random());
    }
    return bytes;
}

TEST(Tokenizer, AnyBytesComeBackFromDecode) {
    std::mt19937 random(2);
    for (const char* pre_tokenizer :
         {"gpt-2", "smollm", "llama-bpe", "minicpm5", "qwen2", "qwen35", "seed-coder", "gpt-4o", "tekken",
          "deepseek-coder", "deepseek-llm", "deepseek-v3", "falcon", "default", "bloom", "viking"}) {
        const SmallBpe small(pre_tokenizer);
        const Tokenizer tokenizer = small.open();
        for (int round = 0; round < 200; ++round) {
            const std::string text = random_bytes(random, round);
            const Ids ids = tokenizer.encode(text);
            EXPECT_EQ(tokenizer.decode(ids), text);
            for (const int id : ids) EXPECT_FALSE(tokenizer.is_control(id));
        }
    }
    SmallSentencePiece small({{"a", -1}, {"aa", -2}, {"▁", -3}, {"▁a", -4}});
    const Tokenizer with_space = small.open();
    small.vocabulary.add_space_prefix = false;
    const Tokenizer without_space = small.open();
    for (int round = 0; round < 200; ++round) {
        std::string text = random_bytes(random, round);
        // "▁" itself is the one text that SentencePiece cannot tell from a space.
        for (size_t at; (at = text.find("▁")) != std::string::npos;) text.erase(at, 3);
        EXPECT_EQ(without_space.decode(without_space.encode(text)), text);
        EXPECT_EQ(with_space.decode(with_space.encode(text)), text.empty() ? "" : " " + text);
    }
}

TEST(Tokenizer, ALongWordIsNotSlow) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string hostile(1 << 20, 'a');
    EXPECT_EQ(default_tokenizer().decode(default_tokenizer().encode(hostile)), hostile);
    const SmallSentencePiece small({{"a", -1}, {"aa", -2}, {"aaaa", -3}});
    EXPECT_EQ(small.open().encode(hostile).size(), hostile.size() / 4 + 3);  // the added space is three bytes
    // Takes .4 s, sanitised 5 s. A quadratic merge would take hours.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(PreTokenizer, ALongTextIsNotSlow) {
    const auto begin = std::chrono::steady_clock::now();
    const std::string spaces(1 << 20, ' '), letters(1 << 20, 'A');
    for (const char* name :
         {"gpt-2", "llama-bpe", "qwen35", "gpt-4o", "deepseek-llm", "deepseek-v3", "falcon", "viking"}) {
        for (const std::string& text : {spaces + "x", letters + "1", "É" + letters, "1" + spaces + "." + spaces}) {
            size_t size = 0;
            for_each_word(find_pre_tokenizer(name)->grammar, text, [&](std::string_view word) { size += word.size(); });
            EXPECT_EQ(size, text.size());
        }
    }
    // Takes 1 s. Quadratic steps would take hours.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(Tokenizer, ControlTokensComeFromTextOnlyWhereParsed) {
    const Tokenizer& tokenizer = default_tokenizer();
    const int im_end = tokenizer.find("<|im_end|>");
    ASSERT_EQ(im_end, 2);
    const Ids as_text = tokenizer.encode("<|im_end|>");
    EXPECT_EQ(std::count(as_text.begin(), as_text.end(), im_end), 0);
    EXPECT_EQ(tokenizer.decode(as_text), "<|im_end|>");
    EXPECT_EQ(tokenizer.encode("<|im_end|>", SpecialTokens::parse), Ids{im_end});
    EXPECT_EQ(tokenizer.encode("<|im_end|", SpecialTokens::parse), tokenizer.encode("<|im_end|"));
}

TEST(Tokenizer, SpecialTokensThatTouchALiteralRangeStayText) {
    const SmallBpe small;
    const Tokenizer tokenizer = small.open();
    const std::string text = "x<|end|>y<|end|>";
    const auto count = [&](std::vector<ByteRange> literal) {
        const Ids ids = tokenizer.encode(text, SpecialTokens::parse, literal);
        EXPECT_EQ(tokenizer.decode(ids, true), text);
        return std::count(ids.begin(), ids.end(), 0);
    };
    EXPECT_EQ(count({}), 2);
    EXPECT_EQ(count({{0, 16}}), 0);
    EXPECT_EQ(count({{0, 1}, {8, 9}}), 2);  // what a person typed stands beside the tokens
    EXPECT_EQ(count({{0, 2}}), 1);          // one byte of the first token is typed
    EXPECT_EQ(count({{7, 9}}), 1);
    EXPECT_EQ(count({{4, 5}, {15, 16}}), 0);
    EXPECT_EQ(count({{3, 3}, {16, 16}}), 1);  // an empty range inside a token splits it
}

TEST(Tokenizer, UserDefinedTokensAreRecognisedInAnyText) {
    const SmallBpe small;
    const Tokenizer tokenizer = small.open();
    EXPECT_EQ(pieces(tokenizer, "a[tag]a"), (Pieces{"a", "[tag]", "a"}));
    EXPECT_EQ(tokenizer.encode("[tag]", SpecialTokens::parse, std::vector<ByteRange>{{0, 5}}), Ids{1});
    EXPECT_EQ(tokenizer.piece(1), "[tag]");
    EXPECT_FALSE(tokenizer.is_control(1));
}

TEST(Tokenizer, TheLongestOfSeveralSpecialTokensWins) {
    SmallBpe small;
    for (const char* text : {"<|end|><", "<|e", "<|end|>"}) {
        small.vocabulary.tokens.push_back(text);
        small.vocabulary.kinds.push_back(TokenKind::control);
    }
    const Tokenizer tokenizer = small.open();
    EXPECT_EQ(pieces(tokenizer, "<|end|><|end|>", SpecialTokens::parse),
              (Pieces{"<|end|><", "|", "e", "n", "d", "|", ">"}));
    EXPECT_EQ(tokenizer.encode("<|end|>", SpecialTokens::parse), Ids{0});  // of two with the same text, the first
    // The long one touches what was typed, the shorter one does not.
    const std::vector<ByteRange> literal = {{7, 8}};
    EXPECT_EQ(tokenizer.encode("<|end|><", SpecialTokens::parse, literal)[0], 0);
    EXPECT_EQ(tokenizer.special_texts()[0], "<|end|><");
    EXPECT_EQ(tokenizer.special_texts().back(), "<|e");
}

TEST(Tokenizer, ABlankAfterATokenThatSwallowsItIsGone) {
    SmallBpe small;
    small.vocabulary.swallows_space = {0};
    const Tokenizer tokenizer = small.open();
    EXPECT_EQ(tokenizer.encode("<|end|> \n\ta", SpecialTokens::parse), (Ids{0, tokenizer.find("a")}));
    const std::vector<ByteRange> typed = {{9, 11}};
    EXPECT_EQ(tokenizer.decode(tokenizer.encode("<|end|>\n\n a", SpecialTokens::parse, typed)), " a");
}

TEST(Tokenizer, BytesWithoutATokenAreUnknownOrLeftOut) {
    SmallBpe small;
    const int x = Tokenizer::open(small.vocabulary)->find("x");
    small.vocabulary.tokens[static_cast<size_t>(x)] = "nothing";
    EXPECT_EQ(pieces(small.open(), "axa"), (Pieces{"a", "a"}));
    small.vocabulary.unknown = 0;  // a control token, as StarCoder has it: text must not become one
    EXPECT_EQ(pieces(small.open(), "axa"), (Pieces{"a", "a"}));
    small.vocabulary.kinds[0] = TokenKind::unknown;
    EXPECT_EQ(pieces(small.open(), "axa"), (Pieces{"a", "<|end|>", "a"}));
}

TEST(Tokenizer, HidesControlTokensAndKnowsItsIds) {
    const Tokenizer& tokenizer = default_tokenizer();
    EXPECT_EQ(tokenizer.size(), 4096);
    EXPECT_EQ(tokenizer.bos(), 0);
    EXPECT_EQ(tokenizer.eos(), 2);
    EXPECT_FALSE(tokenizer.wants_bos());
    EXPECT_EQ(tokenizer.piece(2), "");
    EXPECT_EQ(tokenizer.piece(2, true), "<|im_end|>");
    EXPECT_EQ(tokenizer.piece(-1, true), "");
    EXPECT_EQ(tokenizer.piece(4096, true), "");
    EXPECT_TRUE(tokenizer.is_control(1));
    EXPECT_FALSE(tokenizer.is_control(3));
    EXPECT_FALSE(tokenizer.is_control(-1));
    EXPECT_TRUE(tokenizer.is_end_of_generation(2));
    EXPECT_TRUE(tokenizer.is_end_of_generation(0));  // <|endoftext|>
    EXPECT_FALSE(tokenizer.is_end_of_generation(1));
    EXPECT_EQ(tokenizer.find("no such token"), -1);
    EXPECT_EQ(tokenizer.special_texts(), (std::vector<std::string>{"<|endoftext|>", "<|im_start|>", "<|im_end|>"}));
}

TEST(Tokenizer, SentencePieceMergesByScoreAndSpellsTheRest) {
    const SmallSentencePiece small({{"a", -5}, {"b", -5}, {"ab", -2}, {"ba", -1}, {"▁", -3}, {"bab", -4}});
    const Tokenizer tokenizer = small.open();
    EXPECT_TRUE(tokenizer.wants_bos());
    EXPECT_EQ(pieces(tokenizer, "ab"), (Pieces{" ", "ab"}));
    EXPECT_EQ(pieces(tokenizer, "aba"), (Pieces{" ", "a", "ba"}));
    EXPECT_EQ(pieces(tokenizer, "bab"), (Pieces{" ", "bab"}));
    EXPECT_EQ(pieces(tokenizer, "a\xC3\xA9"), (Pieces{" ", "a", "\xC3", "\xA9"}));
    EXPECT_EQ(tokenizer.encode(""), Ids{});
}

TEST(Tokenizer, SentencePieceTextNeverBecomesAByteOrControlToken) {
    const SmallSentencePiece small(
        {{"<", -1}, {"s", -1}, {">", -1}, {"<s", -1}, {"<0x0A", -1}, {"0x0A", -1}, {"▁", -1}});
    const Tokenizer tokenizer = small.open();
    for (const std::string text : {"<s>", "<0x0A>", "<unk>", "</s>"}) {
        EXPECT_GT(tokenizer.encode(text).size(), 2u) << text;
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), " " + text);
    }
    EXPECT_EQ(tokenizer.encode("<s>", SpecialTokens::parse), Ids{1});
}

TEST(Tokenizer, SentencePieceKeepsTokensThatSpanWords) {
    const SmallSentencePiece small({{"a", -9}, {"▁", -9}, {"a▁", -2}, {"a▁a", -1}});
    EXPECT_EQ(pieces(small.open(), "a a"), (Pieces{" ", "a a"}));
}

TEST(Tokenizer, SentencePieceWithoutBytesUsesTheUnknownToken) {
    const SmallSentencePiece small({{"a", -1}, {"▁", -1}}, false);
    const Tokenizer tokenizer = small.open();
    EXPECT_EQ(tokenizer.encode("a\xC3\xA9"), (Ids{4, 3, 0}));
    EXPECT_EQ(tokenizer.piece(0), "");
}

TEST(Tokenizer, VocabulariesThatCannotBeUsedAreErrors) {
    const SmallBpe bpe;
    const SmallSentencePiece sentence_piece({{"a", -1}});
    const auto changed = [](Vocabulary vocabulary, const auto& change) {
        change(vocabulary);
        return vocabulary;
    };
    using V = Vocabulary;
    constexpr ErrorCode kCorrupt = ErrorCode::corrupt_file, kUnsupported = ErrorCode::unsupported_tokenizer;
    expect_error(changed(bpe.vocabulary, [](V& v) { v.model = "t5"; }), kUnsupported, "\"t5\"");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.pre_tokenizer = "tekken9"; }), kUnsupported, "\"tekken9\"");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.pre_tokenizer = "x"; }), kUnsupported,
                 "supported are gpt-2, phi-2");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.pre_tokenizer = ""; }), kUnsupported, "names no pre-tokenizer");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.merges.clear(); }), kCorrupt, "no merges");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.merges[1] = "ab"; }), kCorrupt, "merge 1");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.merges[2] = "a zz"; }), kCorrupt, "\"a zz\"");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.merges[0] = ""; }), kCorrupt, "merge 0");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.tokens.clear(); }), kCorrupt, "no tokens");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.kinds.pop_back(); }), kCorrupt, "token types");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.bos = 999; }), kCorrupt, "beginning-of-text token is 999");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.eot = -2; }), kCorrupt, "end-of-turn");
    expect_error(changed(bpe.vocabulary, [](V& v) { v.end_of_generation = {-1}; }), kCorrupt, "end-of-generation");
    expect_error(changed(sentence_piece.vocabulary, [](V& v) { v.scores.pop_back(); }), kCorrupt, "scores");
    expect_error(changed(sentence_piece.vocabulary, [](V& v) { v.scores[3] = NAN; }), kCorrupt, "token 3");
}

TEST(OpenTokenizer, FillsInWhatAFileLeavesOut) {
    GgufBuilder builder;
    builder.header(0, 4).string("tokenizer.ggml.model", "llama");
    builder.strings("tokenizer.ggml.tokens", {"<unk>", "</s>", "<s>", "a", "<|im_end|>", "<|eot_id|>", "x"});
    builder.array("tokenizer.ggml.scores", GgufType::f32, 7);
    for (int i = 0; i < 7; ++i) builder.put(-1.0f);
    builder.array("tokenizer.ggml.token_type", GgufType::i32, 7);
    for (const int32_t kind : {2, 3, 3, 1, 3, 1, 77}) builder.put(kind);
    const auto file = builder.open();
    ASSERT_TRUE(file);
    const auto tokenizer = open_tokenizer(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    EXPECT_EQ(tokenizer->bos(), 2);  // by the text, wherever it stands
    EXPECT_EQ(tokenizer->eos(), 1);
    EXPECT_TRUE(tokenizer->wants_bos());
    EXPECT_TRUE(tokenizer->is_end_of_generation(1));
    EXPECT_TRUE(tokenizer->is_end_of_generation(4));
    EXPECT_TRUE(tokenizer->is_end_of_generation(5));  // an ordinary token in this file, but that is a mistake
    EXPECT_TRUE(tokenizer->is_control(5));
    EXPECT_EQ(tokenizer->encode("a"), (Ids{0, 3}));  // the added space is unknown here
}

GgufBuilder bpe_file(int n_more) {
    GgufBuilder builder;
    builder.header(0, 4 + n_more).string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "llama-bpe");
    builder.strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<x>"}).strings("tokenizer.ggml.merges", {"a b"});
    return builder;
}

TEST(OpenTokenizer, TakesItsIdsFromTheFile) {
    GgufBuilder builder = bpe_file(4);
    builder.u32("tokenizer.ggml.bos_token_id", 3).u32("tokenizer.ggml.eot_token_id", 1);
    builder.u32("tokenizer.ggml.eom_token_id", 2).boolean("tokenizer.ggml.add_bos_token", false);
    const auto file = builder.open();
    ASSERT_TRUE(file);
    const auto tokenizer = open_tokenizer(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    EXPECT_EQ(tokenizer->bos(), 3);
    EXPECT_EQ(tokenizer->eos(), -1);
    EXPECT_FALSE(tokenizer->wants_bos());
    EXPECT_TRUE(tokenizer->is_end_of_generation(1));
    EXPECT_TRUE(tokenizer->is_end_of_generation(2));
    EXPECT_EQ(tokenizer->encode("ab"), Ids{2});
}

TEST(OpenTokenizer, NothingIsWantedThatTheFileDoesNotName) {
    const GgufBuilder builder = bpe_file(0);
    const auto file = builder.open();
    ASSERT_TRUE(file);
    const auto tokenizer = open_tokenizer(*file);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    EXPECT_EQ(tokenizer->bos(), -1);
    EXPECT_FALSE(tokenizer->wants_bos());
}

TEST(OpenTokenizer, SaysWhatIsWrongWithAFile) {
    const auto error_of = [](const GgufBuilder& builder) {
        const auto file = builder.open();
        CHECK(file);
        const auto tokenizer = open_tokenizer(*file);
        CHECK(!tokenizer);
        return tokenizer.error();
    };
    GgufBuilder none;
    EXPECT_EQ(error_of(none.header(0, 0)).code, ErrorCode::unsupported_tokenizer);
    GgufBuilder bad_id = bpe_file(1);
    EXPECT_EQ(error_of(bad_id.u32("tokenizer.ggml.eos_token_id", 0xFFFFFFFF)).code, ErrorCode::corrupt_file);
    GgufBuilder kinds = bpe_file(1);
    EXPECT_EQ(error_of(kinds.array("tokenizer.ggml.token_type", GgufType::i32, 1).put<int32_t>(1)).code,
              ErrorCode::corrupt_file);
    GgufBuilder not_kinds = bpe_file(1);
    EXPECT_EQ(error_of(not_kinds.string("tokenizer.ggml.token_type", "normal")).code, ErrorCode::corrupt_file);
}

TEST(OpenTokenizer, Phi3TokensTakeTheWhiteSpaceAfterThemAlong) {
    const std::string path = "../shared/data/vocab/ggml-vocab-phi-3.gguf";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "the vocabularies are not in ../shared/data/vocab";
    const OpenFile opened(path);
    ASSERT_TRUE(opened.tokenizer) << opened.tokenizer.error().message;
    const auto encode = [&](std::string_view text) { return opened.tokenizer->encode(text, SpecialTokens::parse); };
    EXPECT_EQ(encode("<|user|>\nHi<|end|>\n<|assistant|>\n"), encode("<|user|>Hi<|end|><|assistant|>"));
    EXPECT_NE(encode("<s>\nHi"), encode("<s>Hi"));
    EXPECT_TRUE(opened.tokenizer->is_end_of_generation(opened.tokenizer->find("<|end|>")));
}

constexpr const char* kReplaced = "\xEF\xBF\xBD";

std::string streamed(std::string_view bytes, size_t step) {
    Utf8Stream stream;
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += step) text += stream.push(bytes.substr(at, step));
    return text + stream.finish();
}

TEST(Utf8Stream, HoldsBackWhatIsIncomplete) {
    Utf8Stream stream;
    EXPECT_EQ(stream.push("a\xF0\x9F"), "a");
    EXPECT_EQ(stream.push("\xA6"), "");
    EXPECT_EQ(stream.push("\x99z"), "\xF0\x9F\xA6\x99z");
    EXPECT_EQ(stream.push("\xE2\x82"), "");
    EXPECT_EQ(stream.finish(), kReplaced);
    EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, ReplacesEachMaximalSubpart) {
    const std::string r = kReplaced;
    // The examples of the Unicode Standard, tables 3-8 to 3-11.
    EXPECT_EQ(streamed("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", 1), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(streamed("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", 2), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(streamed("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", 3), r + r + r + r + r + "A" + r + r + "B");
    EXPECT_EQ(streamed("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", 4), r + r + r + r + "A");
}

TEST(Utf8Stream, DoesNotDependOnHowTheBytesArrive) {
    std::mt19937 random(3);
    for (int round = 0; round < 500; ++round) {
        const std::string bytes = random_bytes(random, 20);
        const std::string whole = streamed(bytes, bytes.size());
        for (size_t step = 1; step < 6; ++step) EXPECT_EQ(streamed(bytes, step), whole);
        EXPECT_EQ(streamed(whole, 1), whole);  // valid text is left alone
    }
}

TEST(Unicode, EveryCodePointSurvivesUtf8) {
    for (uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
        if (code_point >= 0xD800 && code_point < 0xE000) continue;
        std::string text;
        append_utf8(text, code_point);
        const Utf8 decoded = decode_utf8(text, 0);
        ASSERT_EQ(decoded.state, Utf8State::valid);
        ASSERT_EQ(decoded.code_point, code_point);
        ASSERT_EQ(decoded.length, static_cast<int>(text.size()));
    }
}

TEST(Unicode, KnowsTheClassesOfCharacters) {
    EXPECT_EQ(char_class('a'), CharClass::letter);
    EXPECT_EQ(char_class(0x4E2D), CharClass::letter);
    EXPECT_EQ(char_class('7'), CharClass::number);
    EXPECT_EQ(char_class(0x00BD), CharClass::number);  // ½
    EXPECT_EQ(char_class(0x0301), CharClass::mark);
    EXPECT_EQ(char_class('!'), CharClass::punctuation);
    EXPECT_EQ(char_class('$'), CharClass::symbol);
    EXPECT_EQ(char_class(0x1F999), CharClass::symbol);  // llama
    for (const uint32_t space : {0x09u, 0x0Du, 0x20u, 0x85u, 0xA0u, 0x2028u, 0x3000u}) {
        EXPECT_EQ(char_class(space), CharClass::white_space) << space;
    }
    EXPECT_EQ(char_class(0x1C), CharClass::other);  // a separator for Python, but no White_Space
    EXPECT_EQ(char_class(0x200B), CharClass::other);
    EXPECT_EQ(char_class(0x10FFFF), CharClass::other);
}

TEST(Unicode, ByteLevelTextsAreOneToOne) {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    EXPECT_EQ(from_byte_level(to_byte_level(all)), all);
    EXPECT_EQ(to_byte_level(" \n!"), "ĠĊ!");
    EXPECT_EQ(from_byte_level("Ġ中"), " 中");
}

}  // namespace
}  // namespace strata
