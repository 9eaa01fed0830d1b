#include "engine/formats/tile.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/formats/hadamard.h"

namespace strata {

namespace {

constexpr int kMaxCodes = kTilePositions * kMaxTileHeadDim;

// ---- the header

struct Mean {
    int8_t q[kMaxTileHeadDim];
    float scale;
};

void write_header(const Mean& mean, int base, int head_dim, uint8_t* header) {
    const uint16_t scale = float_to_half(mean.scale);  // exact: it was rounded before
    const int16_t base16 = int16_t(base);
    std::memcpy(header + kTilePositions, mean.q, size_t(head_dim));
    std::memcpy(header + kTilePositions + head_dim, &scale, sizeof scale);
    std::memcpy(header + kTilePositions + head_dim + 2, &base16, sizeof base16);
}

// ---- encoding

// To the nearest integer, ties to even; of NaN, anything that fits.
int8_t nearest_int8(float x) {
    const float clamped = x < -127.0f ? -127.0f : x > 127.0f ? 127.0f : x;
    return int8_t(uint8_t(bits_of(clamped + ExpF32::kRound)));
}

Mean mean_of(const float* y, int head_dim, int masked) {
    Mean mean{};
    float exact[kMaxTileHeadDim], largest = 0;
    for (int c = 0; c < head_dim; ++c) {
        float sum = 0;
        for (int r = masked; r < kTilePositions; ++r) sum += y[r * head_dim + c];
        exact[c] = masked < kTilePositions ? sum / float(kTilePositions - masked) : 0.0f;
        largest = std::max(largest, std::fabs(exact[c]));
    }
    mean.scale = half_to_float(float_to_half(largest / 127.0f));
    if (mean.scale > 0)
        for (int c = 0; c < head_dim; ++c) mean.q[c] = nearest_int8(exact[c] / mean.scale);
    return mean;
}

// The rows, rotated and without their mean.
struct Centred {
    float z[kMaxCodes];
    Mean mean;
};

void centre(const float* x, int head_dim, int masked, Centred& out) {
    std::copy_n(x, kTilePositions * head_dim, out.z);
    for (int r = masked; r < kTilePositions; ++r) hadamard(out.z + r * head_dim, head_dim);
    out.mean = mean_of(out.z, head_dim, masked);
    for (int r = masked; r < kTilePositions; ++r)
        for (int c = 0; c < head_dim; ++c) out.z[r * head_dim + c] -= out.mean.scale * float(out.mean.q[c]);
}

// The mean of the squares, in eight sums that are put together as those of the vector version.
float mean_square(const float* z, int n) {
    float lane[8] = {};
    for (int i = 0; i < n; ++i) lane[i % 8] += z[i] * z[i];
    for (int i = 0; i < 4; ++i) lane[i] += lane[i + 4];
    return ((lane[0] + lane[2]) + (lane[1] + lane[3])) / float(n);
}

// Of the 4-bit code at this scale, in units of a 1024th of the scale.
int32_t search_error(const float* z, int n, int exponent) {
    const float inverse = sixteenth_octave(-exponent) * kTileSearchUnit;
    int32_t error = 0;
    for (int i = 0; i < n; ++i) {
        const int magnitude = int(int16_t(bits_of(std::fabs(z[i]) * inverse + ExpF32::kRound)));
        int cell = 0;
        for (const float threshold : kTileThresholds) cell += magnitude > tile_search_integer(threshold);
        const int difference = magnitude - tile_search_integer(float(kTileLevels4[8 + cell]) * kTileUnit4);
        error += difference * difference;
    }
    return error;
}

int best_exponent(const float* z, int n) {
    const int nearest = nearest_tile_exponent(mean_square(z, n));
    if (!tile_search_fits(nearest)) return nearest;
    int best = 0;
    float least = 0;
    for (int e = nearest - kTileSearch; e <= nearest + kTileSearch; ++e) {
        const float scale = sixteenth_octave(e), error = float(search_error(z, n, e)) * (scale * scale);
        if (e == nearest - kTileSearch || error < least) {
            least = error;
            best = e;
        }
    }
    return best;
}

uint8_t code4(float value) {
    int code = value > 0;
    for (const float threshold : kTileThresholds) code += (value > threshold) + (value > -threshold);
    return uint8_t(code);
}

// The lowest exponent whose scale takes all values to -127..127.
int exponent_8bit(const float* z, int n) {
    float largest = 0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, std::fabs(z[i]));
    const float scale = largest / 127.0f;
    int exponent = std::max(nearest_tile_exponent(scale * scale) - 1, kLowestTileExponent);
    while (exponent < kHighestTileExponent && sixteenth_octave(exponent) < scale) ++exponent;
    return exponent;
}

// Finds every row's exponent, writes the header, and hands out what multiplies each row to give units of its scale.
template <class ExponentOf>
void scale_rows(const Centred& rows, int head_dim, int masked, ExponentOf exponent_of, uint8_t* header,
                float* inverses) {
    int exponents[kTilePositions], largest = kLowestTileExponent;
    for (int r = masked; r < kTilePositions; ++r) {
        exponents[r] = exponent_of(rows.z + r * head_dim, head_dim);
        largest = std::max(largest, exponents[r]);
    }
    const int base = tile_base(largest);
    for (int r = 0; r < kTilePositions; ++r) {
        header[r] = uint8_t(r < masked ? 0 : tile_scale_byte(exponents[r], base));
        inverses[r] = r < masked ? 0.0f : sixteenth_octave(-(base + header[r]));
    }
    write_header(rows.mean, base, head_dim, header);
}

// ---- where codes lie

// Some bits of every code, packed into bytes: all four of a nibble, the two high ones, the middle one, or all eight.
struct Plane {
    int bits;  // of a code, and also the number of pages
    int first_page;
    int shift;  // of these bits within a 4-bit code (at 8 bits: within the code)
};
struct Planes {
    Plane plane[2];
    int count;
};

Planes planes_of(int bits) {
    if (bits == 8) return {{{8, 0, 0}}, 1};
    if (bits == 4) return {{{4, 0, 0}}, 1};
    if (bits == 3) return {{{2, 0, 2}, {1, 2, 1}}, 2};
    return {{{2, 0, 2}}, 1};
}

struct Place {
    int page, byte, shift;
};

Place place_of(TileSide side, Plane plane, int position, int dimension) {
    const int per_byte = 8 / plane.bits, eight = position / 8;
    const int row = side == TileSide::keys ? position % 8 : dimension;
    const int column = side == TileSide::keys ? dimension : position % 8;
    const int columns_of_rows = side == TileSide::keys ? 0 : row / 8 * 64;  // those of the eights of rows before
    return {plane.first_page + eight / per_byte, columns_of_rows + column / 4 * 32 + row % 8 * 4 + column % 4,
            eight % per_byte * plane.bits};
}

}  // namespace

