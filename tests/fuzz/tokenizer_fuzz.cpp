// Any bytes can be encoded and come back from decode; what is literal never becomes a control token.
//   tokenizer_fuzz -max_total_time=60 CORPUS_FOLDER
// An input: one byte that picks a tokenizer, one that sets the size of the pieces streamed, then the text, in which
// pairs of 0x1F bytes enclose what is literal.
#include <memory>

#include "engine/base/check.h"
#include "engine/tokenizer/pre_tokenizer.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/engine/small_vocabularies.h"

namespace {

using namespace strata;

// One for each grammar. New ones go to the end: what the corpus means must stay.
constexpr const char* kPreTokenizers[] = {"gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-coder"};
constexpr const char* kMorePreTokenizers[] = {"minicpm5",     "qwen35",      "seed-coder", "gpt-4o", "tekken", "falcon",
                                              "deepseek-llm", "deepseek-v3", "default",    "viking", "bloom"};
constexpr std::string_view kVisibleSpace = "\xE2\x96\x81";

// A tokenizer, and the vocabulary that it borrows.
struct Subject {
    std::unique_ptr<SmallBpe> bpe;
    std::unique_ptr<SmallSentencePiece> sentence_piece;
    Tokenizer tokenizer;
};

std::vector<Subject> make_subjects() {
    std::vector<Subject> subjects;
    const auto add_bpe = [&](const char* name) {
        auto bpe = std::make_unique<SmallBpe>(name);
        Tokenizer tokenizer = bpe->open();
        subjects.push_back({std::move(bpe), nullptr, std::move(tokenizer)});
    };
    for (const char* name : kPreTokenizers) add_bpe(name);
    // One whose words can be cut at spaces, and one that has a token across a space.
    const std::vector<std::pair<std::string, float>> pieces = {
        {"a", -1}, {"aa", -2}, {"ab", -2}, {"▁", -3}, {"▁a", -1}};
    for (const bool spans_words : {false, true}) {
        auto more = pieces;
        if (spans_words) more.insert(more.end(), {{"a▁", -2}, {"a▁a", -1}});
        auto small = std::make_unique<SmallSentencePiece>(more);
        small->vocabulary.add_space_prefix = false;
        Tokenizer tokenizer = small->open();
        subjects.push_back({nullptr, std::move(small), std::move(tokenizer)});
    }
    for (const char* name : kMorePreTokenizers) add_bpe(name);
    return subjects;
}

std::vector<ByteRange> literal_ranges(std::string_view text) {
    std::vector<ByteRange> ranges;
    for (size_t begin = 0; (begin = text.find('\x1F', begin)) != text.npos;) {
        const size_t end = text.find('\x1F', begin + 1);
        if (end == text.npos) break;
        ranges.push_back({begin, end + 1});
        begin = end + 1;
    }
    return ranges;
}

void check_encoding(const Subject& subject, std::string text) {
    if (subject.sentence_piece) {  // for which "▁" is a space
        for (size_t at; (at = text.find(kVisibleSpace)) != text.npos;) text.replace(at, kVisibleSpace.size(), " ");
    }
    const Tokenizer& tokenizer = subject.tokenizer;
    const auto plain = tokenizer.encode(text);
    CHECK(tokenizer.decode(plain) == text);
    for (const int id : plain) CHECK(!tokenizer.is_control(id));

    const auto ranges = literal_ranges(text);
    const auto parsed = tokenizer.encode(text, SpecialTokens::parse, ranges);
    CHECK(tokenizer.decode(parsed, true) == text);
    size_t begin = 0;
    for (const int id : parsed) {
        const size_t end = begin + tokenizer.piece(id, true).size();
        for (const ByteRange& range : ranges)
            CHECK(!tokenizer.is_control(id) || range.end <= begin || end <= range.begin);
        begin = end;
    }
}

void check_words(PreTokenizer::Grammar grammar, std::string_view text) {
    std::string joined;
    for_each_word(grammar, text, [&](std::string_view word) {
        CHECK(!word.empty());
        joined += word;
    });
    CHECK(joined == text);
}

std::string streamed(std::string_view bytes, size_t step) {
    Utf8Stream stream;
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += step) text += stream.push(bytes.substr(at, step));
    return text + stream.finish();
}

void check_streaming(std::string_view bytes, size_t step) {
    const std::string whole = streamed(bytes, bytes.size() + 1);
    CHECK(streamed(bytes, step) == whole);
    CHECK(streamed(whole, step) == whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const std::vector<Subject> subjects = make_subjects();
    if (size < 2) return 0;
    const Subject& subject = subjects[data[0] % subjects.size()];
    const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
    check_encoding(subject, text);
    if (subject.bpe) check_words(find_pre_tokenizer(subject.bpe->vocabulary.pre_tokenizer)->grammar, text);
    check_streaming(text, 1 + data[1] % 8);
    return 0;
}
