// Products of quantised weights with many tokens (prefill). Some rows are laid side by side as a panel, so that the
// lanes of a vector are rows: no sum across lanes, and a panel is unpacked once for all tokens. Each row's sum is the
// one that kernels.h defines, so the bits are those of one row and one token.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_rows.inl.h"
#include "engine/simd/backend.h"

namespace strata {

template <SimdBackend S>
struct PanelProductsFor {
    using PanelBlock = typename S::PanelBlock;
    using PanelInts = typename S::PanelInts;
    using PanelF32 = typename S::PanelF32;
    using Activation = typename S::Activation;
    using Bytes32 = typename S::Bytes32;
    static constexpr int kRows = S::kPanelRows;
    static constexpr int kTokens = S::kPanelTokens;  // that share the loads of a panel
    static constexpr int kMostTokens = 64;
    static constexpr int kPieceBlocks = 16;  // of a panel, unpacked at a time: they lie in the first-level cache
    static constexpr int kFewest = 8;        // tokens that make packing pay

    static constexpr int kBoth = 2;

    // What is subtracted from every code, by the backend's dot products or from these.
    template <class Rows>
    static constexpr int kPackedOffset = S::kPanelsTakeOffset ? Rows::kOffset : 0;
    template <class Rows>
    static constexpr int kOffsetLeft = S::kPanelsTakeOffset ? 0 : Rows::kOffset;

    using Lanes = float[kRows];
    // kPieceBlocks blocks of kRows rows, ready to be multiplied, and their Scales.
    struct Piece {
        PanelBlock blocks[kPieceBlocks];
        alignas(64) Lanes scale[kPieceBlocks];
        alignas(64) Lanes minimum[kPieceBlocks];
        alignas(64) Lanes group[2][kPieceBlocks];  // of the first and the second halves of the blocks
        alignas(64) Lanes group_minimum[2][kPieceBlocks];
    };
    // The four sums of every row and token.
    struct Sums {
        alignas(64) float lane[kMostTokens / kTokens][4][kTokens][kRows];
    };
    // Some tokens from one block on.
    struct Input {
        const Activation* x;
        const float* scales;
        const float* sums;  // of the block's quad
        int64_t cols;

        Input(const MatmulArgs& a, int token, int64_t block)
            : x(static_cast<const Activation*>(a.x_quantised) + token * a.cols + block * 32),
              scales(a.x_scales + token * (a.cols / 32) + block),
              sums(a.x_sums + token * n_activation_sums(a.cols) + block / 4 * 12),
              cols(a.cols) {}
        float scale(int token, int block) const { return scales[token * (cols / 32) + block]; }
        // half: 0, 1 or kBoth
        float sum(int token, int block, int half) const {
            return sums[token * n_activation_sums(cols) + block / 4 * 12 + half * 4 + block % 4];
        }
    };

    template <class Rows, int kQuad>
    static void pack_quad(const uint8_t* unit, int row, int block, uint8_t (*bytes)[kRows * 32], Piece& piece) {
        const auto store_codes = [&](Bytes32 codes, int i) {
            S::template store_packing<Rows::kCodes, kPackedOffset<Rows>>(codes, bytes[block + i] + row * 32);
        };
        store_codes(Rows::template codes<kQuad, 0>(unit), 0);
        store_codes(Rows::template codes<kQuad, 1>(unit), 1);
        store_codes(Rows::template codes<kQuad, 2>(unit), 2);
        store_codes(Rows::template codes<kQuad, 3>(unit), 3);
        const auto scales = Rows::template scales<kQuad>(unit);
        float four[4], eight[8];
        const auto spread = [&](Lanes* lanes, const float* values) {
            for (int i = 0; i < 4; ++i) lanes[block + i][row] = values[i];
        };
        S::store4(four, scales.scale);
        spread(piece.scale, four);
        if constexpr (Rows::kMinimums) {
            S::store4(four, scales.minimum);
            spread(piece.minimum, four);
        }
        if constexpr (Rows::kGroups) {
            S::store(eight, scales.group);
            for (int half = 0; half < 2; ++half) spread(piece.group[half], eight + half * 4);
        }
        if constexpr (Rows::kGroups && Rows::kMinimums) {
            S::store(eight, scales.group_minimum);
            for (int half = 0; half < 2; ++half) spread(piece.group_minimum[half], eight + half * 4);
        }
    }

