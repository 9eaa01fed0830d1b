// The weights of a transformer: views into the file's bytes, in the order in which a token passes them. What an
// architecture does not have is empty.
#pragma once
#include <cstdint>
#include <vector>

#include "engine/formats/tensor_type.h"

namespace strata {

struct Matrix {
    TensorType type = TensorType::f32;
    const uint8_t* data = nullptr;  // (rows, cols) in the type's own blocks
    int64_t rows = 0, cols = 0;     // maps cols values to rows values

    int64_t row_bytes() const {
        const TensorTraits& traits = tensor_traits(type);
        return cols / traits.block_values * traits.block_bytes;
    }
};

struct LayerWeights {
    std::vector<float> attention_norm;        // (d_model)
    Matrix query;                             // (n_heads * head_dim, d_model)
    Matrix key, value;                        // (n_kv_heads * head_dim, d_model)
    std::vector<float> query_bias;            // (n_heads * head_dim)
    std::vector<float> key_bias, value_bias;  // (n_kv_heads * head_dim)
    std::vector<float> query_norm, key_norm;  // (head_dim), or of all heads at once
    Matrix output;                            // (d_model, n_heads * head_dim)
    std::vector<float> output_bias;           // (d_model)
    std::vector<float> attention_post_norm;   // (d_model)
    std::vector<float> ffn_norm;              // (d_model)
    Matrix gate, up;                          // (d_ffn, d_model)
    Matrix down;                              // (d_model, d_ffn)
    std::vector<float> ffn_post_norm;         // (d_model)
};

struct Weights {
    Matrix embedding;                  // (n_vocab, d_model)
    std::vector<LayerWeights> layers;  // (n_layers)
    std::vector<float> output_norm;    // (d_model)
    Matrix head;                       // (n_vocab, d_model); the embedding itself where the file ties them
    std::vector<float> rope_factors;   // (rope_dim / 2), each frequency is divided by it; empty: none
};

}  // namespace strata
