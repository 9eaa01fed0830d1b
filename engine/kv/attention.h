// Attention of a batch of queries over the whole memory (GQA, arXiv 2305.13245), reading the encoded rows themselves.
//
// The positions are cut into blocks of 256. A block gives a partial result for a query (largest score, sum of
// exponentials, weighted values); partial results are merged in the order of the blocks (the online softmax of Milakov
// and Gimelshein, arXiv 1805.02867). So one query may be spread over many threads, and many queries over few, with the
// same bits.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/kv_cache.h"

namespace strata {

class Attention {
public:
    Attention(const KvCache& cache, int n_heads, int max_batch, const Kernels& kernels, ThreadPool& pool);

    // queries, out: (n, n_heads, head_dim). The queries are those of positions [position, position + n), whose keys and
    // values (layer) are already in the cache. Queries are scaled by 1 / sqrt(head_dim) here.
    void attend(int layer, int64_t position, int n, const float* queries, float* out);

    // Makes room for the partial results of one query over `positions`; called before a batch, never during one.
    void reserve(int64_t positions);
    uint64_t scratch_bytes() const;

private:
    struct Scratch {                 // of one thread
        std::vector<int8_t> q;       // (64, head_dim)
        std::vector<float> scales;   // (64, head_dim / 32)
        std::vector<float> floats;   // (64, head_dim)
        std::vector<float> scores;   // (kTokens * group, 256)
        std::vector<float> partial;  // (kTokens * group, head_dim + 2)
        std::vector<float> merged;   // the same
    };
    struct Batch {
        int layer, n;
        int64_t position;
        float* out;
    };

    void prepare_query(int token, int head, const float* query);
    void one_query(const Batch& batch);
    void many_queries(const Batch& batch);
    void block(const Batch& batch, int kv_head, int64_t block, int token_begin, int token_end, Scratch& scratch,
               float* partial);
    void scores_of_block(const Batch& batch, int kv_head, int64_t first, int token_begin, int token_end,
                         Scratch& scratch);
    void values_of_block(const Batch& batch, int kv_head, int64_t first, int token_begin, int token_end,
                         Scratch& scratch, float* partial);
    void merge(float* merged, const float* partial) const;
    void finish(const float* merged, float* out) const;

    const KvCache& cache_;
    const Kernels& kernels_;
    ThreadPool& pool_;
    int n_heads_, group_, head_dim_;
    float query_scale_;
    std::vector<float> queries_;  // (max_batch, n_heads, head_dim), scaled
    std::vector<uint8_t>
        int_queries_;  // (max_batch, n_heads, head_dim) of the backend's Activation, rotated if the keys are
    std::vector<float> int_query_scales_;  // (max_batch, n_heads, head_dim / 32)
    std::vector<float> partials_;          // (blocks, n_heads, head_dim + 2): one query
    std::vector<Scratch> scratch_;
};

}  // namespace strata
