// The table of coarse hot functions: one table per SIMD backend, all with the same results, bit for bit.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/formats/tensor_type.h"
#include "engine/formats/tile.h"

namespace strata {

// out[t * out_stride + r] = weights[r] . x[t], for the rows r that the call names and every token t.
// A weight type computes with the float activations or, if it is quantised, with their int8 version:
//   float:      even and odd vectors of 8 columns in two chains, their sum by Scalar::sum, then the columns left, one
//               by one
//   quantised:  four sums, one for each b % 4, over the blocks b of 32 columns, in order, of
//               float(exact integer dot) * (weight scale * activation scale); then (0 + 2) + (1 + 3)
//   quantised, with minimums (Q4_1 Q5_1 Q2_K Q4_K Q5_K): the same sums, of
//               (float(exact dot) * weight scale + float(exact sum of the activations) * minimum) * activation scale
// Groups of 16 (Q2_K Q3_K Q6_K) multiply the integers: the dot and the sum of each half of a block. Where groups are 32
// (Q4_K Q5_K IQ4_XS), "weight scale" and "minimum" are those of the group, rounded as decoding rounds them.
// so a result depends neither on how rows and tokens are grouped nor on the backend.
struct MatmulArgs {
    const uint8_t* weights;  // (n_rows, cols) in the type's own blocks
    int64_t cols;
    const float* x;           // (n_tokens, cols)
    const void* x_quantised;  // (n_tokens, cols) of the backend's Activation, as quantise_row wrote them
    const float* x_scales;    // (n_tokens, cols / 32)
    int n_tokens;
    float* out;  // (n_tokens, out_stride)
    int64_t out_stride;
    const float* x_sums = nullptr;  // (n_tokens, n_activation_sums(cols)); only for types that read them
};
using MatmulFn = void (*)(const MatmulArgs& args, int64_t row_begin, int64_t row_end);

// How many sums sum_activations writes for n activations.
constexpr int64_t n_activation_sums(int64_t n) { return (n + 127) / 128 * 12; }
constexpr bool reads_activation_sums(TensorType type) {
    switch (type) {
        case TensorType::q4_0:
        case TensorType::q4_1:
        case TensorType::q5_0:
        case TensorType::q5_1:
        case TensorType::q2_k:
        case TensorType::q3_k:
        case TensorType::q4_k:
        case TensorType::q5_k:
        case TensorType::q6_k:
            return true;
        default:
            return false;
    }
}

// Rows of the KV cache, made ready for many queries: int8 with a scale for each 32 values.
struct StagedRows {
    const int8_t* q;      // (n, head_dim)
    const float* scales;  // (n, head_dim / 32)
};

constexpr int padded_head_dim(int head_dim) { return (head_dim + 31) / 32 * 32; }

struct Kernels {
    const char* name;
    size_t activation_bytes;  // of one quantised activation
    size_t query_bytes;       // of one of a query, as quantise_queries writes them

    MatmulFn matmul_f32, matmul_f16, matmul_bf16, matmul_q8_0, matmul_q4_0, matmul_q4_1, matmul_q5_0, matmul_q5_1,
        matmul_q2_k, matmul_q3_k, matmul_q4_k, matmul_q5_k, matmul_q6_k, matmul_iq4_nl, matmul_iq4_xs;

    // x (n) to quantised (n) and scales (n / 32), n a multiple of 32: scale = largest magnitude / 127, q to nearest.
    void (*quantise_row)(const float* x, void* quantised, float* scales, int64_t n);
    // Exact sums of activations of a row (n): for each four blocks of 32, those of the blocks' first halves, those of
    // their second halves, and those of both. Blocks that are missing at the end count as zeros. sums:
    // (n_activation_sums(n))
    void (*sum_activations)(const void* quantised, int64_t n, float* sums);
    // out = x / rms(x) * weight, all (n). RMSNorm, arXiv 1910.07467.
    void (*rms_norm)(const float* x, const float* weight, float* out, int64_t n, float epsilon);
    // out = silu(gate) * up, all (n). SwiGLU, arXiv 2002.05202.
    void (*silu_mul)(const float* gate, const float* up, float* out, int64_t n);
    // x += y, both (n)
    void (*add)(float* x, const float* y, int64_t n);

