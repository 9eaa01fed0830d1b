#include "engine/model/model.h"

#include <map>
#include <set>

#include "engine/base/hash.h"
#include "engine/model/config.h"
#include "engine/model/weights.h"

namespace strata {

namespace {

// Finds tensors by name, checks their shape, and remembers the first problem.
class TensorSource {
public:
    explicit TensorSource(const GgufFile& file) : file_(file) {}

    Matrix matrix(const std::string& name, int64_t rows, int64_t cols) {
        const GgufTensor* tensor = find(name, {uint64_t(cols), uint64_t(rows)});
        if (!tensor) return {};
        return {tensor->type, tensor->data.data(), rows, cols};
    }

    std::vector<float> vector(const std::string& name, int64_t n) {
        const GgufTensor* tensor = find(name, {uint64_t(n)});
        if (!tensor) return {};
        std::vector<float> values(static_cast<size_t>(n));
        tensor_traits(tensor->type).decode(tensor->data.data(), values.data(), n);
        return values;
    }

    // Empty where the file has no such tensor.
    std::vector<float> optional_vector(const std::string& name, int64_t n) {
        return has(name) ? vector(name, n) : std::vector<float>{};
    }

    bool has(const std::string& name) const { return file_.tensor(name) != nullptr; }
    // The first tensor of a layer that nobody asked for, or nothing.
    std::string_view unread_of_layers() const {
        for (const GgufTensor& tensor : file_.tensors())
            if (tensor.name.starts_with("blk.") && read_.count(tensor.name) == 0) return tensor.name;
        return {};
    }
    const std::string& problem() const { return problem_; }

private:
    static std::string text(const std::vector<uint64_t>& shape) {
        std::string list;
        for (uint64_t n : shape) list += (list.empty() ? "" : " x ") + std::to_string(n);
        return list;
    }

    const GgufTensor* find(const std::string& name, const std::vector<uint64_t>& shape) {
        const GgufTensor* tensor = file_.tensor(name);
        if (tensor) read_.insert(tensor->name);
        std::string problem;
        if (!tensor) {
            problem = "the tensor " + name + " is missing; expected " + text(shape);
        } else {
            std::vector<uint64_t> actual = tensor->shape;  // trailing dimensions of 1 say nothing
            while (actual.size() > shape.size() && actual.back() == 1) actual.pop_back();
            if (actual == shape) return tensor;
            problem = "the tensor " + name + " is " + text(tensor->shape) + "; expected " + text(shape);
        }
        if (problem_.empty()) problem_ = problem;
        return nullptr;
    }

