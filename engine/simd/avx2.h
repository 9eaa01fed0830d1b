// AVX2 and F16C, the native x86 backend. Multiply and add stay two operations: see "one arithmetic".
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/base/prefetch.h"
#include "engine/simd/codes.h"

namespace strata {

struct Avx2 {
    static constexpr const char* kName = "avx2";
    static constexpr int kTileTokens = 4;
    static constexpr int kScoreRows = 4, kScoreTokens = 1;  // that share loads: exact keys
    static constexpr int kSumQueries = 2, kSumVectors = 8;  // that stay in registers: exact values

    struct F32 {
        static constexpr int kLanes = 8;
        __m256 v;
    };
    struct Float4 {
        __m128 v;
    };
    using Activation = int8_t;
    struct Weights32 {
        __m256i q;
    };
    struct Ints {
        __m256i v;  // the low four: values 0-15
    };
    using DotSum = Ints;
    struct Bytes {
        __m128i v;
    };
    struct Bytes32 {
        __m256i v;
    };
    struct Shorts {
        __m256i v;
    };
    static constexpr int kPanelRows = 8, kPanelTokens = 4;
    static constexpr bool kPanelsTakeOffset = false;
    static constexpr bool kPanelLoopApart = false;
    static constexpr bool kPanelsAreCells = true;
    struct PanelBlock {  // [columns / 4][row][4 columns]
        alignas(64) uint8_t bytes[kPanelRows * 32];
    };
    struct PanelInts {
        __m256i v;
    };
    using PanelF32 = F32;
    static constexpr int kCellRows = 8;
    using CellWeights = Weights32;
    struct CellConstants {};
    using RowSums = Ints;

    static F32 splat(float x) { return {_mm256_set1_ps(x)}; }
    static F32 load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static F32 load_half(const uint16_t* p) {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
    }
    static F32 load_bfloat(const uint16_t* p) {
        const __m256i b = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        return {_mm256_castsi256_ps(_mm256_slli_epi32(b, 16))};
    }
    static void store(float* p, F32 a) { _mm256_storeu_ps(p, a.v); }
    static F32 add(F32 a, F32 b) { return {_mm256_add_ps(a.v, b.v)}; }
    static F32 sub(F32 a, F32 b) { return {_mm256_sub_ps(a.v, b.v)}; }
    static F32 mul(F32 a, F32 b) { return {_mm256_mul_ps(a.v, b.v)}; }
    static F32 div(F32 a, F32 b) { return {_mm256_div_ps(a.v, b.v)}; }
    static F32 mul_add(F32 a, F32 b, F32 c) { return {_mm256_add_ps(c.v, _mm256_mul_ps(a.v, b.v))}; }
    static F32 min(F32 a, F32 b) { return {_mm256_min_ps(a.v, b.v)}; }
    static F32 max(F32 a, F32 b) { return {_mm256_max_ps(a.v, b.v)}; }
    static F32 times_power_of_two(F32 a, F32 b) {
        return {_mm256_castsi256_ps(
            _mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_slli_epi32(_mm256_castps_si256(b.v), 23)))};
    }
    static float sum(F32 a) {
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
    }
    // The sum of each, in the order of sum.
    static Float4 sums(F32 a, F32 b, F32 c, F32 d) {
        const __m128 ab = pair_sums(a, b), cd = pair_sums(c, d);
        return {_mm_add_ps(_mm_shuffle_ps(ab, cd, 0x88), _mm_shuffle_ps(ab, cd, 0xdd))};
    }
    static float largest(F32 a) {
        __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
        s = _mm_max_ps(s, _mm_movehl_ps(s, s));
        return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
    }

