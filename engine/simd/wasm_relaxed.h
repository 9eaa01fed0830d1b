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
        int32_t sum[3];       // sums of x, likewise
        int32_t unused[2];
    };
    static_assert(sizeof(Block) == 32 * sizeof(Activation));
    struct Weights32 {
        v128_t lo, hi;
    };
    struct PanelBlock {  // [columns / 4][row][4 columns]
        uint8_t bytes[kPanelRows * 32];
    };

    static void quantise32(const float* x, float scale, Activation* out) {
        v128_t wide[4];
        Wasm128::quantise32(x, scale, wide);
        Block& block = *reinterpret_cast<Block*>(out);
        for (int half = 0; half < 2; ++half) {
            const v128_t q = wasm_i8x16_narrow_i16x8(wide[2 * half], wide[2 * half + 1]);
            const v128_t magnitude = wasm_i8x16_abs(q), mask = wasm_i8x16_shr(q, 7);
            wasm_v128_store(block.x + 16 * half, q);
            wasm_v128_store(block.magnitude + 16 * half, magnitude);
            wasm_v128_store(block.mask + 16 * half, mask);
            block.negative[half] = sum_bytes(wasm_v128_and(magnitude, mask));
            block.sum[half] = sum_bytes(q);
        }
        block.negative[2] = block.negative[0] + block.negative[1];
        block.sum[2] = block.sum[0] + block.sum[1];
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
        return {relaxed_dot(wasm_v128_xor(w.lo, wasm_v128_load(b.mask)), wasm_v128_load(b.magnitude),
                            wasm_v128_load32_zero(&b.negative[0])),
                relaxed_dot(wasm_v128_xor(w.hi, wasm_v128_load(b.mask + 16)), wasm_v128_load(b.magnitude + 16),
                            wasm_v128_load32_zero(&b.negative[1]))};
    }
    using Wasm128::dot;
    // Of activations that are not negative, the magnitudes are the activations, and nothing has to be made up for.
    template <bool kPositive>
    static DotSum dot_start(const Activation* x) {
        return {kPositive ? wasm_i32x4_splat(0) : wasm_v128_load32_zero(&block_of(x).negative[2])};
    }
    template <bool kPositive>
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        const Block& b = block_of(x);
        if (!kPositive) {
            w.lo = wasm_v128_xor(w.lo, wasm_v128_load(b.mask));
            w.hi = wasm_v128_xor(w.hi, wasm_v128_load(b.mask + 16));
        }
        return {
            relaxed_dot(w.hi, wasm_v128_load(b.magnitude + 16), relaxed_dot(w.lo, wasm_v128_load(b.magnitude), acc.v))};
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
        return {wasm_f32x4_convert_i32x4(
            wasm_i32x4_add(wasm_i32x4_shuffle(ab, cd, 0, 2, 4, 6), wasm_i32x4_shuffle(ab, cd, 1, 3, 5, 7)))};
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
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        if constexpr (kCodes == Codes::int8)
            int8_panel<kTokens, kFirst, kColumns>(w, x, stride, dots);
        else
            unsigned_panel<kCodes, kOffset, kTokens, kFirst, kColumns>(w, x, stride, dots);
    }

private:
    template <int kTokens, int kFirst, int kColumns>
    static void int8_panel(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t)
            acc[t].lo = acc[t].hi = lanes_of<kFirst, kColumns>(block_of(x + t * stride).negative);
#pragma clang loop unroll(disable)
        for (int c = kFirst; c < kFirst + kColumns; c += 4) {
            const v128_t lo = wasm_v128_load(w.bytes + c * kPanelRows),
                         hi = wasm_v128_load(w.bytes + c * kPanelRows + 16);
            for (int t = 0; t < kTokens; ++t) {
                const Block& b = block_of(x + t * stride);
                const v128_t magnitude = wasm_v128_load32_splat(b.magnitude + c);
                const v128_t mask = wasm_v128_load32_splat(b.mask + c);
                acc[t].lo = relaxed_dot(wasm_v128_xor(lo, mask), magnitude, acc[t].lo);
                acc[t].hi = relaxed_dot(wasm_v128_xor(hi, mask), magnitude, acc[t].hi);
            }
        }
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }
    // Sums of 16 products of an int8 and a nibble fit 16 bits.
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void unsigned_panel(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t) acc[t] = {wasm_i32x4_splat(0), wasm_i32x4_splat(0)};
        const auto add_products = [](v128_t acc, v128_t four, v128_t codes) {
            return kCodes == Codes::nibbles ? wasm_i16x8_add(acc, relaxed_dot_pairs(four, codes))
                                            : relaxed_dot(four, codes, acc);
        };
#pragma clang loop unroll(disable)
        for (int c = kFirst; c < kFirst + kColumns; c += 4) {
            const v128_t lo = wasm_v128_load(w.bytes + c * kPanelRows),
                         hi = wasm_v128_load(w.bytes + c * kPanelRows + 16);
            for (int t = 0; t < kTokens; ++t) {
                const v128_t four = wasm_v128_load32_splat(block_of(x + t * stride).x + c);
                acc[t].lo = add_products(acc[t].lo, four, lo);
                acc[t].hi = add_products(acc[t].hi, four, hi);
            }
        }
        for (int t = 0; t < kTokens; ++t) {
            dots[t] = acc[t];
            if constexpr (kCodes == Codes::nibbles)
                dots[t] = {wasm_i32x4_extadd_pairwise_i16x8(acc[t].lo), wasm_i32x4_extadd_pairwise_i16x8(acc[t].hi)};
            if constexpr (kOffset != 0) {
                const v128_t offset = wasm_i32x4_shl(lanes_of<kFirst, kColumns>(block_of(x + t * stride).sum),
                                                     uint32_t(std::countr_zero(unsigned(kOffset))));
                dots[t] = {wasm_i32x4_sub(dots[t].lo, offset), wasm_i32x4_sub(dots[t].hi, offset)};
            }
        }
    }
    static v128_t nibble_dot(const uint8_t* packed, const Activation* x, v128_t mask) {
        const Block& b = block_of(x);
        const v128_t codes = wasm_v128_load(packed);
        const v128_t lo = wasm_v128_and(codes, mask), hi = wasm_v128_and(wasm_u16x8_shr(codes, 4), mask);
        return wasm_i16x8_add(relaxed_dot_pairs(wasm_v128_load(b.x), lo),
                              relaxed_dot_pairs(wasm_v128_load(b.x + 16), hi));
    }
    // Two sums of each.
    static v128_t nibble_sums(v128_t a, v128_t b) {
        return wasm_i32x4_extadd_pairwise_i16x8(
            wasm_i16x8_add(wasm_i32x4_shuffle(a, b, 0, 1, 4, 5), wasm_i32x4_shuffle(a, b, 2, 3, 6, 7)));
    }
    // Of the first half, the second half or both, in all lanes.
    template <int kFirst, int kColumns>
    static v128_t lanes_of(const int32_t (&sums)[3]) {
        return wasm_v128_load32_splat(&sums[kColumns == 32 ? 2 : kFirst / 16]);
    }
    static const Block& block_of(const Activation* x) { return *reinterpret_cast<const Block*>(x); }
    static int sum_bytes(v128_t a) {
        const v128_t s = wasm_i32x4_extadd_pairwise_i16x8(wasm_i16x8_extadd_pairwise_i8x16(a));
        return wasm_i32x4_extract_lane(s, 0) + wasm_i32x4_extract_lane(s, 1) + wasm_i32x4_extract_lane(s, 2) +
               wasm_i32x4_extract_lane(s, 3);
    }
};

}  // namespace strata
