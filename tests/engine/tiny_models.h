// Tiny models with random weights, one for each architecture and for what can be scaled, and one for every tensor type,
// made from a seed: the same bytes on every machine. tests/golden/{architectures,tensor_types} holds what llama.cpp
// computes with them.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/formats/tensor_type.h"

namespace strata {

struct TinyModel {
    enum class Norms { before, after, both };
    enum class QkNorms { none, heads, rows };
    enum class Factors { none, one_set, long_and_short };
    using Value = std::variant<uint32_t, float, std::string, std::vector<bool>>;

    std::string name;  // of its golden file
    std::string architecture;
    int layers, d_model, d_ffn, heads, kv_heads, head_dim;
    Norms norms = Norms::before;
    QkNorms qk_norms = QkNorms::none;
    bool biases = false;  // of query, key and value
    bool fused = false;   // query, key and value in one tensor, and so gate and up
    bool tied = true;     // no output.weight
    int rope_dim = 0;     // 0: head_dim
    Factors factors = Factors::none;
    float ffn_gain = 1;                                        // how much of the feed forward is added
    std::vector<std::pair<std::string, Value>> metadata = {};  // keys behind "ARCHITECTURE."
    bool any_blocks = false;  // blocks that no quantiser would make, also of types that we can quantise to
};

constexpr int kTinyContext = 512;  // trained length
constexpr int kTinyWindow = 40;    // of layers that have one
constexpr int kTinyTokens = 300;   // beyond the window, and beyond a chunk of positions

const std::vector<TinyModel>& tiny_models();
const TinyModel* find_tiny_model(std::string_view name);  // nullptr: not there

const TinyModel& tensor_types_model();  // any type fits its rows; not in the list

// What is of the type in question; the other matrices are F32.
enum class TypedPart {
    matrices,   // all of them: kernels, whose activations llama.cpp rounds in its own way
    embedding,  // the token embedding alone: decoding, which must be exact
};
inline const char* name_of(TypedPart part) { return part == TypedPart::matrices ? "matrices" : "embedding"; }

// A whole GGUF file. Rows must be whole blocks.
std::string make_tiny_model(const TinyModel& model, TensorType type, TypedPart part = TypedPart::matrices);

// The types of weights that a model of the list has golden logits for: those whose blocks fit its rows.
std::vector<TensorType> golden_types_of(const TinyModel& model);

std::vector<int> tiny_tokens();  // (kTinyTokens)

}  // namespace strata
