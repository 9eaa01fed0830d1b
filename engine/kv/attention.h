// Attention of a batch of queries over the whole memory (GQA, arXiv 2305.13245), reading compressed rows as they are.
//
// The positions are cut into blocks of 256, the chunks of RoPE (engine/kv/rope.h). A block gives a partial result for a
// query (largest score, sum of exponentials, weighted values); partial results are merged in the order of the blocks
// (the online softmax of Milakov and Gimelshein, arXiv 1805.02867). So one query may be spread over many threads, and
// many queries over few, with the same bits.
//
// Values that are kept rotated (engine/formats/hadamard.h) are summed apart from the others, and turned back once, at
// the end.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_cache.h"
#include "engine/kv/rope.h"

namespace strata {

constexpr int kBlockPositions = kChunkPositions;  // of one partial result; part of the arithmetic
constexpr int kBlockTiles = kBlockPositions / kTilePositions;

// How scores are made: (query . key) * scale, and then, where a cap is set, cap * tanh(score / cap) (arXiv 2408.00118).
struct ScoreOptions {
    float scale = 0;  // 0: 1 / sqrt(head_dim)
    float cap = 0;    // 0: none
};

// What differs from layer to layer.
struct AttentionLayer {
    int index;
    const Rope* rope = nullptr;  // how its keys are turned; nullptr: not at all (NoPE, arXiv 2305.19466)
    int window = 0;              // how many positions a query sees, itself included; 0: all
};

// Of scratch_bytes(), what grows with the conversation: about.
double attention_bytes_per_token(int n_heads, int head_dim);

class Attention {
public:
    Attention(const KvCache& cache, int n_heads, int max_batch, const Kernels& kernels, ThreadPool& pool,
              ScoreOptions scores = {});

    // queries, out: (n, n_heads, head_dim). The queries are those of positions [position, position + n), turned inside
    // their chunk; their keys and values (layer) are already in the cache. All lie in one page. Queries are scaled
    // here.
    void attend(const AttentionLayer& layer, int64_t position, int n, const float* queries, float* out);

    // Makes room for the partial results of one query over `positions`; called before a batch, never during one.
    void reserve(int64_t positions);
    uint64_t scratch_bytes() const;

private:
    struct Scratch {                       // of one thread
        std::vector<float> turned;         // (kTokens * group, head_dim): the queries as the block's keys meet them
        std::vector<uint8_t> int_queries;  // (kTokens * group, padded head_dim) of the backend's query_bytes
        std::vector<float> int_scales;     // (kTokens * group, head_dim / 32), tiles: (kTokens * group)
        std::vector<float> rotated;        // (head_dim), tiles: (kTokens * group, head_dim)
        std::vector<int8_t> q;             // (64, head_dim): rows of a format, staged
        std::vector<float> scales;         // (64, head_dim / 32)
        std::vector<float> floats;         // (64, head_dim)
        std::vector<float> scores;         // (kTokens * group, 256)
        std::vector<float> partial;        // (kTokens * group, 2 * head_dim + 2)
        std::vector<float> merged;         // the same
    };
    struct Batch {
        const AttentionLayer& layer;
        int n;
        int64_t position;
        float* out;
        // The oldest position that the query at t sees.
        int64_t oldest_for(int64_t t) const { return oldest_visible(layer.window, t); }
        // The same, of those of the block at `first`.
        int64_t oldest_in(int64_t first, int token) const { return std::max(first, oldest_for(position + token)); }
        int64_t first_block(int token) const;
    };
    // Tiles [first, end) of a block that some queries see: the oldest n_sealed sealed, the others exact.
    struct BlockTiles {
        int64_t first, end;
        int n_sealed = 0;
        TileView keys[kBlockTiles], values[kBlockTiles];  // (n_sealed)
        const TileView* next = nullptr;                   // what is computed after it, sealed; nullptr: nothing
        std::span<const TileView> sealed_keys() const { return {keys, size_t(n_sealed)}; }
        std::span<const TileView> sealed_values() const { return {values, size_t(n_sealed)}; }
    };
    // Some queries of a batch against one block of one KV head. Rows of scratch and partial: (tokens, group).
    struct Work {
        const Batch& batch;
        int kv_head;
        int64_t first;  // position of the block
        int token_begin, token_end;
        Scratch& scratch;
        float* partial;
        int64_t newest() const { return batch.position + token_end - 1; }
        int64_t oldest() const { return batch.oldest_in(first, token_begin); }
    };

    void one_query(const Batch& batch);
    void many_queries(const Batch& batch);
    void block(const Work& work, const BlockTiles& tiles);
    void turn_queries(const Work& work);
    void row_scores(const Work& work);
    void row_values(const Work& work);
    void tile_scores(const Work& work, const BlockTiles& tiles);
    void tile_values(const Work& work, const BlockTiles& tiles);
    void find_tiles(const Work& work, BlockTiles& tiles) const;
    void fetch_first(const Work& work, const BlockTiles& tiles) const;
    const float* fetched_rows(const Work& work, const BlockTiles& tiles, TileSide side, int64_t tile) const;
    void fetch_rows(const Work& work, TileSide side, int64_t tile) const;
    void cap_scores(const Work& work);
    void hide_deleted(const Work& work);
    void merge_blocks(const Batch& batch, int kv_head, int64_t blocks);
    void finish(float* merged, float* out) const;

    // fn(row, position of the query), for every query of the work.
    template <class Fn>
    void for_each_query(const Work& work, Fn&& fn) const {
        int row = 0;
        for (int t = work.token_begin; t < work.token_end; ++t)
            for (int g = 0; g < group_; ++g) fn(row++, work.batch.position + t);
    }
    // fn(first row, position), for every position whose queries, group_ of them, are among the work.
    template <class Fn>
    void for_each_token(const Work& work, Fn&& fn) const {
        for (int t = work.token_begin; t < work.token_end; ++t)
            fn((t - work.token_begin) * group_, work.batch.position + t);
    }
    // How many positions of the block are not newer than t.
    static int end_of(const Work& work, int64_t t);
    int rows_of(const Work& work) const { return (work.token_end - work.token_begin) * group_; }

    const KvCache& cache_;
    const Kernels& kernels_;
    ThreadPool& pool_;
    int n_heads_, group_, head_dim_;
    int stride_;  // floats of a partial result: exact values, rotated values, largest score, sum
    float query_scale_, score_cap_;
    bool some_values_rotated_;
    std::vector<float> queries_;                     // (max_batch, n_heads, head_dim), scaled
    std::vector<float> partials_;                    // (blocks, n_heads, stride): one query
    std::vector<std::atomic<int64_t>> blocks_left_;  // (n_kv_heads): that are not computed
    std::vector<Scratch> scratch_;
};

}  // namespace strata
