#include "engine/kv/attention.h"

#include <algorithm>
#include <cmath>

namespace strata {

namespace {

constexpr int kTokens = 16;         // queries of a batch that share what is staged or expanded
constexpr float kNoScore = -1e30f;  // leaves no weight beside any other

}  // namespace

Attention::Attention(const KvCache& cache, int n_heads, int max_batch, const Kernels& kernels, ThreadPool& pool,
                     ScoreOptions scores)
    : cache_(cache),
      kernels_(kernels),
      pool_(pool),
      n_heads_(n_heads),
      group_(n_heads / cache.shape().n_kv_heads),
      head_dim_(cache.shape().head_dim),
      stride_(2 * cache.shape().head_dim + 2),
      query_scale_(scores.scale != 0 ? scores.scale : 1.0f / std::sqrt(float(cache.shape().head_dim))),
      score_cap_(scores.cap),
      some_values_rotated_(cache.tiles() ? tile_fits(head_dim_) : cache.rows()->values().format().rotated()),
      blocks_left_(size_t(cache.shape().n_kv_heads)),
      scratch_(size_t(pool.threads())) {
    const size_t d = size_t(head_dim_), rows = size_t(std::min(kTokens, max_batch)) * size_t(group_);
    queries_.resize(size_t(max_batch) * size_t(n_heads) * d);
    for (Scratch& scratch : scratch_) {
        scratch.turned.resize(rows * d);
        scratch.int_queries.resize(rows * size_t(padded_head_dim(head_dim_)) * kernels.query_bytes);
        scratch.int_scales.resize(rows * (d / 32 + 1));
        scratch.rotated.resize(cache.tiles() ? rows * d : d);
        scratch.scores.resize(rows * kBlockPositions);
        scratch.partial.resize(rows * size_t(stride_));
        scratch.merged.resize(rows * size_t(stride_));
        if (!cache.rows()) continue;
        scratch.q.resize(kPagePositions * d);
        scratch.scales.resize(kPagePositions * d / 32 + 1);
        scratch.floats.resize(kPagePositions * d);
    }
}

void Attention::reserve(int64_t positions) {
    const size_t blocks = size_t((positions + kBlockPositions - 1) / kBlockPositions);
    const size_t needed = blocks * size_t(n_heads_) * size_t(stride_);
    if (needed > partials_.size()) partials_.resize(needed + needed / 2);
}

double attention_bytes_per_token(int n_heads, int head_dim) {
    return 1.5 * n_heads * (2 * head_dim + 2) * double(sizeof(float)) / kBlockPositions;
}

uint64_t Attention::scratch_bytes() const {
    uint64_t floats = queries_.size() + partials_.size(), bytes = 0;
    for (const Scratch& s : scratch_) {
        for (const auto* values :
             {&s.turned, &s.int_scales, &s.rotated, &s.scales, &s.floats, &s.scores, &s.partial, &s.merged})
            floats += values->size();
        bytes += s.q.size() + s.int_queries.size();
    }
    return bytes + floats * sizeof(float);
}

void Attention::attend(const AttentionLayer& layer, int64_t position, int n, const float* queries, float* out) {
    const size_t values = size_t(n) * size_t(n_heads_) * size_t(head_dim_);
    for (size_t i = 0; i < values; ++i) queries_[i] = queries[i] * query_scale_;
    const Batch batch{layer, n, position, out};
    if (n == 1)
        one_query(batch);
    else
        many_queries(batch);
}

int64_t Attention::Batch::first_block(int token) const { return oldest_for(position + token) / kBlockPositions; }

// Decoding: heads and blocks are spread over the threads, the newest blocks first: their exact rows take longest, and
// threads end together when the last pieces are short. Whoever computes the last block of a head's group merges them.
void Attention::one_query(const Batch& batch) {
    const int n_kv_heads = cache_.shape().n_kv_heads;
    const int64_t first = batch.first_block(0), blocks = batch.position / kBlockPositions + 1 - first;
    CHECK(size_t(blocks) * size_t(n_heads_) * size_t(stride_) <= partials_.size());
    for (std::atomic<int64_t>& left : blocks_left_) left.store(blocks, std::memory_order_relaxed);
    pool_.for_rows(blocks * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
        const auto work_at = [&](int64_t i) -> Work {
            const int kv_head = int(i % n_kv_heads);
            const int64_t b = blocks - 1 - i / n_kv_heads;
            float* partial = partials_.data() + (b * n_heads_ + kv_head * group_) * stride_;
            return {batch, kv_head, (first + b) * kBlockPositions, 0, 1, scratch_[size_t(thread)], partial};
        };
        BlockTiles two[2];
        find_tiles(work_at(begin), two[0]);
        fetch_first(work_at(begin), two[0]);
        for (int64_t i = begin; i < end; ++i) {
            const Work work = work_at(i);
            BlockTiles &tiles = two[(i - begin) % 2], &next = two[(i - begin + 1) % 2];
            if (i + 1 < end) {
                find_tiles(work_at(i + 1), next);
                if (tiles.n_sealed > 0 && next.n_sealed > 0)
                    tiles.next = next.keys;
                else
                    fetch_first(work_at(i + 1), next);
            }
            block(work, tiles);
            if (blocks_left_[size_t(work.kv_head)].fetch_sub(1, std::memory_order_acq_rel) == 1)
                merge_blocks(batch, work.kv_head, blocks);
        }
    });
}

