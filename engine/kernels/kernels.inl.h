// Every hot loop of the engine, written once, for any SimdBackend. The order of additions is part of the result.
#pragma once
#include <cmath>
#include <cstddef>

#include "engine/base/math.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q8_0.h"
#include "engine/formats/turbo_kv_4b.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/quad_products.inl.h"
#include "engine/kernels/tile_kernels.inl.h"
#include "engine/simd/backend.h"
#include "engine/simd/pair.h"

namespace strata {

template <SimdBackend S>
struct KernelsFor {
    using F32 = typename S::F32;
    using Pair = PairOf<S>;
    using Float4 = typename S::Float4;
    using Activation = typename S::Activation;
    using PanelF32 = typename S::PanelF32;
    static constexpr int kLanes = F32::kLanes, kWideLanes = S::kPanelRows;

    // ---- matrix products with float weights ---------------------------------------------------------------------

    struct RowsF32 {
        const float* w;
        int64_t cols;
        F32 load(int64_t row, int64_t col) const { return S::load(w + row * cols + col); }
        float one(int64_t row, int64_t col) const { return load_unaligned<float>(w + row * cols + col); }
    };
    struct RowsF16 {
        const uint16_t* w;
        int64_t cols;
        F32 load(int64_t row, int64_t col) const { return S::load_half(w + row * cols + col); }
        float one(int64_t row, int64_t col) const {
            return half_to_float(load_unaligned<uint16_t>(w + row * cols + col));
        }
    };
    struct RowsBF16 {
        const uint16_t* w;
        int64_t cols;
        F32 load(int64_t row, int64_t col) const { return S::load_bfloat(w + row * cols + col); }
        float one(int64_t row, int64_t col) const {
            return bfloat_to_float(load_unaligned<uint16_t>(w + row * cols + col));
        }
    };

    // R rows times T tokens, each with two chains of additions (even and odd vectors), which hide the latency of each.
    template <int R, int T, class Rows>
    static void tile_float(const Rows& rows, const MatmulArgs& a, int64_t row, int token) {
        F32 even[R][T], odd[R][T];
        for (int r = 0; r < R; ++r)
            for (int t = 0; t < T; ++t) even[r][t] = odd[r][t] = S::splat(0);
        const float* x = a.x + token * a.cols;
        const auto step = [&](F32(&acc)[R][T], int64_t i) {
            F32 v[T];
            for (int t = 0; t < T; ++t) v[t] = S::load(x + t * a.cols + i);
            for (int r = 0; r < R; ++r) {
                const F32 w = rows.load(row + r, i);
                for (int t = 0; t < T; ++t) acc[r][t] = S::mul_add(w, v[t], acc[r][t]);
            }
        };
        int64_t i = 0;
        for (; i + 2 * kLanes <= a.cols; i += 2 * kLanes) {
            step(even, i);
            step(odd, i + kLanes);
        }
        if (i + kLanes <= a.cols) {
            step(even, i);
            i += kLanes;
        }
        for (int r = 0; r < R; ++r)
            for (int t = 0; t < T; ++t) {
                float sum = S::sum(S::add(even[r][t], odd[r][t]));
                for (int64_t rest = i; rest < a.cols; ++rest) sum += rows.one(row + r, rest) * x[t * a.cols + rest];
                a.out[(token + t) * a.out_stride + row + r] = sum;
            }
    }

    // One row after the other: weights come from memory, and a processor reads ahead well in one stream only. (Four
    // rows at a time were four times slower for matrices that do not fit the cache.)
    template <class Rows>
    static void matmul_float(const Rows& rows, const MatmulArgs& a, int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            int token = 0;
            for (; token + S::kTileTokens <= a.n_tokens; token += S::kTileTokens)
                tile_float<1, S::kTileTokens>(rows, a, r, token);
            for (; token < a.n_tokens; ++token) tile_float<1, 1>(rows, a, r, token);
        }
    }