TileLevels tile_levels(TileSide side, int bits) {
    constexpr float kUnits[2][3] = {{kTileUnit2 * kTileGain2, kTileUnit3 * kTileGain3, kTileUnit4 * kTileGain4},
                                    {kTileUnit2 * kTileGain2, kTileUnit3 * kTileGain3, kTileUnit4}};
    const float unit = kUnits[side == TileSide::values][bits - 2];
    return {bits == 4 ? kTileLevels4 : bits == 3 ? kTileLevels3 : kTileLevels2, unit};
}

namespace {

template <class Code, class ExponentOf, class CodeOf>
void encode(const float* x, int head_dim, int masked, ExponentOf exponent_of, CodeOf code_of, uint8_t* header,
            Code* codes) {
    Centred rows;
    float inverses[kTilePositions];
    centre(x, head_dim, masked, rows);
    scale_rows(rows, head_dim, masked, exponent_of, header, inverses);
    for (int r = 0; r < kTilePositions; ++r)
        for (int i = r * head_dim; i < (r + 1) * head_dim; ++i)
            codes[i] = r < masked ? Code(0) : code_of(rows.z[i] * inverses[r]);
}

}  // namespace

void encode_tile(const float* x, int head_dim, int masked, uint8_t* header, uint8_t* codes) {
    encode(x, head_dim, masked, best_exponent, code4, header, codes);
}

