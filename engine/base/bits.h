// Reading floats as integers and back, and half-precision numbers: std::bit_cast is missing in libc++ 13.
#pragma once
#include <cstdint>
#include <cstring>

namespace strata {

inline uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}
inline float float_of(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

template <class T>
T load_unaligned(const void* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

// IEEE half to float: exact. Infinity and NaN, which no sound model file holds, are read as if they were finite (65536
// and above); backends with an instruction of their own keep them.
inline float half_to_float(uint16_t h) {
    const uint32_t magnitude = h & 0x7fff;
    // The scales of K-quants are often subnormal halves. Nothing here computes with a subnormal float, which is slow.
    const float value = magnitude < 0x400 ? float(magnitude) * 0x1p-24f : float_of((magnitude << 13) + (112u << 23));
    return float_of(bits_of(value) | uint32_t(h & 0x8000) << 16);
}

// Float to IEEE half, to nearest, ties to even. What is too large becomes the largest half, 65504: a cache row must
// stay finite. NaN becomes 0.
inline uint16_t float_to_half(float x) {
    const uint16_t sign = uint16_t(bits_of(x) >> 16 & 0x8000);
    float magnitude = float_of(bits_of(x) & 0x7fffffff);
    if (!(magnitude == magnitude)) return sign;
    if (magnitude >= 65504.0f) return uint16_t(sign | 0x7bff);
    if (magnitude < 0x1p-14f) {  // subnormal: the last bit of 0.5f weighs 2^-24, as the last bit of a half does here
        const float shifted = magnitude + 0.5f;
        return uint16_t(sign | (bits_of(shifted) - bits_of(0.5f)));
    }
    const uint32_t bits = bits_of(magnitude);
    const uint32_t rounded = bits + 0xfff + (bits >> 13 & 1);
    return uint16_t(sign | ((rounded - (112u << 23)) >> 13));
}

inline float bfloat_to_float(uint16_t b) { return float_of(uint32_t(b) << 16); }

}  // namespace strata
