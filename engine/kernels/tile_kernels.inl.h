// The hot loops over tiles (engine/formats/tile.h), written once, for any SimdBackend.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
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
    using Weights32 = typename S::Weights32;
    using Activation = typename S::Activation;
    using Level = typename S::Level;
    using Bytes = typename S::Bytes;
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

    // As hadamard_block, n >= 8.
    static void hadamard_block(float* x, int n) {
        for (int i = 0; i < n; i += kLanes) {
            const F32 v = S::template butterfly<2>(S::template butterfly<1>(S::load(x + i)));
            S::store(x + i, S::template butterfly<4>(v));
        }
        for (int half = kLanes; half < n; half *= 2)
            for (int i = 0; i < n; i += 2 * half)
                for (int j = i; j < i + half; j += kLanes) {
                    const F32 a = S::load(x + j), b = S::load(x + j + half);
                    S::store(x + j, S::add(a, b));
                    S::store(x + j + half, S::sub(a, b));
                }
        const F32 scale = S::splat(1.0f / std::sqrt(float(n)));
        for (int i = 0; i < n; i += kLanes) S::store(x + i, S::mul(S::load(x + i), scale));
    }

    static void rotate_rows(const float* x, int head_dim, int masked, float* y) {
        const ptrdiff_t first = ptrdiff_t(masked) * head_dim, end = ptrdiff_t(kTilePositions) * head_dim;
        std::memcpy(y + first, x + first, size_t(end - first) * sizeof *x);
        for (ptrdiff_t row = first; row < end; row += head_dim) rotate(y + row, head_dim);
    }
    static void rotate(float* x, int head_dim) {
        for (int d = 0, size; d < head_dim; d += size) {
            size = hadamard_block_size(head_dim - d);
            hadamard_block(x + d, size);
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

    // To levels as they are multiplied one by one, or to plain bytes.
    static void store(Level* out, Bytes levels) { S::store_levels(out, levels); }
    struct Byte {
        int8_t value;
    };
    static void store(Byte* out, Bytes levels) { S::store_bytes(out, levels); }

    template <int kBits, class Out>
    static void expand_strip(Strip strip, Bytes table, Out* out, int stride) {
        if constexpr (kBits == 8) {
            for (int r = 0; r < 8; ++r) store(out + r * stride, S::load_bytes(strip.codes + r * strip.step));
        } else if constexpr (kBits == 4) {
            for (int p = 0; p < 4; ++p) {
                const Bytes pair = S::load_bytes(strip.codes + p * strip.step);
                store(out + 2 * p * stride, S::look_up(table, S::template field<0>(pair, 15)));
                store(out + (2 * p + 1) * stride, S::look_up(table, S::template field<4>(pair, 15)));
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
                store(out + r * stride, S::look_up(table, code));
            });
        }
    }

    struct Levels {
        Bytes table;
        float unit;
    };
    static Levels levels_of(TileSide side, int bits) {
        int8_t table[16] = {};
        if (bits == 8) return {S::load_bytes(table), 1.0f};
        const TileLevels levels = tile_levels(side, bits);
        std::memcpy(table, levels.levels, size_t(1) << bits);
        return {S::load_bytes(table), levels.unit};
    }

    static void tile_scales(const uint8_t* header, int head_dim, float* scales) {
        const int base = read_tile_base(header, head_dim);
        for (int r = 0; r < kTilePositions; ++r) scales[r] = tile_scale(base, header[r]);
    }

    // ---- panels: many queries ------------------------------------------------------------------------------------
    // The expanded matrix as panels of kPanelRows rows (engine/simd/backend.h), whose dots with a query are lanes.

    struct Panels {
        PanelBlock blocks[kExpanded / 32 / kPanelRows];  // (rows / kPanelRows, cols / 32)
    };

    // levels: (rows, cols), cols a multiple of 32
    static void pack_panels(const Byte* levels, int rows, int cols, Panels& panels) {
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
        const int blocks = cols / 32;
        for (int r = 0; r < rows; r += kPanelRows)
            for (int done = 0; done < n; done += kPanelTokens) {
                // The last queries begin earlier where fewer are left: some dots are computed again and not used.
                const int first = done < n - kPanelTokens ? done : n - kPanelTokens;
                const PanelBlock* block = panels.blocks + r / kPanelRows * blocks;
                PanelInts dots[kPanelTokens];
                S::template panel_dots<Codes::int8, 0, kPanelTokens, 0, 32>(*block, queries + first * cols, cols, dots);
                for (int b = 1; b < blocks; ++b) {
                    PanelInts more[kPanelTokens];
                    S::template panel_dots<Codes::int8, 0, kPanelTokens, 0, 32>(
                        block[b], queries + first * cols + b * 32, cols, more);
                    for (int t = 0; t < kPanelTokens; ++t) dots[t] = S::add(dots[t], more[t]);
                }
                for (int t = done - first; t < kPanelTokens; ++t) fn(first + t, r, S::to_float(dots[t]));
            }
    }

    // ---- fetching ahead ------------------------------------------------------------------------------------------

    static void fetch_lines(const uint8_t* p, int bytes) {
        constexpr int kLine = 64;
        for (int i = 0; i < bytes; i += kLine) S::fetch_ahead(p + i);
    }
    static void fetch_tile(const TileView& tile, int head_dim) {
        fetch_lines(tile.header, tile_header_bytes(head_dim));
        for (int i = 0; i < tile_pages(tile.bits); ++i) fetch_lines(tile.pages[i], tile_page_bytes(head_dim));
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

    // What sums of dots with x (n) begin with.
    template <bool kPositive>
    static Ints dots_start(const Activation* x, int n) {
        Ints start = S::template dot_start<kPositive>(x);
        for (int i = 32; i < n; i += 32) start = S::add(start, S::template dot_start<kPositive>(x + i));
        return start;
    }
    // Exact dots of x with four rows of n levels. kPositive: no value of x is negative.
    template <bool kPositive>
    static Float4 dot4(const Level* rows, int n, const Activation* x, Ints start) {
        Ints a = start, b = start, c = start, d = start;
        const auto add = [&](Ints acc, const Level* row, int i) {
            return S::template dot_add<kPositive>(acc, S::load_levels(row), x + i);
        };
        for (int i = 0; i < n; i += 32, rows += 32) {
            a = add(a, rows, i);
            b = add(b, rows + n, i);
            c = add(c, rows + 2 * n, i);
            d = add(d, rows + 3 * n, i);
        }
        return S::sums(a, b, c, d);
    }

    // What the mean adds to all scores of a query.
    static void mean_scores(const uint8_t* header, int head_dim, const Activation* queries, const float* query_scales,
                            int n, float* out) {
        Level mean[kMaxTileHeadDim];
        const int padded = padded_head_dim(head_dim);
        if (padded > head_dim) std::memset(mean + head_dim, 0, 16 * sizeof *mean);
        for (int c = 0; c < head_dim; c += 16) S::store_levels(mean + c, S::load_bytes(header + kTilePositions + c));
        const float scale = tile_mean_scale(header, head_dim);
        for (int i = 0; i < n; ++i) {
            Ints acc{};
            for (int c = 0; c < padded; c += 32)
                acc = S::add(acc, S::dot(S::load_levels(mean + c), queries + i * padded + c));
            float dots[4];
            S::store4(dots, S::sums(acc, Ints{}, Ints{}, Ints{}));
            out[i] = (query_scales[i] * scale) * dots[0];
        }
    }

    template <int kBits>
    static void scores_of(const TileView& keys, int head_dim, const Activation* queries, const float* query_scales,
                          int n, float* scores, int64_t stride) {
        const int padded = padded_head_dim(head_dim);
        const Levels levels = levels_of(TileSide::keys, kBits);
        float row_scales[kTilePositions], mean[kQueries];
        tile_scales(keys.header, head_dim, row_scales);
        mean_scores(keys.header, head_dim, queries, query_scales, n, mean);
        const auto expand = [&](int first, int end, auto* rows) {
            if (padded > head_dim)
                for (int r = first; r < end; ++r)
                    std::memset(rows + (r - first) * padded + head_dim, 0, 16 * sizeof *rows);
            for (int r = first; r < end; r += 8)
                for (int c = 0; c < head_dim; c += 16)
                    expand_strip<kBits>(strip_of_keys<kBits>(keys, head_dim, r / 8, c), levels.table,
                                        rows + (r - first) * padded + c, padded);
        };
        constexpr int kStep = 16;
        const int some = kExpanded / padded < kTilePositions ? kExpanded / padded / kStep * kStep : kTilePositions;
        for (int first = 0, end; first < kTilePositions; first = end) {
            end = first + some < kTilePositions ? first + some : kTilePositions;
            if (n >= kPanelTokens) {
                Byte rows[kExpanded];
                Panels panels;
                expand(first, end, rows);
                pack_panels(rows, end - first, padded, panels);
                for_panel_dots(panels, end - first, padded, queries, n, [&](int i, int r, PanelF32 dots) {
                    const PanelF32 unit = S::splat_lanes(query_scales[i] * levels.unit);
                    const PanelF32 unit_of_rows = S::mul(S::load_lanes(row_scales + first + r), unit);
                    S::store(scores + i * stride + first + r,
                             S::add(S::mul(dots, unit_of_rows), S::splat_lanes(mean[i])));
                });
                continue;
            }
            Level rows[kExpanded];
            expand(first, end, rows);
            for (int i = 0; i < n; ++i) {
                const Float4 unit = S::splat4(query_scales[i] * levels.unit), offset = S::splat4(mean[i]);
                const Activation* query = queries + i * padded;
                const Ints start = dots_start<false>(query, padded);
                for (int r = first; r < end; r += 4) {
                    const Float4 dots = dot4<false>(rows + (r - first) * padded, padded, query, start);
                    const Float4 unit_of_rows = S::mul(S::load4(row_scales + r), unit);
                    S::store4(scores + i * stride + r, S::add(S::mul(dots, unit_of_rows), offset));
                }
            }
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
        Activation q[kQueries][kTilePositions];
        float scale[kQueries];  // of q
        float sum[kQueries];    // of the weights of rows that are not masked
    };
    static void quantise_weights(const float* weights, const float* row_scales, const float* present, int query,
                                 RowWeights& out) {
        float scaled[kTilePositions];
        F32 largest = S::splat(0), sum = largest;
        for (int p = 0; p < kTilePositions; p += kLanes) {
            const F32 w = S::load(weights + p), product = S::mul(w, S::load(row_scales + p));
            S::store(scaled + p, product);
            largest = S::max(largest, product);
            sum = S::mul_add(w, S::load(present + p), sum);
        }
        const float top = S::largest(largest), inverse = top > 0 ? 127.0f / top : 0.0f;
        for (int p = 0; p < kTilePositions; p += 32) S::quantise32(scaled + p, inverse, out.q[query] + p);
        out.scale[query] = top / 127.0f;
        out.sum[query] = S::sum(sum);
    }

    template <int kBits>
    static void values_of(const TileView& values, int head_dim, const float* weights, int64_t stride, int n, float* out,
                          int64_t out_stride) {
        const Levels levels = levels_of(TileSide::values, kBits);
        const float mean_scale = tile_mean_scale(values.header, head_dim);
        float row_scales[kTilePositions], present[kTilePositions], mean[kMaxTileHeadDim];
        tile_scales(values.header, head_dim, row_scales);
        for (int p = 0; p < kTilePositions; ++p) present[p] = values.header[p] ? 1.0f : 0.0f;
        const int8_t* mean_levels = reinterpret_cast<const int8_t*>(values.header + kTilePositions);
        for (int c = 0; c < head_dim; ++c) mean[c] = float(mean_levels[c]);
        RowWeights w;
        for (int i = 0; i < n; ++i) quantise_weights(weights + i * stride, row_scales, present, i, w);

        const auto expand = [&](int first, int end, auto* rows) {
            for (int d = first; d < end; d += 8)
                for (int c = 0; c < kTilePositions; c += 16)
                    expand_strip<kBits>(strip_of_values<kBits>(values, d / 8, c), levels.table,
                                        rows + (d - first) * kTilePositions + c, kTilePositions);
        };
        constexpr int kSome = kExpanded / kTilePositions;
        for (int first = 0, end; first < head_dim; first = end) {
            end = first + kSome < head_dim ? first + kSome : head_dim;
            if (n >= kPanelTokens) {
                Byte rows[kExpanded];
                Panels panels;
                expand(first, end, rows);
                pack_panels(rows, end - first, kTilePositions, panels);
                for_panel_dots(panels, end - first, kTilePositions, w.q[0], n, [&](int i, int d, PanelF32 dots) {
                    const PanelF32 unit = S::splat_lanes(w.scale[i] * levels.unit);
                    const PanelF32 mean_unit = S::splat_lanes(w.sum[i] * mean_scale);
                    float* at = out + i * out_stride + first + d;
                    const PanelF32 coded = S::add(S::load_lanes(at), S::mul(dots, unit));
                    S::store(at, S::add(coded, S::mul(mean_unit, S::load_lanes(mean + first + d))));
                });
                continue;
            }
            Level rows[kExpanded];
            expand(first, end, rows);
            for (int i = 0; i < n; ++i) {
                const Float4 unit = S::splat4(w.scale[i] * levels.unit), mean_unit = S::splat4(w.sum[i] * mean_scale);
                const Ints start = dots_start<true>(w.q[i], kTilePositions);
                for (int d = first; d < end; d += 4) {
                    const Float4 dots = dot4<true>(rows + (d - first) * kTilePositions, kTilePositions, w.q[i], start);
                    float* at = out + i * out_stride + d;
                    const Float4 coded = S::add(S::load4(at), S::mul(dots, unit));
                    S::store4(at, S::add(coded, S::mul(mean_unit, S::load4(mean + d))));
                }
            }
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
