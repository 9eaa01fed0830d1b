// NEON (aarch64), the native Apple and ARM backend. Two registers make the eight lanes.
#pragma once
#include <arm_neon.h>

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/base/prefetch.h"
#include "engine/simd/codes.h"

namespace strata {

struct Neon {
    static constexpr const char* kName = "neon";
    static constexpr int kTileTokens = 4;
    static constexpr int kScoreRows = 4, kScoreTokens = 2;  // that share loads: exact keys
    static constexpr int kSumQueries = 2, kSumVectors = 8;  // that stay in registers: exact values

    struct F32 {
        static constexpr int kLanes = 8;
        float32x4_t lo, hi;
    };
    struct Float4 {
        float32x4_t v;
    };
    using Activation = int8_t;
    struct Weights32 {
        int8x16_t lo, hi;
    };
    struct Ints {
        int32x4_t first, second;  // of values 0-15 and 16-31
    };
    struct DotSum {
        int32x4_t v;
    };
    struct Bytes {
        uint8x16_t v;
    };
    struct Bytes32 {
        uint8x16_t lo, hi;
    };
    struct Shorts {
        int16x8_t lo, hi;
    };
    static constexpr int kPanelRows = 8, kPanelTokens = 4;
    static constexpr bool kPanelsTakeOffset = true;
    static constexpr bool kPanelLoopApart = false;
    static constexpr bool kPanelsAreCells = true;
    struct PanelBlock {  // [columns / 4][row][4 columns]
        uint8_t bytes[kPanelRows * 32];
    };
    struct PanelInts {
        int32x4_t lo, hi;
    };
    using PanelF32 = F32;
    static constexpr int kCellRows = 8;
    using CellWeights = Weights32;
    struct CellConstants {};
    using RowSums = PanelInts;

