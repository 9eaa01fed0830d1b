// What a SIMD backend must offer. Kernels are templates over this; a backend is a type without state.
//
// F32 is eight floats in every backend. Ints holds the partial sums of one exact dot product of 32 small integers,
// those of values 0-15 apart from those of 16-31; a DotSum those of a longer one, in one register. Float4 is four
// floats, one for each of four rows or tokens. Activation is how one quantised activation (an integer in -127..127) is
// stored, as suits the backend's multiplication: 32 of them may share what the dot product needs besides. Bytes are
// sixteen, Bytes32 thirty-two, Shorts sixteen 16-bit integers in an order of the backend's own.
//
// Panels: kPanelRows rows of weights side by side, whose dot products with one token are the lanes of one PanelInts, so
// that nothing is summed across lanes. A PanelBlock holds 32 columns of such rows. kPanelLoopApart: whether the loop
// over a panel's blocks is to be compiled as a function of its own. kPanelsAreCells: whether a block is [columns /
// 4][row][4 columns] of what store_packing writes.
//
// What only some backends have, and the functions below do for all: with_products<kRare>(fn), where only a run shows
// which of two ways to multiply is faster, calls fn with a type whose dot, dot_unsigned, dot_start, dot_add and
// panel_dots to use, of one kind only where kRare, because each kind takes its place in what everybody downloads;
// constant and constant4, a constant of an inner loop, where compilers make little of one; nibble_dots of four blocks,
// where it has a better way; in_order, where compilers order an inner loop badly. What others use where it is there:
// QuadProductsFor grouped_dots, and nibble_dots of two rows; PanelProductsFor keep_scale and kept_scale, a place for 32
// activations' scale beside them; TileKernelsFor Spread, four activations in a form of their own, spread32, which makes
// eight of an activation's 32, and spread_positive32, of 32 numbers >= 0 times a scale, whose dots begin with zeros.
#pragma once
#include <concepts>
#include <cstdint>
#include <type_traits>

#include "engine/base/prefetch.h"
#include "engine/simd/codes.h"