    const GgufFile& file_;
    std::set<std::string_view> read_;
    std::string problem_;
};

// Some rows of a matrix that holds several.
Matrix rows_of(const Matrix& all, int64_t first, int64_t rows) {
    return {all.type, all.data ? all.data + first * all.row_bytes() : nullptr, rows, all.cols};
}
std::vector<float> part_of(const std::vector<float>& all, int64_t first, int64_t n) {
    if (all.empty()) return {};
    return {all.begin() + first, all.begin() + first + n};
}

// In three tensors, or in one with the rows of all.
void read_query_key_value(TensorSource& tensors, const std::string& prefix, int64_t d, int64_t q, int64_t kv,
                          LayerWeights& w) {
    if (tensors.has(prefix + "attn_qkv.weight")) {
        const Matrix all = tensors.matrix(prefix + "attn_qkv.weight", q + 2 * kv, d);
        const auto bias = tensors.optional_vector(prefix + "attn_qkv.bias", q + 2 * kv);
        w.query = rows_of(all, 0, q);
        w.key = rows_of(all, q, kv);
        w.value = rows_of(all, q + kv, kv);
        w.query_bias = part_of(bias, 0, q);
        w.key_bias = part_of(bias, q, kv);
        w.value_bias = part_of(bias, q + kv, kv);
        return;
    }
    w.query = tensors.matrix(prefix + "attn_q.weight", q, d);
    w.key = tensors.matrix(prefix + "attn_k.weight", kv, d);
    w.value = tensors.matrix(prefix + "attn_v.weight", kv, d);
    w.query_bias = tensors.optional_vector(prefix + "attn_q.bias", q);
    w.key_bias = tensors.optional_vector(prefix + "attn_k.bias", kv);
    w.value_bias = tensors.optional_vector(prefix + "attn_v.bias", kv);
}

LayerWeights read_layer(TensorSource& tensors, const ModelConfig& c, int layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const int64_t d = c.d_model, q = int64_t(c.n_heads) * c.head_dim, kv = int64_t(c.n_kv_heads) * c.head_dim;
    LayerWeights w;
    if (c.norm_before) w.attention_norm = tensors.vector(prefix + "attn_norm.weight", d);
    read_query_key_value(tensors, prefix, d, q, kv, w);
    if (c.qk_norm != QkNorm::none) {
        const bool heads = c.qk_norm == QkNorm::heads;
        w.query_norm = tensors.vector(prefix + "attn_q_norm.weight", heads ? c.head_dim : q);
        w.key_norm = tensors.vector(prefix + "attn_k_norm.weight", heads ? c.head_dim : kv);
    }
    w.output = tensors.matrix(prefix + "attn_output.weight", d, q);
    w.output_bias = tensors.optional_vector(prefix + "attn_output.bias", d);
    if (c.norm_after) w.attention_post_norm = tensors.vector(prefix + "post_attention_norm.weight", d);
    if (c.norm_before) w.ffn_norm = tensors.vector(prefix + "ffn_norm.weight", d);
    if (c.fused_gate_up) {
        const Matrix both = tensors.matrix(prefix + "ffn_up.weight", 2 * int64_t(c.d_ffn), d);
        w.gate = rows_of(both, 0, c.d_ffn);
        w.up = rows_of(both, c.d_ffn, c.d_ffn);
    } else {
        w.gate = tensors.matrix(prefix + "ffn_gate.weight", c.d_ffn, d);
        w.up = tensors.matrix(prefix + "ffn_up.weight", c.d_ffn, d);
    }
    w.down = tensors.matrix(prefix + "ffn_down.weight", d, c.d_ffn);
    if (c.norm_after) w.ffn_post_norm = tensors.vector(prefix + "post_ffw_norm.weight", d);
    return w;
}

// By which the frequencies of a longer context are divided. With two sets (LongRoPE, arXiv 2402.13753), the one for
// conversations within the original length is worse beyond it, and the other hardly worse within: conversations here
// have no end, and their positions cannot change, so a model that was made for more gets the long one.
std::vector<float> read_rope_factors(TensorSource& tensors, const ModelConfig& c) {
    const std::string set = c.trained_length > c.original_length ? "long" : "short";
    for (const std::string& name : {std::string("rope_freqs.weight"), "rope_factors_" + set + ".weight"})
        if (tensors.has(name)) return tensors.vector(name, c.rope_dim / 2);
    return {};
}

Result<Weights> read_weights(const GgufFile& file, const ModelConfig& c) {
    TensorSource tensors(file);
    Weights w;
    w.embedding = tensors.matrix("token_embd.weight", c.n_vocab, c.d_model);
    // A file cannot describe more layers than it has tensors, whatever its header says.
    for (int layer = 0; layer < c.n_layers && tensors.problem().empty(); ++layer)
        w.layers.push_back(read_layer(tensors, c, layer));
    w.output_norm = tensors.vector("output_norm.weight", c.d_model);
    w.head = tensors.has("output.weight") ? tensors.matrix("output.weight", c.n_vocab, c.d_model) : w.embedding;
    w.rope_factors = read_rope_factors(tensors, c);
    if (!tensors.problem().empty())
        return Error{ErrorCode::corrupt_file, "the model's weights cannot be used: " + tensors.problem()};
    for (float factor : w.rope_factors)
        if (!(factor > 0 && factor < 1e9f))
            return Error{ErrorCode::corrupt_file, "the model's weights cannot be used: a RoPE factor is " +
                                                      std::to_string(factor) + "; expected a positive number"};
    // Such weights would be ignored, and the answers would be wrong: better to say so.
    if (const auto unread = tensors.unread_of_layers(); !unread.empty())
        return Error{ErrorCode::unsupported_arch, "the tensor " + std::string(unread) +
                                                      " has no place in the architecture " + c.architecture +
                                                      " as it is supported here"};
    return w;
}

}  // namespace

struct Model::Impl {
    std::span<const uint8_t> bytes;
    GgufFile file;
    ModelConfig config;
    Tokenizer tokenizer;
    Weights weights;
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::open(std::span<const uint8_t> bytes, std::span<const uint64_t> part_bytes) {
    auto file = GgufFile::open_parts(bytes, part_bytes);
    if (!file) return file.error();
    auto config = read_config(*file);
    if (!config) return config.error();
    auto tokenizer = open_tokenizer(*file);
    if (!tokenizer) return tokenizer.error();
    config->n_vocab = tokenizer->size();
    auto weights = read_weights(*file, *config);
    if (!weights) return weights.error();
    auto impl = std::make_unique<Impl>(
        Impl{bytes, std::move(*file), std::move(*config), std::move(*tokenizer), std::move(*weights)});
    return std::unique_ptr<Model>(new Model(std::move(impl)));
}

const ModelConfig& Model::config() const { return impl_->config; }
const Tokenizer& Model::tokenizer() const { return impl_->tokenizer; }
const GgufFile& Model::file() const { return impl_->file; }
const Weights& Model::weights() const { return impl_->weights; }
std::optional<std::string_view> Model::chat_template() const { return impl_->file.string("tokenizer.chat_template"); }

uint64_t Model::n_parameters() const {
    uint64_t count = 0;
    for (const GgufTensor& tensor : impl_->file.tensors()) count += tensor.n_elements();
    return count;
}

uint64_t Model::weight_bytes() const {
    uint64_t bytes = 0;
    for (const GgufTensor& tensor : impl_->file.tensors()) bytes += tensor.data.size();
    return bytes;
}

// Hashing all weights would take longer than loading them: a kibibyte of each tensor, and all that is not weights.
uint64_t Model::identity() const {
    constexpr size_t kSample = 1024;
    const std::span<const uint8_t> bytes = impl_->bytes;
    size_t header = bytes.size();
    for (const GgufTensor& tensor : impl_->file.tensors())
        header = std::min(header, size_t(tensor.data.data() - bytes.data()));
    uint64_t hash = fnv1a(bytes.first(header));
    for (const GgufTensor& tensor : impl_->file.tensors())
        hash =
            fnv1a(tensor.data.subspan(tensor.data.size() / 2).first(std::min(kSample, tensor.data.size() / 2)), hash);
    return (hash ^ bytes.size()) * kFnvPrime;
}

std::string Model::weight_types() const { return types_of_tensors(impl_->file); }

std::string types_of_tensors(const GgufFile& file) {
    std::map<std::string, int> counts;
    for (const GgufTensor& tensor : file.tensors()) ++counts[tensor_traits(tensor.type).name];
    std::string list;
    for (const auto& [name, count] : counts) list += (list.empty() ? "" : ", ") + name + " " + std::to_string(count);
    return list;
}

}  // namespace strata
