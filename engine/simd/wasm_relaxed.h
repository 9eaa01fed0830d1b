// WebAssembly with relaxed SIMD: SIMD128 with one instruction for dot products of four bytes. It multiplies int8 by
// 0..127, and only within that is its result defined. So an activation's sign goes over to the weight:
// w * x = (w ^ m) * |x| + (x < 0 ? |x| : 0), where m is -1 where x < 0 and else 0. Codes that are
// 0..127 themselves are multiplied with the activation as it is.
#pragma once
#include <wasm_simd128.h>

#include <bit>
#include <cstdint>

#include "engine/simd/relaxed.h"
#include "engine/simd/wasm128.h"

namespace strata {

// Whether the dot product of four bytes is made of the one of pairs, as on x86 without AVX-VNNI, and takes five
// instructions. There it shows where its result is left open: two times 127 times 255 does not fit 16 bits, and becomes
// the largest number that does.
inline const bool kRelaxedDotIsOfPairs = [] {
    // "volatile" keeps compilers from knowing the answer.
    const volatile v128_t a = wasm_i8x16_const_splat(127), beyond = wasm_i8x16_const_splat(-1);
    return wasm_i32x4_extract_lane(relaxed_dot(a, beyond, wasm_i32x4_const_splat(0)), 0) == 2 * 0x7fff;
}();

struct WasmRelaxed : Wasm128 {
    static constexpr const char* kName = "wasm-relaxed";

    // 32 activations take 128 bytes; the sums start dot products.
    struct Activation {
        uint8_t quarter[4];
    };
    struct Block {
        int8_t x[32];
        int8_t magnitude[32];
        int8_t mask[32];
        int32_t negative[3];  // sums of the magnitudes where x < 0: among the first 16, the last 16, all
        // Less the sums of x, likewise; those of columns 0, 1, 4, 5, 8 … apart from those of columns 2, 3, 6, 7, …
        int16_t pairs[3][2];
        float scale;  // where panels have it at hand
        int32_t unused;
    };
    static_assert(sizeof(Block) == 32 * sizeof(Activation));
    struct Weights32 {
        v128_t lo, hi;
    };
    using CellWeights = Bytes;
    struct Spread {  // of four activations, in all lanes
        v128_t magnitude, mask;
    };
    static constexpr bool kPanelsAreCells = true;
    struct PanelBlock {  // [columns / 4][row][4 columns]
        uint8_t bytes[kPanelRows * 32];
    };