    static void matmul_f32(const MatmulArgs& a, int64_t begin, int64_t end) {
        matmul_float(RowsF32{reinterpret_cast<const float*>(a.weights), a.cols}, a, begin, end);
    }
    static void matmul_f16(const MatmulArgs& a, int64_t begin, int64_t end) {
        matmul_float(RowsF16{reinterpret_cast<const uint16_t*>(a.weights), a.cols}, a, begin, end);
    }
    static void matmul_bf16(const MatmulArgs& a, int64_t begin, int64_t end) {
        matmul_float(RowsBF16{reinterpret_cast<const uint16_t*>(a.weights), a.cols}, a, begin, end);
    }

    // ---- elementwise --------------------------------------------------------------------------------------------

    static float largest_magnitude32(const float* x) {
        const F32 zero = S::splat(0);
        F32 largest = zero;
        for (int i = 0; i < 32; i += kLanes) {
            const F32 v = S::load(x + i);
            largest = S::max(largest, S::max(v, S::sub(zero, v)));
        }
        return S::largest(largest);
    }

    static void quantise_row(const float* x, void* quantised, float* scales, int64_t n) {
        Activation* out = static_cast<Activation*>(quantised);
        for (int64_t i = 0; i < n; i += 32) {
            const float largest = largest_magnitude32(x + i);
            scales[i / 32] = largest / 127.0f;
            S::quantise32(x + i, largest > 0 ? 127.0f / largest : 0.0f, out + i);
            if constexpr (requires { S::keep_scale(out, 0.0f); }) S::keep_scale(out + i, scales[i / 32]);
        }
    }