    // The unit that a block is in.
    template <class Rows>
    static const uint8_t* unit_at(const MatmulArgs& a, int64_t row, int64_t block) {
        return a.weights + row * Rows::row_bytes(a.cols) + block / (4 * Rows::kUnitQuads) * Rows::kUnitBytes;
    }
    // Has what pack() will read come nearer while something else is computed: it lies in kRows places at once, of which
    // a processor foresees none.
    template <class Rows>
    static void fetch(const MatmulArgs& a, int64_t row, int64_t end, int64_t block) {
        if (row >= end) return;
        const int64_t blocks = std::min<int64_t>(kPieceBlocks, a.cols / 32 - block);
        fetch_rows(unit_at<Rows>(a, row, block), Rows::row_bytes(a.cols), int(std::min<int64_t>(kRows, end - row)),
                   Rows::row_bytes(blocks * 32));
    }
    [[gnu::noinline]] static void fetch_rows(const uint8_t* first, int64_t stride, int rows, int64_t bytes) {
        for (int r = 0; r < rows; ++r) fetch_lines<S>(first + r * stride, bytes);
    }

    // Blocks [block, block + n_blocks) of the rows from `row` on. Where fewer than kRows rows are left, the last one is
    // packed again; where fewer than four blocks are, zeros fill them up.
    template <class Rows>
    static void pack(const MatmulArgs& a, int64_t row, int64_t end, int64_t block, int n_blocks, Piece& piece) {
        constexpr int kUnitBlocks = 4 * Rows::kUnitQuads;
        alignas(64) uint8_t bytes[kPieceBlocks][kRows * 32];
        for (int r = 0; r < kRows; ++r) {
            const uint8_t* unit = unit_at<Rows>(a, std::min(row + r, end - 1), block);
            uint8_t tail[Rows::kUnitBytes];
            for (int b = 0; b < n_blocks; b += kUnitBlocks, unit += Rows::kUnitBytes) {
                if (n_blocks - b < kUnitBlocks) {
                    const size_t left = size_t(n_blocks - b) * (Rows::kUnitBytes / kUnitBlocks);
                    std::memcpy(tail, unit, left);
                    std::memset(tail + left, 0, sizeof tail - left);
                    unit = tail;
                }
                pack_quad<Rows, 0>(unit, r, b, bytes, piece);
                if constexpr (Rows::kUnitQuads == 2) pack_quad<Rows, 1>(unit, r, b + 4, bytes, piece);
            }
        }
        for (int b = 0; b < n_blocks; ++b) S::pack(bytes[b], &piece.blocks[b]);
    }

