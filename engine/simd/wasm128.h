// WebAssembly SIMD128, the backend the browser runs. Two registers make the eight lanes. Activations are kept as int16,
// because the one exact integer dot product of plain SIMD128 takes 16-bit operands.
#pragma once
#include <wasm_simd128.h>

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/simd/codes.h"

namespace strata {

// Constants of the innermost loops: V8 builds a constant anew at every use, in three instructions, but loads it in one.
// "volatile" keeps compilers from knowing it.
namespace wasm_constants {
inline const volatile v128_t kOnes = wasm_i16x8_const_splat(1);
inline const volatile v128_t kLowNibbles = wasm_i8x16_const_splat(15);
inline const volatile v128_t kNibbles0 = wasm_i16x8_const_splat(0x000f), kNibbles1 = wasm_i16x8_const_splat(0x00f0),
                             kNibbles2 = wasm_i16x8_const_splat(0x0f00);
inline const volatile v128_t kHalfMagnitude = wasm_i32x4_const_splat(0x0fffe000);
inline const volatile v128_t kHalfExponent = wasm_i32x4_const_splat(112 << 23);
inline const volatile v128_t kLeastNormalHalf = wasm_f32x4_const_splat(0x1p-14f);
template <const float& kValue>
inline const volatile v128_t kAll = wasm_f32x4_make(kValue, kValue, kValue, kValue);
inline const volatile v128_t kSignBits = wasm_i32x4_const_splat(int(0x80000000));
}  // namespace wasm_constants

struct Wasm128 {
    static constexpr const char* kName = "wasm128";
    static constexpr int kTileTokens = 2;
    static constexpr int kScoreRows = 2, kScoreTokens = 1;  // that share loads: exact keys
    static constexpr int kSumQueries = 2, kSumVectors = 4;  // that stay in registers: exact values

    struct F32 {
        static constexpr int kLanes = 8;
        v128_t lo, hi;
    };
    struct Float4 {
        v128_t v;
    };
    // 32 activations take 128 bytes.
    struct Activation {
        uint8_t quarter[4];
    };
    struct Block {
        int16_t x[32];
        // As 16 bits with four nibbles meet them, times 256, 16, 1 and 256: x[0 2 .. 14], x[16 18 .. 30], x[1 3 .. 15],
        // x[17 19 .. 31].
        int16_t nibbles[32];
    };
    static_assert(sizeof(Block) == 32 * sizeof(Activation));
    struct Weights32 {
        v128_t q[4];  // as int16
    };
    struct Ints {
        v128_t first, second;  // of values 0-15 and 16-31
    };
    struct DotSum {
        v128_t v;
    };
    struct Bytes {
        v128_t v;
    };
    struct Bytes32 {
        v128_t lo, hi;
    };
    struct Shorts {
        v128_t lo, hi;
    };
    static constexpr int kPanelRows = 8, kPanelTokens = 4;
    static constexpr bool kPanelsTakeOffset = true;
    static constexpr bool kPanelsAreCells = false;
    static constexpr bool kPanelLoopApart = true;  // a function of its own, or V8 spills what it needs
    struct PanelBlock {
        union {
            uint8_t bytes[kPanelRows * 32];
            // [columns / 2][row][2 columns], negative: dots are subtracted, because compilers put what is added in an
            // order of their own, which takes one register more than there is.
            int16_t pairs[16][kPanelRows][2];
        };
    };
    struct PanelInts {
        v128_t lo, hi;
    };
    using PanelF32 = F32;
    static constexpr int kCellRows = 4;
    struct CellWeights {
        v128_t even, odd;  // columns 0 and 2, 1 and 3, as int16
    };
    using RowSums = DotSum;
    // Of a loop over cells, loaded before it.
    struct CellConstants {
        v128_t low_nibbles = wasm_constants::kLowNibbles, ones = wasm_constants::kOnes;
    };
    struct Spread {  // of four activations, in all lanes: columns 0 and 2, 1 and 3
        v128_t even, odd;
    };

