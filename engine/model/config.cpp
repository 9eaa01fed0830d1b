#include "engine/model/config.h"

#include "engine/kv/row_format.h"

namespace strata {

namespace {

constexpr int64_t kMaxDimension = 1 << 24;  // of any size in a header: products of two stay far from overflow

// Reads the keys "ARCHITECTURE.something" and remembers the first one that is missing or out of range.
class Header {
public:
    Header(const GgufFile& file, std::string architecture) : file_(file), prefix_(std::move(architecture) + ".") {}

    int required(const char* key, int64_t low, int64_t high) { return read(key, low, high, std::nullopt); }
    int optional(const char* key, int64_t low, int64_t high, int otherwise) { return read(key, low, high, otherwise); }
    double number(const char* key, double otherwise) { return file_.number(prefix_ + key).value_or(otherwise); }
    std::string text(const char* key) { return std::string(file_.string(prefix_ + key).value_or("")); }

    void reject(const std::string& problem) {
        if (problem_.empty()) problem_ = problem;
    }
    const std::string& problem() const { return problem_; }

private:
    int read(const char* key, int64_t low, int64_t high, std::optional<int> otherwise) {
        const std::string name = prefix_ + key;
        const auto value = file_.unsigned_integer(name);
        if (!value && otherwise) return *otherwise;
        if (!value) {
            reject("the key " + name + " is missing or no integer");
            return int(low);
        }
        if (*value < uint64_t(low) || *value > uint64_t(high)) {
            reject("the key " + name + " is " + std::to_string(*value) + "; expected " + std::to_string(low) + " to " +
                   std::to_string(high));
            return int(low);
        }
        return int(*value);
    }

    const GgufFile& file_;
    std::string prefix_;
    std::string problem_;
};

}  // namespace

Result<ModelConfig> read_config(const GgufFile& file) {
    const auto architecture = file.string("general.architecture");
    if (!architecture)
        return Error{ErrorCode::corrupt_file,
                     "the key general.architecture is missing: this GGUF file does not say what model it holds"};
    if (*architecture != "llama")
        return Error{ErrorCode::unsupported_arch,
                     "the model architecture is \"" + std::string(*architecture) +
                         "\"; supported is: llama (Llama 1 to 3, Mistral, SmolLM, TinyLlama)"};
    Header header(file, std::string(*architecture));
    ModelConfig config;
    config.architecture = *architecture;
    config.name = file.string("general.name").value_or("");
    config.n_layers = header.required("block_count", 1, 1024);
    config.d_model = header.required("embedding_length", 1, kMaxDimension);
    config.d_ffn = header.required("feed_forward_length", 1, kMaxDimension);
    config.n_heads = header.required("attention.head_count", 1, 4096);
    config.n_kv_heads = header.optional("attention.head_count_kv", 1, 4096, config.n_heads);
    config.head_dim =
        header.optional("attention.key_length", 1, kMaxHeadDim, std::max(1, config.d_model / config.n_heads));
    config.trained_length = header.required("context_length", 1, 1 << 30);
    config.rope_dim = header.optional("rope.dimension_count", 2, kMaxHeadDim, config.head_dim);
    config.rope_theta = header.number("rope.freq_base", 10000);
    config.norm_epsilon = float(header.number("attention.layer_norm_rms_epsilon", 1e-5));

    if (config.n_heads % config.n_kv_heads != 0)
        header.reject(std::to_string(config.n_heads) + " query heads cannot share " +
                      std::to_string(config.n_kv_heads) + " key/value heads evenly");
    if (config.head_dim > kMaxHeadDim)
        header.reject("a head has " + std::to_string(config.head_dim) + " dimensions; expected at most " +
                      std::to_string(kMaxHeadDim));
    if (config.rope_dim > config.head_dim || config.rope_dim % 2 != 0)
        header.reject("rope.dimension_count is " + std::to_string(config.rope_dim) +
                      "; expected an even number up to the head size, " + std::to_string(config.head_dim));
    if (header.optional("attention.value_length", 1, kMaxHeadDim, config.head_dim) != config.head_dim)
        header.reject("keys and values have heads of different sizes, which is not supported");
    if (!(config.rope_theta > 1 && config.rope_theta < 1e12)) header.reject("rope.freq_base is out of range");
    if (!(config.norm_epsilon >= 0 && config.norm_epsilon < 1))
        header.reject("attention.layer_norm_rms_epsilon is out of range");

    const std::string scaling = header.text("rope.scaling.type");
    if (scaling == "linear") {
        config.rope_linear_scale = header.number("rope.scaling.factor", 1);
        if (!(config.rope_linear_scale >= 1 && config.rope_linear_scale < 1e6))
            header.reject("rope.scaling.factor is out of range");
    } else if (!scaling.empty() && scaling != "none") {
        header.reject("the RoPE scaling \"" + scaling +
                      "\" is not supported; supported are: none, linear, and a rope_freqs tensor");
    }
    if (!header.problem().empty())
        return Error{ErrorCode::corrupt_file, "the model's header cannot be used: " + header.problem()};
    return config;
}

}  // namespace strata