// In the order of positions.
void Attention::merge_blocks(const Batch& batch, int kv_head, int64_t blocks) {
    const int64_t block_stride = int64_t(n_heads_) * stride_;
    for (int h = kv_head * group_; h < (kv_head + 1) * group_; ++h) {
        float* merged = partials_.data() + h * stride_;
        kernels_.merge(merged, merged + block_stride, block_stride, blocks - 1, 2 * head_dim_);
        finish(merged, batch.out + int64_t(h) * head_dim_);
    }
}

// Prefill: each thread takes one KV head and some queries, and walks through the blocks.
void Attention::many_queries(const Batch& batch) {
    const int n_kv_heads = cache_.shape().n_kv_heads;
    const int token_groups = (batch.n + kTokens - 1) / kTokens;
    const int64_t blocks = batch.position / kBlockPositions + 1;  // a batch lies in one page, and so in one block
    pool_.for_rows(int64_t(token_groups) * n_kv_heads, 1, [&](int64_t begin, int64_t end, int thread) {
        Scratch& scratch = scratch_[size_t(thread)];
        BlockTiles tiles;
        for (int64_t i = begin; i < end; ++i) {
            const int kv_head = int(i % n_kv_heads);
            const int first = int(i / n_kv_heads) * kTokens, last = std::min(first + kTokens, batch.n);
            const int rows = (last - first) * group_;
            const int64_t oldest_block = batch.first_block(first);
            for (int64_t b = oldest_block; b < blocks; ++b) {
                float* partial = (b == oldest_block ? scratch.merged : scratch.partial).data();
                const Work work{batch, kv_head, b * kBlockPositions, first, last, scratch, partial};
                find_tiles(work, tiles);
                block(work, tiles);
                for (int row = 0; row < rows && b > oldest_block; ++row)
                    kernels_.merge(scratch.merged.data() + row * stride_, partial + row * stride_, 0, 1, 2 * head_dim_);
            }
            for (int row = 0; row < rows; ++row)
                finish(scratch.merged.data() + row * stride_,
                       batch.out +
                           (int64_t(first + row / group_) * n_heads_ + kv_head * group_ + row % group_) * head_dim_);
        }
    });
}

int Attention::end_of(const Work& work, int64_t t) {
    return int(std::min<int64_t>(t + 1 - work.first, kBlockPositions));
}

void Attention::block(const Work& work, const BlockTiles& tiles) {
    turn_queries(work);
    if (cache_.tiles())
        tile_scores(work, tiles);
    else
        row_scores(work);
    if (score_cap_ > 0) cap_scores(work);
    if (cache_.visible_window() > 0) hide_deleted(work);
    // Outside the window weights are exactly 0, and a block without any position inside it changes nothing when it is
    // merged: what a query sees does not depend on which others share its batch.
    std::fill_n(work.partial, rows_of(work) * stride_, 0.0f);
    for_each_query(work, [&](int row, int64_t t) {
        const int end = end_of(work, t);
        const int begin = int(std::clamp<int64_t>(work.batch.oldest_for(t) - work.first, 0, end));
        float* scores = work.scratch.scores.data() + row * kBlockPositions;
        float& largest = work.partial[row * stride_ + 2 * head_dim_] = kNoScore;
        float& sum = work.partial[row * stride_ + 2 * head_dim_ + 1];
        if (begin > 0) std::fill_n(scores, begin, 0.0f);
        if (begin < end) kernels_.softmax_block(scores + begin, end - begin, &largest, &sum);
    });
    if (cache_.tiles())
        tile_values(work, tiles);
    else
        row_values(work);
}

void Attention::turn_queries(const Work& work) {
    const size_t d = size_t(head_dim_);
    for_each_query(work, [&](int row, int64_t t) {
        const size_t query =
            size_t(t - work.batch.position) * size_t(n_heads_) + size_t(work.kv_head * group_ + row % group_);
        const float* from = queries_.data() + query * d;
        float* turned = work.scratch.turned.data() + size_t(row) * d;
        if (const Rope* rope = work.batch.layer.rope)
            rope->turn_towards(work.first / kChunkPositions, t, head_dim_, from, turned);
        else
            std::copy_n(from, d, turned);
    });
}

void Attention::cap_scores(const Work& work) {
    const int begin = int(work.oldest() - work.first);
    for_each_query(work, [&](int row, int64_t t) {
        if (const int end = end_of(work, t); begin < end)
            kernels_.soft_cap(work.scratch.scores.data() + row * kBlockPositions + begin, end - begin, score_cap_);
    });
}

// For memories that pretend to delete.
void Attention::hide_deleted(const Work& work) {
    for_each_query(work, [&](int row, int64_t t) {
        float* scores = work.scratch.scores.data() + row * kBlockPositions;
        for (int i = 0; i < end_of(work, t); ++i)
            if (!cache_.visible(t, work.first + i)) scores[i] = kNoScore;
    });
}

void Attention::finish(float* merged, float* out) const {
    float* rotated = merged + head_dim_;
    if (some_values_rotated_) kernels_.rotate(rotated, head_dim_, rotated);
    const float sum = merged[2 * head_dim_ + 1];
    for (int i = 0; i < head_dim_; ++i) out[i] = (merged[i] + rotated[i]) / sum;
}

}  // namespace strata
