// Matrix products with the weights of quad_rows.inl.h. The order of the sums is that of kernels.h.
#pragma once
#include <algorithm>
#include <cstring>

#include "engine/base/check.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/panel_products.inl.h"
#include "engine/kernels/quad_rows.inl.h"

namespace strata {

template <SimdBackend S>
struct QuadProductsFor {
    using F32 = typename S::F32;
    using Float4 = typename S::Float4;
    using Ints = typename S::Ints;
    using Bytes32 = typename S::Bytes32;
    using Weights32 = typename S::Weights32;
    using Activation = typename S::Activation;
    using Scales = typename QuadRowsFor<S>::Scales;

    static constexpr int kQuadCols = 128;  // four blocks of 32

    struct Quad {
        Weights32 codes[4];
        Scales scales;
    };

    // Where the activations of one token, from some quad on, are.
    struct Input {
        const Activation* x;
        const float* scales;  // a float for each 32
        const float* sums;    // for each quad: of the first halves of its blocks, of the second ones, of both

        Input(const MatmulArgs& a, int token)
            : x(static_cast<const Activation*>(a.x_quantised) + token * a.cols),
              scales(a.x_scales + token * (a.cols / 32)),
              sums(a.x_sums + token * n_activation_sums(a.cols)) {}
        Input(const Activation* activations, const float* activation_scales, const float* activation_sums)
            : x(activations), scales(activation_scales), sums(activation_sums) {}
        Input quad(int64_t i) const { return {x + i * kQuadCols, scales + i * 4, sums + i * 12}; }
    };

    template <class Rows, int kQuad, int i>
    [[gnu::always_inline]] static Weights32 weights(const uint8_t* unit) {
        if constexpr (Rows::kLayout == Layout::bytes)
            return S::load_weights(Rows::stored(unit, i));
        else if constexpr (Rows::kCodes == Codes::int8)
            return S::weights(Rows::template codes<kQuad, i>(unit));
        else
            return S::unsigned_weights(Rows::template codes<kQuad, i>(unit));
    }
    template <class Rows, int kQuad>
    [[gnu::always_inline]] static Quad unpack(const uint8_t* unit) {
        return {{weights<Rows, kQuad, 0>(unit), weights<Rows, kQuad, 1>(unit), weights<Rows, kQuad, 2>(unit),
                 weights<Rows, kQuad, 3>(unit)},
                Rows::template scales<kQuad>(unit)};
    }

    // What four blocks add to a row's four sums. Products of codes, group scales and activations are integers below
    // 2^24: as floats they are exact, and so are their sums.
    template <class Rows>
    [[gnu::always_inline]] static Float4 terms(const Quad& quad, Input in) {
        const auto dot = [&](int i) {
            return Rows::kCodes == Codes::int8 ? S::dot(quad.codes[i], in.x + i * 32)
                                               : S::dot_unsigned(quad.codes[i], in.x + i * 32);
        };
        if constexpr (Rows::kGroups) {
            const F32 x_sums = S::load(in.sums);
            F32 halves = S::half_sums(dot(0), dot(1), dot(2), dot(3));
            if constexpr (Rows::kOffset != 0) halves = S::sub(halves, S::mul(x_sums, S::splat(Rows::kOffset)));
            Float4 sums = S::splat4(0);
            if constexpr (Rows::kMinimums) sums = S::add_halves(S::mul(x_sums, quad.scales.group_minimum));
            return scaled<Rows>(S::add_halves(S::mul(halves, quad.scales.group)), sums, quad.scales, in);
        } else {
            return terms<Rows>(S::sums(dot(0), dot(1), dot(2), dot(3)), quad.scales, in);
        }
    }
    template <class Rows>
    [[gnu::always_inline]] static Float4 terms(Float4 dots, const Scales& scales, Input in) {
        Float4 sums = S::splat4(0);
        if constexpr (Rows::kMinimums || Rows::kOffset != 0) sums = S::load4(in.sums + 8);
        if constexpr (Rows::kOffset != 0) dots = S::add(dots, S::mul(sums, S::splat4(-Rows::kOffset)));
        return scaled<Rows>(dots, sums, scales, in);
    }
    template <class Rows>
    [[gnu::always_inline]] static Float4 scaled(Float4 dots, Float4 sums, const Scales& scales, Input in) {
        const Float4 x_scales = S::load4(in.scales);
        if constexpr (!Rows::kMinimums) return S::mul(dots, S::mul(scales.scale, x_scales));
        return S::mul(S::add(S::mul(dots, scales.scale), S::mul(sums, scales.minimum)), x_scales);
    }

    // The same for weights that are used once.
    template <class Rows, int kQuad>
    [[gnu::always_inline]] static Float4 terms_once(const uint8_t* unit, Input in) {
        if constexpr (Rows::kLayout == Layout::nibbles)
            return terms<Rows>(S::nibble_dots(Rows::stored(unit, 0), Rows::stored(unit, 1), Rows::stored(unit, 2),
                                              Rows::stored(unit, 3), in.x),
                               Rows::template scales<kQuad>(unit), in);
        else
            return terms<Rows>(unpack<Rows, kQuad>(unit), in);
    }