    static void quantise32(const float* x, float scale, Activation* out) {
        v128_t wide[4], fours[2];
        Wasm128::quantise32(x, scale, wide);
        Block& block = *reinterpret_cast<Block*>(out);
        for (int half = 0; half < 2; ++half) {
            const v128_t q = wasm_i8x16_narrow_i16x8(wide[2 * half], wide[2 * half + 1]);
            const v128_t magnitude = wasm_i8x16_abs(q), mask = wasm_i8x16_shr(q, 7);
            wasm_v128_store(block.x + 16 * half, q);
            wasm_v128_store(block.magnitude + 16 * half, magnitude);
            wasm_v128_store(block.mask + 16 * half, mask);
            block.negative[half] = sum_bytes(wasm_v128_and(magnitude, mask));
            const v128_t pairs = wasm_i16x8_neg(wasm_i16x8_extadd_pairwise_i8x16(q));
            const v128_t twos = wasm_i16x8_add(pairs, wasm_i32x4_shuffle(pairs, pairs, 2, 3, 0, 1));
            fours[half] = wasm_i16x8_add(twos, wasm_i32x4_shuffle(twos, twos, 1, 0, 3, 2));
            wasm_v128_store32_lane(block.pairs[half], fours[half], 0);
        }
        block.negative[2] = block.negative[0] + block.negative[1];
        wasm_v128_store32_lane(block.pairs[2], wasm_i16x8_add(fours[0], fours[1]), 0);
    }
    static void keep_scale(Activation* x, float scale) { reinterpret_cast<Block*>(x)->scale = scale; }
    static PanelF32 kept_scale(const Activation* x) {
        const v128_t scale = wasm_v128_load32_splat(&block_of(x).scale);
        return {scale, scale};
    }
    static void spread32(const Activation* x, Spread* out) {
        const Block& block = block_of(x);
        for (int i = 0; i < 32; i += 4, ++out)
            *out = {wasm_v128_load32_splat(block.magnitude + i), wasm_v128_load32_splat(block.mask + i)};
    }
    // Of numbers that are not negative, the magnitudes are the numbers, and nothing has to be made up for.
    static void spread_positive32(const float* x, float scale, Spread* out) {
        v128_t wide[4];
        Wasm128::quantise32<true>(x, scale, wide);
        for (int half = 0; half < 2; ++half, out += 4) {
            const v128_t q = wasm_i8x16_narrow_i16x8(wide[2 * half], wide[2 * half + 1]);
            out[0].magnitude = wasm_i32x4_shuffle(q, q, 0, 0, 0, 0);
            out[1].magnitude = wasm_i32x4_shuffle(q, q, 1, 1, 1, 1);
            out[2].magnitude = wasm_i32x4_shuffle(q, q, 2, 2, 2, 2);
            out[3].magnitude = wasm_i32x4_shuffle(q, q, 3, 3, 3, 3);
        }
    }
    static Weights32 load_weights(const void* p) {
        return {wasm_v128_load(p), wasm_v128_load(static_cast<const uint8_t*>(p) + 16)};
    }
    // Within 0..15 it is defined, and one instruction where the other one is two.
    static Bytes look_up(Bytes table, Bytes codes) { return {relaxed_swizzle(table.v, codes.v)}; }
    static Bytes32 look_up(Bytes table, Bytes32 codes) {
        return {relaxed_swizzle(table.v, codes.lo), relaxed_swizzle(table.v, codes.hi)};
    }
    static Ints dot(Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        w = turn(w, b);
        return {relaxed_dot(w.lo, wasm_v128_load(b.magnitude), wasm_v128_load32_zero(&b.negative[0])),
                relaxed_dot(w.hi, wasm_v128_load(b.magnitude + 16), wasm_v128_load32_zero(&b.negative[1]))};
    }
    using Wasm128::dot;
    static DotSum dot_start(const Activation* x) { return {wasm_v128_load32_zero(&block_of(x).negative[2])}; }
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        w = turn(w, b);
        return {
            relaxed_dot(w.hi, wasm_v128_load(b.magnitude + 16), relaxed_dot(w.lo, wasm_v128_load(b.magnitude), acc.v))};
    }
    static CellWeights cell_weights(Bytes table, Bytes codes) { return look_up(table, codes); }
    static CellWeights cell_weights(Bytes levels) { return levels; }
    static RowSums start_rows(const Activation* x) { return {wasm_v128_load32_splat(&block_of(x).negative[2])}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Spread* x, int column, const CellConstants&) {
        const Spread& four = x[column / 4];
        return {relaxed_dot(turn<kPositive>(w, four), four.magnitude, acc.v)};
    }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return weights(look_up(table, codes)); }
    static Weights32 weights(Bytes32 a) { return {a.lo, a.hi}; }
    static Weights32 unsigned_weights(Bytes32 a) { return weights(a); }
    static Ints dot_unsigned(Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        const v128_t zero = wasm_i32x4_splat(0);
        return {relaxed_dot(wasm_v128_load(b.x), w.lo, zero), relaxed_dot(wasm_v128_load(b.x + 16), w.hi, zero)};
    }
    // Sums of eight products of an int8 and a nibble fit 16 bits.
    static Float4 nibble_dots(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                              const Activation* x) {
        const v128_t mask = wasm_constants::kLowNibbles;
        const v128_t ab = nibble_sums(nibble_dot(a, x, mask), nibble_dot(b, x + 32, mask));
        const v128_t cd = nibble_sums(nibble_dot(c, x + 64, mask), nibble_dot(d, x + 96, mask));
        return {total_of(ab, cd)};
    }

    // Of two rows, whose blocks lie `stride` bytes apart: activations are loaded once.
    [[gnu::always_inline]] static void nibble_dots(const uint8_t* a, const uint8_t* b, size_t stride,
                                                   const Activation* x, Float4 (&dots)[2]) {
        const v128_t mask = wasm_constants::kLowNibbles;
        v128_t halves[2][2];
        for (int half = 0; half < 2; ++half) {
            const uint8_t* const rows[2] = {a + 2 * half * stride, b + 2 * half * stride};
            v128_t first[2], second[2];
            for (int r = 0; r < 2; ++r) first[r] = ::in_order(nibble_dot(rows[r], x + 64 * half, mask));
            for (int r = 0; r < 2; ++r) second[r] = ::in_order(nibble_dot(rows[r] + stride, x + 64 * half + 32, mask));
            for (int r = 0; r < 2; ++r) halves[r][half] = ::in_order(nibble_sums(first[r], second[r]));
        }
        for (int r = 0; r < 2; ++r) dots[r] = {total_of(halves[r][0], halves[r][1])};
    }
    // Exact dots of four blocks of codes, 0..63, less kOffset, with x and what follows it, as floats; each group of 16
    // times its factor. Factors of a block lie next to each other. Sums of four products of an int8 and a code fit 16
    // bits, and are multiplied by the factor where they would have been widened.
    template <int kOffset>
    static Float4 grouped_dots(const Weights32 (&codes)[4], uint64_t factors, const Activation* x) {
        const v128_t wide = wasm_i16x8_extend_low_i8x16(wasm_i64x2_splat(int64_t(factors)));
        const v128_t ab =
            grouped_pair<kOffset>(codes[0], codes[1], wasm_i16x8_shuffle(wide, wide, 0, 0, 1, 1, 2, 2, 3, 3), x);
        const v128_t cd =
            grouped_pair<kOffset>(codes[2], codes[3], wasm_i16x8_shuffle(wide, wide, 4, 4, 5, 5, 6, 6, 7, 7), x + 64);
        return {total_of(ab, cd)};
    }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        wasm_v128_store(out, a.lo);
        wasm_v128_store(out + 16, a.hi);
    }
    static void pack(const uint8_t* rows, PanelBlock* out) {
        for (int r = 0; r < kPanelRows; r += 4)
            for (int c = 0; c < 32; c += 16) {
                v128_t a[4];
                for (int i = 0; i < 4; ++i) a[i] = wasm_v128_load(rows + (r + i) * 32 + c);
                transpose4(a);
                for (int i = 0; i < 4; ++i) wasm_v128_store(out->bytes + (c + 4 * i) * kPanelRows + r * 4, a[i]);
            }
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    [[gnu::always_inline]] static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride,
                                                  PanelInts* dots) {
        // Types with nibbles in groups of 16 are rare: what is compiled once keeps the module small.
        if constexpr (kCodes == Codes::nibbles && kColumns == 16)
            panel_of_narrow_pairs<kCodes, kOffset, kTokens, kFirst, kColumns>(w, x, stride, dots);
        else
            panel_of_fours<kCodes, kOffset, kTokens, kFirst, kColumns>(w, x, stride, dots);
    }
    static DotSum in_order(DotSum a) { return {::in_order(a.v)}; }
    static Float4 in_order(Float4 a) { return {::in_order(a.v)}; }
    static F32 in_order(F32 a) { return {::in_order(a.lo), ::in_order(a.hi)}; }
    // fn(WasmRelaxed or WasmRelaxedOfPairs, whichever is faster here; where kRare the latter, which is no slower on
    // most machines)
    template <bool kRare, class Fn>
    static void with_products(Fn&& fn);

