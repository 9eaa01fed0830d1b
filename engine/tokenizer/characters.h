// A text seen as characters with their classes: what pre-tokenizers read.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

#include "engine/tokenizer/unicode.h"

namespace strata {

// A character of the text; `length` 0 is the end.
struct Character {
    uint32_t code_point = 0;
    CharClass char_class = CharClass::other;
    int length = 0;

    bool is_end() const { return length == 0; }
    bool is_letter() const { return char_class == CharClass::letter; }
    bool is_mark() const { return char_class == CharClass::mark; }
    bool is_number() const { return char_class == CharClass::number; }
    bool is_space() const { return char_class == CharClass::white_space; }
    bool is_punctuation() const { return char_class == CharClass::punctuation; }
    bool is_symbol() const { return char_class == CharClass::symbol; }
    bool is_newline() const { return code_point == '\r' || code_point == '\n'; }
    bool is_ascii_digit() const { return code_point >= '0' && code_point <= '9'; }
    bool is_ascii_upper() const { return code_point >= 'A' && code_point <= 'Z'; }
    bool is_ascii_lower() const { return code_point >= 'a' && code_point <= 'z'; }
    bool is_other() const { return !is_end() && !is_letter() && !is_number() && !is_space(); }  // [^\s\p{L}\p{N}]
};

inline Character character_at(std::string_view text, size_t at) {
    if (at >= text.size()) return {};
    const Utf8 next = decode_utf8(text, at);
    return {next.code_point, char_class(next.code_point), next.length};
}

// The end of the run of characters from `at` on that are all `is`; `at` itself where the first is not.
template <class Is>
size_t run_end(std::string_view text, size_t at, const Is& is, int at_most = std::numeric_limits<int>::max()) {
    for (Character c = character_at(text, at); !c.is_end() && at_most > 0 && is(c); c = character_at(text, at)) {
        at += c.length;
        --at_most;
    }
    return at;
}

}  // namespace strata
