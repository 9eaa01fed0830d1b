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
#include "engine/tokenizer/tokenizer.h"

namespace strata {

// The shape of a transformer, from the file's metadata. Names as in the Llama papers.
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
    int trained_length = 0;        // context_length: positions the model was trained on
    int rope_dim = 0;              // leading dimensions of a head that are rotated
    double rope_theta = 10000;     // freq_base
    double rope_linear_scale = 1;  // positions are divided by this (scaling.type "linear")
    float norm_epsilon = 1e-5f;
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
