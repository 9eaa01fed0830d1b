// Products of quantised weights with many tokens (prefill). Some rows are laid side by side as a panel, so that the
// lanes of a vector are rows: no sum across lanes, and a panel is unpacked once for all tokens. Each row's sum is the
// one that kernels.h defines, so the bits are those of one row and one token.
#pragma once
#include <cstdint>

#include "engine/kernels/kernels.h"
#include "engine/simd/backend.h"

namespace strata {

template <SimdBackend S>
struct PanelProductsFor {
    using PanelBlock = typename S::PanelBlock;
    using PanelInts = typename S::PanelInts;
    using PanelF32 = typename S::PanelF32;
    using Activation = typename S::Activation;
    static constexpr int kRows = S::kPanelRows;
    static constexpr int kTokens = S::kPanelTokens;  // that share the loads of a panel
    static constexpr int kMostTokens = 64;
    static constexpr int kPieceBlocks = 16;  // of a panel, unpacked at a time: they lie in the first-level cache
    static constexpr int kFewest = 8;        // tokens that make packing pay

    // kPieceBlocks blocks of kRows rows, ready to be multiplied.
    struct Piece {
        PanelBlock blocks[kPieceBlocks];
        alignas(64) float scales[kPieceBlocks][kRows];
    };
    // The four sums of every row and token.
    struct Sums {
        alignas(64) float lane[kMostTokens / kTokens][4][kTokens][kRows];
    };

    // Where fewer than kRows rows are left, the last one is packed again.
    template <class Rows>
    static void pack(const Rows& rows, int64_t row, int64_t end, int64_t block, int n_blocks, Piece& piece) {
        for (int r = 0; r < kRows; ++r) {
            const int64_t from = row + r < end ? row + r : end - 1;
            int b = 0;
            for (; b + 4 <= n_blocks; b += 4) {
                float four[4];
                S::store4(four, rows.scales(from, block + b));
                for (int i = 0; i < 4; ++i) piece.scales[b + i][r] = four[i];
            }
            for (; b < n_blocks; ++b) piece.scales[b][r] = rows.scale(from, block + b);
        }
        for (int b = 0; b < n_blocks; ++b) {
            alignas(64) uint8_t bytes[kRows * 32];
            for (int r = 0; r < kRows; ++r) {
                const int64_t from = row + r < end ? row + r : end - 1;
                S::store_packing(rows.load(from, block + b), bytes + r * 32);
            }
            S::pack(bytes, &piece.blocks[b]);
        }
    }

    // kTokens tokens times all blocks of a piece, which begins at `block`. sums: [b % 4][token][row]
    template <class Rows>
    static void multiply(const Piece& piece, int64_t block, int n_blocks, const Activation* x, const float* x_scales,
                         int64_t cols, float (&sums)[4][kTokens][kRows]) {
        x += block * 32;
        x_scales += block;
        for (int b = 0; b < n_blocks; ++b, x += 32, ++x_scales) {
            PanelInts dots[kTokens];
            S::template panel_dots<typename Rows::Loaded, kTokens, 0, 32>(piece.blocks[b], x, cols, dots);
            const PanelF32 scale = S::load_lanes(piece.scales[b]);
            auto& sum = sums[(block + b) % 4];
            for (int t = 0; t < kTokens; ++t) {
                const PanelF32 both = S::mul(scale, S::splat_lanes(x_scales[t * (cols / 32)]));
                S::store(sum[t], S::add(S::load_lanes(sum[t]), S::mul(S::to_float(dots[t]), both)));
            }
        }
    }

    static void store(const float (&sums)[4][kTokens][kRows], const MatmulArgs& a, int token, int64_t row,
                      int64_t end) {
        for (int t = 0; t < kTokens; ++t) {
            const auto sum = [&](int i) { return S::load_lanes(sums[i][t]); };
            const PanelF32 total = S::add(S::add(sum(0), sum(2)), S::add(sum(1), sum(3)));
            float* out = a.out + (token + t) * a.out_stride + row;
            if (end - row >= kRows) {
                S::store(out, total);
                continue;
            }
            float lane[kRows];
            S::store(lane, total);
            for (int r = 0; r < end - row; ++r) out[r] = lane[r];
        }
    }

    // Tokens [first, first + n) times one panel; kFewest <= n <= kMostTokens. The last group of tokens overlaps the one
    // before where n is not a multiple of kTokens: some results are computed, and written, twice.
    template <class Rows>
    static void panel(const Rows& rows, const MatmulArgs& a, int first, int n, int64_t row, int64_t end) {
        const int64_t blocks = a.cols / 32;
        const int token_groups = (n + kTokens - 1) / kTokens;
        const auto token_of = [&](int group) {
            return first + (group * kTokens < n - kTokens ? group * kTokens : n - kTokens);
        };
        Piece piece;
        Sums sums;
        for (int g = 0; g < token_groups; ++g)
            for (auto& chain : sums.lane[g])
                for (auto& token : chain) S::store(token, S::splat_lanes(0));
        for (int64_t block = 0; block < blocks; block += kPieceBlocks) {
            const int some = int(blocks - block < kPieceBlocks ? blocks - block : kPieceBlocks);
            pack(rows, row, end, block, some, piece);
            for (int g = 0; g < token_groups; ++g)
                multiply<Rows>(piece, block, some, static_cast<const Activation*>(a.x_quantised) + token_of(g) * a.cols,
                               a.x_scales + token_of(g) * blocks, a.cols, sums.lane[g]);
        }
        for (int g = 0; g < token_groups; ++g) store(sums.lane[g], a, token_of(g), row, end);
    }

    // False where there are too few tokens for panels to pay.
    template <class Rows>
    static bool matmul(const Rows& rows, const MatmulArgs& a, int64_t begin, int64_t end) {
        if (a.n_tokens < kFewest) return false;
        for (int64_t row = begin; row < end; row += kRows)
            for (int first = 0, n; first < a.n_tokens; first += n) {
                n = a.n_tokens - first;
                if (n > kMostTokens) n = n - kMostTokens < kFewest ? n - kFewest : kMostTokens;
                panel(rows, a, first, n, row, end);
            }
        return true;
    }
};

}  // namespace strata
