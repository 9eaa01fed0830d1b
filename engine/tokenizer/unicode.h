// What the tokenizers need to know of Unicode: UTF-8, and the class of a code point.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

// General categories by their first letter: L, M, N, P, S; `white_space` is the property of that name and comes first.
enum class CharClass : uint8_t { other, letter, mark, number, punctuation, symbol, white_space };

CharClass char_class(uint32_t code_point);

inline constexpr uint32_t kReplacementCharacter = 0xFFFD;

enum class Utf8State : uint8_t {
    valid,
    invalid,     // can never become valid, whatever follows
    incomplete,  // well formed as far as it goes, but the text ends within it
};

// A character, or a maximal subpart of one: what is replaced by a single U+FFFD (Unicode Standard, section 3.9).
struct Utf8 {
    Utf8State state;
    uint32_t code_point;  // U+FFFD unless valid
    int length;           // bytes, at least 1
};

// What starts at text[at]; at < text.size().
Utf8 decode_utf8(std::string_view text, size_t at);

void append_utf8(std::string& text, uint32_t code_point);

}  // namespace strata
