#include "engine/tokenizer/byte_level.h"

#include <array>

#include "engine/tokenizer/unicode.h"

namespace strata {
namespace {

constexpr bool stands_for_itself(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr uint32_t kFirstSubstitute = 0x100;

constexpr auto kCharacters = [] {
    std::array<uint32_t, 256> characters{};
    uint32_t substitute = kFirstSubstitute;
    for (uint32_t byte = 0; byte < 256; ++byte) characters[byte] = stands_for_itself(byte) ? byte : substitute++;
    return characters;
}();

constexpr auto kBytes = [] {
    constexpr size_t kSubstitutes = 68;  // bytes that do not stand for themselves
    std::array<int16_t, kFirstSubstitute + kSubstitutes> bytes{};
    for (int16_t& byte : bytes) byte = -1;
    for (uint32_t byte = 0; byte < 256; ++byte) bytes[kCharacters[byte]] = static_cast<int16_t>(byte);
    return bytes;
}();

}  // namespace

uint32_t byte_to_character(uint8_t byte) { return kCharacters[byte]; }

int character_to_byte(uint32_t code_point) { return code_point < kBytes.size() ? kBytes[code_point] : -1; }

std::string to_byte_level(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes) append_utf8(text, byte_to_character(static_cast<uint8_t>(byte)));
    return text;
}

std::string from_byte_level(std::string_view text) {
    std::string bytes;
    for (size_t at = 0; at < text.size();) {
        const Utf8 next = decode_utf8(text, at);
        const int byte = next.state == Utf8State::valid ? character_to_byte(next.code_point) : -1;
        if (byte >= 0) {
            bytes += static_cast<char>(byte);
        } else {
            bytes += text.substr(at, next.length);
        }
        at += next.length;
    }
    return bytes;
}

}  // namespace strata
