#include "engine/tokenizer/pre_tokenizer.h"

#include <limits>
#include <vector>

#include "engine/tokenizer/unicode.h"

namespace strata {
namespace {

using Grammar = PreTokenizer::Grammar;

constexpr PreTokenizer kPreTokenizers[] = {
    {"gpt-2", Grammar::gpt2, false},
    {"mpt", Grammar::gpt2, false},
    {"smollm", Grammar::gpt2_digits, false},
    {"starcoder", Grammar::gpt2_digits, false},
    {"llama-bpe", Grammar::llama3, true},
    {"qwen2", Grammar::qwen2, false},
    {"deepseek-coder", Grammar::deepseek_coder, false},
};

// A character of the text; `length` 0 is the end.
struct Character {
    uint32_t code_point = 0;
    CharClass char_class = CharClass::other;
    int length = 0;

    bool is_end() const { return length == 0; }
    bool is_letter() const { return char_class == CharClass::letter; }
    bool is_number() const { return char_class == CharClass::number; }
    bool is_space() const { return char_class == CharClass::white_space; }
    bool is_newline() const { return code_point == '\r' || code_point == '\n'; }
    bool is_other() const { return !is_end() && !is_letter() && !is_number() && !is_space(); }  // [^\s\p{L}\p{N}]
};

Character character_at(std::string_view text, size_t at) {
    if (at >= text.size()) return {};
    const Utf8 next = decode_utf8(text, at);
    return {next.code_point, char_class(next.code_point), next.length};
}

// The end of the run of characters from `at` on that are all `is`.
template <class Is>
size_t run_end(std::string_view text, size_t at, const Is& is) {
    for (Character c = character_at(text, at); !c.is_end() && is(c); c = character_at(text, at)) at += c.length;
    return at;
}

size_t letters_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_letter(); });
}
size_t others_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_other(); });
}
size_t newlines_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_newline(); });
}
size_t numbers_end(std::string_view text, size_t at, int at_most = std::numeric_limits<int>::max()) {
    for (Character c = character_at(text, at); c.is_number() && at_most > 0; c = character_at(text, at)) {
        at += c.length;
        --at_most;
    }
    return at;
}

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// 's 't 'm 'd 're 've 'll; `at` itself where there is none.
size_t contraction_end(std::string_view text, size_t at, bool any_case) {
    if (text[at] != '\'') return at;
    const auto letter = [&](size_t i) {
        const char c = at + i < text.size() ? text[at + i] : '\0';
        return any_case ? lower_ascii(c) : c;
    };
    const char first = letter(1), second = letter(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
    if (first == 'l' && second == 'l') return at + 3;
    return at;
}

// \s+(?!\S)|\s+ : a run of white space leaves its last character to the word that follows, if it can.
size_t spaces_end(std::string_view text, size_t at) {
    size_t last = at, end = at;
    for (Character c = character_at(text, end); c.is_space(); c = character_at(text, end)) {
        last = end;
        end += c.length;
    }
    const bool word_follows = end < text.size();
    return word_follows && last > at ? last : end;
}

size_t gpt2_word_end(std::string_view text, size_t at) {
    if (const size_t end = contraction_end(text, at, false); end > at) return end;
    const size_t body = text[at] == ' ' ? at + 1 : at;
    const Character first = character_at(text, body);
    if (first.is_end() || first.is_space()) return spaces_end(text, at);
    if (first.is_letter()) return letters_end(text, body);
    if (first.is_number()) return numbers_end(text, body);
    return others_end(text, body);
}

// \s*[\r\n]+ : as much white space as ends in a line break; `at` itself where there is none.
size_t line_break_end(std::string_view text, size_t at) {
    size_t end = at;
    for (Character c = character_at(text, at); c.is_space(); c = character_at(text, at)) {
        at += c.length;
        if (c.is_newline()) end = at;
    }
    return end;
}

size_t llama3_word_end(std::string_view text, size_t at, int max_numbers) {
    if (const size_t end = contraction_end(text, at, true); end > at) return end;
    const Character first = character_at(text, at);
    const size_t second = at + first.length;
    if (first.is_letter()) return letters_end(text, second);
    if (!first.is_newline() && !first.is_number() && character_at(text, second).is_letter()) {
        return letters_end(text, second);
    }
    if (first.is_number()) return numbers_end(text, at, max_numbers);
    const size_t body = text[at] == ' ' ? second : at;
    if (const size_t end = others_end(text, body); end > body) return newlines_end(text, end);
    if (const size_t end = line_break_end(text, at); end > at) return end;
    return spaces_end(text, at);
}

// Hands out `text`, with every number a word of its own and what lies between them cut by gpt2.
void for_each_gpt2_digits_word(std::string_view text, const std::function<void(std::string_view)>& use) {
    for (size_t at = 0; at < text.size();) {
        const Character first = character_at(text, at);
        if (first.is_number()) {
            use(text.substr(at, first.length));
            at += first.length;
            continue;
        }
        const size_t number = run_end(text, at, [](const Character& c) { return !c.is_number(); });
        const std::string_view chunk = text.substr(at, number - at);
        for (size_t begin = 0; begin < chunk.size();) {
            const size_t end = gpt2_word_end(chunk, begin);
            use(chunk.substr(begin, end - begin));
            begin = end;
        }
        at = number;
    }
}

// Han, kana and their neighbours, as deepseek-coder draws the line: U+0800-9FA5 and U+AC00-D7FF.
bool is_cjk(const Character& c) {
    return (c.code_point >= 0x800 && c.code_point <= 0x9FA5) || (c.code_point >= 0xAC00 && c.code_point <= 0xD7FF);
}

// \s?X+ at `at`; `at` itself where there is none.
template <class Is>
size_t spaced_run_end(std::string_view text, size_t at, const Is& is) {
    const Character first = character_at(text, at);
    const size_t body = first.is_space() ? at + first.length : at;
    const size_t end = run_end(text, body, is);
    return end > body ? end : at;
}

// Cuts every piece around its matches: each match, and what lies between two of them, becomes a piece.
template <class MatchEnd>
std::vector<std::string_view> isolate(const std::vector<std::string_view>& pieces, const MatchEnd& match_end) {
    std::vector<std::string_view> cut;
    for (const std::string_view piece : pieces) {
        size_t begin = 0;
        for (size_t at = 0; at < piece.size();) {
            const size_t end = match_end(piece, at);
            if (end == at) {
                at += character_at(piece, at).length;
                continue;
            }
            if (at > begin) cut.push_back(piece.substr(begin, at - begin));
            cut.push_back(piece.substr(at, end - at));
            begin = at = end;
        }
        if (begin < piece.size()) cut.push_back(piece.substr(begin));
    }
    return cut;
}

std::vector<std::string_view> deepseek_coder_words(std::string_view text) {
    const auto one = [](auto is) {
        return [is](std::string_view piece, size_t at) {
            const Character c = character_at(piece, at);
            return is(c) ? at + c.length : at;
        };
    };
    auto words = isolate({text}, one([](const Character& c) { return c.is_newline(); }));
    words = isolate(words, [](std::string_view piece, size_t at) {
        return spaced_run_end(piece, at, [](const Character& c) { return c.is_letter(); });
    });
    words = isolate(words, [](std::string_view piece, size_t at) {
        return spaced_run_end(piece, at, [](const Character& c) { return c.char_class == CharClass::punctuation; });
    });
    words = isolate(words, [](std::string_view piece, size_t at) { return run_end(piece, at, is_cjk); });
    return isolate(words, one([](const Character& c) { return c.is_number(); }));
}

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
    for (const PreTokenizer& known : kPreTokenizers) {
        if (name == known.name) return &known;
    }
    return nullptr;
}

std::string known_pre_tokenizers() {
    std::string names;
    for (const PreTokenizer& known : kPreTokenizers) {
        if (!names.empty()) names += ", ";
        names += known.name;
    }
    return names;
}

void for_each_word(Grammar grammar, std::string_view text, const std::function<void(std::string_view)>& use) {
    const auto cut = [&](const auto& word_end) {
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = word_end(text, begin);
            use(text.substr(begin, end - begin));
            begin = end;
        }
    };
    switch (grammar) {
        case Grammar::gpt2:
            return cut(gpt2_word_end);
        case Grammar::gpt2_digits:
            return for_each_gpt2_digits_word(text, use);
        case Grammar::llama3:
            return cut([](std::string_view t, size_t at) { return llama3_word_end(t, at, 3); });
        case Grammar::qwen2:
            return cut([](std::string_view t, size_t at) { return llama3_word_end(t, at, 1); });
        case Grammar::deepseek_coder:
            for (const std::string_view word : deepseek_coder_words(text)) use(word);
            return;
    }
}

}  // namespace strata
