// Matrix products with the weights of quad_rows.inl.h. The order of the sums is that of kernels.h.
#pragma once
#include <type_traits>

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
    using DotSum = typename S::DotSum;
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
        Input quad(int64_t i) const {
            Input moved = *this;
            moved.x += i * kQuadCols;
            moved.scales += i * 4;
            moved.sums += i * 12;
            return moved;
        }
    };

    template <class Rows>
    static constexpr float kMinusOffset = -Rows::kOffset;

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

    template <class Rows, class Products>
    [[gnu::always_inline]] static Ints dot_of(Weights32 codes, const Activation* x) {
        return Rows::kCodes == Codes::int8 ? Products::dot(codes, x) : Products::dot_unsigned(codes, x);
    }

    // What four blocks add to a row's four sums. Products of codes, group scales and activations are integers below
    // 2^24: as floats they are exact, and so are their sums.
    template <class Rows, class Products>
    [[gnu::always_inline]] static Float4 terms(const Quad& quad, Input in) {
        const auto dot = [&](int i) { return dot_of<Rows, Products>(quad.codes[i], in.x + i * 32); };
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
        if constexpr (Rows::kOffset != 0) dots = S::add(dots, S::mul(sums, constant4<S, kMinusOffset<Rows>>()));
        return scaled<Rows>(dots, sums, scales, in);
    }
    template <class Rows>
    [[gnu::always_inline]] static Float4 scaled(Float4 dots, Float4 sums, const Scales& scales, Input in) {
        const Float4 x_scales = S::load4(in.scales);
        if constexpr (!Rows::kMinimums) return S::mul(dots, S::mul(scales.scale, x_scales));
        return S::mul(S::add(S::mul(dots, scales.scale), S::mul(sums, scales.minimum)), x_scales);
    }

    // The same, from where the weights are.
    template <class Rows, class Products, int kQuad>
    [[gnu::always_inline]] static Float4 terms_once(const uint8_t* unit, Input in) {
        if constexpr (Rows::kLayout == Layout::nibbles)
            return terms<Rows>(nibble_dots<S>(Rows::stored(unit, 0), Rows::stored(unit, 1), Rows::stored(unit, 2),
                                              Rows::stored(unit, 3), in.x),
                               Rows::template scales<kQuad>(unit), in);
        else if constexpr (kGroupsAsIntegers<Rows>)
            return grouped_terms<Rows>(unpack<Rows, kQuad>(unit), Rows::template groups<kQuad>(unit), in);
        else
            return terms<Rows, Products>(unpack<Rows, kQuad>(unit), in);
    }
    // Groups whose factors some backends take into the exact sums.
    template <class Rows>
    static constexpr bool kGroupsAsIntegers =
        Rows::kGroups && !Rows::kMinimums && requires(const Weights32 (&codes)[4], const Activation* x) {
        S::template grouped_dots<Rows::kOffset>(codes, 0, x);
    };
    template <class Rows>
    [[gnu::always_inline]] static Float4 grouped_terms(const Quad& quad, uint64_t factors, Input in) {
        return scaled<Rows>(S::template grouped_dots<Rows::kOffset>(quad.codes, factors, in.x), S::splat4(0),
                            quad.scales, in);
    }

    // (0 + 2) + (1 + 3): how the four sums of a row are put together.
    static float sum4(Float4 v) {
        float lane[4];
        S::store4(lane, v);
        return (lane[0] + lane[2]) + (lane[1] + lane[3]);
    }

    // Rows of one token are multiplied by twos: two streams of weights arrive faster than one, and where loading
    // activations is much of the work, they can share it.
    static constexpr int kTokenRows = 2;
    using Units = const uint8_t* [kTokenRows];

    // What a quad of each row adds to its sums.
    template <class Rows, class Products, int kQuad>
    [[gnu::always_inline]] static void add_terms(const Units& units, Input in, Float4 (&acc)[kTokenRows]) {
        if constexpr (Rows::kLayout == Layout::nibbles && requires(const uint8_t* row, Float4(&dots)[kTokenRows]) {
                          S::nibble_dots(row, row, 0, in.x, dots);
                      }) {
            Float4 dots[kTokenRows];
            S::nibble_dots(Rows::stored(units[0], 0), Rows::stored(units[1], 0), sizeof(typename Rows::B), in.x, dots);
            for (int r = 0; r < kTokenRows; ++r)
                acc[r] = S::add(acc[r], terms<Rows>(dots[r], Rows::template scales<kQuad>(units[r]), in));
        } else if constexpr (Rows::kLayout == Layout::bytes) {
            DotSum dots[kTokenRows][4];
            add_dots<Rows, Products, 0>(units, in.x, dots);
            add_dots<Rows, Products, 1>(units, in.x, dots);
            add_dots<Rows, Products, 2>(units, in.x, dots);
            add_dots<Rows, Products, 3>(units, in.x, dots);
            for (int r = 0; r < kTokenRows; ++r)
                acc[r] = S::add(acc[r], terms<Rows>(S::sums(dots[r][0], dots[r][1], dots[r][2], dots[r][3]),
                                                    Rows::template scales<kQuad>(units[r]), in));
        } else {
#pragma GCC unroll 2
            for (int r = 0; r < kTokenRows; ++r)
                acc[r] = in_order<S>(S::add(acc[r], terms_once<Rows, Products, kQuad>(units[r], in)));
        }
    }
    template <class Rows, class Products, int i>
    [[gnu::always_inline]] static void add_dots(const Units& units, const Activation* x,
                                                DotSum (&dots)[kTokenRows][4]) {
        for (int r = 0; r < kTokenRows; ++r) dots[r][i] = in_order<S>(dot_of_bytes<Rows, Products, i>(units[r], x));
    }
    template <class Rows, class Products, int i>
    [[gnu::always_inline]] static DotSum dot_of_bytes(const uint8_t* unit, const Activation* x) {
        x += i * 32;
        return Products::dot_add(Products::dot_start(x), weights<Rows, 0, i>(unit), x);
    }

    // The last blocks of a row of blocks of 32, 1 to 3 of them, where they are no whole quad. What is missing counts as
    // activations of 0 with a scale of 0.
    template <class Rows, class Products>
    [[gnu::always_inline]] static void add_last_terms(const Units& units, int blocks, Input in,
                                                      Float4 (&acc)[kTokenRows]) {
        const auto dot = [&](int r, auto i) {
            if constexpr (Rows::kLayout == Layout::bytes)
                return dot_of_bytes<Rows, Products, i>(units[r], in.x);
            else
                return dot_of<Rows, Products>(weights<Rows, 0, i>(units[r]), in.x + i * 32);
        };
        constexpr std::integral_constant<int, 0> kFirst;
        constexpr std::integral_constant<int, 1> kSecond;
        constexpr std::integral_constant<int, 2> kThird;
        using Dot = decltype(dot(0, kFirst));
        Dot first[kTokenRows], second[kTokenRows] = {}, third[kTokenRows] = {};
        float x_scales[4] = {in.scales[0]};
        for (int r = 0; r < kTokenRows; ++r) first[r] = dot(r, kFirst);
        if (blocks > 1) {
            x_scales[1] = in.scales[1];
            for (int r = 0; r < kTokenRows; ++r) second[r] = dot(r, kSecond);
        }
        if (blocks > 2) {
            x_scales[2] = in.scales[2];
            for (int r = 0; r < kTokenRows; ++r) third[r] = dot(r, kThird);
        }
        in.scales = x_scales;
        for (int r = 0; r < kTokenRows; ++r)
            acc[r] = S::add(acc[r], terms<Rows>(S::sums(first[r], second[r], third[r], Dot{}),
                                                Rows::template scales<0>(units[r], blocks), in));
    }

    template <class Rows, class Products>
    static void one_token(const MatmulArgs& a, const int64_t (&rows)[kTokenRows], int token) {
        const int64_t quads = a.cols / kQuadCols, left = a.cols % kQuadCols / 32;
        // They move along: WebAssembly compilers make better addresses of that.
        Units units;
        Float4 acc[kTokenRows];
        for (int r = 0; r < kTokenRows; ++r) {
            units[r] = a.weights + rows[r] * Rows::row_bytes(a.cols);
            acc[r] = S::splat4(0);
        }
        Input in(a, token);
        const uint8_t* const end = units[0] + quads / Rows::kUnitQuads * Rows::kUnitBytes;
        while (units[0] != end) {
            add_terms<Rows, Products, 0>(units, in, acc);
            if constexpr (Rows::kUnitQuads == 2) add_terms<Rows, Products, 1>(units, in.quad(1), acc);
            for (auto& unit : units) unit += Rows::kUnitBytes;
            in = in.quad(Rows::kUnitQuads);
        }
        if constexpr (Rows::kUnitQuads == 1)
            if (left > 0) add_last_terms<Rows, Products>(units, int(left), in, acc);
        for (int r = 0; r < kTokenRows; ++r) a.out[token * a.out_stride + rows[r]] = sum4(acc[r]);
    }

    // Rows that are multiplied at once are far apart: each is followed by the one that is next in its stream. The last
    // ones of an odd number are multiplied twice. a: a copy, which no store can change.
    template <class Rows, class Products>
    static void by_twos(const MatmulArgs a, int64_t begin, int64_t end) {
        const int64_t apart = (end - begin) / kTokenRows, first_end = end - (kTokenRows - 1) * apart;
        for (int64_t r = begin; r < first_end; ++r) {
            int64_t rows[kTokenRows];
            for (int i = 0; i < kTokenRows; ++i) rows[i] = r + i * apart;
            for (int t = 0; t < a.n_tokens; ++t) one_token<Rows, Products>(a, rows, t);
        }
    }

    template <class Rows>
    static void matmul(const MatmulArgs& a, int64_t begin, int64_t end) {
        CHECK(a.x_sums != nullptr || !(Rows::kMinimums || Rows::kOffset != 0));
        if (PanelProductsFor<S>::template matmul<Rows>(a, begin, end)) return;
        with_products<S, Rows::kRare>([&](auto products) { by_twos<Rows, decltype(products)>(a, begin, end); });
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
