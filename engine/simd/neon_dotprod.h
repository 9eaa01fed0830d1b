// NEON with the dot product instructions of ARMv8.2 (every Apple M, and phones since about 2018).
#pragma once
#include <arm_neon.h>

#include <cstdint>

#include "engine/simd/neon.h"

namespace strata {

struct NeonDotprod : Neon {
    static constexpr const char* kName = "neon-dotprod";
    static constexpr int kPanelTokens = 8;

    static Ints dot(Weights32 w, const Activation* x) {
        const int32x4_t zero = vdupq_n_s32(0);
        return {vdotq_s32(zero, w.lo, vld1q_s8(x)), vdotq_s32(zero, w.hi, vld1q_s8(x + 16))};
    }
    using Neon::dot;
    static DotSum dot_add(DotSum acc, Weights32 w, const Activation* x) {
        return {vdotq_s32(vdotq_s32(acc.v, w.lo, vld1q_s8(x)), w.hi, vld1q_s8(x + 16))};
    }
    static Ints dot_unsigned(Weights32 w, const Activation* x) { return dot(w, x); }
    template <bool kPositive>
    static RowSums dot_rows(RowSums acc, CellWeights w, const Activation* x, int column, CellConstants) {
        const int8x16_t four = four_of(x + column);
        return {vdotq_s32(acc.lo, w.lo, four), vdotq_s32(acc.hi, w.hi, four)};
    }

    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        PanelInts acc[kTokens];
        for (int t = 0; t < kTokens; ++t) acc[t] = {vdupq_n_s32(0), vdupq_n_s32(0)};
        for (int c = kFirst; c < kFirst + kColumns; c += 16) {
            const int8_t* words = reinterpret_cast<const int8_t*>(w.bytes) + c * kPanelRows;
            int8x16_t sixteen[kTokens];
            for (int t = 0; t < kTokens; ++t) sixteen[t] = vld1q_s8(x + t * stride + c);
            word<kTokens, 0>(words, sixteen, acc);
            word<kTokens, 1>(words, sixteen, acc);
            word<kTokens, 2>(words, sixteen, acc);
            word<kTokens, 3>(words, sixteen, acc);
        }
        for (int t = 0; t < kTokens; ++t) dots[t] = acc[t];
    }

private:
    // Four columns of all rows.
    template <int kTokens, int kWord>
    static void word(const int8_t* words, const int8x16_t* x, PanelInts* acc) {
        const int8x16_t lo = vld1q_s8(words + kWord * 32), hi = vld1q_s8(words + kWord * 32 + 16);
        for (int t = 0; t < kTokens; ++t) {
            acc[t].lo = vdotq_laneq_s32(acc[t].lo, lo, x[t], kWord);
            acc[t].hi = vdotq_laneq_s32(acc[t].hi, hi, x[t], kWord);
        }
    }
};

}  // namespace strata
