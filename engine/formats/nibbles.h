// What the 4- and 5-bit formats share: how 32 codes lie in 16 bytes, with a fifth bit in 4 more.
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

// Code i of 32: the low nibble of byte i, the high one of byte i - 16.
inline int nibble(const uint8_t* packed, int i) { return i < 16 ? packed[i] & 15 : packed[i - 16] >> 4; }

// The same with bit i of 32, little-endian, as fifth bit.
inline int nibble_and_bit(const uint8_t* packed, const uint8_t* fifth_bits, int i) {
    return nibble(packed, i) | (fifth_bits[i / 8] >> (i % 8) & 1) << 4;
}

}  // namespace strata