    static F32 splat(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
    static F32 load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
    static F32 load_half(const uint16_t* p) {
        const uint16x8_t h = load_u16(p);
        return {vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(h))),
                vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(h)))};
    }
    static F32 load_bfloat(const uint16_t* p) {
        const uint16x8_t b = load_u16(p);
        return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(b), 16)),
                vreinterpretq_f32_u32(vshll_high_n_u16(b, 16))};
    }
    static void store(float* p, F32 a) {
        vst1q_f32(p, a.lo);
        vst1q_f32(p + 4, a.hi);
    }
    static F32 add(F32 a, F32 b) { return {vaddq_f32(a.lo, b.lo), vaddq_f32(a.hi, b.hi)}; }
    static F32 sub(F32 a, F32 b) { return {vsubq_f32(a.lo, b.lo), vsubq_f32(a.hi, b.hi)}; }
    static F32 mul(F32 a, F32 b) { return {vmulq_f32(a.lo, b.lo), vmulq_f32(a.hi, b.hi)}; }
    static F32 div(F32 a, F32 b) { return {vdivq_f32(a.lo, b.lo), vdivq_f32(a.hi, b.hi)}; }
    static F32 mul_add(F32 a, F32 b, F32 c) { return add(c, mul(a, b)); }
    static F32 min(F32 a, F32 b) { return {vminq_f32(a.lo, b.lo), vminq_f32(a.hi, b.hi)}; }
    static F32 max(F32 a, F32 b) { return {vmaxq_f32(a.lo, b.lo), vmaxq_f32(a.hi, b.hi)}; }
    static F32 times_power_of_two(F32 a, F32 b) { return {add_shifted(a.lo, b.lo), add_shifted(a.hi, b.hi)}; }
    static float sum(F32 a) {
        const float32x4_t t = vaddq_f32(a.lo, a.hi);
        return (vgetq_lane_f32(t, 0) + vgetq_lane_f32(t, 2)) + (vgetq_lane_f32(t, 1) + vgetq_lane_f32(t, 3));
    }
    // The sum of each, in the order of sum.
    static Float4 sums(F32 a, F32 b, F32 c, F32 d) { return {vpaddq_f32(pair_sums(a, b), pair_sums(c, d))}; }
    static float largest(F32 a) { return vmaxvq_f32(vmaxq_f32(a.lo, a.hi)); }

    static F32 abs(F32 a) { return {vabsq_f32(a.lo), vabsq_f32(a.hi)}; }
    static F32 count_greater(F32 counts, F32 a, F32 b) {
        return {count_greater4(counts.lo, a.lo, b.lo), count_greater4(counts.hi, a.hi, b.hi)};
    }
    template <int kDistance>
    static F32 butterfly(F32 a) {
        if constexpr (kDistance == 4)
            return {vaddq_f32(a.lo, a.hi), vsubq_f32(a.lo, a.hi)};
        else
            return {butterfly4<kDistance>(a.lo), butterfly4<kDistance>(a.hi)};
    }

    static void quantise32(const float* x, float scale, Activation* out) {
        for (int i = 0; i < 32; i += 8) {
            const float32x4_t round = vdupq_n_f32(ExpF32::kRound);
            const float32x4_t a = vaddq_f32(vmulq_n_f32(vld1q_f32(x + i), scale), round);
            const float32x4_t b = vaddq_f32(vmulq_n_f32(vld1q_f32(x + i + 4), scale), round);
            const uint16x8_t wide =
                vcombine_u16(vmovn_u32(vreinterpretq_u32_f32(a)), vmovn_u32(vreinterpretq_u32_f32(b)));
            vst1_s8(out + i, vreinterpret_s8_u8(vmovn_u16(wide)));
        }
    }
    static Weights32 load_weights(const void* p) {
        const int8_t* q = static_cast<const int8_t*>(p);
        return {vld1q_s8(q), vld1q_s8(q + 16)};
    }
    static Ints dot(Weights32 w, const Activation* x) {
        return {dot16(w.lo, vld1q_s8(x)), dot16(w.hi, vld1q_s8(x + 16))};
    }
    static DotSum dot_start(const Activation*) { return {vdupq_n_s32(0)}; }
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        const Ints products = dot(w, x);
        return {vaddq_s32(acc.v, vaddq_s32(products.first, products.second))};
    }
    static DotSum add(DotSum a, DotSum b) { return {vaddq_s32(a.v, b.v)}; }
    static Float4 sums(DotSum a, DotSum b, DotSum c, DotSum d) {
        return {vcvtq_f32_s32(vpaddq_s32(vpaddq_s32(a.v, b.v), vpaddq_s32(c.v, d.v)))};
    }
    static Ints add(Ints a, Ints b) { return {vaddq_s32(a.first, b.first), vaddq_s32(a.second, b.second)}; }
    static Float4 sums(Ints a, Ints b, Ints c, Ints d) {
        const int32x4_t ab = vpaddq_s32(vaddq_s32(a.first, a.second), vaddq_s32(b.first, b.second));
        const int32x4_t cd = vpaddq_s32(vaddq_s32(c.first, c.second), vaddq_s32(d.first, d.second));
        return {vcvtq_f32_s32(vpaddq_s32(ab, cd))};
    }
    static Float4 splat4(float x) { return {vdupq_n_f32(x)}; }
    static Float4 load4(const float* p) { return {vld1q_f32(p)}; }
    static Float4 gather4(const float* a, const float* b, const float* c, const float* d) {
        const float all[4] = {*a, *b, *c, *d};
        return {vld1q_f32(all)};
    }
    static Float4 gather_half4(const void* a, const void* b, const void* c, const void* d) {
        const uint16_t all[4] = {half_bits(a), half_bits(b), half_bits(c), half_bits(d)};
        return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(all)))};
    }
    static Float4 mul(Float4 a, Float4 b) { return {vmulq_f32(a.v, b.v)}; }
    static Float4 add(Float4 a, Float4 b) { return {vaddq_f32(a.v, b.v)}; }
    static void store4(float* p, Float4 a) { vst1q_f32(p, a.v); }

    static void look_up_nibbles(const uint8_t* packed, const int8_t* table, int8_t* out) {
        const uint8x16_t codes = vld1q_u8(packed);
        const int8x16_t entries = vld1q_s8(table);
        vst1q_s8(out, vqtbl1q_s8(entries, vandq_u8(codes, vdupq_n_u8(15))));
        vst1q_s8(out + 16, vqtbl1q_s8(entries, vshrq_n_u8(codes, 4)));
    }
    static void scale_to_float(const int8_t* q, float scale, float* out) {
        for (int i = 0; i < 32; i += 8) {
            const int16x8_t wide = vmovl_s8(vld1_s8(q + i));
            vst1q_f32(out + i, vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), scale));
            vst1q_f32(out + i + 4, vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(wide)), scale));
        }
    }

    static constexpr bool kFetchesByStoring = false;
    static void fetch_ahead(const void* p) { prefetch(p); }
    static Bytes load_bytes(const void* p) { return {vld1q_u8(static_cast<const uint8_t*>(p))}; }
    template <int kShift>
    static Bytes field(Bytes a, int mask) {
        return {vandq_u8(vshlq_u8(a.v, vdupq_n_s8(-kShift)), vdupq_n_u8(uint8_t(mask)))};
    }
    static Bytes add(Bytes a, Bytes b) { return {vaddq_u8(a.v, b.v)}; }
    static Bytes look_up(Bytes table, Bytes codes) { return {vqtbl1q_u8(table.v, codes.v)}; }
    static void store_bytes(void* out, Bytes a) { vst1q_u8(static_cast<uint8_t*>(out), a.v); }
    static void store_words(void* out, Bytes a, Bytes b, Bytes c, Bytes d) {
        vst4q_u8(static_cast<uint8_t*>(out), {{a.v, b.v, c.v, d.v}});
    }

    static Bytes32 load_bytes32(const void* p) {
        const uint8_t* bytes = static_cast<const uint8_t*>(p);
        return {vld1q_u8(bytes), vld1q_u8(bytes + 16)};
    }
    static Bytes32 load_codes(const void* p) {
        const uint8x16_t packed = vld1q_u8(static_cast<const uint8_t*>(p));
        return {vandq_u8(packed, vdupq_n_u8(15)), vshrq_n_u8(packed, 4)};
    }
    static Bytes32 load_bits(const void* p) {
        // Byte i gets the byte that holds bit i, of which it keeps that bit.
        const uint8_t* bytes = static_cast<const uint8_t*>(p);
        const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
        return {vtstq_u8(vcombine_u8(vdup_n_u8(bytes[0]), vdup_n_u8(bytes[1])), bit),
                vtstq_u8(vcombine_u8(vdup_n_u8(bytes[2]), vdup_n_u8(bytes[3])), bit)};
    }
    template <int kShift>
    static Bytes32 field(Bytes32 a, int mask) {
        return {field<kShift>(Bytes{a.lo}, mask).v, field<kShift>(Bytes{a.hi}, mask).v};
    }
    static Bytes32 add(Bytes32 a, Bytes32 b) { return {vaddq_u8(a.lo, b.lo), vaddq_u8(a.hi, b.hi)}; }
    static Bytes32 look_up(Bytes table, Bytes32 codes) {
        return {vqtbl1q_u8(table.v, codes.lo), vqtbl1q_u8(table.v, codes.hi)};
    }
    static Bytes weight_table(Bytes table) { return table; }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return weights(look_up(table, codes)); }
    static Weights32 weights(Bytes32 a) { return {vreinterpretq_s8_u8(a.lo), vreinterpretq_s8_u8(a.hi)}; }
    static Weights32 unsigned_weights(Bytes32 a) { return weights(a); }
    static Ints dot_unsigned(Weights32 w, const Activation* x) { return dot(w, x); }
    static CellWeights cell_weights(Bytes table, Bytes32 codes) { return look_up_weights(table, codes); }
    template <int kShift>
    static Bytes32 nibbles(Bytes32 codes, CellConstants) {
        return field<kShift>(codes, 15);
    }
    static CellWeights cell_weights(Bytes32 levels) { return weights(levels); }
    static RowSums start_rows(const Activation*) { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants) {
        const int8x16_t four = four_of(x + column);
        return {vaddq_s32(acc.lo, fours(w.lo, four)), vaddq_s32(acc.hi, fours(w.hi, four))};
    }
    static F32 row_floats(RowSums a) { return to_float(a); }
    static F32 half_sums(Ints a, Ints b, Ints c, Ints d) {
        const int32x4_t first = vpaddq_s32(vpaddq_s32(a.first, b.first), vpaddq_s32(c.first, d.first));
        const int32x4_t second = vpaddq_s32(vpaddq_s32(a.second, b.second), vpaddq_s32(c.second, d.second));
        return {vcvtq_f32_s32(first), vcvtq_f32_s32(second)};
    }
    static Float4 add_halves(F32 a) { return {vaddq_f32(a.lo, a.hi)}; }
    static Float4 bytes_to_float4(uint32_t bytes) {
        const uint16x8_t wide = vmovl_u8(vcreate_u8(bytes));
        return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)))};
    }
    static F32 bytes_to_float8(uint64_t bytes) {
        const uint32x4_t pairs = vreinterpretq_u32_u16(vmovl_u8(vcreate_u8(bytes)));
        return {vcvtq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xffff))), vcvtq_f32_u32(vshrq_n_u32(pairs, 16))};
    }
    static Float4 splat_half4(uint16_t half) { return {vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)))}; }

    static Shorts shorts(int x) { return {vdupq_n_s16(int16_t(x)), vdupq_n_s16(int16_t(x))}; }
    static Shorts shorts(F32 a, F32 b) { return {shorts8(a), shorts8(b)}; }
    static Shorts where_greater(Shorts a, Shorts b, Shorts c) {
        return {vandq_s16(vreinterpretq_s16_u16(vcgtq_s16(a.lo, b.lo)), c.lo),
                vandq_s16(vreinterpretq_s16_u16(vcgtq_s16(a.hi, b.hi)), c.hi)};
    }
    static Shorts add(Shorts a, Shorts b) { return {vaddq_s16(a.lo, b.lo), vaddq_s16(a.hi, b.hi)}; }
    static Shorts sub(Shorts a, Shorts b) { return {vsubq_s16(a.lo, b.lo), vsubq_s16(a.hi, b.hi)}; }
    static Ints dot(Shorts a, Shorts b) { return {dot8(a.lo, b.lo), dot8(a.hi, b.hi)}; }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        vst1q_u8(out, vsubq_u8(a.lo, vdupq_n_u8(kOffset)));
        vst1q_u8(out + 16, vsubq_u8(a.hi, vdupq_n_u8(kOffset)));
    }
    static void pack(const uint8_t* rows, PanelBlock* out) {
        for (int r = 0; r < kPanelRows; r += 4)
            for (int c = 0; c < 32; c += 16) {
                uint32x4_t a[4];
                for (int i = 0; i < 4; ++i) a[i] = vreinterpretq_u32_u8(vld1q_u8(rows + (r + i) * 32 + c));
                const uint64x2_t low01 = vreinterpretq_u64_u32(vzip1q_u32(a[0], a[1])),
                                 low23 = vreinterpretq_u64_u32(vzip1q_u32(a[2], a[3])),
                                 high01 = vreinterpretq_u64_u32(vzip2q_u32(a[0], a[1])),
                                 high23 = vreinterpretq_u64_u32(vzip2q_u32(a[2], a[3]));
                const uint64x2_t words[4] = {vzip1q_u64(low01, low23), vzip2q_u64(low01, low23),
                                             vzip1q_u64(high01, high23), vzip2q_u64(high01, high23)};
                for (int i = 0; i < 4; ++i)
                    vst1q_u8(out->bytes + (c + 4 * i) * kPanelRows + r * 4, vreinterpretq_u8_u64(words[i]));
            }
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t) acc[t] = {vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int c = kFirst; c < kFirst + kColumns; c += 4) {
            const int8_t* word = reinterpret_cast<const int8_t*>(w.bytes) + c * kPanelRows;
            const int8x16_t lo = vld1q_s8(word), hi = vld1q_s8(word + 16);
            for (int t = 0; t < kTokens; ++t) {
                const int8x16_t four = four_of(x + t * stride + c);
                acc[t].lo = vaddq_s32(acc[t].lo, fours(lo, four));
                acc[t].hi = vaddq_s32(acc[t].hi, fours(hi, four));
            }
        }
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }
    static PanelInts add(PanelInts a, PanelInts b) { return {vaddq_s32(a.lo, b.lo), vaddq_s32(a.hi, b.hi)}; }
    static PanelF32 to_float(PanelInts a) { return {vcvtq_f32_s32(a.lo), vcvtq_f32_s32(a.hi)}; }
    static PanelF32 load_lanes(const float* p) { return load(p); }
    static PanelF32 splat_lanes(float x) { return splat(x); }

