#include "engine/model/model.h"

#include <map>

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

    bool has(const std::string& name) const { return file_.tensor(name) != nullptr; }
    const std::string& problem() const { return problem_; }

private:
    static std::string text(const std::vector<uint64_t>& shape) {
        std::string list;
        for (uint64_t n : shape) list += (list.empty() ? "" : " x ") + std::to_string(n);
        return list;
    }

    const GgufTensor* find(const std::string& name, const std::vector<uint64_t>& shape) {
        const GgufTensor* tensor = file_.tensor(name);
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
    std::string problem_;
};

LayerWeights read_layer(TensorSource& tensors, const ModelConfig& c, int layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    const int64_t d = c.d_model, q = int64_t(c.n_heads) * c.head_dim, kv = int64_t(c.n_kv_heads) * c.head_dim;
    LayerWeights w;
    w.attention_norm = tensors.vector(prefix + "attn_norm.weight", d);
    w.query = tensors.matrix(prefix + "attn_q.weight", q, d);
    w.key = tensors.matrix(prefix + "attn_k.weight", kv, d);
    w.value = tensors.matrix(prefix + "attn_v.weight", kv, d);
    w.output = tensors.matrix(prefix + "attn_output.weight", d, q);
    w.ffn_norm = tensors.vector(prefix + "ffn_norm.weight", d);
    w.gate = tensors.matrix(prefix + "ffn_gate.weight", c.d_ffn, d);
    w.up = tensors.matrix(prefix + "ffn_up.weight", c.d_ffn, d);
    w.down = tensors.matrix(prefix + "ffn_down.weight", d, c.d_ffn);
    return w;
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
    if (tensors.has("rope_freqs.weight")) w.rope_factors = tensors.vector("rope_freqs.weight", c.rope_dim / 2);
    if (!tensors.problem().empty())
        return Error{ErrorCode::corrupt_file, "the model's weights cannot be used: " + tensors.problem()};
    for (float factor : w.rope_factors)
        if (!(factor > 0))
            return Error{ErrorCode::corrupt_file,
                         "the model's weights cannot be used: rope_freqs.weight holds a factor that is not positive"};
    return w;
}

// Extra weights would be ignored, and the answers would be wrong: better to say so.
Status check_no_biases(const GgufFile& file) {
    for (const GgufTensor& tensor : file.tensors())
        if (tensor.name.starts_with("blk.") && tensor.name.ends_with(".bias"))
            return Error{ErrorCode::unsupported_arch,
                         "the tensor " + std::string(tensor.name) +
                             " is a bias, which the llama architecture does not have here"};
    return Done{};
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
    if (const Status plain = check_no_biases(*file); !plain) return plain.error();
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