    static F32 splat(float x) { return {wasm_f32x4_splat(x), wasm_f32x4_splat(x)}; }
    template <const float& kValue>
    static F32 constant() {
        const v128_t all = wasm_constants::kAll<kValue>;
        return {all, all};
    }
    template <const float& kValue>
    static Float4 constant4() {
        return {wasm_constants::kAll<kValue>};
    }
    static F32 load(const float* p) { return {wasm_v128_load(p), wasm_v128_load(p + 4)}; }
    static F32 load_half(const uint16_t* p) {
        const v128_t h = wasm_v128_load(p);
        return {low_halves_to_float(wasm_u32x4_extend_low_u16x8(h)),
                low_halves_to_float(wasm_u32x4_extend_high_u16x8(h))};
    }
    static F32 load_bfloat(const uint16_t* p) {
        const v128_t b = wasm_v128_load(p);
        return {wasm_i32x4_shl(wasm_u32x4_extend_low_u16x8(b), 16),
                wasm_i32x4_shl(wasm_u32x4_extend_high_u16x8(b), 16)};
    }
    static void store(float* p, F32 a) {
        wasm_v128_store(p, a.lo);
        wasm_v128_store(p + 4, a.hi);
    }
    static F32 add(F32 a, F32 b) { return {wasm_f32x4_add(a.lo, b.lo), wasm_f32x4_add(a.hi, b.hi)}; }
    static F32 sub(F32 a, F32 b) { return {wasm_f32x4_sub(a.lo, b.lo), wasm_f32x4_sub(a.hi, b.hi)}; }
    static F32 mul(F32 a, F32 b) { return {wasm_f32x4_mul(a.lo, b.lo), wasm_f32x4_mul(a.hi, b.hi)}; }
    static F32 div(F32 a, F32 b) { return {wasm_f32x4_div(a.lo, b.lo), wasm_f32x4_div(a.hi, b.hi)}; }
    static F32 mul_add(F32 a, F32 b, F32 c) { return add(c, mul(a, b)); }
    // pmin and pmax: one x86 instruction each, where min and max of IEEE need several.
    static F32 min(F32 a, F32 b) { return {wasm_f32x4_pmin(b.lo, a.lo), wasm_f32x4_pmin(b.hi, a.hi)}; }
    static F32 max(F32 a, F32 b) { return {wasm_f32x4_pmax(b.lo, a.lo), wasm_f32x4_pmax(b.hi, a.hi)}; }
    static F32 times_power_of_two(F32 a, F32 b) {
        return {wasm_i32x4_add(a.lo, wasm_i32x4_shl(b.lo, 23)), wasm_i32x4_add(a.hi, wasm_i32x4_shl(b.hi, 23))};
    }
    static float sum(F32 a) {
        const v128_t t = wasm_f32x4_add(a.lo, a.hi);
        const v128_t u = wasm_f32x4_add(t, wasm_i32x4_shuffle(t, t, 2, 3, 2, 3));
        return wasm_f32x4_extract_lane(u, 0) + wasm_f32x4_extract_lane(u, 1);
    }
    // The sum of each, in the order of sum.
    static Float4 sums(F32 a, F32 b, F32 c, F32 d) {
        const v128_t ab = pair_sums(a, b), cd = pair_sums(c, d);
        return {wasm_f32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 2, 4, 6), wasm_i32x4_shuffle(ab, cd, 1, 3, 5, 7))};
    }
    static float largest(F32 a) {
        const v128_t t = wasm_f32x4_pmax(a.lo, a.hi);
        const v128_t u = wasm_f32x4_pmax(t, wasm_i32x4_shuffle(t, t, 2, 3, 2, 3));
        // Choosing one of two floats would be a branch, which nobody can foresee.
        return wasm_f32x4_extract_lane(wasm_f32x4_pmax(u, wasm_i32x4_shuffle(u, u, 1, 1, 1, 1)), 0);
    }

    static F32 abs(F32 a) { return {wasm_f32x4_abs(a.lo), wasm_f32x4_abs(a.hi)}; }
    static F32 count_greater(F32 counts, F32 a, F32 b) {
        return {wasm_i32x4_sub(counts.lo, wasm_f32x4_gt(a.lo, b.lo)),
                wasm_i32x4_sub(counts.hi, wasm_f32x4_gt(a.hi, b.hi))};
    }
    template <int kDistance>
    static F32 butterfly(F32 a) {
        if constexpr (kDistance == 4)
            return {wasm_f32x4_add(a.lo, a.hi), wasm_f32x4_sub(a.lo, a.hi)};
        else
            return {butterfly4<kDistance>(a.lo), butterfly4<kDistance>(a.hi)};
    }

    // To int16. kPositive: no x is below 0.
    template <bool kPositive = false>
    static void quantise32(const float* x, float scale, v128_t (&q)[4]) {
        const v128_t s = wasm_f32x4_splat(scale), round = wasm_f32x4_splat(ExpF32::kRound);
        const v128_t low = wasm_i32x4_const_splat(0xff);
        // The integer is the low byte; shifting up and down again extends its sign.
        const auto rounded = [&](const float* at) {
            const v128_t sum = wasm_f32x4_add(wasm_f32x4_mul(wasm_v128_load(at), s), round);
            return kPositive ? wasm_v128_and(sum, low) : wasm_i32x4_shr(wasm_i32x4_shl(sum, 24), 24);
        };
        for (int i = 0; i < 4; ++i) q[i] = wasm_i16x8_narrow_i32x4(rounded(x + 8 * i), rounded(x + 8 * i + 4));
    }
    static void quantise32(const float* x, float scale, Activation* out) {
        Block& block = *reinterpret_cast<Block*>(out);
        v128_t q[4];
        quantise32(x, scale, q);
        for (int i = 0; i < 4; ++i) wasm_v128_store(block.x + 8 * i, q[i]);
        wasm_v128_store(block.nibbles, wasm_i16x8_shl(even(q[0], q[1]), 8));
        wasm_v128_store(block.nibbles + 8, wasm_i16x8_shl(even(q[2], q[3]), 4));
        wasm_v128_store(block.nibbles + 16, odd(q[0], q[1]));
        wasm_v128_store(block.nibbles + 24, wasm_i16x8_shl(odd(q[2], q[3]), 8));
    }
    static Weights32 load_weights(const void* p) {
        const int8_t* q = static_cast<const int8_t*>(p);
        return {
            {wasm_i16x8_load8x8(q), wasm_i16x8_load8x8(q + 8), wasm_i16x8_load8x8(q + 16), wasm_i16x8_load8x8(q + 24)}};
    }
    static Ints dot(Weights32 w, const Activation* x) {
        const int16_t* q = block_of(x).x;
        return {wasm_i32x4_add(wasm_i32x4_dot_i16x8(w.q[0], wasm_v128_load(q)),
                               wasm_i32x4_dot_i16x8(w.q[1], wasm_v128_load(q + 8))),
                wasm_i32x4_add(wasm_i32x4_dot_i16x8(w.q[2], wasm_v128_load(q + 16)),
                               wasm_i32x4_dot_i16x8(w.q[3], wasm_v128_load(q + 24)))};
    }
    static DotSum dot_start(const Activation*) { return {wasm_i32x4_splat(0)}; }
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        const int16_t* q = block_of(x).x;
        for (int i = 0; i < 4; ++i)
            acc.v = wasm_i32x4_add(acc.v, wasm_i32x4_dot_i16x8(w.q[i], wasm_v128_load(q + 8 * i)));
        return acc;
    }
    static DotSum add(DotSum a, DotSum b) { return {wasm_i32x4_add(a.v, b.v)}; }
    static Float4 sums(DotSum a, DotSum b, DotSum c, DotSum d) { return {lane_sums(a.v, b.v, c.v, d.v)}; }
    static Ints add(Ints a, Ints b) { return {wasm_i32x4_add(a.first, b.first), wasm_i32x4_add(a.second, b.second)}; }
    static Float4 sums(Ints a, Ints b, Ints c, Ints d) {
        return {lane_sums(wasm_i32x4_add(a.first, a.second), wasm_i32x4_add(b.first, b.second),
                          wasm_i32x4_add(c.first, c.second), wasm_i32x4_add(d.first, d.second))};
    }
    static Float4 splat4(float x) { return {wasm_f32x4_splat(x)}; }
    static Float4 load4(const float* p) { return {wasm_v128_load(p)}; }
    static Float4 gather4(const float* a, const float* b, const float* c, const float* d) {
        return {wasm_f32x4_make(*a, *b, *c, *d)};
    }
    // V8 gives only whole loads an address with an offset.
    static Float4 gather_half4(const void* a, const void* b, const void* c, const void* d) {
        const v128_t ab = wasm_i32x4_shuffle(wasm_v128_load(a), wasm_v128_load(b), 0, 4, 1, 5);
        const v128_t cd = wasm_i32x4_shuffle(wasm_v128_load(c), wasm_v128_load(d), 0, 4, 1, 5);
        return {low_halves_to_float(wasm_i64x2_shuffle(ab, cd, 0, 2))};
    }
    static Float4 mul(Float4 a, Float4 b) { return {wasm_f32x4_mul(a.v, b.v)}; }
    static Float4 add(Float4 a, Float4 b) { return {wasm_f32x4_add(a.v, b.v)}; }
    static void store4(float* p, Float4 a) { wasm_v128_store(p, a.v); }

    static void look_up_nibbles(const uint8_t* packed, const int8_t* table, int8_t* out) {
        const v128_t codes = wasm_v128_load(packed), entries = wasm_v128_load(table);
        wasm_v128_store(out, wasm_i8x16_swizzle(entries, wasm_v128_and(codes, wasm_i8x16_splat(15))));
        wasm_v128_store(out + 16, wasm_i8x16_swizzle(entries, wasm_u8x16_shr(codes, 4)));
    }
    static void scale_to_float(const int8_t* q, float scale, float* out) {
        const v128_t s = wasm_f32x4_splat(scale);
        for (int i = 0; i < 32; i += 16) {
            // Each byte in the highest of four, shifted down. (Compilers turn a widening into a lane after the other.)
            const v128_t bytes = wasm_v128_load(q + i);
            const v128_t low = interleave_low(bytes, bytes), high = interleave_high(bytes, bytes);
            const v128_t words[4] = {wasm_i16x8_shuffle(low, low, 0, 0, 1, 1, 2, 2, 3, 3),
                                     wasm_i16x8_shuffle(low, low, 4, 4, 5, 5, 6, 6, 7, 7),
                                     wasm_i16x8_shuffle(high, high, 0, 0, 1, 1, 2, 2, 3, 3),
                                     wasm_i16x8_shuffle(high, high, 4, 4, 5, 5, 6, 6, 7, 7)};
            for (int j = 0; j < 4; ++j)
                wasm_v128_store(out + i + 4 * j,
                                wasm_f32x4_mul(s, wasm_f32x4_convert_i32x4(wasm_i32x4_shr(words[j], 24))));
        }
    }

    // There is no instruction for it: a load, which is waited for in the end. "volatile" keeps compilers from leaving
    // it out.
    static void fetch_ahead(const void* p) { (void)*static_cast<const volatile uint8_t*>(p); }
    static constexpr bool kFetchesByStoring = true;
    static void store_again(const uint8_t* p, uint8_t byte) { *const_cast<volatile uint8_t*>(p) = byte; }
    static Bytes load_bytes(const void* p) { return {wasm_v128_load(p)}; }
    // Shifting 16 bits at a time is one x86 instruction, shifting bytes several; the mask hides the difference.
    template <int kShift>
    static Bytes field(Bytes a, int mask) {
        const v128_t shifted = kShift < 0 ? wasm_i16x8_shl(a.v, -kShift) : wasm_u16x8_shr(a.v, kShift);
        const v128_t low_nibbles = wasm_constants::kLowNibbles;
        return {wasm_v128_and(shifted, mask == 15 ? low_nibbles : wasm_i8x16_splat(int8_t(mask)))};
    }
    static Bytes add(Bytes a, Bytes b) { return {wasm_i8x16_add(a.v, b.v)}; }
    static Bytes look_up(Bytes table, Bytes codes) { return {wasm_i8x16_swizzle(table.v, codes.v)}; }

    static void store_bytes(void* out, Bytes a) { wasm_v128_store(out, a.v); }
    static void store_words(void* out, Bytes a, Bytes b, Bytes c, Bytes d) {
        uint8_t* at = static_cast<uint8_t*>(out);
        const v128_t low_ab = interleave_low(a.v, b.v), low_cd = interleave_low(c.v, d.v);
        const v128_t high_ab = interleave_high(a.v, b.v), high_cd = interleave_high(c.v, d.v);
        wasm_v128_store(at, wasm_i16x8_shuffle(low_ab, low_cd, 0, 8, 1, 9, 2, 10, 3, 11));
        wasm_v128_store(at + 16, wasm_i16x8_shuffle(low_ab, low_cd, 4, 12, 5, 13, 6, 14, 7, 15));
        wasm_v128_store(at + 32, wasm_i16x8_shuffle(high_ab, high_cd, 0, 8, 1, 9, 2, 10, 3, 11));
        wasm_v128_store(at + 48, wasm_i16x8_shuffle(high_ab, high_cd, 4, 12, 5, 13, 6, 14, 7, 15));
    }

    static Bytes32 load_bytes32(const void* p) {
        return {wasm_v128_load(p), wasm_v128_load(static_cast<const uint8_t*>(p) + 16)};
    }
    static Bytes32 load_codes(const void* p) {
        const Bytes packed = load_bytes(p);
        return {field<0>(packed, 15).v, field<4>(packed, 15).v};
    }
    static Bytes32 load_bits(const void* p) {
        // Byte i gets the byte that holds bit i, of which it keeps that bit.
        const v128_t all = wasm_v128_load32_splat(p), bit = wasm_i64x2_splat(int64_t(0x8040201008040201));
        const v128_t lo = wasm_i8x16_shuffle(all, all, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        const v128_t hi = wasm_i8x16_shuffle(all, all, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
        return {wasm_i8x16_eq(wasm_v128_and(lo, bit), bit), wasm_i8x16_eq(wasm_v128_and(hi, bit), bit)};
    }
    template <int kShift>
    static Bytes32 field(Bytes32 a, int mask) {
        return {field<kShift>(Bytes{a.lo}, mask).v, field<kShift>(Bytes{a.hi}, mask).v};
    }
    static Bytes32 add(Bytes32 a, Bytes32 b) { return {wasm_i8x16_add(a.lo, b.lo), wasm_i8x16_add(a.hi, b.hi)}; }
    static Bytes32 look_up(Bytes table, Bytes32 codes) {
        return {wasm_i8x16_swizzle(table.v, codes.lo), wasm_i8x16_swizzle(table.v, codes.hi)};
    }
    static Bytes weight_table(Bytes table) { return table; }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return weights(look_up(table, codes)); }
    static Weights32 weights(Bytes32 a) {
        return {{wasm_i16x8_extend_low_i8x16(a.lo), wasm_i16x8_extend_high_i8x16(a.lo),
                 wasm_i16x8_extend_low_i8x16(a.hi), wasm_i16x8_extend_high_i8x16(a.hi)}};
    }
    static Weights32 unsigned_weights(Bytes32 a) { return weights(a); }
    static Ints dot_unsigned(Weights32 w, const Activation* x) { return dot(w, x); }
    static CellWeights cell_weights(Bytes table, Bytes codes) { return cell_weights(look_up(table, codes)); }
    static CellWeights cell_weights(Bytes levels) {
        return {wasm_i16x8_shr(wasm_i16x8_shl(levels.v, 8), 8), wasm_i16x8_shr(levels.v, 8)};
    }
    template <int kShift>
    static Bytes nibbles(Bytes codes, const CellConstants& constants) {
        return {wasm_v128_and(wasm_u16x8_shr(codes.v, kShift), constants.low_nibbles)};
    }
    static void spread32(const Activation* x, Spread* out) {
        for (int i = 0; i < 32; i += 8, out += 2) spread8(wasm_v128_load(block_of(x).x + i), out);
    }
    static void spread_positive32(const float* x, float scale, Spread* out) {
        v128_t q[4];
        quantise32<true>(x, scale, q);
        for (int i = 0; i < 4; ++i) spread8(q[i], out + 2 * i);
    }
    static RowSums start_rows(const Activation*) { return {wasm_i32x4_splat(0)}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Spread* x, int column, const CellConstants&) {
        const Spread& four = x[column / 4];
        return {wasm_i32x4_add(wasm_i32x4_add(acc.v, wasm_i32x4_dot_i16x8(w.even, four.even)),
                               wasm_i32x4_dot_i16x8(w.odd, four.odd))};
    }
    static Float4 row_floats(RowSums a) { return {wasm_f32x4_convert_i32x4(a.v)}; }
    // Each 16 bits hold four nibbles. They are multiplied where they are, by activations that make up for it, so that
    // sums are 256 times as large, and exact as floats all the same.
    static Float4 nibble_dots(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                              const Activation* x) {
        const v128_t mask0 = wasm_constants::kNibbles0, mask1 = wasm_constants::kNibbles1,
                     mask2 = wasm_constants::kNibbles2;
        const auto dot = [&](const uint8_t* packed, int i) {
            const int16_t* q = block_of(x + i * 32).nibbles;
            const v128_t v = wasm_v128_load(packed);
            return wasm_i32x4_add(wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_and(v, mask0), wasm_v128_load(q)),
                                                 wasm_i32x4_dot_i16x8(wasm_v128_and(v, mask1), wasm_v128_load(q + 8))),
                                  wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_v128_and(v, mask2), wasm_v128_load(q + 16)),
                                                 wasm_i32x4_dot_i16x8(wasm_u16x8_shr(v, 12), wasm_v128_load(q + 24))));
        };
        const v128_t sums = lane_sums(dot(a, 0), dot(b, 1), dot(c, 2), dot(d, 3));
        return {wasm_f32x4_mul(sums, wasm_f32x4_const_splat(0x1p-8f))};
    }
    static F32 half_sums(Ints a, Ints b, Ints c, Ints d) {
        return {lane_sums(a.first, b.first, c.first, d.first), lane_sums(a.second, b.second, c.second, d.second)};
    }
    static Float4 add_halves(F32 a) { return {wasm_f32x4_add(a.lo, a.hi)}; }
    static Float4 bytes_to_float4(uint32_t bytes) {
        // Each lane keeps its byte where it is, and is divided by what it weighs there. (Compilers turn a widening of
        // four bytes into a lane after the other.)
        const v128_t kept =
            wasm_v128_and(wasm_i32x4_splat(int(bytes)), wasm_i32x4_make(0x7f, 0x7f00, 0x7f0000, 0x7f000000));
        return {wasm_f32x4_mul(wasm_f32x4_convert_i32x4(kept), wasm_f32x4_make(1, 0x1p-8f, 0x1p-16f, 0x1p-24f))};
    }
    static F32 bytes_to_float8(uint64_t bytes) {
        const v128_t pairs = wasm_u16x8_extend_low_u8x16(wasm_i64x2_splat(int64_t(bytes)));
        return {wasm_f32x4_convert_i32x4(wasm_v128_and(pairs, wasm_i32x4_splat(0xffff))),
                wasm_f32x4_convert_i32x4(wasm_u32x4_shr(pairs, 16))};
    }
    static Float4 splat_half4(uint16_t half) { return {low_halves_to_float(wasm_i32x4_splat(half))}; }

    static Shorts shorts(int x) { return {wasm_i16x8_splat(int16_t(x)), wasm_i16x8_splat(int16_t(x))}; }
    static Shorts shorts(F32 a, F32 b) { return {shorts8(a), shorts8(b)}; }
    static Shorts where_greater(Shorts a, Shorts b, Shorts c) {
        return {wasm_v128_and(wasm_i16x8_gt(a.lo, b.lo), c.lo), wasm_v128_and(wasm_i16x8_gt(a.hi, b.hi), c.hi)};
    }
    static Shorts add(Shorts a, Shorts b) { return {wasm_i16x8_add(a.lo, b.lo), wasm_i16x8_add(a.hi, b.hi)}; }
    static Shorts sub(Shorts a, Shorts b) { return {wasm_i16x8_sub(a.lo, b.lo), wasm_i16x8_sub(a.hi, b.hi)}; }
    static Ints dot(Shorts a, Shorts b) { return {wasm_i32x4_dot_i16x8(a.lo, b.lo), wasm_i32x4_dot_i16x8(a.hi, b.hi)}; }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        wasm_v128_store(out, wasm_i8x16_sub(a.lo, wasm_i8x16_splat(kOffset)));
        wasm_v128_store(out + 16, wasm_i8x16_sub(a.hi, wasm_i8x16_splat(kOffset)));
    }
    static void pack(const uint8_t* rows, PanelBlock* out) {
        for (int r = 0; r < kPanelRows; r += 4)
            for (int c = 0; c < 32; c += 8) {
                v128_t a[4];
                for (int i = 0; i < 4; ++i) a[i] = wasm_i16x8_neg(wasm_i16x8_load8x8(rows + (r + i) * 32 + c));
                transpose4(a);
                for (int i = 0; i < 4; ++i) wasm_v128_store(out->pairs[c / 2 + i][r], a[i]);
            }
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        // Columns of a step: all that it needs stays in the 15 registers that V8 gives. Pointers move along, because V8
        // makes better addresses of them than of a counter.
        constexpr int kStep = 4;
        PanelInts acc[kTokens];
        const int16_t* at[kTokens];
        for (int t = 0; t < kTokens; ++t) {
            acc[t] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
            at[t] = block_of(x + t * stride).x + kFirst;
        }
        const int16_t* panel = w.pairs[kFirst / 2][0];
        const int16_t* const end = panel + kColumns * kPanelRows;
#pragma clang loop unroll(disable)
        do {
#pragma clang loop unroll(full)
            for (int c = 0; c < kStep; c += 2) {
                const v128_t lo = wasm_v128_load(panel + c * kPanelRows),
                             hi = wasm_v128_load(panel + c * kPanelRows + 8);
                for (int t = 0; t < kTokens; ++t) {
                    const v128_t pair = wasm_v128_load32_splat(at[t] + c);
                    acc[t].lo = wasm_i32x4_sub(acc[t].lo, wasm_i32x4_dot_i16x8(lo, pair));
                    acc[t].hi = wasm_i32x4_sub(acc[t].hi, wasm_i32x4_dot_i16x8(hi, pair));
                }
            }
            for (int t = 0; t < kTokens; ++t) at[t] += kStep;
            panel += kStep * kPanelRows;
        } while (panel < end);
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }
    static PanelInts add(PanelInts a, PanelInts b) { return {wasm_i32x4_add(a.lo, b.lo), wasm_i32x4_add(a.hi, b.hi)}; }
    static PanelF32 to_float(PanelInts a) { return {wasm_f32x4_convert_i32x4(a.lo), wasm_f32x4_convert_i32x4(a.hi)}; }
    static PanelF32 load_lanes(const float* p) { return load(p); }
    static PanelF32 splat_lanes(float x) { return splat(x); }