    static F32 abs(F32 a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
    static F32 count_greater(F32 counts, F32 a, F32 b) {
        const __m256i greater = _mm256_castps_si256(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ));
        return {_mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(counts.v), greater))};
    }
    template <int kDistance>
    static F32 butterfly(F32 a) {
        if constexpr (kDistance == 4) {
            const __m256 low = _mm256_permute2f128_ps(a.v, a.v, 0x00), high = _mm256_permute2f128_ps(a.v, a.v, 0x11);
            return {_mm256_blend_ps(_mm256_add_ps(low, high), _mm256_sub_ps(low, high), 0xf0)};
        } else {
            constexpr int kOrder = kDistance == 1 ? 0xb1 : 0x4e, kSecond = kDistance == 1 ? 0xaa : 0xcc;
            const __m256 partner = _mm256_permute_ps(a.v, kOrder);
            return {_mm256_blend_ps(_mm256_add_ps(a.v, partner), _mm256_sub_ps(partner, a.v), kSecond)};
        }
    }

    static void quantise32(const float* x, float scale, Activation* out) {
        const __m256 s = _mm256_set1_ps(scale), round = _mm256_set1_ps(ExpF32::kRound);
        const __m256i low_byte = _mm256_set1_epi32(255);
        __m256i part[4];
        for (int i = 0; i < 4; ++i) {
            const __m256 t = _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), s), round);
            part[i] = _mm256_and_si256(_mm256_castps_si256(t), low_byte);
        }
        const __m256i packed =
            _mm256_packus_epi16(_mm256_packus_epi32(part[0], part[1]), _mm256_packus_epi32(part[2], part[3]));
        const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing works within 128 bits
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permutevar8x32_epi32(packed, order));
    }
    static Weights32 load_weights(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
    // |w| times x with the sign of w: sums of two products stay below 2^15, so nothing saturates.
    static Ints dot(Weights32 w, const Activation* x) {
        const __m256i signed_x = _mm256_sign_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)), w.q);
        const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w.q), signed_x);
        return {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
    }
    static Ints dot_start(const Activation*) { return {_mm256_setzero_si256()}; }
    static Ints dot_add(Ints acc, Weights32 w, const Activation* x) { return add(acc, dot(w, x)); }
    static Ints add(Ints a, Ints b) { return {_mm256_add_epi32(a.v, b.v)}; }
    static Float4 sums(Ints a, Ints b, Ints c, Ints d) {
        const __m256i t = _mm256_hadd_epi32(_mm256_hadd_epi32(a.v, b.v), _mm256_hadd_epi32(c.v, d.v));
        return {_mm_cvtepi32_ps(_mm_add_epi32(_mm256_castsi256_si128(t), _mm256_extracti128_si256(t, 1)))};
    }
    static Float4 splat4(float x) { return {_mm_set1_ps(x)}; }
    static Float4 load4(const float* p) { return {_mm_loadu_ps(p)}; }
    static Float4 gather4(const float* a, const float* b, const float* c, const float* d) {
        return {_mm_setr_ps(*a, *b, *c, *d)};
    }
    static Float4 gather_half4(const void* a, const void* b, const void* c, const void* d) {
        return {_mm_cvtph_ps(_mm_setr_epi16(half_bits(a), half_bits(b), half_bits(c), half_bits(d), 0, 0, 0, 0))};
    }
    static Float4 mul(Float4 a, Float4 b) { return {_mm_mul_ps(a.v, b.v)}; }
    static Float4 add(Float4 a, Float4 b) { return {_mm_add_ps(a.v, b.v)}; }
    static void store4(float* p, Float4 a) { _mm_storeu_ps(p, a.v); }

    static void look_up_nibbles(const uint8_t* packed, const int8_t* table, int8_t* out) {
        const __m128i codes = load16(packed), entries = load16(table), mask = _mm_set1_epi8(15);
        store16(out, _mm_shuffle_epi8(entries, _mm_and_si128(codes, mask)));
        store16(out + 16, _mm_shuffle_epi8(entries, _mm_and_si128(_mm_srli_epi16(codes, 4), mask)));
    }
    static void scale_to_float(const int8_t* q, float scale, float* out) {
        const __m256 s = _mm256_set1_ps(scale);
        for (int i = 0; i < 32; i += 8) {
            const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(q + i));
            _mm256_storeu_ps(out + i, _mm256_mul_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight))));
        }
    }

    static constexpr bool kFetchesByStoring = false;
    static void fetch_ahead(const void* p) { prefetch(p); }
    static Bytes load_bytes(const void* p) { return {load16(p)}; }
    template <int kShift>
    static Bytes field(Bytes a, int mask) {
        const __m128i shifted = kShift < 0 ? _mm_slli_epi16(a.v, -kShift) : _mm_srli_epi16(a.v, kShift);
        return {_mm_and_si128(shifted, _mm_set1_epi8(char(mask)))};
    }
    static Bytes add(Bytes a, Bytes b) { return {_mm_add_epi8(a.v, b.v)}; }
    static Bytes look_up(Bytes table, Bytes codes) { return {_mm_shuffle_epi8(table.v, codes.v)}; }
    static void store_bytes(void* out, Bytes a) { store16(out, a.v); }
    static void store_words(void* out, Bytes a, Bytes b, Bytes c, Bytes d) {
        uint8_t* at = static_cast<uint8_t*>(out);
        const __m128i low_ab = _mm_unpacklo_epi8(a.v, b.v), low_cd = _mm_unpacklo_epi8(c.v, d.v);
        const __m128i high_ab = _mm_unpackhi_epi8(a.v, b.v), high_cd = _mm_unpackhi_epi8(c.v, d.v);
        store16(at, _mm_unpacklo_epi16(low_ab, low_cd));
        store16(at + 16, _mm_unpackhi_epi16(low_ab, low_cd));
        store16(at + 32, _mm_unpacklo_epi16(high_ab, high_cd));
        store16(at + 48, _mm_unpackhi_epi16(high_ab, high_cd));
    }

    static Bytes32 load_bytes32(const void* p) { return {_mm256_loadu_si256(static_cast<const __m256i*>(p))}; }
    static Bytes32 load_codes(const void* p) {
        const __m128i packed = load16(p);
        return {_mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), _mm256_set1_epi8(15))};
    }
    static Bytes32 load_bits(const void* p) {
        // Byte i gets the byte that holds bit i, of which it keeps that bit.
        const __m256i place = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
        const __m256i bit = _mm256_set1_epi64x(int64_t(0x8040201008040201));
        const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(load_unaligned<int>(p)), place);
        return {_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit)};
    }
    template <int kShift>
    static Bytes32 field(Bytes32 a, int mask) {
        const __m256i shifted = kShift < 0 ? _mm256_slli_epi16(a.v, -kShift) : _mm256_srli_epi16(a.v, kShift);
        return {_mm256_and_si256(shifted, _mm256_set1_epi8(char(mask)))};
    }
    static Bytes32 add(Bytes32 a, Bytes32 b) { return {_mm256_add_epi8(a.v, b.v)}; }
    static Bytes32 look_up(Bytes table, Bytes32 codes) {
        return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table.v), codes.v)};
    }
    static Bytes weight_table(Bytes table) { return table; }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return weights(look_up(table, codes)); }
    static Weights32 weights(Bytes32 a) { return {a.v}; }
    static Weights32 unsigned_weights(Bytes32 a) { return weights(a); }
    static Ints dot_unsigned(Weights32 w, const Activation* x) {
        const __m256i pairs = _mm256_maddubs_epi16(w.q, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)));
        return {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))};
    }
    static CellWeights cell_weights(Bytes table, Bytes32 codes) { return look_up_weights(table, codes); }
    template <int kShift>
    static Bytes32 nibbles(Bytes32 codes, CellConstants) {
        return field<kShift>(codes, 15);
    }
    static CellWeights cell_weights(Bytes32 levels) { return weights(levels); }
    static RowSums start_rows(const Activation*) { return {_mm256_setzero_si256()}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants) {
        const __m256i four = _mm256_set1_epi32(load_unaligned<int>(x + column));
        const __m256i pairs = kPositive ? _mm256_maddubs_epi16(four, w.q)
                                        : _mm256_maddubs_epi16(_mm256_abs_epi8(w.q), _mm256_sign_epi8(four, w.q));
        return add(acc, {_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))});
    }
    static F32 row_floats(RowSums a) { return {_mm256_cvtepi32_ps(a.v)}; }
    static F32 half_sums(Ints a, Ints b, Ints c, Ints d) {
        return {_mm256_cvtepi32_ps(_mm256_hadd_epi32(_mm256_hadd_epi32(a.v, b.v), _mm256_hadd_epi32(c.v, d.v)))};
    }
    static Float4 add_halves(F32 a) { return {_mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1))}; }
    static Float4 bytes_to_float4(uint32_t bytes) {
        return {_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(int(bytes))))};
    }
    static F32 bytes_to_float8(uint64_t bytes) {
        const __m128i all = _mm_cvtsi64_si128(int64_t(bytes)), lowest = _mm_set1_epi16(255);
        const __m128i even = _mm_cvtepu16_epi32(_mm_and_si128(all, lowest));
        const __m128i odd = _mm_cvtepu16_epi32(_mm_srli_epi16(all, 8));
        return {_mm256_cvtepi32_ps(_mm256_set_m128i(odd, even))};
    }
    static Float4 splat_half4(uint16_t half) { return {_mm_cvtph_ps(_mm_set1_epi16(short(half)))}; }

    static Shorts shorts(int x) { return {_mm256_set1_epi16(short(x))}; }
    static Shorts shorts(F32 a, F32 b) {
        return {_mm256_packs_epi32(_mm256_cvtps_epi32(a.v), _mm256_cvtps_epi32(b.v))};
    }
    static Shorts where_greater(Shorts a, Shorts b, Shorts c) {
        return {_mm256_and_si256(_mm256_cmpgt_epi16(a.v, b.v), c.v)};
    }
    static Shorts add(Shorts a, Shorts b) { return {_mm256_add_epi16(a.v, b.v)}; }
    static Shorts sub(Shorts a, Shorts b) { return {_mm256_sub_epi16(a.v, b.v)}; }
    static Ints dot(Shorts a, Shorts b) { return {_mm256_madd_epi16(a.v, b.v)}; }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        store32(out, a.v);
    }
    static void pack(const uint8_t* rows, PanelBlock* out) {
        __m256i words[8];
        transpose8(rows, words);
        for (int i = 0; i < 8; ++i) store32(out->bytes + i * 32, words[i]);
    }
    // int8 as dot: |w| times x with the sign of w. Sums of 16 products of nibbles fit 16 bits.
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        __m256i acc[kTokens];
        for (int t = 0; t < kTokens; ++t) acc[t] = _mm256_setzero_si256();
        for (int c = kFirst; c < kFirst + kColumns; c += 4) {
            const __m256i word = load32(w.bytes + c * kPanelRows);
            const __m256i magnitude = kCodes == Codes::int8 ? _mm256_abs_epi8(word) : word;
            for (int t = 0; t < kTokens; ++t) {
                __m256i four = _mm256_set1_epi32(load_unaligned<int>(x + t * stride + c));
                if constexpr (kCodes == Codes::int8) four = _mm256_sign_epi8(four, word);
                const __m256i pairs = _mm256_maddubs_epi16(magnitude, four);
                if constexpr (kCodes == Codes::nibbles)
                    acc[t] = _mm256_add_epi16(acc[t], pairs);
                else
                    acc[t] = _mm256_add_epi32(acc[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
        for (int t = 0; t < kTokens; ++t)
            dots[t].v = kCodes == Codes::nibbles ? _mm256_madd_epi16(acc[t], _mm256_set1_epi16(1)) : acc[t];
    }
    static PanelInts add(PanelInts a, PanelInts b) { return {_mm256_add_epi32(a.v, b.v)}; }
    static PanelF32 to_float(PanelInts a) { return {_mm256_cvtepi32_ps(a.v)}; }
    static PanelF32 load_lanes(const float* p) { return load(p); }
    static PanelF32 splat_lanes(float x) { return splat(x); }

protected:
    // With t the sums of lanes i and i + 4: (a0+a2, a1+a3, b0+b2, b1+b3).
    static __m128 pair_sums(F32 a, F32 b) {
        const __m128 ta = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
        const __m128 tb = _mm_add_ps(_mm256_castps256_ps128(b.v), _mm256_extractf128_ps(b.v, 1));
        return _mm_add_ps(_mm_movelh_ps(ta, tb), _mm_movehl_ps(tb, ta));
    }
    static __m256i load32(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
    static void store32(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
    // (8, 32) bytes to the four bytes of each row at columns 4i, for each i.
    static void transpose8(const uint8_t* rows, __m256i (&out)[8]) {
        __m256i a[8], b[8];
        for (int i = 0; i < 8; ++i) a[i] = load32(rows + i * 32);
        for (int i = 0; i < 8; i += 2) {
            b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
            b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
        }
        for (int i = 0; i < 8; i += 4)
            for (int j = 0; j < 2; ++j) {
                a[i + 2 * j] = _mm256_unpacklo_epi64(b[i + j], b[i + j + 2]);
                a[i + 2 * j + 1] = _mm256_unpackhi_epi64(b[i + j], b[i + j + 2]);
            }
        for (int i = 0; i < 4; ++i) {
            out[i] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x20);
            out[i + 4] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x31);
        }
    }
    static __m128i load16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
    static void store16(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
    static short half_bits(const void* p) { return load_unaligned<short>(p); }
};

}  // namespace strata
