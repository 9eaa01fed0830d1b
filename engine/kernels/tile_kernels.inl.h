// The hot loops over tiles (engine/formats/tile.h), written once, for any SimdBackend.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "engine/formats/hadamard.h"
#include "engine/formats/tile.h"
#include "engine/kernels/kernels.h"
#include "engine/simd/backend.h"

namespace strata {

template <SimdBackend S>
struct TileKernelsFor {
    using F32 = typename S::F32;
    using Float4 = typename S::Float4;
    using Ints = typename S::Ints;
    using DotSum = typename S::DotSum;
    using Weights32 = typename S::Weights32;
    using Activation = typename S::Activation;
    using Bytes = typename S::Bytes;
    using Bytes32 = typename S::Bytes32;
    using Shorts = typename S::Shorts;
    using PanelBlock = typename S::PanelBlock;
    using PanelInts = typename S::PanelInts;
    using PanelF32 = typename S::PanelF32;
    static constexpr int kLanes = F32::kLanes, kPanelRows = S::kPanelRows, kPanelTokens = S::kPanelTokens;
    static constexpr int kExpanded = 8192;  // levels, that are expanded at a time
    static constexpr int kQueries = 64;     // that share what is kept per query

    // f(0) ... f(n - 1), with compile-time arguments.
    template <int n, class F>
    static void unrolled(F f) {
        [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
        (std::make_integer_sequence<int, n>{});
    }

    // ---- encoding: as engine/formats/tile.cpp, operation by operation -------------------------------------------

    // As hadamard_block, n >= 8. y may be x.
    static void hadamard_block(const float* x, int n, float* y) {
        const auto inside = [&](int i) {
            return S::template butterfly<4>(S::template butterfly<2>(S::template butterfly<1>(S::load(x + i))));
        };
        int half = kLanes;
        if (n >= 4 * kLanes) {
            for (int i = 0; i < n; i += 4 * kLanes) {
                const F32 a = inside(i), b = inside(i + kLanes), c = inside(i + 2 * kLanes), d = inside(i + 3 * kLanes);
                const F32 sum_ab = S::add(a, b), sum_cd = S::add(c, d), less_ab = S::sub(a, b), less_cd = S::sub(c, d);
                S::store(y + i, S::add(sum_ab, sum_cd));
                S::store(y + i + kLanes, S::add(less_ab, less_cd));
                S::store(y + i + 2 * kLanes, S::sub(sum_ab, sum_cd));
                S::store(y + i + 3 * kLanes, S::sub(less_ab, less_cd));
            }
            half = 4 * kLanes;
        } else {
            for (int i = 0; i < n; i += kLanes) S::store(y + i, inside(i));
        }
        const F32 scale = S::splat(1.0f / std::sqrt(float(n)));
        if (half == n)
            for (int i = 0; i < n; i += kLanes) S::store(y + i, S::mul(S::load(y + i), scale));
        for (; half < n; half *= 2) {
            const F32 by = 2 * half == n ? scale : S::splat(1);  // in the last pass
            for (int i = 0; i < n; i += 2 * half)
                for (int j = i; j < i + half; j += kLanes) {
                    const F32 a = S::load(y + j), b = S::load(y + j + half);
                    S::store(y + j, S::mul(S::add(a, b), by));
                    S::store(y + j + half, S::mul(S::sub(a, b), by));
                }
        }
    }

    static void rotate_rows(const float* x, int head_dim, int masked, float* y) {
        const ptrdiff_t first = ptrdiff_t(masked) * head_dim, end = ptrdiff_t(kTilePositions) * head_dim;
        for (ptrdiff_t row = first; row < end; row += head_dim) rotate(x + row, head_dim, y + row);
    }
    static void rotate(const float* x, int head_dim, float* y) {
        for (int d = 0, size; d < head_dim; d += size) {
            size = hadamard_block_size(head_dim - d);
            hadamard_block(x + d, size, y + d);
        }
    }

    // mean: the exact one (head_dim) becomes what the header keeps of it.
    static void write_mean(float* mean, int head_dim, uint8_t* header) {
        F32 largest = S::splat(0);
        for (int c = 0; c < head_dim; c += kLanes) largest = S::max(largest, S::abs(S::load(mean + c)));
        const uint16_t half = float_to_half(S::largest(largest) / 127.0f);
        const float scale = half_to_float(half);
        const F32 scales = S::splat(scale), limit = S::splat(127), round = S::splat(ExpF32::kRound);
        std::memcpy(header + kTilePositions + head_dim, &half, sizeof half);
        if (!(scale > 0)) {
            std::memset(header + kTilePositions, 0, size_t(head_dim));
            std::memset(mean, 0, size_t(head_dim) * sizeof *mean);
            return;
        }
        for (int c = 0; c < head_dim; c += kLanes) {
            const F32 q = S::div(S::load(mean + c), scales);
            const F32 rounded = S::add(S::max(S::min(q, limit), S::splat(-127)), round);
            float bits[kLanes];
            S::store(bits, rounded);
            for (int i = 0; i < kLanes; ++i) header[kTilePositions + c + i] = uint8_t(bits_of(bits[i]));
            S::store(mean + c, S::mul(S::sub(rounded, round), scales));
        }
    }

    // Takes the mean out of the rows y.
    static void centre_rows(float* y, int head_dim, int masked, uint8_t* header) {
        float mean[kMaxTileHeadDim] = {};
        const int count = kTilePositions - masked;
        for (int c = 0; c < head_dim && count > 0; c += kLanes) {
            F32 sum = S::splat(0);
            for (int r = masked; r < kTilePositions; ++r) sum = S::add(sum, S::load(y + ptrdiff_t(r) * head_dim + c));
            S::store(mean + c, S::div(sum, S::splat(float(count))));
        }
        write_mean(mean, head_dim, header);
        for (int r = masked; r < kTilePositions; ++r)
            for (int c = 0; c < head_dim; c += kLanes) {
                float* at = y + ptrdiff_t(r) * head_dim + c;
                S::store(at, S::sub(S::load(at), S::load(mean + c)));
            }
    }

    static float mean_square(const float* z, int n) {
        F32 acc = S::splat(0);
        for (int i = 0; i < n; i += kLanes) acc = S::mul_add(S::load(z + i), S::load(z + i), acc);
        return S::sum(acc) / float(n);
    }

    // Of 1024ths of the scale.
    static constexpr int search_level(int cell) {
        return tile_search_integer(float(kTileLevels4[8 + cell]) * kTileUnit4);
    }

    // Of three exponents, from `first` on.
    static void search_errors(const float* magnitudes, int n, int first, Ints* errors) {
        F32 inverse[3];
        Ints acc[3] = {};
        for (int e = 0; e < 3; ++e) inverse[e] = S::splat(sixteenth_octave(-(first + e)) * kTileSearchUnit);
        for (int i = 0; i < n; i += 2 * kLanes) {
            const F32 low = S::load(magnitudes + i), high = S::load(magnitudes + i + kLanes);
            Shorts value[3], level[3];
            for (int e = 0; e < 3; ++e) {
                value[e] = S::shorts(S::mul(low, inverse[e]), S::mul(high, inverse[e]));
                level[e] = S::shorts(search_level(0));
            }
            for (int k = 0; k < kTileCuts; ++k) {
                const Shorts threshold = S::shorts(tile_search_integer(kTileThresholds[k]));
                const Shorts step = S::shorts(search_level(k + 1) - search_level(k));
                for (int e = 0; e < 3; ++e) level[e] = S::add(level[e], S::where_greater(value[e], threshold, step));
            }
            for (int e = 0; e < 3; ++e) {
                const Shorts difference = S::sub(value[e], level[e]);
                acc[e] = S::add(acc[e], S::dot(difference, difference));
            }
        }
        for (int e = 0; e < 3; ++e) errors[e] = acc[e];
    }

    static int best_exponent(const float* z, int n) {
        constexpr int kCandidates = 2 * kTileSearch + 1;
        static_assert(kCandidates % 3 == 0);
        const int nearest = nearest_tile_exponent(mean_square(z, n)), first = nearest - kTileSearch;
        if (!tile_search_fits(nearest)) return nearest;
        float magnitudes[kMaxTileHeadDim], errors[kCandidates + 3];
        for (int i = 0; i < n; i += kLanes) S::store(magnitudes + i, S::abs(S::load(z + i)));
        Ints sums[kCandidates + 3] = {};
        for (int i = 0; i < kCandidates; i += 3) search_errors(magnitudes, n, first + i, sums + i);
        for (int i = 0; i < kCandidates; i += 4)
            S::store4(errors + i, S::sums(sums[i], sums[i + 1], sums[i + 2], sums[i + 3]));
        int best = 0;
        for (int i = 0; i < kCandidates; ++i) {
            const float scale = sixteenth_octave(first + i);
            errors[i] = errors[i] * (scale * scale);
            if (errors[i] < errors[best]) best = i;
        }
        return first + best;
    }

    static void encode_row(const float* z, int n, int exponent, uint8_t* codes) {
        const F32 inverse = S::splat(sixteenth_octave(-exponent)), zero = S::splat(0);
        float counts[kMaxTileHeadDim];
        for (int i = 0; i < n; i += kLanes) {
            const F32 v = S::mul(S::load(z + i), inverse);
            F32 count = S::count_greater(zero, v, zero);
            for (const float threshold : kTileThresholds) {
                count = S::count_greater(count, v, S::splat(threshold));
                count = S::count_greater(count, v, S::splat(-threshold));
            }
            S::store(counts + i, count);
        }
        for (int i = 0; i < n; ++i) codes[i] = uint8_t(bits_of(counts[i]));
    }

    static void encode_tile(const float* x, int head_dim, int masked, float* scratch, uint8_t* header, uint8_t* codes) {
        rotate_rows(x, head_dim, masked, scratch);
        centre_rows(scratch, head_dim, masked, header);
        int exponents[kTilePositions], largest = kLowestTileExponent;
        for (int r = masked; r < kTilePositions; ++r) {
            exponents[r] = best_exponent(scratch + ptrdiff_t(r) * head_dim, head_dim);
            largest = exponents[r] > largest ? exponents[r] : largest;
        }
        const int base = tile_base(largest);
        const int16_t base16 = int16_t(base);
        std::memcpy(header + kTilePositions + head_dim + 2, &base16, sizeof base16);
        std::memset(header, 0, size_t(masked));
        std::memset(codes, 0, size_t(masked) * size_t(head_dim));
        for (int r = masked; r < kTilePositions; ++r) {
            const int byte = tile_scale_byte(exponents[r], base);
            header[r] = uint8_t(byte);
            encode_row(scratch + ptrdiff_t(r) * head_dim, head_dim, base + byte, codes + ptrdiff_t(r) * head_dim);
        }
    }

    // ---- expanding codes to levels ------------------------------------------------------------------------------

    // Where 8 rows and 16 columns of a tile's matrix lie.
    struct Strip {
        const uint8_t* codes;  // 4 bits: four rows of bytes; high bits: two; 8 bits: eight
        ptrdiff_t step;        // from one row of bytes to the next
        const uint8_t* middle;
    };
    template <int kBits>
    static Strip strip_of_keys(const TileView& tile, int head_dim, int group, int column) {
        const int step = head_dim;
        if (kBits == 8) return {tile.pages[group] + column, step, nullptr};
        if (kBits == 4) return {tile.pages[group / 2] + group % 2 * 4 * step + column, step, nullptr};
        return {tile.pages[group / 4] + group % 4 * 2 * step + column, step,
                kBits == 3 ? tile.pages[2] + group * step + column : nullptr};
    }
    template <int kBits>
    static Strip strip_of_values(const TileView& tile, int group, int column) {
        if (kBits == 4) return {tile.pages[column / 16] + group * 4 * 16, 16, nullptr};
        return {tile.pages[column / 32] + group * 2 * 32 + column % 32, 32,
                kBits == 3 ? tile.pages[2] + group * 64 + column : nullptr};
    }

    template <int kBits>
    static void expand_strip(Strip strip, Bytes table, int8_t* out, int stride) {
        if constexpr (kBits == 8) {
            for (int r = 0; r < 8; ++r) S::store_bytes(out + r * stride, S::load_bytes(strip.codes + r * strip.step));
        } else if constexpr (kBits == 4) {
            for (int p = 0; p < 4; ++p) {
                const Bytes pair = S::load_bytes(strip.codes + p * strip.step);
                S::store_bytes(out + 2 * p * stride, S::look_up(table, S::template field<0>(pair, 15)));
                S::store_bytes(out + (2 * p + 1) * stride, S::look_up(table, S::template field<4>(pair, 15)));
            }
        } else {
            const Bytes high[2] = {S::load_bytes(strip.codes), S::load_bytes(strip.codes + strip.step)};
            const Bytes middle = kBits == 3 ? S::load_bytes(strip.middle) : Bytes{};
            unrolled<8>([&](auto row) {
                constexpr int r = row, at = r % 4 * 2;
                Bytes code;
                if constexpr (kBits == 3)
                    code = S::add(S::template field<at - 1>(high[r / 4], 6), S::template field<r>(middle, 1));
                else
                    code = S::template field<at>(high[r / 4], 3);
                S::store_bytes(out + r * stride, S::look_up(table, code));
            });
        }
    }

    struct Levels {
        int8_t table[16];
        float unit;
    };
    template <int kBits>
    static Levels levels_of(TileSide side) {
        Levels result{{}, 1.0f};
        if constexpr (kBits != 8) {
            const TileLevels levels = tile_levels(side, kBits);
            std::memcpy(result.table, levels.levels, size_t(1) << kBits);
            result.unit = levels.unit;
        }
        return result;
    }

    // Byte i of the mantissas of 2^(0/16) ... 2^(15/16).
    struct RootBytes {
        uint8_t byte[3][16];
    };
    static constexpr RootBytes root_bytes() {
        RootBytes bytes{};
        for (int i = 0; i < 16; ++i)
            for (int b = 0; b < 3; ++b)
                bytes.byte[b][i] = uint8_t(uint32_t((kTileRoots[i] - 1.0f) * 0x1p23f) >> (8 * b));
        return bytes;
    }

    // Whether a scale byte is 0: only then does subtracting 1 from each set the highest bit of one that did not have
    // it.
    static bool has_masked_rows(const uint8_t* header) {
        constexpr uint64_t kOnes = 0x0101010101010101, kHighest = kOnes << 7;
        uint64_t found = 0;
        for (int r = 0; r < kTilePositions; r += 8) {
            const uint64_t bytes = load_unaligned<uint64_t>(header + r);
            found |= (bytes - kOnes) & ~bytes;
        }
        return (found & kHighest) != 0;
    }

    // As tile_scale, sixteen rows at a time: the bytes of their floats are looked up or put together, each by itself.
    static void tile_scales(const uint8_t* header, int head_dim, float* scales) {
        static constexpr RootBytes kRoots = root_bytes();
        const int base = read_tile_base(header, head_dim);
        uint8_t root[16], octave[16];  // of the base; octaves as floats count them
        std::memset(root, base & 15, sizeof root);
        std::memset(octave, (base >> 4) + 127, sizeof octave);
        const Bytes base_root = S::load_bytes(root), base_octave = S::load_bytes(octave);
        const Bytes roots[3] = {S::load_bytes(kRoots.byte[0]), S::load_bytes(kRoots.byte[1]),
                                S::load_bytes(kRoots.byte[2])};
        for (int r = 0; r < kTilePositions; r += 16) {
            const Bytes byte = S::load_bytes(header + r);
            const Bytes sum = S::add(S::template field<0>(byte, 15), base_root), code = S::template field<0>(sum, 15);
            const Bytes exponent =
                S::add(base_octave, S::add(S::template field<4>(byte, 15), S::template field<4>(sum, 1)));
            S::store_words(scales + r, S::look_up(roots[0], code), S::look_up(roots[1], code),
                           S::add(S::look_up(roots[2], code), S::template field<-7>(exponent, 128)),
                           S::template field<1>(exponent, 127));
        }
        if (has_masked_rows(header))
            for (int r = 0; r < kTilePositions; ++r)
                if (header[r] == 0) scales[r] = 0;
    }

    // ---- panels: many queries ------------------------------------------------------------------------------------
    // The expanded matrix as panels of kPanelRows rows (engine/simd/backend.h), whose dots with a query are lanes.

    struct Panels {
        PanelBlock blocks[kExpanded / 32 / kPanelRows];  // (rows / kPanelRows, cols / 32)
    };

    // levels: (rows, cols), cols a multiple of 32
    static void pack_panels(const int8_t* levels, int rows, int cols, Panels& panels) {
        PanelBlock* block = panels.blocks;
        for (int r = 0; r < rows; r += kPanelRows)
            for (int c = 0; c < cols; c += 32, ++block) {
                alignas(64) uint8_t bytes[kPanelRows * 32];
                for (int i = 0; i < kPanelRows; ++i)
                    S::template store_packing<Codes::int8, 0>(S::load_bytes32(levels + (r + i) * cols + c),
                                                              bytes + i * 32);
                S::pack(bytes, block);
            }
    }

    // fn(query, row, dots): the exact dots of kPanelRows rows, from `row` on, as floats, for all queries (n, cols);
    // n >= kPanelTokens.
    template <class Fn>
    static void for_panel_dots(const Panels& panels, int rows, int cols, const Activation* queries, int n, Fn&& fn) {
        const auto dots_of = [&](const PanelBlock& block, const Activation* x, PanelInts* dots) {
            with_products<S>([&](auto products) {
                products.template panel_dots<Codes::int8, 0, kPanelTokens, 0, 32>(block, x, cols, dots);
            });
        };
        const int blocks = cols / 32;
        for (int r = 0; r < rows; r += kPanelRows)
            for (int done = 0; done < n; done += kPanelTokens) {
                // The last queries begin earlier where fewer are left: some dots are computed again and not used.
                const int first = done < n - kPanelTokens ? done : n - kPanelTokens;
                const PanelBlock* block = panels.blocks + r / kPanelRows * blocks;
                PanelInts dots[kPanelTokens];
                dots_of(*block, queries + first * cols, dots);
                for (int b = 1; b < blocks; ++b) {
                    PanelInts more[kPanelTokens];
                    dots_of(block[b], queries + first * cols + b * 32, more);
                    for (int t = 0; t < kPanelTokens; ++t) dots[t] = S::add(dots[t], more[t]);
                }
                for (int t = done - first; t < kPanelTokens; ++t) fn(first + t, r, S::to_float(dots[t]));
            }
    }

    // ---- fetching ahead ------------------------------------------------------------------------------------------

    static void fetch(const void* p, int64_t bytes) { fetch_lines<S>(static_cast<const uint8_t*>(p), bytes); }
    static void fetch_tile(const TileView& tile, int head_dim) {
        fetch(tile.header, tile_header_bytes(head_dim));
        for (int i = 0; i < tile_pages(tile.bits); ++i) fetch(tile.pages[i], tile_page_bytes(head_dim));
    }

    // ---- scores -------------------------------------------------------------------------------------------------

    static void quantise_query(const float* x, int head_dim, void* query, float* scale) {
        Activation* out = static_cast<Activation*>(query);
        F32 magnitude = S::splat(0);
        for (int i = 0; i < head_dim; i += kLanes) magnitude = S::max(magnitude, S::abs(S::load(x + i)));
        const float largest = S::largest(magnitude), inverse = largest > 0 ? 127.0f / largest : 0.0f;
        *scale = largest / 127.0f;
        int i = 0;
        for (; i + 32 <= head_dim; i += 32) S::quantise32(x + i, inverse, out + i);
        if (i < head_dim) {
            float rest[32] = {};
            std::memcpy(rest, x + i, size_t(head_dim - i) * sizeof *x);
            S::quantise32(rest, inverse, out + i);
        }
    }

    // ---- few queries: levels go from their table to the products, and are kept nowhere -----------------------------

    // Queries that share what is looked up, at most: their sums stay in registers.
    static constexpr int kFew = kPanelTokens <= 4 ? kPanelTokens - 1 : 4;

    // How many columns a step takes: as many as one instruction multiplies, where a backend says so.
    static constexpr int kDotColumns = [] {
        if constexpr (requires { S::kDotColumns; })
            return S::kDotColumns;
        else
            return 32;
    }();
    using Columns = std::conditional_t<kDotColumns == 16, Bytes, Bytes32>;
    using ColumnWeights = std::conditional_t<kDotColumns == 16, Bytes, Weights32>;

    static Columns load_columns(const uint8_t* p) {
        if constexpr (kDotColumns == 16)
            return S::load_bytes(p);
        else
            return S::load_bytes32(p);
    }
    static ColumnWeights weights_of(Bytes table, Columns codes) {
        if constexpr (kDotColumns == 16)
            return S::look_up(table, codes);
        else
            return S::look_up_weights(table, codes);
    }
    static ColumnWeights weights_of(Columns levels) {
        if constexpr (kDotColumns == 16)
            return levels;
        else
            return S::weights(levels);
    }
    // x: 32 activations, of which the weights are those from kFirst on.
    template <class Products, bool kPositive, int kFirst>
    [[gnu::always_inline]] static DotSum add_dot(DotSum acc, ColumnWeights w, const Activation* x) {
        if constexpr (kDotColumns == 16)
            return Products::template dot_add<kPositive, kFirst>(acc, w, x);
        else
            return Products::template dot_add<kPositive>(acc, w, x);
    }

    // How many rows share a byte, and with it how many rows (of keys) or columns (of values) a page has.
    template <int kBits>
    static constexpr int kByteRows = kBits == 8   ? 1
                                     : kBits == 4 ? 2
                                                  : 4;
    template <int kBits>
    static constexpr int kPageSpan = 8 * kByteRows<kBits>;
    // The bytes of four rows of a tile, from `row` on.
    template <int kBits, TileSide kSide>
    struct FourRows {
        const TileView& tile;
        int cols, row;

        // Those of columns from `column` on, i rows of bytes further.
        Columns codes(int column, int i) const {
            constexpr int kSpan = kPageSpan<kBits>;
            if constexpr (kSide == TileSide::keys) {
                return load_columns(tile.pages[row / kSpan] + (row % kSpan / kByteRows<kBits> + i) * cols + column);
            } else {
                const auto at = [&](int c) {
                    return tile.pages[c / kSpan] + (row / kByteRows<kBits> + i) * kSpan + c % kSpan;
                };
                if constexpr (kSpan < kDotColumns)
                    return S::join(S::load_bytes(at(column)), S::load_bytes(at(column + kSpan)));
                else
                    return load_columns(at(column));
            }
        }
        // Bit k is of row k of this half of the eight.
        Columns middle(int column) const {
            const Columns bits = load_columns(tile.pages[2] + row / 8 * cols + column);
            return row % 8 == 0 ? bits : S::template field<4>(bits, 15);
        }
        // The first or the second two rows.
        template <int kPair>
        [[gnu::always_inline]] void look_up(Bytes table, int column, ColumnWeights& even, ColumnWeights& odd) const {
            if constexpr (kBits == 8) {
                even = weights_of(codes(column, 2 * kPair));
                odd = weights_of(codes(column, 2 * kPair + 1));
            } else if constexpr (kBits == 4) {
                const Columns both = codes(column, kPair);
                even = weights_of(table, S::template field<0>(both, 15));
                odd = weights_of(table, S::template field<4>(both, 15));
            } else {
                constexpr int kRow = 2 * kPair, kAt = 2 * kRow;
                const Columns high = codes(column, 0);
                if constexpr (kBits == 2) {
                    even = weights_of(table, S::template field<kAt>(high, 3));
                    odd = weights_of(table, S::template field<kAt + 2>(high, 3));
                } else {
                    const Columns bits = middle(column);
                    even = weights_of(table,
                                      S::add(S::template field<kAt - 1>(high, 6), S::template field<kRow>(bits, 1)));
                    odd = weights_of(table,
                                     S::add(S::template field<kAt + 1>(high, 6), S::template field<kRow + 1>(bits, 1)));
                }
            }
        }
    };
    template <class Products, int kBits, TileSide kSide, int kPair, int n>
    [[gnu::always_inline]] static void add_pair(const FourRows<kBits, kSide>& rows, Bytes table,
                                                const Activation* queries, const DotSum* start, DotSum (&sums)[n][4]) {
        const int cols = rows.cols;
        constexpr bool kPositive = kSide == TileSide::values;
        DotSum even[n], odd[n];
        const Activation* x[n];
        for (int i = 0; i < n; ++i) {
            even[i] = odd[i] = start[i];
            x[i] = queries + i * cols;
        }
        for (int c = 0; c < cols; c += 32) {
            unrolled<32 / kDotColumns>([&](auto part) {
                constexpr int kFirst = part * kDotColumns;
                ColumnWeights even_row, odd_row;
                rows.template look_up<kPair>(table, c + kFirst, even_row, odd_row);
                for (int i = 0; i < n; ++i) {
                    const DotSum first = add_dot<Products, kPositive, kFirst>(even[i], even_row, x[i]);
                    const DotSum second = add_dot<Products, kPositive, kFirst>(odd[i], odd_row, x[i]);
                    even[i] = in_order<S>(first);
                    odd[i] = in_order<S>(second);
                }
            });
            for (int i = 0; i < n; ++i) x[i] += 32;
        }
        for (int i = 0; i < n; ++i) {
            sums[i][2 * kPair] = even[i];
            sums[i][2 * kPair + 1] = odd[i];
        }
    }

    // dots (n, rows): the exact ones of the tile's rows with n queries (n, cols); cols: a multiple of 32, or kCols
    // where that is not 0, and then loops are unrolled.
    template <class Products, int kBits, TileSide kSide, int n, int kCols>
    [[gnu::always_inline]] static void few_dots(const TileView& tile, int rows, int cols, const int8_t* levels,
                                                const Activation* queries, float* dots) {
        if constexpr (kCols != 0) cols = kCols;
        const TileView pages = tile;  // which no call can change
        const Bytes table = S::weight_table(S::load_bytes(levels));
        DotSum start[n];
        for (int i = 0; i < n; ++i) {
            start[i] = Products::template dot_start<kSide == TileSide::values>(queries + i * cols);
            for (int c = 32; c < cols; c += 32)
                start[i] =
                    S::add(start[i], Products::template dot_start<kSide == TileSide::values>(queries + i * cols + c));
        }
        // The second pair loads the queries again: compilers would keep them from the first, in memory too, which is a
        // store more for each.
        const Activation* volatile same = queries;
        const Activation* const again = same;
        for (int row = 0; row < rows; row += 4) {
            DotSum sums[n][4];
            const FourRows<kBits, kSide> four{pages, cols, row};
            add_pair<Products, kBits, kSide, 0, n>(four, table, queries, start, sums);
            add_pair<Products, kBits, kSide, 1, n>(four, table, again, start, sums);
            for (int i = 0; i < n; ++i)
                S::store4(dots + i * rows + row, S::sums(sums[i][0], sums[i][1], sums[i][2], sums[i][3]));
        }
    }
    // Loops are unrolled for what is commonest: the others would make the download large.
    template <class Products, int kBits, TileSide kSide, int n>
    static void few_dots(const TileView& tile, int rows, int cols, const int8_t* levels, const Activation* queries,
                         float* dots) {
        if (kBits == 4 && (kSide == TileSide::values || cols == 64))
            few_dots<Products, kBits, kSide, n, 64>(tile, rows, cols, levels, queries, dots);
        else
            few_dots<Products, kBits, kSide, n, 0>(tile, rows, cols, levels, queries, dots);
    }
    // n: below kPanelTokens.
    template <int kBits, TileSide kSide>
    static void some_dots(const TileView& tile, int rows, int cols, const int8_t* levels, const Activation* queries,
                          int n, float* dots) {
        for (int some; n > 0; n -= some, queries += some * cols, dots += some * rows) {
            some = n <= kFew ? n : (n + 1) / 2;
            unrolled<kFew>([&](auto before) {
                if (some != before + 1) return;
                with_products<S>([&](auto products) {
                    few_dots<decltype(products), kBits, kSide, before + 1>(tile, rows, cols, levels, queries, dots);
                });
            });
        }
    }

    // What the mean adds to all scores of a query; four queries at a time.
    static void mean_scores(const uint8_t* header, int head_dim, const Activation* queries, const float* query_scales,
                            int n, float* out) {
        const int padded = padded_head_dim(head_dim);
        const uint8_t* mean = header + kTilePositions;
        uint8_t wide[kMaxTileHeadDim];
        if (padded > head_dim) {
            std::memset(wide + head_dim, 0, 16);
            mean = static_cast<uint8_t*>(std::memcpy(wide, mean, size_t(head_dim)));
        }
        const float scale = tile_mean_scale(header, head_dim);
        with_products<S>([&](auto products) {
            for (int first = 0; first < n; first += 4) {
                const int some = std::min(n - first, 4);
                DotSum sums[4] = {};
                for (int i = 0; i < some; ++i) {
                    const Activation* x = queries + (first + i) * padded;
                    DotSum acc{};
                    for (int c = 0; c < padded; c += 32) {
                        acc = S::add(acc, products.template dot_start<false>(x + c));
                        acc = products.template dot_add<false>(acc, S::load_weights(mean + c), x + c);
                    }
                    sums[i] = acc;
                }
                float dots[4];
                S::store4(dots, S::sums(sums[0], sums[1], sums[2], sums[3]));
                for (int i = 0; i < some; ++i) out[first + i] = (query_scales[first + i] * scale) * dots[i];
            }
        });
    }

    // Codes of any value for the columns that only padded queries have. to: (pages, 8, padded)
    static void pad_keys(TileView& keys, int head_dim, uint8_t* to) {
        const int padded = padded_head_dim(head_dim);
        std::memset(to, 0, size_t(tile_pages(keys.bits) * tile_page_bytes(padded)));
        for (int page = 0; page < tile_pages(keys.bits); ++page, to += tile_page_bytes(padded)) {
            for (int row = 0; row < 8; ++row)
                std::memcpy(to + row * padded, keys.pages[page] + row * head_dim, size_t(head_dim));
            keys.pages[page] = to;
        }
    }

    template <int kBits>
    static void scores_of(TileView keys, int head_dim, const Activation* queries, const float* query_scales, int n,
                          float* scores, int64_t stride) {
        const int padded = padded_head_dim(head_dim);
        uint8_t wide[tile_pages(kBits) * tile_page_bytes(kMaxTileHeadDim)];
        if (padded > head_dim) pad_keys(keys, head_dim, wide);
        const Levels levels = levels_of<kBits>(TileSide::keys);
        float row_scales[kTilePositions], mean[kQueries];
        tile_scales(keys.header, head_dim, row_scales);
        mean_scores(keys.header, head_dim, queries, query_scales, n, mean);
        if (n < kPanelTokens) {
            float dots[kPanelTokens * kTilePositions];
            some_dots<kBits, TileSide::keys>(keys, kTilePositions, padded, levels.table, queries, n, dots);
            // Pointers move along: WebAssembly compilers make better addresses of that.
            const float* dot = dots;
            for (int i = 0; i < n; ++i) {
                const Float4 unit = S::splat4(query_scales[i] * levels.unit), offset = S::splat4(mean[i]);
                const float* row_scale = row_scales;
                float* score = scores + i * stride;
                for (int r = 0; r < kTilePositions; r += 4, dot += 4, row_scale += 4, score += 4)
                    S::store4(score, S::add(S::mul(S::load4(dot), S::mul(S::load4(row_scale), unit)), offset));
            }
            return;
        }
        const Bytes table = S::load_bytes(levels.table);
        constexpr int kStep = 16;
        const int some = kExpanded / padded < kTilePositions ? kExpanded / padded / kStep * kStep : kTilePositions;
        for (int first = 0, end; first < kTilePositions; first = end) {
            end = first + some < kTilePositions ? first + some : kTilePositions;
            int8_t rows[kExpanded];
            for (int r = first; r < end; r += 8)
                for (int c = 0; c < padded; c += 16)
                    expand_strip<kBits>(strip_of_keys<kBits>(keys, padded, r / 8, c), table,
                                        rows + (r - first) * padded + c, padded);
            Panels panels;
            pack_panels(rows, end - first, padded, panels);
            for_panel_dots(panels, end - first, padded, queries, n, [&](int i, int r, PanelF32 dots) {
                const PanelF32 unit = S::splat_lanes(query_scales[i] * levels.unit);
                const PanelF32 unit_of_rows = S::mul(S::load_lanes(row_scales + first + r), unit);
                S::store(scores + i * stride + first + r, S::add(S::mul(dots, unit_of_rows), S::splat_lanes(mean[i])));
            });
        }
    }

    static void tile_scores(const TileView& keys, int head_dim, const void* queries, const float* query_scales, int n,
                            float* scores, int64_t stride) {
        const Activation* x = static_cast<const Activation*>(queries);
        const int padded = padded_head_dim(head_dim);
        for (; n > 0; n -= kQueries, x += kQueries * padded, query_scales += kQueries, scores += kQueries * stride) {
            const int some = n < kQueries ? n : kQueries;
            const auto run = keys.bits == 8   ? scores_of<8>
                             : keys.bits == 4 ? scores_of<4>
                             : keys.bits == 3 ? scores_of<3>
                                              : scores_of<2>;
            run(keys, head_dim, x, query_scales, some, scores, stride);
        }
    }

    // ---- values -------------------------------------------------------------------------------------------------

    // The weights of queries over a tile, times the scales of the rows, as integers.
    struct RowWeights {
        float scaled[kQueries][kTilePositions];  // before they are rounded
        Activation q[kQueries][kTilePositions];
        float scale[kQueries];  // of q
        float sum[kQueries];    // of the weights of rows that are not masked
    };
    // weights: (n, 64), stride apart. present: 1 for each row, or 0 where it is masked; nullptr: none is. All queries
    // go through one step before any goes through the next: each step waits for its own results.
    static void quantise_weights(const float* weights, int64_t stride, int n, const float* row_scales,
                                 const float* present, RowWeights& out) {
        for (int i = 0; i < n; ++i) {
            const float* w = weights + i * stride;
            const F32 zero = S::splat(0);
            F32 largest[2] = {zero, zero}, sum = zero;
#pragma GCC unroll 1
            for (int p = 0; p < kTilePositions; p += 2 * kLanes)
                for (int half = 0; half < 2; ++half) {
                    const int at = p + half * kLanes;
                    const F32 weight = S::load(w + at), scaled = S::mul(weight, S::load(row_scales + at));
                    S::store(out.scaled[i] + at, scaled);
                    largest[half] = S::max(largest[half], scaled);
                    sum = S::add(sum, present ? S::mul(weight, S::load(present + at)) : weight);
                }
            out.scale[i] = S::largest(S::max(largest[0], largest[1]));
            out.sum[i] = S::sum(sum);
        }
        for (int i = 0; i < n; ++i) {
            const float top = out.scale[i], inverse = top > 0 ? 127.0f / top : 0.0f;
#pragma GCC unroll 1
            for (int p = 0; p < kTilePositions; p += 32)
                if (n < kPanelTokens)
                    quantise_positive32<S>(out.scaled[i] + p, inverse, out.q[i] + p);
                else
                    S::quantise32(out.scaled[i] + p, inverse, out.q[i] + p);
            out.scale[i] = top / 127.0f;
        }
    }

    template <int kBits>
    static void values_of(const TileView& values, int head_dim, const float* weights, int64_t stride, int n, float* out,
                          int64_t out_stride) {
        const Levels levels = levels_of<kBits>(TileSide::values);
        const float mean_scale = tile_mean_scale(values.header, head_dim);
        float row_scales[kTilePositions], present[kTilePositions], mean[kMaxTileHeadDim];
        tile_scales(values.header, head_dim, row_scales);
        const bool masked = has_masked_rows(values.header);
        if (masked)
            for (int p = 0; p < kTilePositions; ++p) present[p] = values.header[p] == 0 ? 0.0f : 1.0f;
        const int8_t* mean_levels = reinterpret_cast<const int8_t*>(values.header + kTilePositions);
        int c = 0;
        for (; c + 32 <= head_dim; c += 32) S::scale_to_float(mean_levels + c, 1.0f, mean + c);
        for (; c < head_dim; ++c) mean[c] = float(mean_levels[c]);
        RowWeights w;
        quantise_weights(weights, stride, n, row_scales, masked ? present : nullptr, w);

        if (n < kPanelTokens) {
            float dots[kPanelTokens * kMaxTileHeadDim];
            some_dots<kBits, TileSide::values>(values, head_dim, kTilePositions, levels.table, w.q[0], n, dots);
            const float* dot = dots;
            for (int i = 0; i < n; ++i) {
                const Float4 unit = S::splat4(w.scale[i] * levels.unit), mean_unit = S::splat4(w.sum[i] * mean_scale);
                const float* offset = mean;
                float* at = out + i * out_stride;
                for (int d = 0; d < head_dim; d += 4, dot += 4, offset += 4, at += 4) {
                    const Float4 coded = S::add(S::load4(at), S::mul(S::load4(dot), unit));
                    S::store4(at, S::add(coded, S::mul(mean_unit, S::load4(offset))));
                }
            }
            return;
        }
        const Bytes table = S::load_bytes(levels.table);
        constexpr int kSome = kExpanded / kTilePositions;
        for (int first = 0, end; first < head_dim; first = end) {
            end = first + kSome < head_dim ? first + kSome : head_dim;
            int8_t rows[kExpanded];
            for (int d = first; d < end; d += 8)
                for (int c = 0; c < kTilePositions; c += 16)
                    expand_strip<kBits>(strip_of_values<kBits>(values, d / 8, c), table,
                                        rows + (d - first) * kTilePositions + c, kTilePositions);
            Panels panels;
            pack_panels(rows, end - first, kTilePositions, panels);
            for_panel_dots(panels, end - first, kTilePositions, w.q[0], n, [&](int i, int d, PanelF32 dots) {
                const PanelF32 unit = S::splat_lanes(w.scale[i] * levels.unit);
                const PanelF32 mean_unit = S::splat_lanes(w.sum[i] * mean_scale);
                float* at = out + i * out_stride + first + d;
                const PanelF32 coded = S::add(S::load_lanes(at), S::mul(dots, unit));
                S::store(at, S::add(coded, S::mul(mean_unit, S::load_lanes(mean + first + d))));
            });
        }
    }

    static void tile_values(const TileView& values, int head_dim, const float* weights, int64_t stride, int n,
                            float* out, int64_t out_stride) {
        for (; n > 0; n -= kQueries, weights += kQueries * stride, out += kQueries * out_stride) {
            const int some = n < kQueries ? n : kQueries;
            const auto run = values.bits == 4 ? values_of<4> : values.bits == 3 ? values_of<3> : values_of<2>;
            run(values, head_dim, weights, stride, some, out, out_stride);
        }
    }
};

}  // namespace strata
