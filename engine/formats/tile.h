// The tile: 64 consecutive keys, or values, of one layer and KV head, sealed as a whole. Ours; the ideas it joins are
// random rotations with scalar codebooks (arXiv 2504.19874), per-channel offsets (KIVI, arXiv 2402.02750) and embedded
// (nested) quantisers.
//
//   y = Hadamard(x)              each row (engine/formats/hadamard.h)
//   m = mean of the rows y       as int8 with one half-precision scale
//   z = y - m                    each row
//   z = s * level(code)          s: a power of 2^(1/16) per row; 16 codes whose cells are nested
//
// The cells of 4-bit codes split those of 3-bit codes (code >> 1), and those split those of 2-bit codes (code >> 2): a
// tile becomes coarser by losing bits, and is then what encoding at fewer bits would have made of it, bit for bit.
//
// Levels are int8 times a unit, so that a dot product with an int8 vector is exact. The levels with the least square
// error are too short by 1 - D on average; a gain of 1 / (1 - D) takes the bias out of keys, and out of values at 3 and
// 2 bits (at 4 bits the smaller error counts more).
//
// A tile lies in a header and pages of 8 * head_dim bytes. 4 bits: four pages of nibbles. 3 bits: two pages of the two
// high bits and one of the middle bit. 2 bits: the first two of those. 8 bits (guarded keys: the code is the level,
// unit 1): eight pages.
//
// The bytes of every page have the same order, in cells of eight rows and four columns, as integer products take them:
//
//   keys: a row is a position, a column a dimension.    Byte [d / 4][p % 8][d % 4]
//   values: a row is a dimension, a column a position.  Byte [d / 8][p % 8 / 4][d % 8][p % 4]
//
// The fields of a byte, lowest first, are of eight positions each, and pages go on where those of the page before end:
// position p is in the field p / 8 of all, of which a page has 2 (nibbles), 4 (high bits), 8 (middle bit) or 1 (8 bits,
// which values are never kept at).
//
// Header: 64 scale bytes, head_dim int8 of the mean, its scale (half), int16 base. The scale of row r is
// 2^((base + byte) / 16), and 0 where the byte is 0, which marks a masked row. (A row that is the mean has byte 1.)
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/base/prefetch.h"
#include "engine/formats/tile_numbers.h"

namespace strata {

constexpr int kTilePositions = 64;
constexpr int kMaxTilePages = 8;

enum class TileSide { keys, values };
constexpr TileSide kTileSides[] = {TileSide::keys, TileSide::values};

constexpr bool tile_fits(int head_dim) { return head_dim >= 16 && head_dim <= kMaxTileHeadDim && head_dim % 16 == 0; }
constexpr int tile_page_bytes(int head_dim) { return 8 * head_dim; }
constexpr int tile_header_bytes(int head_dim) { return kTilePositions + head_dim + 4; }
constexpr int tile_pages(int bits) { return bits; }  // 2, 3, 4 or 8
constexpr int tile_page_lines(int head_dim) { return tile_page_bytes(head_dim) / kLineBytes; }
constexpr int tile_lines(int bits, int head_dim) { return tile_pages(bits) * tile_page_lines(head_dim); }

struct TileLevels {
    const int8_t* levels;  // (1 << bits), ascending
    float unit;            // of a level, in units of the row's scale; the side's gain included
};
// bits: 2, 3 or 4.
TileLevels tile_levels(TileSide side, int bits);

// Where a tile of one layer and head lies.
struct TileView {
    const uint8_t* header;
    const uint8_t* pages[kMaxTilePages];  // tile_pages(bits)
    int bits;
    // (tile_lines(bits, head_dim)): the first byte of each line of the pages; nullptr: not known.
    const uint8_t* line_bytes = nullptr;
};

// ---- slow and obvious: what the kernels are tested against, and what is used where speed does not matter

// x (64, head_dim), of which the first `masked` rows are left out (their codes are 0 and their scales 0).
// Writes the header and the 4-bit codes (64, head_dim), values 0-15. Every build gives the same bytes.
void encode_tile(const float* x, int head_dim, int masked, uint8_t* header, uint8_t* codes);
// The same at 8 bits: codes are int8.
void encode_tile_8bit(const float* x, int head_dim, int masked, uint8_t* header, int8_t* codes);

// codes (64, head_dim), 4-bit (8-bit: int8), to pages at `bits`; unpack gives codes of `bits` bits.
void pack_tile(TileSide side, const uint8_t* codes, int head_dim, int bits, uint8_t* const* pages);
void unpack_tile(TileSide side, const TileView& tile, int head_dim, uint8_t* codes);

// Drops bits in place: pages beyond tile_pages(to_bits) are free afterwards. from_bits 4 or 3, to_bits 3 or 2.
void demote_tile(uint8_t* const* pages, int head_dim, int from_bits, int to_bits);

// out (64, head_dim): the rows that the tile stands for, rotated back; masked rows are 0.
void decode_tile(TileSide side, const TileView& tile, int head_dim, float* out);

}  // namespace strata
