// Tiny models with random weights, one for each architecture and for what can be scaled, made from a seed: the same
// bytes on every machine. tests/golden/architectures holds what llama.cpp computes with them.
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
    float ffn_post_norm = 1;                                   // about the size of that weight
    std::vector<std::pair<std::string, Value>> metadata = {};  // keys behind "ARCHITECTURE."
};

constexpr int kTinyContext = 512;  // trained length
constexpr int kTinyWindow = 40;    // of layers that have one
constexpr int kTinyTokens = 300;   // beyond the window, and beyond a chunk of positions

const std::vector<TinyModel>& tiny_models();
const TinyModel* find_tiny_model(std::string_view name);  // nullptr: not there

// A whole GGUF file whose matrices are of that type (its rows must be whole blocks). CHECKs that the type can be made.
std::string make_tiny_model(const TinyModel& model, TensorType type);

std::vector<int> tiny_tokens();  // (kTinyTokens)

}  // namespace strata
