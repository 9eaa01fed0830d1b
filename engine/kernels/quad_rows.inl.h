// How the kernels read rows of the types whose values are small codes: what engine/formats decodes one by one, four
// blocks of 32 ("a quad") at a time. Each view is one type; QuadProductsFor multiplies with any of them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "engine/base/bits.h"
#include "engine/formats/iq4_nl.h"
#include "engine/formats/iq4_xs.h"
#include "engine/formats/q2_k.h"
#include "engine/formats/q3_k.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q4_1.h"
#include "engine/formats/q4_k.h"
#include "engine/formats/q5_0.h"
#include "engine/formats/q5_1.h"
#include "engine/formats/q5_k.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/simd/backend.h"
#include "engine/simd/codes.h"

namespace strata {

// How the codes of a block lie: one after the other, or low nibbles first. What has a kernel of its own for single
// tokens.
enum class Layout { bytes, nibbles, other };

template <SimdBackend S>
struct QuadRowsFor {
    using F32 = typename S::F32;
    using Float4 = typename S::Float4;
    using Bytes32 = typename S::Bytes32;

    // What turns the codes of four blocks into weights; a lane for each block:
    //   weight = group * (code - kOffset) * scale + group_minimum * minimum
    // Lane i of the groups belongs to values 0-15 of block i, lane 4 + i to values 16-31. A view that has no groups, or
    // no minimums, leaves them 0.
    struct Scales {
        Float4 scale, minimum = S::splat4(0);
        F32 group = S::splat(0), group_minimum = S::splat(0);
    };

    // Four blocks of 32 that each have a half-precision scale of their own.
    template <class Block>
    struct OfBlocks {
        using B = Block;
        static constexpr int kUnitBytes = 4 * sizeof(Block), kUnitQuads = 1;
        static constexpr int64_t row_bytes(int64_t cols) { return cols / 32 * int64_t(sizeof(Block)); }
        static constexpr int kOffset = 0;  // subtracted from the codes
        static constexpr Codes kCodes = Codes::upto_63;
        static constexpr bool kGroups = false, kMinimums = false;
        static constexpr Layout kLayout = Layout::other;
        static constexpr bool kRare = false;  // in files that are read

        static const uint8_t* at(const uint8_t* unit, int i, size_t member) {
            return unit + i * sizeof(Block) + member;
        }
        // Of n blocks, 1 to 4: those that are missing at the end of a row repeat the last one.
        static Float4 halves(const uint8_t* unit, size_t member, int n) {
            const auto half = [&](int i) { return at(unit, i < n ? i : n - 1, member); };
            return S::gather_half4(half(0), half(1), half(2), half(3));
        }
        template <int kQuad>
        static Scales scales(const uint8_t* unit, int n = 4) {
            return {halves(unit, offsetof(Block, scale), n)};
        }
        static Scales scales_and_minimums(const uint8_t* unit, int n) {
            return {halves(unit, offsetof(Block, scale), n), halves(unit, offsetof(Block, minimum), n)};
        }
        static const uint8_t* stored(const uint8_t* unit, int i) { return at(unit, i, offsetof(Block, q)); }
        template <int i>
        static Bytes32 nibbles(const uint8_t* unit) {
            return S::load_codes(stored(unit, i));
        }
        template <int i>
        static Bytes32 nibbles_and_bits(const uint8_t* unit) {
            const Bytes32 bits = S::load_bits(at(unit, i, offsetof(Block, fifth)));
            return S::add(nibbles<i>(unit), S::template field<0>(bits, 16));
        }
    };

