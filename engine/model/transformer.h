// The forward pass of a transformer, in the order of the Llama paper (arXiv 2302.13971). Where architectures differ,
// the configuration says so, and weights that one does not have are empty.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kv/attention.h"
#include "engine/kv/kv_cache.h"
#include "engine/model/forward_profile.h"
#include "engine/model/model.h"
#include "engine/model/weights.h"

namespace strata {

constexpr int kMaxBatch = kPagePositions;

class Transformer {
public:
    // distance_clamp: see engine/kv/rope.h.
    Transformer(const Model& model, KvCache& cache, int distance_clamp, const Kernels& kernels, ThreadPool& pool);

    enum class Logits { last, all };
    // Reads tokens (n, at most kMaxBatch), the next positions of the cache, all of one page. The cache must have been
    // reserved and must not have been advanced; it holds the new rows afterwards and is advanced by the caller. What
    // was begun can be given up by beginning anew.
    void begin(std::span<const int> tokens);
    // Does the next layers, at least one; true: all are done, and finish() follows.
    bool run(int layers);
    // The logits of the last token (n_vocab), or of all (n, n_vocab); valid until the next pass ends.
    std::span<const float> finish(Logits which);

    // About what a Transformer of this shape allocates; for asking before it does.
    static uint64_t needed_bytes(const ModelConfig& config, const Kernels& kernels);

    void reserve(int64_t positions) {
        rope_.reserve(positions);
        local_rope_.reserve(positions);
        attention_.reserve(positions);
    }
    uint64_t scratch_bytes() const;
    void profile(ForwardProfile* profile) { profile_ = profile; }  // nullptr: none; must outlive its use

private:
    struct Product {
        const Matrix* matrix;
        float* out;
    };
    struct Input {  // of matrix products: rows of floats, and quantised where a weight type wants it
        const float* x;
        int n, cols;
    };

    // fn(t) for the tokens 0 to n - 1: on all threads, where there are enough tokens to wake them for.
    template <class Fn>
    void for_tokens(int n, Fn&& fn) const {
        pool_.for_rows(n, kTokenGrain, [&](int64_t begin, int64_t end, int) {
            for (int64_t t = begin; t < end; ++t) fn(t);
        });
    }
    static constexpr int kTokenGrain = 4;

    void embed(std::span<const int> tokens);
    AttentionLayer attention_layer(int layer) const;
    void rotate(const Rope& rope, float* rows, int n, int n_heads) const;
    void add_bias(const std::vector<float>& bias, float* rows, int n) const;
    void normalise_rows(const std::vector<float>& weight, float* rows, int n, int64_t width) const;
    void activate(int n);
    void add_to_residual(const std::vector<float>& post_norm, int n);
    void attention_part(const LayerWeights& w, int layer, int n);
    void feed_forward_part(const LayerWeights& w, int n);
    // The residual stream, normalised where there is a weight.
    const float* normalised(const std::vector<float>& weight, int n);
    void quantise(const Input& input, bool sums);
    void multiply(ForwardPart part, const Input& input, std::initializer_list<Product> products);

    const ModelConfig& c_;
    const Weights& w_;
    KvCache& cache_;
    const Kernels& kernels_;
    ThreadPool& pool_;
    Rope rope_, local_rope_;
    Attention attention_;
    ForwardProfile* profile_ = nullptr;
    int n_tokens_ = 0, next_layer_ = 0;  // of the pass that was begun

    std::vector<float> x_;            // (kMaxBatch, d_model): the residual stream
    std::vector<float> normed_;       // (kMaxBatch, d_model)
    std::vector<float> q_, k_, v_;    // (kMaxBatch, heads, head_dim)
    std::vector<float> mixed_;        // (kMaxBatch, n_heads, head_dim): attention's output
    std::vector<float> gate_, up_;    // (kMaxBatch, d_ffn)
    std::vector<float> delta_;        // (kMaxBatch, d_model): what is added to the residual stream
    std::vector<uint8_t> quantised_;  // (kMaxBatch, widest input) of the backend's Activation
    std::vector<float> scales_;       // (kMaxBatch, widest input / 32)
    std::vector<float> sums_;         // (kMaxBatch, n_activation_sums of the widest input)
    std::vector<float> logits_;       // (n_vocab), grown to (kMaxBatch, n_vocab) when all are asked for
};

}  // namespace strata
