// The hot loops over tiles (engine/formats/tile.h), written once, for any SimdBackend.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "engine/base/bits.h"
#include "engine/base/math.h"
#include "engine/formats/hadamard.h"
#include "engine/formats/tile.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/lines_ahead.inl.h"
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
    static constexpr int kEights = kTilePositions / 8;

    // f(0) ... f(n - 1), with compile-time arguments.
    template <int n, class F>
    [[gnu::always_inline]] static void unrolled(F f) {
        [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
            (f(std::integral_constant<int, i>{}), ...);
        }
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

    // ---- codes to levels ----------------------------------------------------------------------------------------

    // The bytes of a page from `at` on hold codes of several eights of positions; the levels of those of one of them.
    template <int kBits, int kEight>
    static Bytes32 levels_of_eight(const TileView& tile, int at, Bytes table) {
        if constexpr (kBits == 8) {
            return S::load_bytes32(tile.pages[kEight] + at);
        } else if constexpr (kBits == 4) {
            const Bytes32 both = S::load_bytes32(tile.pages[kEight / 2] + at);
            return S::look_up(table, S::template field<kEight % 2 * 4>(both, 15));
        } else {
            constexpr int kShift = kEight % 4 * 2;
            const Bytes32 high = S::load_bytes32(tile.pages[kEight / 4] + at);
            if constexpr (kBits == 2) {
                return S::look_up(table, S::template field<kShift>(high, 3));
            } else {
                const Bytes32 middle = S::load_bytes32(tile.pages[2] + at);
                return S::look_up(table,
                                  S::add(S::template field<kShift - 1>(high, 6), S::template field<kEight>(middle, 1)));
            }
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
    // Fills them, cell by cell: eight rows and four columns.
    class PanelWriter {
    public:
        PanelWriter(int rows, int cols, Panels& panels) : rows_(rows), blocks_(cols / 32), panels_(panels) {}
        void put(int eight, int cell, Bytes32 levels) {
            const int block = eight * 8 / kPanelRows * blocks_ + cell / 8, row = eight * 8 % kPanelRows;
            if constexpr (S::kPanelsAreCells) {
                S::template store_packing<Codes::int8, 0>(
                    levels, panels_.blocks[block].bytes + (cell % 8 * kPanelRows + row) * 4);
            } else {
                alignas(32) uint8_t bytes[32];
                S::template store_packing<Codes::int8, 0>(levels, bytes);
                for (int r = 0; r < 8; ++r) std::memcpy(staged_[block][row + r] + cell % 8 * 4, bytes + r * 4, 4);
            }
        }
        void finish() {
            if constexpr (!S::kPanelsAreCells)
                for (int i = 0; i < rows_ / kPanelRows * blocks_; ++i) S::pack(staged_[i][0], panels_.blocks + i);
        }

    private:
        int rows_, blocks_;
        Panels& panels_;
        alignas(64) uint8_t staged_[S::kPanelsAreCells ? 1 : kExpanded / 32 / kPanelRows][kPanelRows][32];
    };

    // fn(query, row, dots): the exact dots of kPanelRows rows, from `row` on, as floats, for all queries (n, cols);
    // n >= kPanelTokens, whose queries lie `stride` apart. before(row): before those of kPanelRows rows.
    template <class Before, class Fn>
    static void for_panel_dots(const Panels& panels, int rows, int cols, const Activation* queries, int stride, int n,
                               Before&& before, Fn&& fn) {
        const auto dots_of = [&](const PanelBlock& block, const Activation* x, PanelInts* dots) {
            with_products<S>([&](auto products) {
                products.template panel_dots<Codes::int8, 0, kPanelTokens, 0, 32>(block, x, stride, dots);
            });
        };
        const int blocks = cols / 32;
        for (int r = 0; r < rows; r += kPanelRows) {
            before(r);
            for (int done = 0; done < n; done += kPanelTokens) {
                // The last queries begin earlier where fewer are left: some dots are computed again and not used.
                const int first = done < n - kPanelTokens ? done : n - kPanelTokens;
                const PanelBlock* block = panels.blocks + r / kPanelRows * blocks;
                PanelInts dots[kPanelTokens];
                dots_of(*block, queries + first * stride, dots);
                for (int b = 1; b < blocks; ++b) {
                    PanelInts more[kPanelTokens];
                    dots_of(block[b], queries + first * stride + b * 32, more);
                    for (int t = 0; t < kPanelTokens; ++t) dots[t] = S::add(dots[t], more[t]);
                }
                for (int t = done - first; t < kPanelTokens; ++t) fn(first + t, r, S::to_float(dots[t]));
            }
        }
    }

    // ---- fetching ahead ------------------------------------------------------------------------------------------

    static void fetch(const void* p, int64_t bytes) { fetch_lines<S>(static_cast<const uint8_t*>(p), bytes); }
    static void fetch_pages(const TileView& tile, int head_dim) {
        for (int i = 0; i < tile_pages(tile.bits); ++i) fetch(tile.pages[i], tile_page_bytes(head_dim));
    }
    using Ahead = LinesAhead<S>;
    // What is to be fetched while kPanelRows of `rows` rows are computed. (While panels are written is not the time:
    // what is written has to wait for what is stored before it.)
    static void fetch_part(const Ahead& ahead, int row, int rows) {
        const int end = std::min(row + kPanelRows, rows) * ahead.lines() / rows;
        for (int line = row * ahead.lines() / rows; line < end; ++line) ahead.template fetch<1>(line);
    }
    // fn(tile, how many positions before it, what is to be fetched meanwhile: the tile after it, and `next` after the
    // last)
    template <class Fn>
    static void for_each_tile(std::span<const TileView> tiles, const TileView* next, int head_dim, Fn&& fn) {
        for (size_t t = 0; t < tiles.size(); ++t) {
            const TileView* const after = t + 1 < tiles.size() ? &tiles[t + 1] : next;
            fn(tiles[t], ptrdiff_t(t) * kTilePositions, Ahead(after, head_dim));
        }
    }

    // ---- scores -------------------------------------------------------------------------------------------------

    // Activations as products of cells take them: where a backend has a form of its own for it, four together.
    static constexpr bool kSpreads = requires { typename S::Spread; };
    using Few = typename FewOf<S>::Type;
    // Of `count` columns.
    static constexpr int few_of(int count) { return kSpreads ? count / 4 : count; }
    static constexpr int kFewBytes = kSpreads ? int(sizeof(Few)) / 4 : 0;  // beside each activation of a query
    static constexpr int kQueryBytes = int(sizeof(Activation)) + kFewBytes;
    static_assert(kQueryBytes % sizeof(Activation) == 0);
    // From one query to the next, in activations.
    static constexpr int query_stride(int padded) { return padded * (kQueryBytes / int(sizeof(Activation))); }
    static const Few* few_of_query(const Activation* query, int padded) {
        return reinterpret_cast<const Few*>(kSpreads ? query + padded : query);
    }

    static void quantise_query(const float* x, int head_dim, bool few, Activation* out, float* scale) {
        F32 magnitude = S::splat(0);
        for (int i = 0; i < head_dim; i += kLanes) magnitude = S::max(magnitude, S::abs(S::load(x + i)));
        const float largest = S::largest(magnitude), inverse = largest > 0 ? 127.0f / largest : 0.0f;
        *scale = largest / 127.0f;
        const int padded = padded_head_dim(head_dim);
        for (int i = 0; i < padded; i += 32) {
            if (i + 32 <= head_dim) {
                S::quantise32(x + i, inverse, out + i);
            } else {
                float rest[32] = {};
                std::memcpy(rest, x + i, size_t(head_dim - i) * sizeof *x);
                S::quantise32(rest, inverse, out + i);
            }
            if constexpr (kSpreads)
                if (few) S::spread32(out + i, reinterpret_cast<Few*>(out + padded) + few_of(i));
        }
    }
    static void quantise_queries(const float* x, int n, int head_dim, void* queries, float* scales) {
        const int stride = query_stride(padded_head_dim(head_dim));
        for (int i = 0; i < n; ++i)
            quantise_query(x + i * head_dim, head_dim, n - i / kQueries * kQueries < kPanelTokens,
                           static_cast<Activation*>(queries) + i * stride, scales + i);
    }

    // ---- few queries: levels go from their table to the products, and are kept nowhere -----------------------------
    // A cell is four columns of as many rows as one instruction multiplies, and rows are lanes of the sums.

    // Queries that share what is looked up, at most: their sums stay in registers.
    static constexpr int kFew = kPanelTokens <= 4 ? kPanelTokens - 1 : 4;
    static constexpr int kCellRows = S::kCellRows, kHalves = 8 / kCellRows, kCellBytes = kCellRows * 4;
    using Cell = CellOf<S>;
    using CellWeights = typename S::CellWeights;
    using CellConstants = typename S::CellConstants;
    using RowSums = typename S::RowSums;
    using RowFloats = std::conditional_t<kCellRows == 4, Float4, F32>;
    static Cell load_cell(const uint8_t* p) {
        if constexpr (kCellRows == 4)
            return S::load_bytes(p);
        else
            return S::load_bytes32(p);
    }
    static RowFloats load_rows(const float* p) {
        if constexpr (kCellRows == 4)
            return S::load4(p);
        else
            return S::load(p);
    }
    static RowFloats splat_rows(float x) {
        if constexpr (kCellRows == 4)
            return S::splat4(x);
        else
            return S::splat(x);
    }
    static void store_rows(float* p, RowFloats a) {
        if constexpr (kCellRows == 4)
            S::store4(p, a);
        else
            S::store(p, a);
    }

    // Two neighbouring eights of positions, whose codes share bytes (at 8 bits: lie in two pages).
    template <int kBits>
    struct TwoEights {
        const uint8_t* codes;
        const uint8_t* more;  // 8 bits: those of the second; 3 bits: the middle bits
        int pair;             // of the eights 2 * pair and 2 * pair + 1

        TwoEights(const TileView& tile, int pair) : codes(nullptr), more(nullptr), pair(pair) {
            codes = tile.pages[kBits == 8 ? 2 * pair : kBits == 4 ? pair : pair / 2];
            if (kBits == 8) more = tile.pages[2 * pair + 1];
            if (kBits == 3) more = tile.pages[2];
        }
        void move(ptrdiff_t bytes) {
            codes += bytes;
            if (kBits == 8 || kBits == 3) more += bytes;
        }
        // kOdd: pair % 2, which only 2 and 3 bits need.
        template <int kOdd>
        [[gnu::always_inline]] void look_up(Bytes table, int at, const CellConstants& constants, CellWeights& even,
                                            CellWeights& odd) const {
            if constexpr (kBits == 8) {
                even = S::cell_weights(load_cell(codes + at));
                odd = S::cell_weights(load_cell(more + at));
            } else if constexpr (kBits == 4) {
                const Cell both = load_cell(codes + at);
                even = S::cell_weights(table, S::template nibbles<0>(both, constants));
                odd = S::cell_weights(table, S::template nibbles<4>(both, constants));
            } else {
                constexpr int kShift = 4 * kOdd;
                const Cell high = load_cell(codes + at);
                if constexpr (kBits == 2) {
                    even = S::cell_weights(table, S::template field<kShift>(high, 3));
                    odd = S::cell_weights(table, S::template field<kShift + 2>(high, 3));
                } else {
                    const Cell all = load_cell(more + at),
                               bits = pair < 2 ? all : S::template nibbles<4>(all, constants);
                    even = S::cell_weights(
                        table, S::add(S::template field<kShift - 1>(high, 6), S::template field<2 * kOdd>(bits, 1)));
                    odd = S::cell_weights(table, S::add(S::template field<kShift + 1>(high, 6),
                                                        S::template field<2 * kOdd + 1>(bits, 1)));
                }
            }
        }
    };
    // fn(pair, whether it is odd) for each two eights; as a constant where bits need it.
    template <int kBits, class Fn>
    [[gnu::always_inline]] static void for_pairs(Fn&& fn) {
        constexpr int kStep = kBits < 4 ? 2 : 1;
        for (int pair = 0; pair < kEights / 2; pair += kStep)
            unrolled<kStep>([&](auto odd) __attribute__((always_inline)) { fn(pair + odd, odd); });
    }

    // finish(query, position, dots): the exact dots of kCellRows positions, from `position` on, with n queries. cols: a
    // multiple of 32, or kCols where that is not 0, and then the loop over them is unrolled.
    template <class Products, int kBits, int n, int kCols, class Finish>
    [[gnu::always_inline]] static void few_key_dots(const TileView& keys, int cols, const int8_t* levels,
                                                    const Activation* queries, Ahead ahead, Finish&& finish) {
        if constexpr (kCols != 0) cols = kCols;
        const TileView tile = keys;  // which no call can change
        const Bytes table = S::weight_table(S::load_bytes(levels));
        const CellConstants constants;
        const int stride = query_stride(cols);
        RowSums start[n];
        for (int i = 0; i < n; ++i) start[i] = start_of<Products>(queries + i * stride, cols);
        // Each turn loads the queries again: compilers would keep them from the first, in memory too, which is a store
        // more for each.
        const Few* volatile same[n];
        for (int i = 0; i < n; ++i) same[i] = few_of_query(queries + i * stride, cols);
        int line = 0;  // of the next tile
        for_pairs<kBits>([&](int pair, auto odd_pair) __attribute__((always_inline)) {
            constexpr int kOdd = odd_pair;
            TwoEights<kBits> eights(tile, pair);
#pragma GCC unroll 1
            for (int half = 0; half < kHalves; ++half, eights.move(kCellBytes)) {
                RowSums even[n], odd[n];
                const Few* x[n];
                for (int i = 0; i < n; ++i) {
                    even[i] = odd[i] = start[i];
                    x[i] = same[i];
                }
                constexpr int kStep = kCols != 0 ? kCols : kSpreads ? 8 : 32;
                TwoEights<kBits> here = eights;
#pragma GCC unroll 1
                for (int c = 0; c < cols; c += kStep, here.move(kStep * 8)) {
                    // As much of the next tile as these columns are of this one.
                    constexpr int kLines = kStep < 32 ? (kBits + 3) / 4 : (kBits + kHalves - 1) / kHalves;
                    if (kStep < 32 && half == 0) ahead.template fetch<kLines>(std::exchange(line, line + kLines));
                    unrolled<kStep / 4>([&](auto cell) __attribute__((always_inline)) {
                        if constexpr (kStep >= 32 && cell % 8 == 0)
                            ahead.template fetch<kLines>(std::exchange(line, line + kLines));
                        CellWeights even_rows, odd_rows;
                        here.template look_up<kOdd>(table, cell * 32, constants, even_rows, odd_rows);
                        for (int i = 0; i < n; ++i) {
                            const RowSums first =
                                Products::template dot_rows<false>(even[i], even_rows, x[i], cell * 4, constants);
                            const RowSums second =
                                Products::template dot_rows<false>(odd[i], odd_rows, x[i], cell * 4, constants);
                            even[i] = in_order<S>(first);
                            odd[i] = in_order<S>(second);
                        }
                    });
                    for (int i = 0; i < n; ++i) x[i] += few_of(kStep);
                }
                const int first = pair * 16 + half * kCellRows;
                for (int i = 0; i < n; ++i) {
                    finish(i, first, S::row_floats(even[i]));
                    finish(i, first + 8, S::row_floats(odd[i]));
                }
            }
        });
    }
    // finish(query, dimension, dots): the exact dots of kCellRows dimensions with the weights of n queries.
    template <class Products, int kBits, int n, class Finish>
    [[gnu::always_inline]] static void few_value_dots(const TileView& values, int head_dim, const int8_t* levels,
                                                      const Few* weights, int stride, const RowSums* start, Ahead ahead,
                                                      Finish&& finish) {
        const TileView tile = values;  // which no call can change
        const Bytes table = S::weight_table(S::load_bytes(levels));
        const CellConstants constants;
        const Few* volatile same[n];  // as few_key_dots
        for (int i = 0; i < n; ++i) same[i] = weights + i * stride;
        for (int d = 0; d < head_dim; d += 8) {
            ahead.template fetch<kBits>(d / 8 * kBits);
            const Few* x[n];
            for (int i = 0; i < n; ++i) x[i] = same[i];
            RowSums sums[kHalves][n];
            for (int h = 0; h < kHalves; ++h)
                for (int i = 0; i < n; ++i) sums[h][i] = start[i];
            const auto add_pair = [&](int pair, auto odd_pair) __attribute__((always_inline)) {
                constexpr int kOdd = odd_pair;
                TwoEights<kBits> eights(tile, pair);
                eights.move(d * 8);
                unrolled<2>([&](auto group) __attribute__((always_inline)) {
                    CellWeights even[kHalves], odd[kHalves];
                    for (int h = 0; h < kHalves; ++h)
                        eights.template look_up<kOdd>(table, group * 32 + h * kCellBytes, constants, even[h], odd[h]);
                    const auto add = [&](const CellWeights* w, int eight) __attribute__((always_inline)) {
                        for (int i = 0; i < n; ++i)
                            for (int h = 0; h < kHalves; ++h)
                                sums[h][i] = in_order<S>(Products::template dot_rows<true>(
                                    sums[h][i], w[h], x[i], eight * 8 + group * 4, constants));
                    };
                    add(even, 2 * pair);
                    add(odd, 2 * pair + 1);
                });
            };
            if constexpr (kBits == 4)
                unrolled<kEights / 2>([&](auto pair) __attribute__((always_inline)) {
                    add_pair(pair, std::integral_constant<int, 0>());
                });
            else
                for_pairs<kBits>(add_pair);
            for (int h = 0; h < kHalves; ++h)
                for (int i = 0; i < n; ++i) finish(i, d + h * kCellRows, S::row_floats(sums[h][i]));
        }
    }
    template <class Products>
    static RowSums start_of(const Activation* x, int cols) {
        RowSums start = Products::start_rows(x);
        for (int c = 32; c < cols; c += 32) start = S::add(start, Products::start_rows(x + c));
        return start;
    }
    // fn(what to multiply with, first, how many as a constant), for n queries, below kPanelTokens, at most kFew at a
    // time.
    template <class Fn>
    [[gnu::always_inline]] static void for_few(int n, Fn&& fn) {
        for (int first = 0, some; first < n; first += some) {
            some = n - first <= kFew ? n - first : (n - first + 1) / 2;
            unrolled<kFew>([&](auto before) __attribute__((always_inline)) {
                if (some != before + 1) return;
                with_products<S>([&](auto products) __attribute__((always_inline)) {
                    fn(products, first, std::integral_constant<int, before + 1>());
                });
            });
        }
    }

    // What the mean adds to all scores of a query; four queries at a time.
    static void mean_scores(const uint8_t* header, int head_dim, const Activation* queries, const float* query_scales,
                            int n, float* out) {
        const int padded = padded_head_dim(head_dim), stride = query_stride(padded);
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
                    const Activation* x = queries + (first + i) * stride;
                    DotSum acc{};
                    for (int c = 0; c < padded; c += 32) {
                        acc = S::add(acc, products.dot_start(x + c));
                        acc = products.dot_add(acc, S::load_weights(mean + c), x + c);
                    }
                    sums[i] = acc;
                }
                float dots[4];
                S::store4(dots, S::sums(sums[0], sums[1], sums[2], sums[3]));
                for (int i = 0; i < some; ++i) out[first + i] = (query_scales[first + i] * scale) * dots[i];
            }
        });
    }

    // Codes of any value for the columns that only padded queries have. to: (pages, 8 * padded)
    static void pad_keys(TileView& keys, int head_dim, uint8_t* to) {
        const int padded_bytes = tile_page_bytes(padded_head_dim(head_dim));
        std::memset(to, 0, size_t(tile_pages(keys.bits) * padded_bytes));
        for (int page = 0; page < tile_pages(keys.bits); ++page, to += padded_bytes)
            keys.pages[page] =
                static_cast<uint8_t*>(std::memcpy(to, keys.pages[page], size_t(tile_page_bytes(head_dim))));
    }

    template <int kBits>
    static void scores_of(TileView keys, int head_dim, const Activation* queries, const float* query_scales, int n,
                          float* scores, int64_t stride, Ahead ahead) {
        const int padded = padded_head_dim(head_dim);
        uint8_t wide[tile_pages(kBits) * tile_page_bytes(kMaxTileHeadDim)];
        if (padded > head_dim) pad_keys(keys, head_dim, wide);
        const Levels levels = levels_of<kBits>(TileSide::keys);
        float row_scales[kTilePositions], mean[kQueries];
        tile_scales(keys.header, head_dim, row_scales);
        mean_scores(keys.header, head_dim, queries, query_scales, n, mean);
        if (n < kPanelTokens) {
            for_few(
                n, [&](auto products, int first, auto count) __attribute__((always_inline)) {
                    constexpr int kCount = count;
                    RowFloats unit[kCount], offset[kCount];
                    float* to[kCount];
                    for (int i = 0; i < kCount; ++i) {
                        unit[i] = splat_rows(query_scales[first + i] * levels.unit);
                        offset[i] = splat_rows(mean[first + i]);
                        to[i] = scores + (first + i) * stride;
                    }
                    const auto run = [&](auto cols) __attribute__((always_inline)) {
                        few_key_dots<decltype(products), kBits, kCount, cols>(
                            keys, padded, levels.table, queries + first * query_stride(padded),
                            ahead, [&](int i, int p, RowFloats dots) __attribute__((always_inline)) {
                                const RowFloats scale = S::mul(load_rows(row_scales + p), unit[i]);
                                store_rows(to[i] + p, S::add(S::mul(dots, scale), offset[i]));
                            });
                    };
                    // Unrolled for what is commonest: the others would make the download large.
                    constexpr int kUnrolled = kBits == 4 ? 64 : 0;
                    if (padded == kUnrolled)
                        run(std::integral_constant<int, kUnrolled>());
                    else
                        run(std::integral_constant<int, 0>());
                });
            return;
        }
        const Bytes table = S::load_bytes(levels.table);
        constexpr int kStep = 16;
        const int some = kExpanded / padded < kTilePositions ? kExpanded / padded / kStep * kStep : kTilePositions;
        for (int first = 0, end; first < kTilePositions; first = end) {
            end = first + some < kTilePositions ? first + some : kTilePositions;
            Panels panels;
            PanelWriter writer(end - first, padded, panels);
            unrolled<kEights>([&](auto eight) {
                if (eight * 8 < first || eight * 8 >= end) return;
                for (int cell = 0; cell < padded / 4; ++cell)
                    writer.put(eight - first / 8, cell, levels_of_eight<kBits, eight>(keys, cell * 32, table));
            });
            writer.finish();
            const auto fetch = [&](int r) { fetch_part(ahead, first + r, kTilePositions); };
            for_panel_dots(panels, end - first, padded, queries, query_stride(padded), n, fetch,
                           [&](int i, int r, PanelF32 dots) {
                               const PanelF32 unit = S::splat_lanes(query_scales[i] * levels.unit);
                               const PanelF32 unit_of_rows = S::mul(S::load_lanes(row_scales + first + r), unit);
                               S::store(scores + i * stride + first + r,
                                        S::add(S::mul(dots, unit_of_rows), S::splat_lanes(mean[i])));
                           });
        }
    }

    static void tile_scores(std::span<const TileView> keys, const TileView* next, int head_dim, const void* queries,
                            const float* query_scales, int n, float* scores, int64_t stride) {
        const int step = query_stride(padded_head_dim(head_dim));
        for_each_tile(keys, next, head_dim, [&](const TileView& tile, ptrdiff_t before, Ahead ahead) {
            const auto run = tile.bits == 8   ? scores_of<8>
                             : tile.bits == 4 ? scores_of<4>
                             : tile.bits == 3 ? scores_of<3>
                                              : scores_of<2>;
            for (int i = 0; i < n; i += kQueries)
                run(tile, head_dim, static_cast<const Activation*>(queries) + i * step, query_scales + i,
                    std::min(n - i, kQueries), scores + i * stride + before, stride, ahead);
        });
    }

    // ---- values -------------------------------------------------------------------------------------------------

    // The weights of queries over a tile, times the scales of the rows, as integers.
    struct RowWeights {
        float scaled[kQueries][kTilePositions];  // before they are rounded
        union {
            Activation q[kQueries][kTilePositions];
            Few few[kPanelTokens][few_of(kTilePositions)];  // where there are few
        };
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
                if constexpr (kSpreads) {
                    if (n < kPanelTokens)
                        S::spread_positive32(out.scaled[i] + p, inverse, out.few[i] + few_of(p));
                    else
                        S::quantise32(out.scaled[i] + p, inverse, out.q[i] + p);
                } else {
                    S::quantise32(out.scaled[i] + p, inverse, out.q[i] + p);
                }
            out.scale[i] = top / 127.0f;
        }
    }

    template <int kBits>
    static void values_of(const TileView& values, int head_dim, const float* weights, int64_t stride, int n, float* out,
                          int64_t out_stride, Ahead ahead) {
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
            for_few(
                n, [&](auto products, int first, auto count) __attribute__((always_inline)) {
                    constexpr int kCount = count;
                    using Products = decltype(products);
                    RowSums start[kCount];
                    RowFloats unit[kCount], mean_unit[kCount];
                    float* to[kCount];
                    for (int i = 0; i < kCount; ++i) {
                        to[i] = out + (first + i) * out_stride;
                        if constexpr (kSpreads)  // whose form for weights has no need of it
                            start[i] = RowSums{};
                        else
                            start[i] = start_of<Products>(w.q[first + i], kTilePositions);
                        unit[i] = splat_rows(w.scale[first + i] * levels.unit);
                        mean_unit[i] = splat_rows(w.sum[first + i] * mean_scale);
                    }
                    few_value_dots<Products, kBits, kCount>(
                        values, head_dim, levels.table, w.few[first], few_of(kTilePositions), start,
                        ahead, [&](int i, int d, RowFloats dots) __attribute__((always_inline)) {
                            float* at = to[i] + d;
                            const RowFloats coded = S::add(load_rows(at), S::mul(dots, unit[i]));
                            store_rows(at, S::add(coded, S::mul(mean_unit[i], load_rows(mean + d))));
                        });
                });
            return;
        }
        const Bytes table = S::load_bytes(levels.table);
        constexpr int kSome = kExpanded / kTilePositions;
        for (int first = 0, end; first < head_dim; first = end) {
            end = first + kSome < head_dim ? first + kSome : head_dim;
            Panels panels;
            PanelWriter writer(end - first, kTilePositions, panels);
            unrolled<kEights>([&](auto eight) {
                for (int d = first; d < end; d += 8)
                    for (int group = 0; group < 2; ++group)
                        writer.put((d - first) / 8, 2 * eight + group,
                                   levels_of_eight<kBits, eight>(values, d * 8 + group * 32, table));
            });
            writer.finish();
            const auto fetch = [&](int r) { fetch_part(ahead, first + r, head_dim); };
            for_panel_dots(panels, end - first, kTilePositions, w.q[0], kTilePositions, n, fetch,
                           [&](int i, int d, PanelF32 dots) {
                               const PanelF32 unit = S::splat_lanes(w.scale[i] * levels.unit);
                               const PanelF32 mean_unit = S::splat_lanes(w.sum[i] * mean_scale);
                               float* at = out + i * out_stride + first + d;
                               const PanelF32 coded = S::add(S::load_lanes(at), S::mul(dots, unit));
                               S::store(at, S::add(coded, S::mul(mean_unit, S::load_lanes(mean + first + d))));
                           });
        }
    }

    static void tile_values(std::span<const TileView> values, const TileView* next, int head_dim, const float* weights,
                            int64_t stride, int n, float* out, int64_t out_stride) {
        for_each_tile(values, next, head_dim, [&](const TileView& tile, ptrdiff_t before, Ahead ahead) {
            const auto run = tile.bits == 4 ? values_of<4> : tile.bits == 3 ? values_of<3> : values_of<2>;
            for (int i = 0; i < n; i += kQueries)
                run(tile, head_dim, weights + i * stride + before, stride, std::min(n - i, kQueries),
                    out + i * out_stride, out_stride, ahead);
        });
    }
};

}  // namespace strata