void encode_tile_8bit(const float* x, int head_dim, int masked, uint8_t* header, int8_t* codes) {
    encode(x, head_dim, masked, exponent_8bit, nearest_int8, header, codes);
}

void pack_tile(TileSide side, const uint8_t* codes, int head_dim, int bits, uint8_t* const* pages) {
    for (int p = 0; p < tile_pages(bits); ++p) std::memset(pages[p], 0, size_t(tile_page_bytes(head_dim)));
    const Planes planes = planes_of(bits);
    for (int i = 0; i < planes.count; ++i) {
        const Plane plane = planes.plane[i];
        const int mask = (1 << plane.bits) - 1;
        for (int r = 0; r < kTilePositions; ++r)
            for (int c = 0; c < head_dim; ++c) {
                const Place place = place_of(side, plane, r, c);
                const int part = codes[r * head_dim + c] >> plane.shift & mask;
                pages[place.page][place.byte] = uint8_t(pages[place.page][place.byte] | part << place.shift);
            }
    }
}

void unpack_tile(TileSide side, const TileView& tile, int head_dim, uint8_t* codes) {
    std::memset(codes, 0, size_t(kTilePositions * head_dim));
    const Planes planes = planes_of(tile.bits);
    const int dropped = tile.bits < 4 ? 4 - tile.bits : 0;
    for (int i = 0; i < planes.count; ++i) {
        const Plane plane = planes.plane[i];
        const int mask = (1 << plane.bits) - 1;
        for (int r = 0; r < kTilePositions; ++r)
            for (int c = 0; c < head_dim; ++c) {
                const Place place = place_of(side, plane, r, c);
                const int part = tile.pages[place.page][place.byte] >> place.shift & mask;
                codes[r * head_dim + c] = uint8_t(codes[r * head_dim + c] | part << (plane.shift - dropped));
            }
    }
}

namespace {

// A byte of high bits, from two of nibbles.
uint8_t high_bits(uint8_t first, uint8_t second) {
    return uint8_t((first >> 2 & 3) | (first >> 4 & 12) | (second << 2 & 48) | (second & 192));
}
// A byte of middle bits, from four of nibbles.
uint8_t middle_bits(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
    return uint8_t((a >> 1 & 1) | (a >> 4 & 2) | (b << 1 & 4) | (b >> 2 & 8) | (c << 3 & 16) | (c & 32) |
                   (d << 5 & 64) | (d << 2 & 128));
}

}  // namespace

// The same byte of all pages has the same rows and columns, of other eights. Two high bits are where they are already
// when there are three.
void demote_tile(uint8_t* const* pages, int head_dim, int from_bits, int to_bits) {
    if (from_bits == 3) return;
    for (int i = 0; i < tile_page_bytes(head_dim); ++i) {
        const uint8_t a = pages[0][i], b = pages[1][i], c = pages[2][i], d = pages[3][i];
        pages[0][i] = high_bits(a, b);
        pages[1][i] = high_bits(c, d);
        if (to_bits == 3) pages[2][i] = middle_bits(a, b, c, d);
    }
}

void decode_tile(TileSide side, const TileView& tile, int head_dim, float* out) {
    uint8_t codes[kMaxCodes];
    unpack_tile(side, tile, head_dim, codes);
    const TileLevels levels = tile.bits == 8 ? TileLevels{nullptr, 1.0f} : tile_levels(side, tile.bits);
    const int8_t* mean = reinterpret_cast<const int8_t*>(tile.header + kTilePositions);
    const float mean_scale = tile_mean_scale(tile.header, head_dim);
    const int base = read_tile_base(tile.header, head_dim);
    for (int r = 0; r < kTilePositions; ++r, out += head_dim) {
        if (tile.header[r] == 0) {
            std::fill_n(out, head_dim, 0.0f);
            continue;
        }
        const float scale = tile_scale(base, tile.header[r]) * levels.unit;
        for (int c = 0; c < head_dim; ++c) {
            const uint8_t code = codes[r * head_dim + c];
            const int level = tile.bits == 8 ? int8_t(code) : levels.levels[code];
            out[c] = float(level) * scale + mean_scale * float(mean[c]);
        }
        hadamard(out, head_dim);
    }
}

}  // namespace strata