protected:
    // With t the sums of lanes i and i + 4: (a0+a2, a1+a3, b0+b2, b1+b3).
    static float32x4_t pair_sums(F32 a, F32 b) {
        const float32x4_t ta = vaddq_f32(a.lo, a.hi), tb = vaddq_f32(b.lo, b.hi);
        return vaddq_f32(vcombine_f32(vget_low_f32(ta), vget_low_f32(tb)),
                         vcombine_f32(vget_high_f32(ta), vget_high_f32(tb)));
    }
    // Sums of four products each.
    static int32x4_t fours(int8x16_t a, int8x16_t b) {
        const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
        return vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
    }
    // Four bytes, over and over.
    static int8x16_t four_of(const Activation* x) {
        return vreinterpretq_s8_s32(vdupq_n_s32(load_unaligned<int32_t>(x)));
    }
    static uint16_t half_bits(const void* p) { return load_unaligned<uint16_t>(p); }
    static uint16x8_t load_u16(const uint16_t* p) {
        return vreinterpretq_u16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(p)));
    }
    static float32x4_t add_shifted(float32x4_t a, float32x4_t b) {
        return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a), vshlq_n_u32(vreinterpretq_u32_f32(b), 23)));
    }
    static float32x4_t count_greater4(float32x4_t counts, float32x4_t a, float32x4_t b) {
        return vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(counts), vcgtq_f32(a, b)));
    }
    template <int kDistance>
    static float32x4_t butterfly4(float32x4_t a) {
        const float32x4_t partner = kDistance == 1 ? vrev64q_f32(a) : vextq_f32(a, a, 2);
        const uint32x4_t second = kDistance == 1 ? uint32x4_t{0, ~0u, 0, ~0u} : uint32x4_t{0, 0, ~0u, ~0u};
        return vbslq_f32(second, vsubq_f32(partner, a), vaddq_f32(a, partner));
    }
    static int16x8_t shorts8(F32 a) {
        return vcombine_s16(vmovn_s32(vcvtnq_s32_f32(a.lo)), vmovn_s32(vcvtnq_s32_f32(a.hi)));
    }
    static int32x4_t dot8(int16x8_t a, int16x8_t b) {
        return vmlal_high_s16(vmull_s16(vget_low_s16(a), vget_low_s16(b)), a, b);
    }
    static int32x4_t dot16(int8x16_t a, int8x16_t b) {
        return vpadalq_s16(vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b))), vmull_high_s8(a, b));
    }
};

}  // namespace strata