namespace strata {

// Four activations as products of cells take them.
template <class S>
struct FewOf {
    using Type = typename S::Activation;
};
template <class S>
requires requires { typename S::Spread; }
struct FewOf<S> {
    using Type = typename S::Spread;
};
template <class S>
using CellOf = std::conditional_t<S::kCellRows == 4, typename S::Bytes, typename S::Bytes32>;

template <class S>
concept SimdBackend = requires(typename S::F32 v, typename S::Float4 four, typename S::Weights32 w,
                               typename S::Ints ints, typename S::DotSum dot_sum, const float* f, float* out,
                               const uint16_t* half, const uint8_t* bytes, int8_t* q, const int8_t* table,
                               const typename S::Activation* x, typename S::Activation* x_out, typename S::Bytes b,
                               typename S::Bytes32 b32, typename S::Shorts shorts, typename S::PanelBlock* panel,
                               typename S::PanelInts dots[4], typename S::PanelF32 lanes, uint8_t* packing,
                               CellOf<S> cell, typename S::CellWeights cell_weights, typename S::RowSums rows,
                               const typename FewOf<S>::Type* few, typename S::CellConstants constants) {
    { S::splat(1.0f) } -> std::same_as<typename S::F32>;
    { S::load(f) } -> std::same_as<typename S::F32>;          // need not be aligned
    { S::load_half(half) } -> std::same_as<typename S::F32>;  // as half_to_float
    { S::load_bfloat(half) } -> std::same_as<typename S::F32>;
    {S::store(out, v)};
    { S::add(v, v) } -> std::same_as<typename S::F32>;
    { S::sub(v, v) } -> std::same_as<typename S::F32>;
    { S::mul(v, v) } -> std::same_as<typename S::F32>;
    { S::div(v, v) } -> std::same_as<typename S::F32>;
    { S::mul_add(v, v, v) } -> std::same_as<typename S::F32>;  // a * b + c, rounded twice
    { S::min(v, v) } -> std::same_as<typename S::F32>;
    { S::max(v, v) } -> std::same_as<typename S::F32>;
    {
        S::times_power_of_two(v, v)
        } -> std::same_as<typename S::F32>;  // the last step of exp_f32: adds the bits of b << 23 to a
    { S::sum(v) } -> std::same_as<float>;    // in the order that Scalar::sum defines
    { S::sums(v, v, v, v) } -> std::same_as<typename S::Float4>;  // of each, in that order
    { S::largest(v) } -> std::same_as<float>;

    { S::abs(v) } -> std::same_as<typename S::F32>;
    { S::count_greater(v, v, v) } -> std::same_as<typename S::F32>;  // a, as integers, plus 1 where b > c
    // Lanes i and i + 1, 2 or 4 become their sum and their difference, for i without that bit.
    { S::template butterfly<1>(v) } -> std::same_as<typename S::F32>;
    { S::template butterfly<2>(v) } -> std::same_as<typename S::F32>;
    { S::template butterfly<4>(v) } -> std::same_as<typename S::F32>;

    {S::quantise32(f, 1.0f, x_out)};  // x[i] = nearest integer of f[i] * scale, ties to even
    { S::load_weights(q) } -> std::same_as<typename S::Weights32>;  // 32 int8
    { S::dot(w, x) } -> std::same_as<typename S::Ints>;             // exact
    // The same in steps: what a sum of dots begins with, for each 32 activations, and one dot more.
    { S::dot_start(x) } -> std::same_as<typename S::DotSum>;
    { S::dot_add(dot_sum, w, x) } -> std::same_as<typename S::DotSum>;
    { S::add(dot_sum, dot_sum) } -> std::same_as<typename S::DotSum>;
    { S::sums(dot_sum, dot_sum, dot_sum, dot_sum) } -> std::same_as<typename S::Float4>;
    { S::add(ints, ints) } -> std::same_as<typename S::Ints>;
    { S::sums(ints, ints, ints, ints) } -> std::same_as<typename S::Float4>;  // four finished dots, as floats
    { S::splat4(1.0f) } -> std::same_as<typename S::Float4>;
    { S::load4(f) } -> std::same_as<typename S::Float4>;
    { S::gather4(f, f, f, f) } -> std::same_as<typename S::Float4>;
    { S::gather_half4(bytes, bytes, bytes, bytes) } -> std::same_as<typename S::Float4>;
    { S::mul(four, four) } -> std::same_as<typename S::Float4>;
    { S::add(four, four) } -> std::same_as<typename S::Float4>;
    {S::store4(out, four)};

    {S::look_up_nibbles(bytes, table, q)};  // 16 bytes to 32 int8 through 16 entries
    {S::scale_to_float(table, 1.0f, out)};  // 32 int8 times a scale

    {S::fetch_ahead(bytes)};  // has the cache line of an address come nearer, while something else is computed
    { S::load_bytes(bytes) } -> std::same_as<typename S::Bytes>;
    // Each byte shifted right (negative: left), of which the mask leaves nothing that came from another byte.
    { S::template field<1>(b, 1) } -> std::same_as<typename S::Bytes>;
    { S::add(b, b) } -> std::same_as<typename S::Bytes>;
    { S::look_up(b, b) } -> std::same_as<typename S::Bytes>;  // the entries of a, a table, at b, which are 0-15
    {S::store_bytes(packing, b)};
    {S::store_words(out, b, b, b, b)};  // sixteen 32-bit words of four bytes each, lowest first

    // What unpacks weights, 32 at a time.
    { S::load_bytes32(bytes) } -> std::same_as<typename S::Bytes32>;
    { S::load_codes(bytes) } -> std::same_as<typename S::Bytes32>;  // 16 bytes, low nibbles first
    { S::load_bits(bytes) } -> std::same_as<typename S::Bytes32>;   // bit i of 4 bytes: byte i is 255 or 0
    { S::template field<1>(b32, 1) } -> std::same_as<typename S::Bytes32>;
    { S::add(b32, b32) } -> std::same_as<typename S::Bytes32>;
    { S::look_up(b, b32) } -> std::same_as<typename S::Bytes32>;
    // Weights by their codes, 0-15; the table holds int8, and is made ready once.
    { S::weight_table(b) } -> std::same_as<typename S::Bytes>;
    { S::look_up_weights(b, b32) } -> std::same_as<typename S::Weights32>;
    { S::weights(b32) } -> std::same_as<typename S::Weights32>;           // bytes as int8
    { S::unsigned_weights(b32) } -> std::same_as<typename S::Weights32>;  // of bytes in 0..127, for dot_unsigned only
    { S::dot_unsigned(w, x) } -> std::same_as<typename S::Ints>;          // exact
    // Exact dots of kCellRows rows with one query, as lanes, four columns at a time (a cell; its rows lie one after
    // the other): what they begin with, for each 32 activations, and four columns more, from a column on, which may lie
    // behind the first 32. kPositive: no activation is negative.
    { S::cell_weights(b, cell) } -> std::same_as<typename S::CellWeights>;  // by their codes, 0-15
    { S::cell_weights(cell) } -> std::same_as<typename S::CellWeights>;
    { S::start_rows(x) } -> std::same_as<typename S::RowSums>;
    { S::template dot_rows<false>(rows, cell_weights, few, 4, constants) } -> std::same_as<typename S::RowSums>;
    { S::add(rows, rows) } -> std::same_as<typename S::RowSums>;
    { S::template nibbles<4>(cell, constants) } -> std::same_as<CellOf<S>>;  // field<4>(cell, 15)
    S::row_floats(rows);                                                     // Float4 or F32
    // Four finished dots by halves: lane i has values 0-15 of the i-th, lane 4 + i values 16-31.
    { S::half_sums(ints, ints, ints, ints) } -> std::same_as<typename S::F32>;
    { S::add_halves(v) } -> std::same_as<typename S::Float4>;                // lanes i and 4 + i
    { S::bytes_to_float4(uint32_t()) } -> std::same_as<typename S::Float4>;  // four bytes in 0..127, lowest first
    { S::bytes_to_float8(uint64_t()) } -> std::same_as<typename S::F32>;     // eight: 0 2 4 6, then 1 3 5 7
    { S::splat_half4(uint16_t()) } -> std::same_as<typename S::Float4>;

    { S::shorts(1) } -> std::same_as<typename S::Shorts>;     // all the same
    { S::shorts(v, v) } -> std::same_as<typename S::Shorts>;  // nearest integers, ties to even, of numbers that fit
    { S::where_greater(shorts, shorts, shorts) } -> std::same_as<typename S::Shorts>;  // a > b ? c : 0
    { S::add(shorts, shorts) } -> std::same_as<typename S::Shorts>;
    { S::sub(shorts, shorts) } -> std::same_as<typename S::Shorts>;
    { S::dot(shorts, shorts) } -> std::same_as<typename S::Ints>;  // exact

    {S::template store_packing<Codes::upto_63, 32>(b32, packing)};  // 32 codes of one row, as pack takes them
    {S::pack(packing, panel)};                                      // (kPanelRows, 32) of them to one block
    // Exact dots of the block's rows with tokens whose activations lie `stride` apart; with columns 0-15 or 16-31
    // alone. Codes and what is subtracted from them are those that were packed; always 0 unless kPanelsTakeOffset.
    {S::template panel_dots<Codes::int8, 0, 4, 0, 32>(*panel, x, 1, dots)};
    {S::template panel_dots<Codes::int8, 0, 4, 0, 16>(*panel, x, 1, dots)};
    {S::template panel_dots<Codes::int8, 0, 4, 16, 16>(*panel, x, 1, dots)};
    { S::add(dots[0], dots[0]) } -> std::same_as<typename S::PanelInts>;
    { S::to_float(dots[0]) } -> std::same_as<typename S::PanelF32>;
    { S::load_lanes(f) } -> std::same_as<typename S::PanelF32>;
    { S::splat_lanes(1.0f) } -> std::same_as<typename S::PanelF32>;
    { S::mul(lanes, lanes) } -> std::same_as<typename S::PanelF32>;
    { S::add(lanes, lanes) } -> std::same_as<typename S::PanelF32>;
    {S::store(out, lanes)};
};

// fn(what to multiply with)
template <SimdBackend S, bool kRare = false, class Fn>
void with_products(Fn&& fn) {
    if constexpr (requires { S::template with_products<kRare>(fn); })
        S::template with_products<kRare>(fn);
    else
        fn(S());
}
// splat and splat4
template <SimdBackend S, const float& kValue>
typename S::F32 constant() {
    if constexpr (requires { S::template constant<kValue>(); })
        return S::template constant<kValue>();
    else
        return S::splat(kValue);
}
template <SimdBackend S, const float& kValue>
typename S::Float4 constant4() {
    if constexpr (requires { S::template constant4<kValue>(); })
        return S::template constant4<kValue>();
    else
        return S::splat4(kValue);
}
// Exact dots of four blocks of packed nibbles (0..15, as load_codes) with x and what follows it, as floats.
template <SimdBackend S>
typename S::Float4 nibble_dots(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                               const typename S::Activation* x) {
    if constexpr (requires { S::nibble_dots(a, b, c, d, x); }) {
        return S::nibble_dots(a, b, c, d, x);
    } else {
        const auto dot = [&](const uint8_t* packed, int i) {
            return S::dot_unsigned(S::unsigned_weights(S::load_codes(packed)), x + i * 32);
        };
        return S::sums(dot(a, 0), dot(b, 1), dot(c, 2), dot(d, 3));
    }
}
// v, computed before what follows: where compilers would order an inner loop so that registers do not suffice.
template <SimdBackend S, class V>
V in_order(V v) {
    if constexpr (requires { S::in_order(v); })
        return S::in_order(v);
    else
        return v;
}

// Has some bytes come nearer while something else is computed.
template <SimdBackend S>
void fetch_lines(const uint8_t* p, int64_t bytes) {
    int64_t lines = (bytes + kLineBytes - 1) / kLineBytes;
    const auto fetch = [&](int n) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i) S::fetch_ahead(p + i * kLineBytes);
        p += n * kLineBytes;
        lines -= n;
    };
    while (lines >= 8) fetch(8);
    while (lines > 0) fetch(1);
}

}  // namespace strata