    // What one block adds to the sums of kTokens tokens, before the tokens' scales. As QuadProductsFor::terms.
    // Products: whose panel_dots.
    template <class Rows, class Products>
    [[gnu::always_inline]] static void add_terms(const Piece& piece, int b, const Activation* x, const Input& in,
                                                 float (&sums)[kTokens][kRows]) {
        constexpr Codes kCodes = Rows::kCodes;
        constexpr int kPacked = kPackedOffset<Rows>, kLeft = kOffsetLeft<Rows>;
        const auto lanes = [&](const Lanes* of) { return S::load_lanes(of[b]); };
        // Loaded once: what is stored might change it, for all that compilers know.
        const PanelF32 scale = lanes(piece.scale);
        const auto x_scale_of = [&](int t) {
            if constexpr (requires { S::kept_scale(x); })
                return S::kept_scale(x + t * in.cols);
            else
                return S::splat_lanes(in.scale(t, b));
        };
        const auto x_sum = [&](int t, int half) { return S::splat_lanes(in.sum(t, b, half)); };
        const auto add = [&](int t, PanelF32 dots, PanelF32 minimums) {
            const PanelF32 x_scale = x_scale_of(t);
            PanelF32 term;
            if constexpr (Rows::kMinimums)
                term = S::mul(S::add(S::mul(dots, scale), S::mul(minimums, lanes(piece.minimum))), x_scale);
            else
                term = S::mul(dots, S::mul(scale, x_scale));
            S::store(sums[t], S::add(S::load_lanes(sums[t]), term));
        };
        if constexpr (Rows::kGroups) {
            PanelInts first[kTokens], second[kTokens];
            Products::template panel_dots<kCodes, kPacked, kTokens, 0, 16>(piece.blocks[b], x, in.cols, first);
            Products::template panel_dots<kCodes, kPacked, kTokens, 16, 16>(piece.blocks[b], x, in.cols, second);
            for (int t = 0; t < kTokens; ++t) {
                const auto half = [&](PanelInts ints, int i) {
                    PanelF32 dots = S::to_float(ints);
                    if constexpr (kLeft != 0) dots = S::add(dots, S::splat_lanes(in.sum(t, b, i) * -kLeft));
                    return S::mul(dots, lanes(piece.group[i]));
                };
                PanelF32 minimums = S::splat_lanes(0);
                if constexpr (Rows::kMinimums)
                    minimums = S::add(S::mul(x_sum(t, 0), lanes(piece.group_minimum[0])),
                                      S::mul(x_sum(t, 1), lanes(piece.group_minimum[1])));
                add(t, S::add(half(first[t], 0), half(second[t], 1)), minimums);
            }
        } else {
            PanelInts ints[kTokens];
            Products::template panel_dots<kCodes, kPacked, kTokens, 0, 32>(piece.blocks[b], x, in.cols, ints);
            for (int t = 0; t < kTokens; ++t) {
                PanelF32 dots = S::to_float(ints[t]), minimums = S::splat_lanes(0);
                if constexpr (kLeft != 0) dots = S::add(dots, S::splat_lanes(in.sum(t, b, kBoth) * -kLeft));
                if constexpr (Rows::kMinimums) minimums = x_sum(t, kBoth);
                add(t, dots, minimums);
            }
        }
    }

    // kTokens tokens times all blocks of a piece, which begins at a multiple of four. sums: [b % 4][token][row]
    template <class Rows, class Products>
    [[gnu::always_inline]] static void multiply_with(const Piece& piece, int n_blocks, const Input& in,
                                                     float (&sums)[4][kTokens][kRows]) {
        const Activation* x = in.x;
        for (int b = 0; b < n_blocks; ++b, x += 32) add_terms<Rows, Products>(piece, b, x, in, sums[b % 4]);
    }
    template <class Rows, class Products>
    [[gnu::noinline]] static void multiply_apart(const Piece& piece, int n_blocks, const Input& input,
                                                 float (&sums)[4][kTokens][kRows]) {
        const Input in = input;  // which no store can change
        multiply_with<Rows, Products>(piece, n_blocks, in, sums);
    }
    template <class Rows>
    static void multiply(const Piece& piece, int n_blocks, const Input& in, float (&sums)[4][kTokens][kRows]) {
        with_products<S, Rows::kRare>([&](auto products) {
            if constexpr (S::kPanelLoopApart)
                multiply_apart<Rows, decltype(products)>(piece, n_blocks, in, sums);
            else
                multiply_with<Rows, decltype(products)>(piece, n_blocks, in, sums);
        });
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
    static void panel(const MatmulArgs& a, int first, int n, int64_t row, int64_t end) {
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
            const int some = int(std::min<int64_t>(blocks - block, kPieceBlocks));
            pack<Rows>(a, row, end, block, some, piece);
            if (block + some < blocks)
                fetch<Rows>(a, row, end, block + some);
            else
                fetch<Rows>(a, row + kRows, end, 0);
            for (int g = 0; g < token_groups; ++g)
                multiply<Rows>(piece, some, Input(a, token_of(g), block), sums.lane[g]);
        }
        for (int g = 0; g < token_groups; ++g) store(sums.lane[g], a, token_of(g), row, end);
    }

    // False where there are too few tokens for panels to pay.
    template <class Rows>
    static bool matmul(const MatmulArgs& a, int64_t begin, int64_t end) {
        if (a.n_tokens < kFewest) return false;
        for (int64_t row = begin; row < end; row += kRows)
            for (int first = 0, n; first < a.n_tokens; first += n) {
                n = a.n_tokens - first;
                if (n > kMostTokens) n = n - kMostTokens < kFewest ? n - kFewest : kMostTokens;
                panel<Rows>(a, first, n, row, end);
            }
        return true;
    }
};

}  // namespace strata
