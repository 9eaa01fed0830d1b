// AVX-512 with VNNI: AVX2 with another integer dot product, which multiplies unsigned by signed bytes. So weights count
// from -128 on (w + 128) if they are signed, and activations bring along what takes the 128 off again.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "engine/simd/avx2.h"
#include "engine/simd/pair.h"

namespace strata {

struct Avx512 : Avx2 {
    static constexpr const char* kName = "avx512";
    static constexpr int kScoreRows = 4, kScoreTokens = 4;
    static constexpr int kSumQueries = 4, kSumVectors = 16;

    // 32 activations take 64 bytes: 32 int8, then eight int32 that start a dot product. Lane 0 holds -128 times the sum
    // of the first 16 activations, lane 4 that of the others; lane 1 the sum of both, for panels, and lane 2 what makes
    // the lanes 0-3 add up to lane 0 again.
    struct Activation {
        uint8_t half[2];
    };
    struct Weights32 {
        __m256i q;  // w + 128
    };
    using CellWeights = Weights32;
    static constexpr int kPanelRows = 16, kPanelTokens = 8;
    static constexpr bool kPanelsTakeOffset = true;
    struct PanelBlock {  // [columns / 4][row][4 columns], of w + 128 if signed
        alignas(64) uint8_t bytes[kPanelRows * 32];
    };
    struct PanelInts {
        __m512i v;
    };
    struct PanelF32 {
        __m512 v;
    };
    static void quantise32(const float* x, float scale, Activation* out) {
        int8_t* q = reinterpret_cast<int8_t*>(out);
        Avx2::quantise32(x, scale, q);
        const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(char(128)), load32(q));
        __m128i first = _mm256_castsi256_si128(sums), second = _mm256_extracti128_si256(sums, 1);
        const __m128i both = _mm_hadd_epi32(_mm_hadd_epi32(first, second), _mm_setzero_si128());
        const int a = -_mm_cvtsi128_si32(both), b = -_mm_extract_epi32(both, 1);
        store32(q + 32, _mm256_setr_epi32(a, a + b, -(a + b), 0, b, 0, 0, 0));
    }
    static Weights32 load_weights(const void* p) { return {_mm256_xor_si256(load32(p), _mm256_set1_epi8(char(128)))}; }
    static Ints dot(Weights32 w, const Activation* x) {
        return {_mm256_dpbusd_epi32(load32(bytes(x) + 32), w.q, load32(bytes(x)))};
    }
    using Avx2::dot;
    static Ints dot_start(const Activation* x) { return {load32(bytes(x) + 32)}; }
    static Ints dot_add(Ints acc, Weights32 w, const Activation* x) {
        return {_mm256_dpbusd_epi32(acc.v, w.q, load32(bytes(x)))};
    }
    static Bytes weight_table(Bytes table) { return {_mm_xor_si128(table.v, _mm_set1_epi8(char(128)))}; }
    static Weights32 look_up_weights(Bytes table, Bytes32 codes) { return {look_up(table, codes).v}; }
    static Weights32 weights(Bytes32 a) { return {_mm256_xor_si256(a.v, _mm256_set1_epi8(char(128)))}; }
    static Weights32 unsigned_weights(Bytes32 a) { return {a.v}; }
    static Ints dot_unsigned(Weights32 w, const Activation* x) {
        return {_mm256_dpbusd_epi32(_mm256_setzero_si256(), w.q, load32(bytes(x)))};
    }
    static CellWeights cell_weights(Bytes table, Bytes32 codes) { return look_up_weights(table, codes); }
    static CellWeights cell_weights(Bytes32 levels) { return weights(levels); }
    static RowSums start_rows(const Activation* x) { return {_mm256_set1_epi32(load_unaligned<int>(bytes(x) + 36))}; }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants) {
        return {_mm256_dpbusd_epi32(acc.v, w.q, _mm256_set1_epi32(load_unaligned<int>(bytes(x) + place_of(column))))};
    }

    template <Codes kCodes, int kOffset>
    static void store_packing(Bytes32 a, uint8_t* out) {
        constexpr int kFrom = kCodes == Codes::int8 || kOffset != 0 ? 128 - kOffset : 0;
        store32(out, _mm256_add_epi8(a.v, _mm256_set1_epi8(char(kFrom))));
    }
    static void pack(const uint8_t* rows, PanelBlock* out) {
        for (int half = 0; half < 2; ++half) {
            __m256i words[8];
            transpose8(rows + half * 256, words);
            for (int i = 0; i < 8; ++i) store32(out->bytes + i * 64 + half * 32, words[i]);
        }
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        constexpr int kStart = 32 + 4 * (kColumns == 32 ? 1 : kFirst / 4);
        __m512i acc[kTokens];
        for (int t = 0; t < kTokens; ++t)
            acc[t] = kCodes == Codes::int8 || kOffset != 0 ? splat_word(bytes(x + t * stride) + kStart)
                                                           : _mm512_setzero_si512();
        for (int c = kFirst; c < kFirst + kColumns; c += 4) {
            const __m512i word = _mm512_load_si512(w.bytes + c * kPanelRows);
            for (int t = 0; t < kTokens; ++t)
                acc[t] = _mm512_dpbusd_epi32(acc[t], word, splat_word(bytes(x + t * stride) + c));
        }
        for (int t = 0; t < kTokens; ++t) dots[t].v = acc[t];
    }
    using Avx2::add;
    using Avx2::mul;
    using Avx2::store;
    static PanelInts add(PanelInts a, PanelInts b) { return {_mm512_add_epi32(a.v, b.v)}; }
    static PanelF32 to_float(PanelInts a) { return {_mm512_cvtepi32_ps(a.v)}; }
    static PanelF32 load_lanes(const float* p) { return {_mm512_loadu_ps(p)}; }
    static PanelF32 splat_lanes(float x) { return {_mm512_set1_ps(x)}; }
    static PanelF32 mul(PanelF32 a, PanelF32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
    static PanelF32 add(PanelF32 a, PanelF32 b) { return {_mm512_add_ps(a.v, b.v)}; }
    static void store(float* p, PanelF32 a) { _mm512_storeu_ps(p, a.v); }

private:
    static int place_of(int column) { return column / 32 * 64 + column % 32; }
    static const uint8_t* bytes(const Activation* x) { return reinterpret_cast<const uint8_t*>(x); }
    static __m512i splat_word(const void* p) { return _mm512_set1_epi32(load_unaligned<int>(p)); }
};

// One register, the even vector below the odd one.
template <>
struct PairOf<Avx512> {
    using F32 = Avx512::F32;
    __m512 v;

    static PairOf zero() { return {_mm512_setzero_ps()}; }
    static PairOf load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static PairOf mul_add(PairOf a, PairOf b, PairOf c) { return {_mm512_add_ps(c.v, _mm512_mul_ps(a.v, b.v))}; }
    F32 even() const { return {_mm512_castps512_ps256(v)}; }
    F32 odd() const { return {_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1))}; }
};

}  // namespace strata
