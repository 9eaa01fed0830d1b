// GPT-2's way to write any byte as a printable character: vocabularies of byte-level BPE hold "Ġhello" for " hello".
// Printable Latin-1 bytes stand for themselves; the others, in order, are U+0100, U+0101, …
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

uint32_t byte_to_character(uint8_t byte);

// -1 for characters that stand for no byte.
int character_to_byte(uint32_t code_point);

std::string to_byte_level(std::string_view bytes);

// Characters that stand for no byte are kept as they are.
std::string from_byte_level(std::string_view text);

}  // namespace strata
