// NEON with the integer matrix products of ARMv8.6 (Apple M2 and newer, Graviton 3). What they speed up is prefill: one
// instruction multiplies eight columns of two rows with two tokens. One token is bound by memory, and stays as it is.
#pragma once
#include <arm_neon.h>

#include <cstdint>

#include "engine/simd/neon_dotprod.h"

namespace strata {

struct NeonI8mm : NeonDotprod {
    static constexpr const char* kName = "neon-i8mm";
    static constexpr int kRowPairs = kPanelRows / 2;
    static constexpr bool kPanelsAreCells = false;
    struct PanelBlock {  // [columns / 8][row pair][row][8 columns]
        uint8_t bytes[kPanelRows * 32];
    };

    static void pack(const uint8_t* rows, PanelBlock* out) {
        for (int r = 0; r < kPanelRows; r += 2)
            for (int c = 0; c < 32; c += 16) {
                const int8x16x2_t pairs = pair_up(load16(rows + r * 32 + c), load16(rows + (r + 1) * 32 + c));
                for (int i = 0; i < 2; ++i)
                    vst1q_u8(out->bytes + (c + 8 * i) * kPanelRows + r * 8, vreinterpretq_u8_s8(pairs.val[i]));
            }
    }
    template <Codes kCodes, int kOffset, int kTokens, int kFirst, int kColumns>
    static void panel_dots(const PanelBlock& w, const Activation* x, int64_t stride, PanelInts* dots) {
        static_assert(kTokens % 2 == 0 && kColumns % 16 == 0);
        int32x4_t acc[kTokens / 2][kRowPairs];  // two rows' dots with the first token, then with the second
        for (auto& pair : acc)
            for (int32x4_t& dots_of_rows : pair) dots_of_rows = vdupq_n_s32(0);
        for (int c = kFirst; c < kFirst + kColumns; c += 16) {
            int8x16x2_t tokens[kTokens / 2];
            for (int p = 0; p < kTokens / 2; ++p)
                tokens[p] = pair_up(vld1q_s8(x + 2 * p * stride + c), vld1q_s8(x + (2 * p + 1) * stride + c));
            for (int i = 0; i < 2; ++i)
                for (int r = 0; r < kRowPairs; ++r) {
                    const int8x16_t rows = load16(w.bytes + (c + 8 * i) * kPanelRows + r * 16);
                    for (int p = 0; p < kTokens / 2; ++p) acc[p][r] = vmmlaq_s32(acc[p][r], tokens[p].val[i], rows);
                }
        }
        for (int p = 0; p < kTokens / 2; ++p) {
            dots[2 * p] = {first_halves(acc[p][0], acc[p][1]), first_halves(acc[p][2], acc[p][3])};
            dots[2 * p + 1] = {second_halves(acc[p][0], acc[p][1]), second_halves(acc[p][2], acc[p][3])};
        }
    }

private:
    static int8x16_t load16(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
    // Sixteen columns of two rows, or of two tokens, as two operands of a matrix product: columns 0-7, then 8-15.
    static int8x16x2_t pair_up(int8x16_t a, int8x16_t b) {
        const int64x2_t first = vreinterpretq_s64_s8(a), second = vreinterpretq_s64_s8(b);
        return {{vreinterpretq_s8_s64(vzip1q_s64(first, second)), vreinterpretq_s8_s64(vzip2q_s64(first, second))}};
    }
    static int32x4_t first_halves(int32x4_t a, int32x4_t b) {
        return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
    }
    static int32x4_t second_halves(int32x4_t a, int32x4_t b) {
        return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
    }
};

}  // namespace strata