    struct Q8_0 : OfBlocks<BlockQ8_0> {
        static constexpr Codes kCodes = Codes::int8;
        static constexpr Layout kLayout = Layout::bytes;
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return S::load_bytes32(OfBlocks<BlockQ8_0>::stored(unit, i));
        }
    };
    struct Q4_0 : OfBlocks<BlockQ4_0> {
        static constexpr int kOffset = 8;
        static constexpr Codes kCodes = Codes::nibbles;
        static constexpr Layout kLayout = Layout::nibbles;
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return OfBlocks<BlockQ4_0>::template nibbles<i>(unit);
        }
    };
    struct Q4_1 : OfBlocks<BlockQ4_1> {
        using Base = OfBlocks<BlockQ4_1>;
        static constexpr bool kRare = true;
        static constexpr Codes kCodes = Codes::nibbles;
        static constexpr bool kMinimums = true;
        static constexpr Layout kLayout = Layout::nibbles;
        template <int kQuad>
        static Scales scales(const uint8_t* unit, int n = 4) {
            return Base::scales_and_minimums(unit, n);
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return Base::template nibbles<i>(unit);
        }
    };
    struct Q5_0 : OfBlocks<BlockQ5_0> {
        static constexpr Codes kCodes = Codes::upto_31;
        static constexpr int kOffset = 16;
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return OfBlocks<BlockQ5_0>::template nibbles_and_bits<i>(unit);
        }
    };
    struct Q5_1 : OfBlocks<BlockQ5_1> {
        using Base = OfBlocks<BlockQ5_1>;
        static constexpr bool kRare = true;
        static constexpr Codes kCodes = Codes::upto_31;
        static constexpr bool kMinimums = true;
        template <int kQuad>
        static Scales scales(const uint8_t* unit, int n = 4) {
            return Base::scales_and_minimums(unit, n);
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return Base::template nibbles_and_bits<i>(unit);
        }
    };
    struct IQ4_NL : OfBlocks<BlockIQ4_NL> {
        static constexpr Codes kCodes = Codes::int8;
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return S::look_up(S::load_bytes(kIq4Levels), OfBlocks<BlockIQ4_NL>::template nibbles<i>(unit));
        }
    };

    // Blocks of 256: two quads.
    template <class Block>
    struct OfHalves {
        static constexpr int kUnitBytes = sizeof(Block), kUnitQuads = 2;
        static constexpr int64_t row_bytes(int64_t cols) { return cols / 256 * int64_t(sizeof(Block)); }
        static constexpr int kOffset = 0;
        static constexpr Codes kCodes = Codes::upto_63;
        static constexpr Layout kLayout = Layout::other;
        static constexpr bool kGroups = false, kMinimums = false, kRare = false;

        // A block need not be aligned: its members are read where they are.
        static Float4 half(const uint8_t* member) { return S::splat_half4(load_unaligned<uint16_t>(member)); }
        static Float4 negative_half(const uint8_t* member) {
            return S::splat_half4(load_unaligned<uint16_t>(member) ^ 0x8000);
        }
        static Float4 scale(const uint8_t* unit) { return half(unit + offsetof(Block, scale)); }
        // Scales and minimums of Q4_K and Q5_K.
        template <int kQuad>
        static Scales scales_q4_k(const uint8_t* unit) {
            const auto groups = load_unaligned<GroupsQ4_K>(unit + offsetof(Block, groups));
            return {S::mul(scale(unit), S::bytes_to_float4(groups.scales(kQuad))),
                    S::mul(negative_half(unit + offsetof(Block, minimum)), S::bytes_to_float4(groups.minimums(kQuad)))};
        }
        // Groups i and i + 1 of Q4_K and Q5_K are the nibbles of the same 32 bytes.
        template <int kQuad, int i>
        static Bytes32 nibbles_q4_k(const uint8_t* unit) {
            const Bytes32 packed = S::load_bytes32(unit + offsetof(Block, q) + kQuad * 64 + i / 2 * 32);
            return S::template field<4 * (i % 2)>(packed, 15);
        }
    };

    struct Q4_K : OfHalves<BlockQ4_K> {
        using Base = OfHalves<BlockQ4_K>;
        static constexpr Codes kCodes = Codes::nibbles;
        static constexpr bool kMinimums = true;
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            return Base::template scales_q4_k<kQuad>(unit);
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return Base::template nibbles_q4_k<kQuad, i>(unit);
        }
    };
    struct Q5_K : OfHalves<BlockQ5_K> {
        using Base = OfHalves<BlockQ5_K>;
        static constexpr Codes kCodes = Codes::upto_31;
        static constexpr bool kMinimums = true;
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            return Base::template scales_q4_k<kQuad>(unit);
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            const Bytes32 fifth = S::load_bytes32(unit + offsetof(BlockQ5_K, fifth));
            return S::add(Base::template nibbles_q4_k<kQuad, i>(unit), S::template field<kQuad * 4 + i - 4>(fifth, 16));
        }
    };
    struct Q2_K : OfHalves<BlockQ2_K> {
        using Base = OfHalves<BlockQ2_K>;
        static constexpr bool kRare = true;
        static constexpr Codes kCodes = Codes::nibbles;
        static constexpr bool kGroups = true, kMinimums = true;
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            const uint64_t groups = load_unaligned<uint64_t>(unit + offsetof(BlockQ2_K, groups) + kQuad * 8),
                           nibbles = 0x0f0f0f0f0f0f0f0f;
            return {Base::scale(unit), Base::negative_half(unit + offsetof(BlockQ2_K, minimum)),
                    S::bytes_to_float8(groups & nibbles), S::bytes_to_float8(groups >> 4 & nibbles)};
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return S::template field<2 * i>(S::load_bytes32(unit + offsetof(BlockQ2_K, q) + kQuad * 32), 3);
        }
    };
    struct Q3_K : OfHalves<BlockQ3_K> {
        using Base = OfHalves<BlockQ3_K>;
        static constexpr bool kRare = true;
        static constexpr Codes kCodes = Codes::nibbles;
        static constexpr int kOffset = 4;
        static constexpr bool kGroups = true;
        // As int8, those of a block next to each other.
        template <int kQuad>
        static uint64_t groups(const uint8_t* unit) {
            const uint64_t all = q3_k_group_scales(unit + offsetof(BlockQ3_K, groups), kQuad);
            return (all + 0x6060606060606060) ^ 0x8080808080808080;  // - 32
        }
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            const F32 group = S::bytes_to_float8(q3_k_group_scales(unit + offsetof(BlockQ3_K, groups), kQuad));
            return {Base::scale(unit), S::splat4(0), S::sub(group, S::splat(32))};
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return S::add(S::template field<2 * i>(S::load_bytes32(unit + offsetof(BlockQ3_K, low) + kQuad * 32), 3),
                          S::template field<kQuad * 4 + i - 2>(S::load_bytes32(unit + offsetof(BlockQ3_K, high)), 4));
        }
    };
    struct Q6_K : OfHalves<BlockQ6_K> {
        using Base = OfHalves<BlockQ6_K>;
        static constexpr int kOffset = 32;
        static constexpr bool kGroups = true;
        template <int kQuad>
        static uint64_t groups(const uint8_t* unit) {
            return load_unaligned<uint64_t>(unit + offsetof(BlockQ6_K, scales) + kQuad * 8);
        }
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            const uint64_t bytes = groups<kQuad>(unit) ^ 0x8080808080808080;  // + 128
            return {Base::scale(unit), S::splat4(0), S::sub(S::bytes_to_float8(bytes), S::splat(128))};
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            const Bytes32 low = S::load_bytes32(unit + offsetof(BlockQ6_K, low) + kQuad * 64 + i % 2 * 32);
            const Bytes32 high = S::load_bytes32(unit + offsetof(BlockQ6_K, high) + kQuad * 32);
            return S::add(S::template field<i / 2 * 4>(low, 15), S::template field<2 * i - 4>(high, 48));
        }
    };
    struct IQ4_XS : OfHalves<BlockIQ4_XS> {
        using Base = OfHalves<BlockIQ4_XS>;
        static constexpr bool kRare = true;
        static constexpr Codes kCodes = Codes::int8;
        template <int kQuad>
        static Scales scales(const uint8_t* unit) {
            const Float4 group = S::bytes_to_float4(iq4_xs_group_scales(unit, kQuad));
            return {S::mul(Base::scale(unit), S::add(group, S::splat4(-32)))};
        }
        template <int kQuad, int i>
        static Bytes32 codes(const uint8_t* unit) {
            return S::look_up(S::load_bytes(kIq4Levels),
                              S::load_codes(unit + offsetof(BlockIQ4_XS, q) + (kQuad * 4 + i) * 16));
        }
    };
};

}  // namespace strata