    // (0 + 2) + (1 + 3): how the four sums of a row are put together.
    static float sum4(Float4 v) {
        float lane[4];
        S::store4(lane, v);
        return (lane[0] + lane[2]) + (lane[1] + lane[3]);
    }

    // The last blocks of a row of blocks of 32, where they are no whole quad: blocks of zeros fill it up.
    template <class Rows>
    struct Tail {
        uint8_t unit[Rows::kUnitBytes] = {};
        Activation x[kQuadCols] = {};
        float scales[4] = {};
        int64_t blocks;

        Tail(const uint8_t* unit_in_row, int64_t n_blocks) : blocks(n_blocks) {
            std::memcpy(unit, unit_in_row, size_t(blocks) * (Rows::kUnitBytes / 4));
        }
        Input input(Input in) {
            std::copy_n(in.x, blocks * 32, x);
            std::copy_n(in.scales, blocks, scales);
            return {x, scales, in.sums};
        }
    };

    template <class Rows>
    static void one_token(const MatmulArgs& a, int64_t row) {
        const int64_t quads = a.cols / kQuadCols, left = a.cols % kQuadCols / 32;
        const uint8_t* unit = a.weights + row * Rows::row_bytes(a.cols);
        // It moves along: WebAssembly compilers make better addresses of that.
        Input in(a, 0);
        Float4 acc = S::splat4(0);
        for (int64_t q = 0; q < quads; q += Rows::kUnitQuads, unit += Rows::kUnitBytes) {
            acc = S::add(acc, terms_once<Rows, 0>(unit, in));
            if constexpr (Rows::kUnitQuads == 2) acc = S::add(acc, terms_once<Rows, 1>(unit, in.quad(1)));
            in = in.quad(Rows::kUnitQuads);
        }
        if constexpr (Rows::kUnitQuads == 1)
            if (left > 0) {
                Tail<Rows> tail(unit, left);
                acc = S::add(acc, terms_once<Rows, 0>(tail.unit, tail.input(in)));
            }
        a.out[row] = sum4(acc);
    }

    // A row is unpacked piece by piece, and every piece is used for all tokens.
    static constexpr int kPieceQuads = 16, kTokens = 64;

    template <class Rows>
    static void many_tokens(const MatmulArgs& a, int64_t row, int first_token, int n) {
        const int64_t quads = a.cols / kQuadCols, left = a.cols % kQuadCols / 32;
        const uint8_t* unit = a.weights + row * Rows::row_bytes(a.cols);
        Float4 acc[kTokens];
        for (int t = 0; t < n; ++t) acc[t] = S::splat4(0);
        for (int64_t begin = 0; begin < quads; begin += kPieceQuads) {
            const int64_t here = std::min<int64_t>(kPieceQuads, quads - begin);
            Quad piece[kPieceQuads];
            for (int64_t q = 0; q < here; q += Rows::kUnitQuads, unit += Rows::kUnitBytes) {
                piece[q] = unpack<Rows, 0>(unit);
                if constexpr (Rows::kUnitQuads == 2) piece[q + 1] = unpack<Rows, 1>(unit);
            }
            for (int t = 0; t < n; ++t) {
                const Input in(a, first_token + t);
                for (int64_t q = 0; q < here; ++q) acc[t] = S::add(acc[t], terms<Rows>(piece[q], in.quad(begin + q)));
            }
        }
        if constexpr (Rows::kUnitQuads == 1)
            if (left > 0) {
                Tail<Rows> tail(unit, left);
                const Quad quad = unpack<Rows, 0>(tail.unit);
                for (int t = 0; t < n; ++t)
                    acc[t] = S::add(acc[t], terms<Rows>(quad, tail.input(Input(a, first_token + t).quad(quads))));
            }
        for (int t = 0; t < n; ++t) a.out[(first_token + t) * a.out_stride + row] = sum4(acc[t]);
    }

    template <class Rows>
    static void matmul(const MatmulArgs& a, int64_t begin, int64_t end) {
        CHECK(a.x_sums != nullptr || !(Rows::kMinimums || Rows::kOffset != 0));
        if (PanelProductsFor<S>::template matmul<Rows>(a, begin, end)) return;
        for (int64_t r = begin; r < end; ++r)
            if (a.n_tokens == 1)
                one_token<Rows>(a, r);
            else
                for (int t = 0; t < a.n_tokens; t += kTokens)
                    many_tokens<Rows>(a, r, t, std::min(kTokens, a.n_tokens - t));
    }

    // The sums that Input names; a quad that is not whole is filled up with zeros.
    static void sum_activations(const void* quantised, int64_t n, float* sums) {
        static constexpr int8_t kOnes[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                             1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
        const Weights32 ones = S::load_weights(kOnes);
        const Activation* x = static_cast<const Activation*>(quantised);
        for (int64_t blocks = n / 32; blocks > 0; blocks -= 4, x += kQuadCols, sums += 12) {
            const auto sum = [&](int i) { return i < blocks ? S::dot(ones, x + i * 32) : Ints{}; };
            const F32 halves = S::half_sums(sum(0), sum(1), sum(2), sum(3));
            S::store(sums, halves);
            S::store4(sums + 8, S::add_halves(halves));
        }
    }
};

}  // namespace strata