protected:
    static const Block& block_of(const Activation* x) { return *reinterpret_cast<const Block*>(x); }
    static v128_t interleave_low(v128_t a, v128_t b) {
        return wasm_i8x16_shuffle(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    }
    static v128_t interleave_high(v128_t a, v128_t b) {
        return wasm_i8x16_shuffle(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    static v128_t even(v128_t a, v128_t b) { return wasm_i16x8_shuffle(a, b, 0, 2, 4, 6, 8, 10, 12, 14); }
    static v128_t odd(v128_t a, v128_t b) { return wasm_i16x8_shuffle(a, b, 1, 3, 5, 7, 9, 11, 13, 15); }
    static void spread8(v128_t q, Spread* out) {
        out[0] = {wasm_i16x8_shuffle(q, q, 0, 2, 0, 2, 0, 2, 0, 2), wasm_i16x8_shuffle(q, q, 1, 3, 1, 3, 1, 3, 1, 3)};
        out[1] = {wasm_i16x8_shuffle(q, q, 4, 6, 4, 6, 4, 6, 4, 6), wasm_i16x8_shuffle(q, q, 5, 7, 5, 7, 5, 7, 5, 7)};
    }
    // Of 32-bit words.
    static void transpose4(v128_t (&a)[4]) {
        const v128_t low01 = wasm_i32x4_shuffle(a[0], a[1], 0, 4, 1, 5),
                     low23 = wasm_i32x4_shuffle(a[2], a[3], 0, 4, 1, 5);
        const v128_t high01 = wasm_i32x4_shuffle(a[0], a[1], 2, 6, 3, 7),
                     high23 = wasm_i32x4_shuffle(a[2], a[3], 2, 6, 3, 7);
        a[0] = wasm_i64x2_shuffle(low01, low23, 0, 2);
        a[1] = wasm_i64x2_shuffle(low01, low23, 1, 3);
        a[2] = wasm_i64x2_shuffle(high01, high23, 0, 2);
        a[3] = wasm_i64x2_shuffle(high01, high23, 1, 3);
    }
    // Half-precision numbers in the low 16 bits of each lane; the others may hold anything. Nothing is computed with a
    // subnormal float, which is slow, although scales may well be subnormal halves. Their bits, taken for those of a
    // normal number f, stand for 2f - 2^-14.
    static v128_t low_halves_to_float(v128_t h) {
        const v128_t magnitude = wasm_v128_and(wasm_i32x4_shl(h, 13), wasm_constants::kHalfMagnitude);
        const v128_t f = wasm_i32x4_add(magnitude, wasm_constants::kHalfExponent);
        const v128_t below = wasm_f32x4_sub(f, wasm_constants::kLeastNormalHalf);
        const v128_t value = wasm_f32x4_add(f, wasm_f32x4_pmin(below, wasm_f32x4_splat(0)));
        return wasm_v128_or(value, wasm_v128_and(wasm_i32x4_shl(h, 16), wasm_constants::kSignBits));
    }
    template <int kDistance>
    static v128_t butterfly4(v128_t a) {
        const v128_t partner =
            kDistance == 1 ? wasm_i32x4_shuffle(a, a, 1, 0, 3, 2) : wasm_i32x4_shuffle(a, a, 2, 3, 0, 1);
        const v128_t sum = wasm_f32x4_add(a, partner), difference = wasm_f32x4_sub(partner, a);
        return kDistance == 1 ? wasm_i32x4_shuffle(sum, difference, 0, 5, 2, 7)
                              : wasm_i32x4_shuffle(sum, difference, 0, 1, 6, 7);
    }
    static v128_t shorts8(F32 a) {
        // The integers stand in the low halves: the even ones of both vectors, as 16 bits.
        const v128_t round = wasm_f32x4_splat(ExpF32::kRound);
        return wasm_i16x8_shuffle(wasm_f32x4_add(a.lo, round), wasm_f32x4_add(a.hi, round), 0, 2, 4, 6, 8, 10, 12, 14);
    }
    // The sum of the lanes of each, as floats.
    static v128_t lane_sums(v128_t a, v128_t b, v128_t c, v128_t d) {
        const v128_t ab = pair_sums(a, b), cd = pair_sums(c, d);
        return wasm_f32x4_convert_i32x4(
            wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 2, 4, 6), wasm_i32x4_shuffle(ab, cd, 1, 3, 5, 7)));
    }
    // With t the sums of lanes i and i + 4: (a0+a2, a1+a3, b0+b2, b1+b3).
    static v128_t pair_sums(F32 a, F32 b) {
        const v128_t ta = wasm_f32x4_add(a.lo, a.hi), tb = wasm_f32x4_add(b.lo, b.hi);
        return wasm_f32x4_add(wasm_i32x4_shuffle(ta, tb, 0, 1, 4, 5), wasm_i32x4_shuffle(ta, tb, 2, 3, 6, 7));
    }
    // (a0+a2, a1+a3, b0+b2, b1+b3)
    static v128_t pair_sums(v128_t a, v128_t b) {
        return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5), wasm_i32x4_shuffle(a, b, 2, 3, 6, 7));
    }
};

}  // namespace strata
