#include "engine/kv/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/math.h"
#include "engine/formats/hadamard.h"

namespace strata {

namespace {

constexpr int kBlockPositions = 256;  // of one partial result; part of the arithmetic
constexpr int kTokens = 16;           // queries of a batch that share one staged page

// A partial result: the weighted values (head_dim), then these two.
float& largest_of(float* partial, int head_dim) { return partial[head_dim]; }
float& sum_of(float* partial, int head_dim) { return partial[head_dim + 1]; }

// Which rows of a page that begins at `first` lie in [begin, end).
struct PageRows {
    int begin, end;
    bool empty() const { return begin >= end; }
};
PageRows rows_of_page(int64_t first, int64_t begin, int64_t end) {
    const auto clamp = [&](int64_t p) { return int(std::clamp<int64_t>(p - first, 0, kPagePositions)); };
    return {clamp(begin), clamp(end)};
}

}  // namespace

Attention::Attention(const KvCache& cache, int n_heads, int max_batch, const Kernels& kernels, ThreadPool& pool)
    : cache_(cache),
      kernels_(kernels),
      pool_(pool),
      n_heads_(n_heads),
      group_(n_heads / cache.shape().n_kv_heads),
      head_dim_(cache.shape().head_dim),
      query_scale_(1.0f / std::sqrt(float(cache.shape().head_dim))),
      scratch_(size_t(pool.threads())) {
    const size_t d = size_t(head_dim_), rows = size_t(max_batch) * size_t(n_heads);
    queries_.resize(rows * d);
    if (cache.keys().format().integer()) {
        int_queries_.resize(rows * d * kernels.activation_bytes);
        int_query_scales_.resize(rows * d / 32);
    }
    for (Scratch& scratch : scratch_) {
        scratch.q.resize(kPagePositions * d);
        scratch.scales.resize(kPagePositions * d / 32 + 1);
        scratch.floats.resize(kPagePositions * d);
        scratch.scores.resize(size_t(kTokens) * size_t(group_) * kBlockPositions);
        scratch.partial.resize(size_t(kTokens) * size_t(group_) * (d + 2));
        scratch.merged.resize(scratch.partial.size());
    }
}

void Attention::reserve(int64_t positions) {
    const size_t blocks = size_t((positions + kBlockPositions - 1) / kBlockPositions);
    const size_t needed = blocks * size_t(n_heads_) * size_t(head_dim_ + 2);
    if (needed > partials_.size()) partials_.resize(needed + needed / 2);
}

uint64_t Attention::scratch_bytes() const {
    uint64_t floats = queries_.size() + int_query_scales_.size() + partials_.size();
    uint64_t bytes = int_queries_.size();
    for (const Scratch& s : scratch_) {
        floats += s.scales.size() + s.floats.size() + s.scores.size() + s.partial.size() + s.merged.size();
        bytes += s.q.size();
    }
    return bytes + floats * sizeof(float);
}

void Attention::attend(int layer, int64_t position, int n, const float* queries, float* out) {
    const Batch batch{layer, n, position, out};
    for (int t = 0; t < n; ++t)
        for (int h = 0; h < n_heads_; ++h) prepare_query(t, h, queries + (int64_t(t) * n_heads_ + h) * head_dim_);
    if (n == 1)
        one_query(batch);
    else
        many_queries(batch);
}

void Attention::prepare_query(int token, int head, const float* query) {
    const size_t row = size_t(token) * size_t(n_heads_) + size_t(head), d = size_t(head_dim_);
    float* scaled = queries_.data() + row * d;
    for (size_t i = 0; i < d; ++i) scaled[i] = query[i] * query_scale_;
    const RowFormat& format = cache_.keys().format();
    if (!format.integer()) return;
    float* turned = scratch_[0].floats.data();
    std::copy_n(scaled, d, turned);
    if (format.rotated()) hadamard(turned, head_dim_);
    kernels_.quantise_row(turned, int_queries_.data() + row * d * kernels_.activation_bytes,
                          int_query_scales_.data() + row * (d / 32), head_dim_);
}

// Decoding: heads and blocks are spread over the threads, then merged in order.
void Attention::one_query(const Batch& batch) {
    const int n_kv_heads = cache_.shape().n_kv_heads, stride = head_dim_ + 2;
    const int64_t blocks = batch.position / kBlockPositions + 1;
    CHECK(size_t(blocks) * size_t(n_heads_) * size_t(stride) <= partials_.size());
    pool_.for_rows(blocks * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; ++i) {
            const int kv_head = int(i % n_kv_heads);
            float* partial = partials_.data() + (i / n_kv_heads * n_heads_ + kv_head * group_) * stride;
            block(batch, kv_head, i / n_kv_heads, 0, 1, scratch_[size_t(thread)], partial);
        }
    });
    for (int h = 0; h < n_heads_; ++h) {
        float* merged = partials_.data() + h * stride;
        for (int64_t b = 1; b < blocks; ++b) merge(merged, partials_.data() + (b * n_heads_ + h) * stride);
        finish(merged, batch.out + int64_t(h) * head_dim_);
    }
}