    // scores[i * stride + r] = queries[i] . rows[r] for n queries (n, head_dim): as a float matmul.
    void (*scores_f32)(const float* queries, int n, const float* rows, int n_rows, int head_dim, float* scores,
                       int64_t stride);
    // scores[i] = query . rows[i], summed over the blocks of 32 in order.
    void (*scores_i8)(const void* query, const float* query_scales, StagedRows rows, int n_rows, int head_dim,
                      float* scores);
    // scores (n >= 1) become exp(score - *largest), whose sum goes to *sum.
    void (*softmax_block)(float* scores, int n, float* largest, float* sum);
    // out[i * out_stride + c] += weights[i * weights_stride + r] * rows[r][c] for n queries, r in order
    void (*accumulate)(const float* weights, int64_t weights_stride, int n, const float* rows, int n_rows, int head_dim,
                       float* out, int64_t out_stride);

    // Partial results of attention: n_values weighted sums, the largest score, the sum of the exponentials. merged
    // takes in n of them, `stride` floats apart, one after the other: with M the larger of the two largest scores,
    // everything becomes merged * e^(its own - M) + partial * e^(its own - M).
    void (*merge)(float* merged, const float* partials, int64_t stride, int64_t n, int n_values);

    // KV rows of n values in all, made ready: see engine/kv/row_format.h for the layouts.
    void (*stage_f16)(const uint8_t* rows, int64_t n, float* out);
    void (*stage_q8_0)(const uint8_t* rows, int64_t n, int8_t* q, float* scales);
    void (*stage_q4_0)(const uint8_t* rows, int64_t n, int8_t* q, float* scales);
    void (*stage_turbo)(const uint8_t* rows, int n_rows, int head_dim, int8_t* q, float* scales);
    // out (n) = q * scale of its 32
    void (*expand)(StagedRows rows, int64_t n, float* out);

    // Tiles (engine/formats/tile.h).
    // As encode_tile there, bit for bit. scratch: (64, head_dim) floats.
    void (*encode_tile)(const float* x, int head_dim, int masked, float* scratch, uint8_t* header, uint8_t* codes);
    // x to y, both (head_dim), which may be the same: engine/formats/hadamard.h, bit for bit. head_dim: a multiple
    // of 8.
    void (*rotate)(const float* x, int head_dim, float* y);
    // n queries x (n, head_dim) as tile_scores takes them, when it is called with as many: (n,
    // padded_head_dim(head_dim)) of query_bytes, padded with zeros, and one scale for each query: largest magnitude /
    // 127.
    void (*quantise_queries)(const float* x, int n, int head_dim, void* queries, float* scales);
    // Has bytes come nearer while something else is computed, which hides the time that memory takes to answer. Where
    // there is no instruction for it they are loaded, and most of that time is waited for, once for all that a call
    // names; what is fetched ahead of a computation is then stored again (fetches_by_storing: see TileView::line_bytes
    // and engine/kernels/lines_ahead.inl.h).
    bool fetches_by_storing;
    void (*fetch)(const void* p, int64_t bytes);
    void (*fetch_pages)(const TileView& tile, int head_dim);  // the same
    // scores[i * stride + 64 * t + p] = queries[i] . key p of tile t, rotated, for n queries:
    //   float(exact dot with the levels) * (scale of p * (query scale * unit)) + (query scale * mean scale) * float(dot
    //   with the mean)
    // While a tile is computed, the one after it is fetched, and `next` after the last; nullptr: nothing. tile_values
    // does so too.
    void (*tile_scores)(std::span<const TileView> keys, const TileView* next, int head_dim, const void* queries,
                        const float* query_scales, int n, float* scores, int64_t stride);
    // out[i * out_stride + c] += sum over positions p of weights[i * stride + 64 * t + p] * value (p, c), still
    // rotated, for n queries; one tile t after the other. weights >= 0. As integers: w = weight * scale of p (written
    // order), W = its largest / 127, q = w * (127 / largest) to nearest; then for each c: out += float(exact dot of q
    // with the levels) * (W * unit); out += (sum of weights * mean scale) * float(mean). The sum is over the unmasked
    // positions (scale byte not 0), 64 as S::sum of vectors.
    void (*tile_values)(std::span<const TileView> values, const TileView* next, int head_dim, const float* weights,
                        int64_t stride, int n, float* out, int64_t out_stride);

    // out = gelu(gate) * up, all (n): GELU by its tanh formula (arXiv 1606.08415), as gate / (1 + e^(-2u)).
    void (*gelu_mul)(const float* gate, const float* up, float* out, int64_t n);
    // x (n) = cap * tanh(x / cap), off by up to 2.5e-7 * cap
    void (*soft_cap)(float* x, int64_t n, float cap);

    MatmulFn matmul(TensorType type) const;
};

// The backends that this build has and this machine can run, best first; outside the browser the last one is "scalar".
std::span<const Kernels* const> available_kernels();
const Kernels* find_kernels(std::string_view name);  // nullptr: not here
inline const Kernels& best_kernels() { return *available_kernels()[0]; }

}  // namespace strata