protected:
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    [[gnu::always_inline]] static void panel_of_fours(const PanelBlock& w, const Activation* x, int64_t stride,
                                                      PanelInts* dots) {
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t) {
            const Block& b = block_of(x + t * stride);
            v128_t start = wasm_i32x4_splat(0);
            if constexpr (kCodes == Codes::int8) start = lanes_of<kFirst, kColumns>(b.negative);
            if constexpr (kOffset != 0)
                start = wasm_i32x4_shl(wasm_i32x4_extadd_pairwise_i16x8(lanes_of<kFirst, kColumns>(b.pairs)),
                                       log2(kOffset));
            acc[t] = {start, start};
        }
        for_columns<kTokens, kFirst, kColumns, 1>(w, x, stride, [&](int t, v128_t lo, v128_t hi, const Block& at) {
            if constexpr (kCodes == Codes::int8) {
                const v128_t magnitude = wasm_v128_load32_splat(at.magnitude), mask = wasm_v128_load32_splat(at.mask);
                acc[t].lo = relaxed_dot(wasm_v128_xor(lo, mask), magnitude, acc[t].lo);
                acc[t].hi = relaxed_dot(wasm_v128_xor(hi, mask), magnitude, acc[t].hi);
            } else {
                const v128_t four = wasm_v128_load32_splat(at.x);
                acc[t].lo = relaxed_dot(four, lo, acc[t].lo);
                acc[t].hi = relaxed_dot(four, hi, acc[t].hi);
            }
        });
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }

    template <int kTokens, int kFirst, int kColumns>
    [[gnu::always_inline]] static void panel_of_pairs(const PanelBlock& w, const Activation* x, int64_t stride,
                                                      PanelInts* dots) {
        const v128_t ones = wasm_constants::kOnes;
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t)
            acc[t].lo = acc[t].hi = lanes_of<kFirst, kColumns>(block_of(x + t * stride).negative);
        for_columns<kTokens, kFirst, kColumns, kColumns == 32 ? 8 : 1>(
            w, x, stride, [&](int t, v128_t lo, v128_t hi, const Block& at) {
                const v128_t magnitude = wasm_v128_load32_splat(at.magnitude), mask = wasm_v128_load32_splat(at.mask);
                const auto add = [&](v128_t sums, v128_t codes) {
                    const v128_t pairs = relaxed_dot_pairs(wasm_v128_xor(codes, mask), magnitude);
                    return ::in_order(wasm_i32x4_add(sums, widened(pairs, ones)));
                };
                acc[t].lo = add(acc[t].lo, lo);
                acc[t].hi = add(acc[t].hi, hi);
            });
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }

    // Pairs are added up in 16 bits. Their sums fit once something near the middle of the codes is subtracted from
    // each, which is done beforehand and for all columns at once; that they do not fit on the way there does not
    // matter, because integers wrap.
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    [[gnu::always_inline]] static void panel_of_narrow_pairs(const PanelBlock& w, const Activation* x, int64_t stride,
                                                             PanelInts* dots) {
        constexpr int kHighest = kCodes == Codes::nibbles ? 15 : kCodes == Codes::upto_31 ? 31 : 63;
        constexpr auto fits = [](int magnitude) { return magnitude * 127 * (kColumns / 2) < 1 << 15; };
        constexpr int kSteps = kCodes == Codes::nibbles && kColumns == 32 ? 8 : 2;  // what is rarer is kept small
        constexpr int kMiddle = kOffset != 0 || fits(kHighest) ? kOffset : (kHighest + 1) / 2;
        static_assert(fits(kMiddle) && fits(kHighest - kMiddle));
        PanelInts acc[kTokens];
        const auto sums = [&](int t) { return lanes_of<kFirst, kColumns>(block_of(x + t * stride).pairs); };
        for (int t = 0; t < kTokens; ++t)
            acc[t].lo = acc[t].hi = kMiddle == 0 ? wasm_i32x4_splat(0) : wasm_i16x8_shl(sums(t), log2(kMiddle));
        for_columns<kTokens, kFirst, kColumns, kSteps>(w, x, stride, [&](int t, v128_t lo, v128_t hi, const Block& at) {
            const v128_t four = wasm_v128_load32_splat(at.x);
            acc[t].lo = ::in_order(wasm_i16x8_add(acc[t].lo, relaxed_dot_pairs(four, lo)));
            acc[t].hi = ::in_order(wasm_i16x8_add(acc[t].hi, relaxed_dot_pairs(four, hi)));
        });
        const v128_t ones = wasm_constants::kOnes;
        for (int t = 0; t < kTokens; ++t) {
            dots[t] = {widened(acc[t].lo, ones), widened(acc[t].hi, ones)};
            if constexpr (kMiddle != kOffset) {
                const v128_t left = wasm_i32x4_shl(widened(sums(t), ones), log2(kMiddle));
                dots[t] = {wasm_i32x4_sub(dots[t].lo, left), wasm_i32x4_sub(dots[t].hi, left)};
            }
        }
    }
    // Weights whose products with the magnitudes are those with the activations, but for the block's `negative`.
    static Weights32 turn(Weights32 w, const Block& b) {
        return {wasm_v128_xor(w.lo, wasm_v128_load(b.mask)), wasm_v128_xor(w.hi, wasm_v128_load(b.mask + 16))};
    }
    template <bool kPositive>
    static v128_t turn(CellWeights w, const Spread& four) {
        return kPositive ? w.v : wasm_v128_xor(w.v, four.mask);
    }
    // Sums of two. The same as extadd_pairwise, for which V8 loads the address of its ones at every use.
    static v128_t widened(v128_t shorts, v128_t ones) { return wasm_i32x4_dot_i16x8(shorts, ones); }

    // step(token, lo, hi, from): rows 0-3 and 4-7 of four columns, and the token's block moved to where they begin.
    // kSteps at a time. Pointers move along, because V8 makes better addresses of them than of a counter.
    template <int kTokens, int kFirst, int kColumns, int kSteps, class Step>
    [[gnu::always_inline]] static void for_columns(const PanelBlock& w, const Activation* x, int64_t stride,
                                                   Step&& step) {
        const uint8_t* panel = w.bytes + kFirst * kPanelRows;
        const uint8_t* at[kTokens];
        for (int t = 0; t < kTokens; ++t) at[t] = reinterpret_cast<const uint8_t*>(x + t * stride) + kFirst;
        const auto steps = [&]() __attribute__((always_inline)) {
#pragma clang loop unroll(full)
            for (int c = 0; c < 4 * kSteps; c += 4) {
                const v128_t lo = wasm_v128_load(panel + c * kPanelRows),
                             hi = wasm_v128_load(panel + c * kPanelRows + 16);
                for (int t = 0; t < kTokens; ++t) step(t, lo, hi, *reinterpret_cast<const Block*>(at[t] + c));
            }
        };
        if constexpr (4 * kSteps == kColumns) return steps();
        const uint8_t* const end = panel + kColumns * kPanelRows;
#pragma clang loop unroll(disable)
        do {
            steps();
            for (int t = 0; t < kTokens; ++t) at[t] += 4 * kSteps;
            panel += 4 * kSteps * kPanelRows;
        } while (panel < end);
    }
    static constexpr uint32_t log2(int x) { return uint32_t(std::countr_zero(unsigned(x))); }
    static v128_t nibble_dot(const uint8_t* packed, const Activation* x, v128_t mask) {
        const Block& b = block_of(x);
        const v128_t codes = wasm_v128_load(packed);
        const v128_t lo = wasm_v128_and(codes, mask), hi = wasm_v128_and(wasm_u16x8_shr(codes, 4), mask);
        return wasm_i16x8_add(relaxed_dot_pairs(wasm_v128_load(b.x), lo),
                              relaxed_dot_pairs(wasm_v128_load(b.x + 16), hi));
    }
    // Of two sums of each of four, as floats.
    static v128_t total_of(v128_t ab, v128_t cd) {
        return wasm_f32x4_convert_i32x4(
            wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 2, 4, 6), wasm_i32x4_shuffle(ab, cd, 1, 3, 5, 7)));
    }
    // Two blocks: a lane for each group.
    template <int kOffset>
    static v128_t grouped_pair(Weights32 a, Weights32 b, v128_t factors, const Activation* x) {
        const v128_t fours_a = sums_of_fours(a, x), fours_b = sums_of_fours(b, x + 32);
        const v128_t sums =
            wasm_i32x4_add(wasm_i32x4_dot_i16x8(wasm_i32x4_shuffle(fours_a, fours_b, 0, 2, 4, 6), factors),
                           wasm_i32x4_dot_i16x8(wasm_i32x4_shuffle(fours_a, fours_b, 1, 3, 5, 7), factors));
        const v128_t pairs = wasm_v128_load64_lane(block_of(x + 32).pairs, wasm_v128_load64_zero(block_of(x).pairs), 1);
        return wasm_i32x4_add(sums, wasm_i32x4_shl(wasm_i32x4_dot_i16x8(pairs, factors), log2(kOffset)));
    }
    // Of codes times activations: lanes 0-3 are of the first 16.
    static v128_t sums_of_fours(Weights32 codes, const Activation* x) {
        const Block& b = block_of(x);
        const v128_t lo = relaxed_dot_pairs(wasm_v128_load(b.x), codes.lo),
                     hi = relaxed_dot_pairs(wasm_v128_load(b.x + 16), codes.hi);
        return wasm_i16x8_add(wasm_i64x2_shuffle(lo, hi, 0, 2), wasm_i64x2_shuffle(lo, hi, 1, 3));
    }
    // Two sums of each.
    static v128_t nibble_sums(v128_t a, v128_t b) {
        const v128_t ones = wasm_constants::kOnes;
        return widened(wasm_i16x8_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5), wasm_i32x4_shuffle(a, b, 2, 3, 6, 7)),
                       ones);
    }
    // Of the first half, the second half or both, in all lanes.
    template <int kFirst, int kColumns>
    static v128_t lanes_of(const int32_t (&sums)[3]) {
        return wasm_v128_load32_splat(&sums[kColumns == 32 ? 2 : kFirst / 16]);
    }
    template <int kFirst, int kColumns>
    static v128_t lanes_of(const int16_t (&pairs)[3][2]) {
        return wasm_v128_load32_splat(pairs[kColumns == 32 ? 2 : kFirst / 16]);
    }
    static const Block& block_of(const Activation* x) { return *reinterpret_cast<const Block*>(x); }
    static int sum_bytes(v128_t a) {
        const v128_t s = wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(a));
        return wasm_i32x4_extract_lane(s, 0) + wasm_i32x4_extract_lane(s, 1) + wasm_i32x4_extract_lane(s, 2) +
               wasm_i32x4_extract_lane(s, 3);
    }
};

