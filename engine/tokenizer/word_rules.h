// The alternatives that the grammars of pre_tokenizer.h are made of. Each takes a text and a place in it and returns
// where its match ends: the place itself is no match.
#pragma once
#include <cstddef>
#include <string_view>

#include "engine/tokenizer/characters.h"

namespace strata {

inline size_t letters_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_letter(); });
}
inline size_t others_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_other(); });
}
inline size_t newlines_end(std::string_view text, size_t at) {
    return run_end(text, at, [](const Character& c) { return c.is_newline(); });
}
inline size_t numbers_end(std::string_view text, size_t at, int at_most = std::numeric_limits<int>::max()) {
    return run_end(
        text, at, [](const Character& c) { return c.is_number(); }, at_most);
}

// 's 't 'm 'd 're 've 'll
inline size_t contraction_end(std::string_view text, size_t at, bool any_case) {
    if (at >= text.size() || text[at] != '\'') return at;
    const auto letter = [&](size_t i) {
        const char c = at + i < text.size() ? text[at + i] : '\0';
        return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char first = letter(1), second = letter(2);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
    if (first == 'l' && second == 'l') return at + 3;
    return at;
}

// \s+(?!\S)|\s+ : a run of white space leaves its last character to the word that follows, if it can.
inline size_t spaces_end(std::string_view text, size_t at) {
    size_t last = at, end = at;
    for (Character c = character_at(text, end); c.is_space(); c = character_at(text, end)) {
        last = end;
        end += c.length;
    }
    const bool word_follows = end < text.size();
    return word_follows && last > at ? last : end;
}

// \s*[\r\n]+ : as much white space as ends in a line break.
inline size_t line_break_end(std::string_view text, size_t at) {
    size_t end = at;
    for (Character c = character_at(text, at); c.is_space(); c = character_at(text, at)) {
        at += c.length;
        if (c.is_newline()) end = at;
    }
    return end;
}

// \s*[\r\n]+|\s+(?!\S)|\s+
inline size_t line_break_or_spaces_end(std::string_view text, size_t at) {
    const size_t end = line_break_end(text, at);
    return end > at ? end : spaces_end(text, at);
}

// One character that `is` accepts.
template <class Is>
size_t one_end(std::string_view text, size_t at, const Is& is) {
    return run_end(text, at, is, 1);
}

// \s?X+
template <class Is>
size_t spaced_run_end(std::string_view text, size_t at, const Is& is) {
    const Character first = character_at(text, at);
    const size_t body = first.is_space() ? at + first.length : at;
    const size_t end = run_end(text, body, is);
    return end > body ? end : at;
}

}  // namespace strata