    static void rms_norm(const float* x, const float* weight, float* out, int64_t n, float epsilon) {
        F32 acc = S::splat(0);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) acc = S::mul_add(S::load(x + i), S::load(x + i), acc);
        float sum = S::sum(acc);
        for (; i < n; ++i) sum += x[i] * x[i];
        const float scale = 1.0f / std::sqrt(sum / float(n) + epsilon);
        const F32 scales = S::splat(scale);
        for (i = 0; i + kLanes <= n; i += kLanes)
            S::store(out + i, S::mul(S::mul(S::load(x + i), scales), S::load(weight + i)));
        for (; i < n; ++i) out[i] = x[i] * scale * weight[i];
    }

    // exp_f32 (engine/base/math.h) in eight lanes, operation by operation. Each of them waits for the one before it, so
    // vectors take turns. kNoneAbove0: x are known to be 0 or less.
    template <bool kNoneAbove0 = false, int n>
    [[gnu::always_inline]] static void exp(F32 (&x)[n]) {
        F32 t[n], p[n];
        const auto each = [&](auto step) __attribute__((always_inline)) {
            for (int i = 0; i < n; ++i) step(i);
        };
        each([&](int i) { x[i] = in_order<S>(S::max(x[i], constant<S, ExpF32::kLowest>())); });
        if constexpr (!kNoneAbove0)
            each([&](int i) { x[i] = in_order<S>(S::min(x[i], constant<S, ExpF32::kHighest>())); });
        each([&](int i) {
            t[i] = in_order<S>(S::add(S::mul(x[i], constant<S, ExpF32::kLog2E>()), constant<S, ExpF32::kRound>()));
        });
        each([&](int i) { p[i] = in_order<S>(S::sub(t[i], constant<S, ExpF32::kRound>())); });
        each([&](int i) { x[i] = in_order<S>(S::sub(x[i], S::mul(p[i], constant<S, ExpF32::kLn2High>()))); });
        each([&](int i) { x[i] = in_order<S>(S::sub(x[i], S::mul(p[i], constant<S, ExpF32::kLn2Low>()))); });
        each([&](int i) {
            p[i] = in_order<S>(S::mul_add(constant<S, ExpF32::kPower6>(), x[i], constant<S, ExpF32::kPower5>()));
        });
        each([&](int i) { p[i] = in_order<S>(S::mul_add(p[i], x[i], constant<S, ExpF32::kPower4>())); });
        each([&](int i) { p[i] = in_order<S>(S::mul_add(p[i], x[i], constant<S, ExpF32::kPower3>())); });
        each([&](int i) { p[i] = in_order<S>(S::mul_add(p[i], x[i], constant<S, ExpF32::kPower2>())); });
        each([&](int i) { p[i] = in_order<S>(S::mul_add(p[i], x[i], constant<S, ExpF32::kOne>())); });
        each([&](int i) { p[i] = in_order<S>(S::mul_add(p[i], x[i], constant<S, ExpF32::kOne>())); });
        each([&](int i) { x[i] = in_order<S>(S::times_power_of_two(p[i], t[i])); });
    }
    static F32 exp(F32 x) {
        F32 one[1] = {x};
        exp(one);
        return one[0];
    }

    static void silu_mul(const float* gate, const float* up, float* out, int64_t n) {
        const F32 one = S::splat(1), zero = S::splat(0);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) {
            const F32 g = S::load(gate + i);
            const F32 silu = S::div(g, S::add(one, exp(S::sub(zero, g))));
            S::store(out + i, S::mul(silu, S::load(up + i)));
        }
        for (; i < n; ++i) out[i] = gate[i] / (1.0f + exp_f32(0.0f - gate[i])) * up[i];
    }

    static void add(float* x, const float* y, int64_t n) {
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) S::store(x + i, S::add(S::load(x + i), S::load(y + i)));
        for (; i < n; ++i) x[i] += y[i];
    }

    // ---- attention ----------------------------------------------------------------------------------------------

    // As tile_float: four rows times T queries, whose lanes are summed together. head_dim: a multiple of kLanes.
    template <int T>
    static void score_four(const float* queries, const float* rows, int head_dim, float* scores, int64_t stride) {
        constexpr int R = S::kScoreRows;  // at a time
        F32 all[T][4];
        for (int first = 0; first < 4; first += R) {
            Pair acc[R][T];
            for (int r = 0; r < R; ++r)
                for (int t = 0; t < T; ++t) acc[r][t] = Pair::zero();
            const float* row = rows + first * head_dim;
            int i = 0;
            for (; i + 2 * kLanes <= head_dim; i += 2 * kLanes) {
                Pair x[T];
                for (int t = 0; t < T; ++t) x[t] = Pair::load(queries + t * head_dim + i);
                for (int r = 0; r < R; ++r) {
                    const Pair w = Pair::load(row + r * head_dim + i);
                    for (int t = 0; t < T; ++t) acc[r][t] = Pair::mul_add(w, x[t], acc[r][t]);
                }
            }
            for (int r = 0; r < R; ++r)
                for (int t = 0; t < T; ++t) {
                    F32 even = acc[r][t].even();
                    if (i < head_dim)
                        even = S::mul_add(S::load(row + r * head_dim + i), S::load(queries + t * head_dim + i), even);
                    all[t][first + r] = S::add(even, acc[r][t].odd());
                }
        }
        for (int t = 0; t < T; ++t) S::store4(scores + t * stride, S::sums(all[t][0], all[t][1], all[t][2], all[t][3]));
    }

    // Rows of the cache lie in the first-level cache: some at a time share the loads of some queries.
    static void scores_f32(const float* queries, int n, const float* rows, int n_rows, int head_dim, float* scores,
                           int64_t stride) {
        int r = 0;
        for (; r + 4 <= n_rows && head_dim % kLanes == 0; r += 4) {
            const float* four = rows + r * head_dim;
            int t = 0;
            for (; t + S::kScoreTokens <= n; t += S::kScoreTokens)
                score_four<S::kScoreTokens>(queries + t * head_dim, four, head_dim, scores + t * stride + r, stride);
            for (; t < n; ++t) score_four<1>(queries + t * head_dim, four, head_dim, scores + t * stride + r, stride);
        }
        const MatmulArgs args{nullptr, head_dim, queries, nullptr, nullptr, n, scores, stride};
        for (; r < n_rows; ++r)
            for (int t = 0; t < n; ++t) tile_float<1, 1>(RowsF32{rows, head_dim}, args, r, t);
    }

    // A lane for each of four rows; blocks are summed in order. Where fewer rows are left, the last one is computed
    // again.
    static void scores_i8(const void* query, const float* query_scales, StagedRows rows, int n_rows, int head_dim,
                          float* scores) {
        const Activation* x = static_cast<const Activation*>(query);
        const int blocks = head_dim / 32;
        for (int first = 0; first < n_rows; first += 4) {
            int r[4];
            for (int i = 0; i < 4; ++i) r[i] = first + i < n_rows ? first + i : n_rows - 1;
            Float4 acc = S::splat4(0);
            for (int b = 0; b < blocks; ++b) {
                const auto dot = [&](int row) {
                    return S::dot(S::load_weights(rows.q + row * head_dim + b * 32), x + b * 32);
                };
                const auto scale = [&](int row) { return rows.scales + row * blocks + b; };
                const Float4 scales =
                    S::mul(S::gather4(scale(r[0]), scale(r[1]), scale(r[2]), scale(r[3])), S::splat4(query_scales[b]));
                acc = S::add(acc, S::mul(S::sums(dot(r[0]), dot(r[1]), dot(r[2]), dot(r[3])), scales));
            }
            float out[4];
            S::store4(out, acc);
            for (int i = 0; i < 4 && first + i < n_rows; ++i) scores[first + i] = out[i];
        }
    }

    static void softmax_block(float* scores, int n, float* largest, float* sum) {
        int i = 0;
        F32 even = S::splat(scores[0]), odd = even;
        for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
            even = S::max(even, S::load(scores + i));
            odd = S::max(odd, S::load(scores + i + kLanes));
        }
        float m = S::largest(S::max(even, odd));
        for (; i < n; ++i) m = m > scores[i] ? m : scores[i];

        F32 acc = S::splat(0);
        const F32 shift = S::splat(m);
        for (i = 0; i + 2 * kLanes <= n; i += 2 * kLanes) {
            F32 p[2] = {S::sub(S::load(scores + i), shift), S::sub(S::load(scores + i + kLanes), shift)};
            exp<true>(p);
            S::store(scores + i, p[0]);
            S::store(scores + i + kLanes, p[1]);
            acc = S::add(S::add(acc, p[0]), p[1]);
        }
        for (; i + kLanes <= n; i += kLanes) {
            const F32 p = exp(S::sub(S::load(scores + i), shift));
            S::store(scores + i, p);
            acc = S::add(acc, p);
        }
        float total = S::sum(acc);
        for (; i < n; ++i) {
            scores[i] = exp_f32(scores[i] - m);
            total += scores[i];
        }
        *largest = m;
        *sum = total;
    }

    // kWide vectors of the outputs of Q queries stay in registers while all rows pass by.
    template <int kWide, int Q>
    static void accumulate_columns(const float* weights, int64_t weights_stride, const float* rows, int n_rows,
                                   int head_dim, float* out, int64_t out_stride) {
        PanelF32 acc[Q][kWide];
        for (int q = 0; q < Q; ++q)
            for (int c = 0; c < kWide; ++c) acc[q][c] = S::load_lanes(out + q * out_stride + c * kWideLanes);
        for (int r = 0; r < n_rows; ++r, rows += head_dim)
            for (int c = 0; c < kWide; ++c) {
                const PanelF32 row = S::load_lanes(rows + c * kWideLanes);
                for (int q = 0; q < Q; ++q)
                    acc[q][c] = S::add(acc[q][c], S::mul(S::splat_lanes(weights[q * weights_stride + r]), row));
            }
        for (int q = 0; q < Q; ++q)
            for (int c = 0; c < kWide; ++c) S::store(out + q * out_stride + c * kWideLanes, acc[q][c]);
    }

    template <int Q>
    static void accumulate_some(const float* weights, int64_t weights_stride, const float* rows, int n_rows,
                                int head_dim, float* out, int64_t out_stride) {
        constexpr int kSome = S::kSumVectors / Q * kWideLanes < 64 ? S::kSumVectors / Q : 64 / kWideLanes;
        int d = 0;
        for (; d + kSome * kWideLanes <= head_dim; d += kSome * kWideLanes)
            accumulate_columns<kSome, Q>(weights, weights_stride, rows + d, n_rows, head_dim, out + d, out_stride);
        for (; d + kWideLanes <= head_dim; d += kWideLanes)
            accumulate_columns<1, Q>(weights, weights_stride, rows + d, n_rows, head_dim, out + d, out_stride);
        for (; d < head_dim; ++d)
            for (int q = 0; q < Q; ++q)
                for (int r = 0; r < n_rows; ++r)
                    out[q * out_stride + d] += weights[q * weights_stride + r] * rows[r * head_dim + d];
    }

    static void accumulate(const float* weights, int64_t weights_stride, int n, const float* rows, int n_rows,
                           int head_dim, float* out, int64_t out_stride) {
        constexpr int Q = S::kSumQueries;
        int q = 0;
        for (; q + Q <= n; q += Q)
            accumulate_some<Q>(weights + q * weights_stride, weights_stride, rows, n_rows, head_dim,
                               out + q * out_stride, out_stride);
        for (; q < n; ++q)
            accumulate_some<1>(weights + q * weights_stride, weights_stride, rows, n_rows, head_dim,
                               out + q * out_stride, out_stride);
    }

    // Some sums stay in registers while all partial results pass by.
    template <int kVectors>
    static void merge_vectors(float* merged, const float* partials, int64_t stride, int n, const float* old_weights,
                              const float* new_weights) {
        F32 acc[kVectors];
        for (int v = 0; v < kVectors; ++v) acc[v] = S::load(merged + v * kLanes);
        for (int i = 0; i < n; ++i, partials += stride) {
            const F32 kept = S::splat(old_weights[i]), added = S::splat(new_weights[i]);
            for (int v = 0; v < kVectors; ++v)
                acc[v] = S::mul_add(acc[v], kept, S::mul(S::load(partials + v * kLanes), added));
        }
        for (int v = 0; v < kVectors; ++v) S::store(merged + v * kLanes, acc[v]);
    }

    static void merge(float* merged, const float* partials, int64_t stride, int64_t n, int n_values) {
        constexpr int kSome = 16;  // partial results at a time
        for (; n > 0; n -= kSome, partials += kSome * stride) {
            const int some = n < kSome ? int(n) : kSome;
            float old_weights[kSome] = {}, new_weights[kSome] = {};  // the logarithms first
            float& largest = merged[n_values];
            for (int i = 0; i < some; ++i) {
                const float old_largest = largest, new_largest = partials[i * stride + n_values];
                largest = old_largest > new_largest ? old_largest : new_largest;
                old_weights[i] = old_largest - largest;
                new_weights[i] = new_largest - largest;
            }
            for (int i = 0; i < some; i += kLanes) {
                F32 x[2] = {S::load(old_weights + i), S::load(new_weights + i)};
                exp<true>(x);
                S::store(old_weights + i, x[0]);
                S::store(new_weights + i, x[1]);
            }
            constexpr int kVectors = 4;
            int c = 0;
            for (; c + kVectors * kLanes <= n_values; c += kVectors * kLanes)
                merge_vectors<kVectors>(merged + c, partials + c, stride, some, old_weights, new_weights);
            const auto merge_one = [&](int at) {
                for (int i = 0; i < some; ++i)
                    merged[at] = merged[at] * old_weights[i] + partials[i * stride + at] * new_weights[i];
            };
            for (; c < n_values; ++c) merge_one(c);
            merge_one(n_values + 1);
        }
    }

    // ---- KV rows ------------------------------------------------------------------------------------------------

    static void stage_f16(const uint8_t* rows, int64_t n, float* out) {
        const uint16_t* half = reinterpret_cast<const uint16_t*>(rows);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) S::store(out + i, S::load_half(half + i));
        for (; i < n; ++i) out[i] = half_to_float(load_unaligned<uint16_t>(half + i));
    }
    static void stage_q8_0(const uint8_t* rows, int64_t n, int8_t* q, float* scales) {
        for (int64_t b = 0; b < n / 32; ++b, rows += sizeof(BlockQ8_0)) {
            scales[b] = half_to_float(load_unaligned<uint16_t>(rows));
            std::memcpy(q + b * 32, rows + 2, 32);
        }
    }
    static void stage_q4_0(const uint8_t* rows, int64_t n, int8_t* q, float* scales) {
        static constexpr int8_t kLevels[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};
        for (int64_t b = 0; b < n / 32; ++b, rows += sizeof(BlockQ4_0)) {
            scales[b] = half_to_float(load_unaligned<uint16_t>(rows));
            S::look_up_nibbles(rows + 2, kLevels, q + b * 32);
        }
    }
    static void stage_turbo(const uint8_t* rows, int n_rows, int head_dim, int8_t* q, float* scales) {
        for (int r = 0; r < n_rows; ++r)
            for (int d = 0, size; d < head_dim; d += size) {
                size = turbo_block_size(head_dim - d);
                const float scale = half_to_float(load_unaligned<uint16_t>(rows));
                rows += 2;
                for (int i = 0; i < size; i += 32, rows += 16, q += 32) {
                    *scales++ = scale;
                    S::look_up_nibbles(rows, kTurboLevels, q);
                }
            }
    }
    static void expand(StagedRows rows, int64_t n, float* out) {
        for (int64_t i = 0; i < n; i += 32) S::scale_to_float(rows.q + i, rows.scales[i / 32], out + i);
    }

    // ---- some architectures' own ----------------------------------------------------------------------------------

    // -2 sqrt(2 / pi), and that times .044715
    static constexpr float kGelu1 = -1.5957691216f, kGelu3 = -0.0713548162f;

    static void gelu_mul(const float* gate, const float* up, float* out, int64_t n) {
        const F32 one = S::splat(1), first = S::splat(kGelu1), third = S::splat(kGelu3);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) {
            const F32 g = S::load(gate + i);
            const F32 u = S::mul(g, S::add(first, S::mul(third, S::mul(g, g))));
            const F32 gelu = S::div(g, S::add(one, exp(u)));
            S::store(out + i, S::mul(gelu, S::load(up + i)));
        }
        for (; i < n; ++i) {
            const float g = gate[i], u = g * (kGelu1 + kGelu3 * (g * g));
            out[i] = g / (1.0f + exp_f32(u)) * up[i];
        }
    }

    static void soft_cap(float* x, int64_t n, float cap) {
        const float inverse = 2.0f / cap;
        const F32 one = S::splat(1), two = S::splat(2), caps = S::splat(cap), inverses = S::splat(inverse);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) {
            const F32 e = exp(S::mul(S::load(x + i), inverses));
            S::store(x + i, S::mul(S::sub(one, S::div(two, S::add(e, one))), caps));
        }
        for (; i < n; ++i) x[i] = (1.0f - 2.0f / (exp_f32(x[i] * inverse) + 1.0f)) * cap;
    }

    static constexpr Kernels table() {
        using Tile = TileKernelsFor<S>;
        using Quads = QuadProductsFor<S>;
        using QuadRows = QuadRowsFor<S>;
        return {S::kName,
                sizeof(Activation),
                Tile::kQueryBytes,
                matmul_f32,
                matmul_f16,
                matmul_bf16,
                Quads::template matmul<typename QuadRows::Q8_0>,
                Quads::template matmul<typename QuadRows::Q4_0>,
                Quads::template matmul<typename QuadRows::Q4_1>,
                Quads::template matmul<typename QuadRows::Q5_0>,
                Quads::template matmul<typename QuadRows::Q5_1>,
                Quads::template matmul<typename QuadRows::Q2_K>,
                Quads::template matmul<typename QuadRows::Q3_K>,
                Quads::template matmul<typename QuadRows::Q4_K>,
                Quads::template matmul<typename QuadRows::Q5_K>,
                Quads::template matmul<typename QuadRows::Q6_K>,
                Quads::template matmul<typename QuadRows::IQ4_NL>,
                Quads::template matmul<typename QuadRows::IQ4_XS>,
                quantise_row,
                Quads::sum_activations,
                rms_norm,
                silu_mul,
                add,
                scores_f32,
                scores_i8,
                softmax_block,
                accumulate,
                merge,
                stage_f16,
                stage_q8_0,
                stage_q4_0,
                stage_turbo,
                expand,
                Tile::encode_tile,
                Tile::rotate,
                Tile::quantise_queries,
                S::kFetchesByStoring,
                Tile::fetch,
                Tile::fetch_pages,
                Tile::tile_scores,
                Tile::tile_values,
                gelu_mul,
                soft_cap};
    }
};

}  // namespace strata
