// The numbers of the tile format (engine/formats/tile.h): what its reference and its kernels share.
#pragma once
#include <cmath>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/math.h"

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

// ---- scales: 2^(exponent / 16)

// Squares of rows within these bounds, and sums of 512 of them, are normal floats. Rows beyond are encoded as if they
// lay on the bound: what is below 10^-17 is lost, what is above 10^17 saturates.
constexpr int kLowestTileExponent = -16 * 56, kHighestTileExponent = 16 * 56;

// Bounds of what sixteenth_octave can give as normal floats; beyond, it gives the bound.
constexpr int kLowestOctave = -126, kHighestOctave = 126;

// 2^(exponent / 16), exactly the same in every build.
inline float sixteenth_octave(int exponent) {
    constexpr float kRoots[16] = {1,           1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f,
                                  1.29683959f, 1.35425556f, 1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f,
                                  1.68179286f, 1.75625217f, 1.8340081f,  1.91520655f};
    exponent = exponent < 16 * kLowestOctave ? 16 * kLowestOctave : exponent;
    exponent = exponent > 16 * kHighestOctave ? 16 * kHighestOctave : exponent;
    return float_of(bits_of(kRoots[exponent & 15]) + (uint32_t(exponent >> 4) << 23));
}

// The exponent whose scale is nearest to the root of mean_square, in the logarithm. NaN gives the lowest.
inline int nearest_tile_exponent(float mean_square) {
    constexpr float kLowestSquare = 0x1p-112f, kHighestSquare = 0x1p112f;
    if (!(mean_square > kLowestSquare)) return kLowestTileExponent;
    if (mean_square >= kHighestSquare) return kHighestTileExponent;
    constexpr double kEighthsOfOctave = 8 / 6.93147180559945286227e-01;  // per unit of the natural logarithm
    return int(std::floor(log_f64(double(mean_square)) * kEighthsOfOctave + 0.5));
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

// The exponent that byte 0 stands for, given the largest of the tile's rows. Every byte is within the bounds then.
inline int tile_base(int largest_exponent) {
    const int lowest = kLowestTileExponent + 254;
    return (largest_exponent > lowest ? largest_exponent : lowest) - 255;
}
// Never 0, which marks masked rows: a row far below the others gets the smallest scale that there is.
inline int tile_scale_byte(int exponent, int base) { return exponent > base ? exponent - base : 1; }

}  // namespace strata