// Prefill: each thread takes one KV head and some queries, and walks through the blocks.
void Attention::many_queries(const Batch& batch) {
    const int n_kv_heads = cache_.shape().n_kv_heads, stride = head_dim_ + 2;
    const int token_groups = (batch.n + kTokens - 1) / kTokens;
    pool_.for_rows(int64_t(token_groups) * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
        Scratch& scratch = scratch_[size_t(thread)];
        for (int64_t i = begin; i < end; ++i) {
            const int kv_head = int(i % n_kv_heads);
            const int first = int(i / n_kv_heads) * kTokens, last = std::min(first + kTokens, batch.n);
            const int64_t blocks = (batch.position + last - 1) / kBlockPositions + 1;
            for (int64_t b = 0; b < blocks; ++b) {
                block(batch, kv_head, b, first, last, scratch, scratch.partial.data());
                for (int t = first; t < last; ++t) {
                    if (batch.position + t < b * kBlockPositions) continue;  // this block lies in the query's future
                    for (int g = 0; g < group_; ++g) {
                        const int row = (t - first) * group_ + g;
                        float* partial = scratch.partial.data() + row * stride;
                        float* merged = scratch.merged.data() + row * stride;
                        if (b == 0)
                            std::copy_n(partial, stride, merged);
                        else
                            merge(merged, partial);
                    }
                }
            }
            for (int t = first; t < last; ++t)
                for (int g = 0; g < group_; ++g)
                    finish(scratch.merged.data() + ((t - first) * group_ + g) * stride,
                           batch.out + (int64_t(t) * n_heads_ + kv_head * group_ + g) * head_dim_);
        }
    });
}

// partial: (tokens, group, head_dim + 2) for the queries that see any position of the block.
void Attention::block(const Batch& batch, int kv_head, int64_t block, int token_begin, int token_end, Scratch& scratch,
                      float* partial) {
    const int64_t first = block * kBlockPositions;
    scores_of_block(batch, kv_head, first, token_begin, token_end, scratch);
    for (int t = token_begin; t < token_end; ++t) {
        const int visible = int(std::clamp<int64_t>(batch.position + t + 1 - first, 0, kBlockPositions));
        for (int g = 0; g < group_ && visible > 0; ++g) {
            const int row = (t - token_begin) * group_ + g;
            float* result = partial + row * (head_dim_ + 2);
            std::fill_n(result, head_dim_, 0.0f);
            kernels_.softmax_block(scratch.scores.data() + row * kBlockPositions, visible,
                                   &largest_of(result, head_dim_), &sum_of(result, head_dim_));
        }
    }
    values_of_block(batch, kv_head, first, token_begin, token_end, scratch, partial);
}

