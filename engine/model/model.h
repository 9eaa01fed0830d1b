// A model: immutable weights over bytes that it borrows, its configuration and its tokenizer. Shared by sessions.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/gguf.h"
#include "engine/kv/kv_shape.h"
#include "engine/kv/rope.h"
#include "engine/tokenizer/tokenizer.h"

namespace strata {

enum class Activation { silu, gelu };
// Where an RMSNorm of queries and keys stands, if any: over each head, or over all heads of a token.
enum class QkNorm { none, heads, rows };

// How positions become angles: of the layers that see everything, and of those with a window.
struct RopeConfig {
    double theta = 10000;  // freq_base
    double factor = 1;     // positions are divided by this: by all pairs (linear), or by the slow ones (YaRN)
    bool yarn = false;     // arXiv 2309.00071
    double beta_fast = 32, beta_slow = 1;  // YaRN: turns within the original length, between which pairs change over
    double magnitude = 1;                  // of turned keys and queries
};

// The shape of a transformer, from the file's metadata. Names as in the Llama papers. What an architecture does not
// have is at its default, where it changes nothing.
struct ModelConfig {
    std::string architecture;  // "llama"
    std::string name;          // general.name; may be empty
    int n_layers = 0;
    int n_heads = 0;     // query heads
    int n_kv_heads = 0;  // key/value heads (GQA: n_heads is a multiple)
    int head_dim = 0;
    int d_model = 0;  // embedding_length
    int d_ffn = 0;    // feed_forward_length
    int n_vocab = 0;
    int trained_length = 0;   // context_length: positions the model was trained on
    int original_length = 0;  // before its positions were scaled; trained_length where they were not
    int rope_dim = 0;         // leading dimensions of a head that are rotated
    RopePairs rope_pairs = RopePairs::neighbours;
    RopeConfig rope, local_rope;
    float norm_epsilon = 1e-5f;

    bool norm_before = true;  // attention and feed forward read a normalised residual stream
    bool norm_after = false;  // what they add to it is normalised
    QkNorm qk_norm = QkNorm::none;
    Activation activation = Activation::silu;
    bool fused_gate_up = false;  // one tensor, ffn_up, holds the rows of gate, then those of up
    float embedding_scale = 1;   // of what enters the residual stream
    float residual_scale = 1;    // of what attention and feed forward add to it
    float query_scale = 0;       // 0: 1 / sqrt(head_dim)
    float score_cap = 0;         // attention's scores and the logits become cap * tanh(x / cap); 0: they do not
    float logit_cap = 0;
    float logit_scale = 1;

    int window = 0;              // positions that a local layer's query sees, itself included
    std::vector<uint8_t> local;  // (n_layers) 1: sees the window only; empty: none does
    int unrotated_period = 0;    // every n-th layer has no RoPE; 0: all have

    KvShape kv_shape() const { return {n_layers, n_kv_heads, head_dim, window, local}; }
    bool is_local(int layer) const { return !local.empty() && local[size_t(layer)] != 0; }
    bool is_rotated(int layer) const { return unrotated_period == 0 || (layer + 1) % unrotated_period != 0; }
};

struct Weights;  // engine/model/weights.h

class Model {
public:
    // `bytes` (a whole GGUF file) must outlive the model and is never copied or changed. A missing or misshapen tensor
    // is corrupt_file, naming the tensor and the shape expected. part_bytes: see GgufFile::open_parts.
    static Result<std::unique_ptr<Model>> open(std::span<const uint8_t> bytes,
                                               std::span<const uint64_t> part_bytes = {});
    ~Model();

    const ModelConfig& config() const;
    const Tokenizer& tokenizer() const;
    const GgufFile& file() const;
    std::optional<std::string_view> chat_template() const;  // Jinja, as in the file
    uint64_t n_parameters() const;
    uint64_t weight_bytes() const;     // tensor data in the file
    std::string weight_types() const;  // "Q8_0 43, F32 13"
    const Weights& weights() const;    // for engine/model/transformer.cpp
    // Tells models apart: a hash of the file's header, tokenizer included, of its size, and of samples of its tensors.
    uint64_t identity() const;

private:
    struct Impl;
    explicit Model(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

std::string types_of_tensors(const GgufFile& file);  // as weight_types()

// The tokenizer alone: also for a file that holds a vocabulary and no tensors.
Result<Tokenizer> open_tokenizer(const GgufFile& file);

}  // namespace strata