// The same results, where relaxed_dot is of pairs: each pair is widened and added, three instructions in place of five.
struct WasmRelaxedOfPairs : WasmRelaxed {
    static Ints dot(Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        const v128_t ones = wasm_constants::kOnes;
        w = turn(w, b);
        return {wasm_i32x4_add(wasm_v128_load32_zero(&b.negative[0]),
                               widened(relaxed_dot_pairs(w.lo, wasm_v128_load(b.magnitude)), ones)),
                wasm_i32x4_add(wasm_v128_load32_zero(&b.negative[1]),
                               widened(relaxed_dot_pairs(w.hi, wasm_v128_load(b.magnitude + 16)), ones))};
    }
    static Ints dot_unsigned(Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        const v128_t ones = wasm_constants::kOnes;
        return {widened(relaxed_dot_pairs(wasm_v128_load(b.x), w.lo), ones),
                widened(relaxed_dot_pairs(wasm_v128_load(b.x + 16), w.hi), ones)};
    }
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        const v128_t ones = wasm_constants::kOnes;
        w = turn(w, b);
        const v128_t low = widened(relaxed_dot_pairs(w.lo, wasm_v128_load(b.magnitude)), ones);
        const v128_t high = widened(relaxed_dot_pairs(w.hi, wasm_v128_load(b.magnitude + 16)), ones);
        return {wasm_i32x4_add(wasm_i32x4_add(acc.v, low), high)};
    }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Spread* x, int column, const CellConstants& constants) {
        const Spread& four = x[column / 4];
        const v128_t pairs = relaxed_dot_pairs(turn<kPositive>(w, four), four.magnitude);
        return {wasm_i32x4_add(acc.v, widened(pairs, constants.ones))};
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    [[gnu::always_inline]] static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride,
                                                  PanelInts* dots) {
        if constexpr (kCodes == Codes::int8)
            panel_of_pairs<kTokens, kFirst, kColumns>(w, x, stride, dots);
        else
            panel_of_narrow_pairs<kCodes, kOffset, kTokens, kFirst, kColumns>(w, x, stride, dots);
    }
};

template <bool kRare, class Fn>
void WasmRelaxed::with_products(Fn&& fn) {
    if (kRare || kRelaxedDotIsOfPairs) {
        fn(WasmRelaxedOfPairs());
        return;
    }
    if constexpr (!kRare) fn(WasmRelaxed());
}

}  // namespace strata
