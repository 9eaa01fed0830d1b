// The numbers of the tile format (engine/formats/tile.h): what its reference and its kernels share.
#pragma once
#include <cstdint>

#include "engine/base/bits.h"

namespace strata {

// A 4-bit code counts the thresholds below the value: these seven, zero, and these seven negated. In units of the row's
// scale. The cells of 3 bits lie between every second one, those of 2 bits between every fourth.
constexpr int kTileCuts = 7;
constexpr float kTileThresholds[kTileCuts] = {0.2477f, 0.5005f, 0.7655f, 1.05f, 1.3703f, 1.7479f, 2.3197f};

constexpr int8_t kTileLevels4[16] = {-127, -95, -74, -57, -43, -30, -18, -6, 6, 18, 30, 43, 57, 74, 95, 127};
constexpr int8_t kTileLevels3[8] = {-127, -79, -45, -14, 14, 45, 79, 127};
constexpr int8_t kTileLevels2[4] = {-127, -39, 39, 127};
constexpr float kTileUnit4 = 0.02094f, kTileUnit3 = 0.01694f, kTileUnit2 = 0.01233f;
constexpr float kTileGain4 = 1.0097f, kTileGain3 = 1.0358f, kTileGain2 = 1.133f;

constexpr int kMaxTileHeadDim = 512;

// ---- scales: 2^(exponent / 16)

// Squares of rows within these bounds, and sums of 512 of them, are normal floats. Rows beyond are encoded as if they
// lay on the bound: what is below 10^-17 is lost, what is above 10^17 saturates.
constexpr int kLowestTileExponent = -16 * 56, kHighestTileExponent = 16 * 56;

// 2^(i / 16)
constexpr float kTileRoots[16] = {1,           1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f,
                                  1.29683959f, 1.35425556f, 1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f,
                                  1.68179286f, 1.75625217f, 1.8340081f,  1.91520655f};

// 2^(exponent / 16), exactly the same in every build; exponent: -2016..2016, whose powers are normal floats.
inline float sixteenth_octave(int exponent) {
    return float_of(bits_of(kTileRoots[exponent & 15]) + (uint32_t(exponent >> 4) << 23));
}

// round(16 log2(root of mean_square)), by comparison instead of a logarithm: 8 for each octave of mean_square, and one
// more for each odd root that its mantissa reaches. NaN gives the lowest.
inline int nearest_tile_exponent(float mean_square) {
    constexpr float kLowestSquare = 0x1p-112f, kHighestSquare = 0x1p112f;
    if (!(mean_square > kLowestSquare)) return kLowestTileExponent;
    if (mean_square >= kHighestSquare) return kHighestTileExponent;
    const uint32_t bits = bits_of(mean_square);
    const float mantissa = float_of((bits & 0x7fffff) | bits_of(1.0f));
    int exponent = (int(bits >> 23) - 127) * 8;
    for (int i = 1; i < 16; i += 2) exponent += mantissa >= kTileRoots[i];
    return exponent;
}

// ---- the search for a row's scale
// It takes the candidate with the least square error of the 4-bit code, and the smallest of equals. The error is
// computed in integers, with magnitudes rounded to 1024ths of the scale: exact, in any order.
constexpr int kTileSearch = 4;  // candidates on each side of the nearest exponent
constexpr float kTileSearchUnit = 1024.0f;
constexpr int16_t tile_search_integer(float x) { return int16_t(x * kTileSearchUnit + 0.5f); }

// A search needs all its candidates, and a mean square that is right: rows beyond the bounds get the bound.
inline bool tile_search_fits(int exponent) {
    return exponent >= kLowestTileExponent + kTileSearch && exponent <= kHighestTileExponent - kTileSearch;
}

// What is added to a row's byte to give its exponent, for the largest exponent of the tile. Any byte is within the
// bounds then.
constexpr int kLowestTileBase = kLowestTileExponent - 1, kHighestTileBase = kHighestTileExponent - 255;
inline int tile_base(int largest_exponent) {
    return largest_exponent - 255 > kLowestTileBase ? largest_exponent - 255 : kLowestTileBase;
}
// Never 0, which marks masked rows: a row far below the others gets the smallest scale that there is.
inline int tile_scale_byte(int exponent, int base) { return exponent > base ? exponent - base : 1; }

// As found in a header, which may have come from a file and hold anything.
inline int read_tile_base(const uint8_t* header, int head_dim) {
    const int base = load_unaligned<int16_t>(header + 64 + head_dim + 2);
    return base < kLowestTileBase ? kLowestTileBase : base > kHighestTileBase ? kHighestTileBase : base;
}
inline float tile_mean_scale(const uint8_t* header, int head_dim) {
    return half_to_float(load_unaligned<uint16_t>(header + 64 + head_dim));
}
inline float tile_scale(int base, int byte) { return byte == 0 ? 0.0f : sixteenth_octave(base + byte); }

}  // namespace strata
