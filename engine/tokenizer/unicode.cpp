#include "engine/tokenizer/unicode.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/tokenizer/unicode_tables.h"

namespace strata {
namespace {

constexpr CharClass look_up(uint32_t code_point) {
    // Sought: the last run that starts at or before the code point.
    size_t low = 0, high = std::size(kCharClassRuns);
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        (kCharClassRuns[middle] >> 3 <= code_point ? low : high) = middle;
    }
    return static_cast<CharClass>(kCharClassRuns[low] & 7);
}

constexpr auto kAsciiClasses = [] {
    std::array<CharClass, 128> classes{};
    for (uint32_t i = 0; i < classes.size(); ++i) classes[i] = look_up(i);
    return classes;
}();

// The length that a lead byte announces; 0 for bytes that lead nothing.
int announced_length(uint8_t lead) {
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;  // continuation bytes, and leads of overlong forms
    if (lead < 0xE0) return 2;
    if (lead < 0xF0) return 3;
    return lead < 0xF5 ? 4 : 0;
}

}  // namespace

CharClass char_class(uint32_t code_point) {
    return code_point < kAsciiClasses.size() ? kAsciiClasses[code_point] : look_up(code_point);
}

Utf8 decode_utf8(std::string_view text, size_t at) {
    const auto lead = static_cast<uint8_t>(text[at]);
    const int length = announced_length(lead);
    if (length == 0) return {Utf8State::invalid, kReplacementCharacter, 1};
    if (length == 1) return {Utf8State::valid, lead, 1};

    // The second byte is bound more tightly after some leads: no overlong forms, no surrogates, nothing past U+10FFFF.
    uint8_t lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    uint32_t code_point = lead & (0x7Fu >> length);
    for (int i = 1; i < length; ++i) {
        if (at + i == text.size()) return {Utf8State::incomplete, kReplacementCharacter, i};
        const auto byte = static_cast<uint8_t>(text[at + i]);
        if (byte < lowest || byte > highest) return {Utf8State::invalid, kReplacementCharacter, i};
        code_point = code_point << 6 | (byte & 0x3F);
        lowest = 0x80;
        highest = 0xBF;
    }
    return {Utf8State::valid, code_point, length};
}

void append_utf8(std::string& text, uint32_t code_point) {
    const auto put = [&](uint32_t byte) { text += static_cast<char>(byte); };
    const auto continuation = [&](int shift) { put(0x80 | (code_point >> shift & 0x3F)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | code_point >> 6);
        continuation(0);
    } else if (code_point < 0x10000) {
        put(0xE0 | code_point >> 12);
        continuation(6);
        continuation(0);
    } else {
        put(0xF0 | code_point >> 18);
        continuation(12);
        continuation(6);
        continuation(0);
    }
}

}  // namespace strata