void Attention::scores_of_block(const Batch& batch, int kv_head, int64_t first, int token_begin, int token_end,
                                Scratch& scratch) {
    const KvSide& keys = cache_.keys();
    const RowFormat& format = keys.format();
    const int64_t newest = batch.position + token_end - 1;
    const size_t d = size_t(head_dim_);
    for (int64_t page_first = first; page_first < std::min(first + kBlockPositions, newest + 1);
         page_first += kPagePositions) {
        const int64_t page = page_first / kPagePositions;
        const auto for_each_query = [&](auto&& fn) {
            for (int t = token_begin; t < token_end; ++t)
                for (int g = 0; g < group_; ++g) {
                    float* scores = scratch.scores.data() + ((t - token_begin) * group_ + g) * kBlockPositions +
                                    (page_first - first);
                    fn(batch.position + t, size_t(t) * size_t(n_heads_) + size_t(kv_head * group_ + g), scores);
                }
        };

        const PageRows staged = rows_of_page(page_first, 0, keys.encoded_for(newest));
        if (!staged.empty()) {
            const uint8_t* encoded = keys.encoded_page(batch.layer, kv_head, page);
            if (format.integer()) {
                const StagedRows rows =
                    format.stage_integers(kernels_, encoded, staged.end, scratch.q.data(), scratch.scales.data());
                for_each_query([&](int64_t t, size_t row, float* scores) {
                    const int n = rows_of_page(page_first, 0, keys.encoded_for(t)).end;
                    kernels_.scores_i8(int_queries_.data() + row * d * kernels_.activation_bytes,
                                       int_query_scales_.data() + row * (d / 32), rows, n, head_dim_, scores);
                });
            } else {
                const float* rows = format.stage_floats(kernels_, encoded, staged.end, scratch.q.data(),
                                                        scratch.scales.data(), scratch.floats.data());
                for_each_query([&](int64_t t, size_t row, float* scores) {
                    const int n = rows_of_page(page_first, 0, keys.encoded_for(t)).end;
                    kernels_.scores_f32(queries_.data() + row * d, rows, n, head_dim_, scores);
                });
            }
        }
        if (keys.window() == 0) continue;
        for_each_query([&](int64_t t, size_t row, float* scores) {
            const PageRows exact = rows_of_page(page_first, keys.encoded_for(t), t + 1);
            if (exact.empty()) return;
            const float* rows = keys.exact_page(batch.layer, kv_head, page) + exact.begin * head_dim_;
            kernels_.scores_f32(queries_.data() + row * d, rows, exact.end - exact.begin, head_dim_,
                                scores + exact.begin);
        });
    }
}

// First the encoded values, which are older, then the exact ones: in the order of positions, and with one rotation back
// in between where the encoded rows are rotated.
void Attention::values_of_block(const Batch& batch, int kv_head, int64_t first, int token_begin, int token_end,
                                Scratch& scratch, float* partial) {
    const KvSide& values = cache_.values();
    const RowFormat& format = values.format();
    const int64_t newest = batch.position + token_end - 1;
    const int64_t block_end = std::min(first + kBlockPositions, newest + 1);
    const auto for_each_query = [&](auto&& fn) {
        for (int t = token_begin; t < token_end; ++t)
            for (int g = 0; g < group_; ++g) {
                const int row = (t - token_begin) * group_ + g;
                fn(batch.position + t, scratch.scores.data() + row * kBlockPositions, partial + row * (head_dim_ + 2));
            }
    };

    for (int64_t page_first = first; page_first < block_end; page_first += kPagePositions) {
        const PageRows staged = rows_of_page(page_first, 0, values.encoded_for(newest));
        if (staged.empty()) break;
        const uint8_t* encoded = values.encoded_page(batch.layer, kv_head, page_first / kPagePositions);
        const float* rows = format.stage_floats(kernels_, encoded, staged.end, scratch.q.data(), scratch.scales.data(),
                                                scratch.floats.data());
        for_each_query([&](int64_t t, const float* weights, float* result) {
            const int n = rows_of_page(page_first, 0, values.encoded_for(t)).end;
            kernels_.accumulate(weights + (page_first - first), rows, n, head_dim_, result);
        });
    }
    if (format.rotated())
        for_each_query([&](int64_t t, const float*, float* result) {
            if (values.encoded_for(t) > first) hadamard(result, head_dim_);
        });
    if (values.window() == 0) return;
    for (int64_t page_first = first; page_first < block_end; page_first += kPagePositions)
        for_each_query([&](int64_t t, const float* weights, float* result) {
            const PageRows exact = rows_of_page(page_first, values.encoded_for(t), t + 1);
            if (exact.empty()) return;
            const float* rows =
                values.exact_page(batch.layer, kv_head, page_first / kPagePositions) + exact.begin * head_dim_;
            kernels_.accumulate(weights + (page_first - first) + exact.begin, rows, exact.end - exact.begin, head_dim_,
                                result);
        });
}

void Attention::merge(float* merged, const float* partial) const {
    const float old_largest = merged[head_dim_], new_largest = partial[head_dim_];
    const float largest = old_largest > new_largest ? old_largest : new_largest;
    const float old_weight = exp_f32(old_largest - largest), new_weight = exp_f32(new_largest - largest);
    for (int i = 0; i < head_dim_; ++i) merged[i] = merged[i] * old_weight + partial[i] * new_weight;
    merged[head_dim_] = largest;
    merged[head_dim_ + 1] = merged[head_dim_ + 1] * old_weight + partial[head_dim_ + 1] * new_weight;
}

void Attention::finish(const float* merged, float* out) const {
    const float sum = merged[head_dim_ + 1];
    for (int i = 0; i < head_dim_; ++i) out[i] = merged[i] / sum;
}

}  // namespace strata
