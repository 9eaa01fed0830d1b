#include "engine/model/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/math.h"
#include "engine/kv/row_format.h"

namespace strata {

namespace {

constexpr int64_t kMaxDimension = 1 << 24;  // of any size in a header: products of two stay far from overflow

// What an architecture's name stands for; the rest is in the file. Names and defaults as in llama.cpp.
struct Architecture {
    std::string_view name;
    const char* models;
    RopePairs pairs = RopePairs::neighbours;
    bool norm_before = true, norm_after = false;
    QkNorm qk_norm = QkNorm::none;
    Activation activation = Activation::silu;
    bool fused_gate_up = false;
    bool root_scaled_embedding = false;  // by sqrt(d_model)
    int unrotated_period = 0;
    // Every n-th layer sees everything, the others a window; 0: there is no window, whatever the file says.
    int window_period = 0;
    int default_window = 0;
    bool local_scaling = false;      // layers with a window scale positions as the others do
    double default_local_theta = 0;  // 0: that of the other layers
    float default_score_cap = 0, default_logit_cap = 0;
    int layers_of_wide_queries = 0;  // the one size whose queries are scaled by 1 / sqrt(d_model / n_heads)
};

constexpr Architecture architecture(std::string_view name, const char* models, RopePairs pairs) {
    Architecture a{name, models};
    a.pairs = pairs;
    return a;
}

constexpr Architecture gemma(std::string_view name, const char* models) {
    Architecture a = architecture(name, models, RopePairs::halves);
    a.norm_after = a.root_scaled_embedding = true;
    a.activation = Activation::gelu;
    return a;
}

constexpr auto kArchitectures = [] {
    Architecture smollm3 = architecture("smollm3", "SmolLM3", RopePairs::neighbours);
    smollm3.unrotated_period = 4;
    Architecture qwen3 = architecture("qwen3", "Qwen3", RopePairs::halves);
    qwen3.qk_norm = QkNorm::heads;
    Architecture gemma2 = gemma("gemma2", "Gemma 2");
    gemma2.window_period = 2;
    gemma2.default_window = 4096;
    gemma2.local_scaling = true;
    gemma2.default_score_cap = 50;
    gemma2.default_logit_cap = 30;
    gemma2.layers_of_wide_queries = 46;  // 27B
    Architecture gemma3 = gemma("gemma3", "Gemma 3");
    gemma3.qk_norm = QkNorm::heads;
    gemma3.window_period = 6;
    gemma3.default_local_theta = 10000;
    gemma3.layers_of_wide_queries = 62;  // 27B
    Architecture phi3 = architecture("phi3", "Phi-3, Phi-4", RopePairs::halves);
    phi3.fused_gate_up = true;
    Architecture olmo2 = architecture("olmo2", "OLMo 2, OLMo 3", RopePairs::halves);
    olmo2.norm_before = false;
    olmo2.norm_after = true;
    olmo2.qk_norm = QkNorm::rows;
    olmo2.window_period = 4;
    return std::array{architecture("llama", "Llama 1 to 3, Mistral, SmolLM, TinyLlama", RopePairs::neighbours),
                      smollm3,
                      architecture("qwen2", "Qwen2, Qwen2.5", RopePairs::halves),
                      qwen3,
                      gemma2,
                      gemma3,
                      phi3,
                      architecture("granite", "Granite", RopePairs::neighbours),
                      olmo2};
}();

std::string known_architectures() {
    std::string list;
    for (const Architecture& a : kArchitectures)
        list += (list.empty() ? "" : ", ") + std::string(a.name) + " (" + a.models + ")";
    return list;
}

// Reads the keys "ARCHITECTURE.something" and remembers the first one that is missing or out of range.
class Header {
public:
    Header(const GgufFile& file, std::string architecture) : file_(file), prefix_(std::move(architecture) + ".") {}

    int required(const char* key, int64_t low, int64_t high) { return read(key, low, high, std::nullopt); }
    int optional(const char* key, int64_t low, int64_t high, int otherwise) { return read(key, low, high, otherwise); }
    double number(const char* key, double low, double high, double otherwise) {
        const double value = file_.number(prefix_ + key).value_or(otherwise);
        if (value >= low && value <= high) return value;
        reject(prefix_ + key + " is out of range");
        return otherwise;
    }
    std::string text(const char* key) { return std::string(file_.string(prefix_ + key).value_or("")); }
    std::optional<std::vector<int64_t>> list(const char* key) { return file_.integers(prefix_ + key); }

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

void read_shape(Header& header, ModelConfig& c) {
    c.n_layers = header.required("block_count", 1, 1024);
    c.d_model = header.required("embedding_length", 1, kMaxDimension);
    c.d_ffn = header.required("feed_forward_length", 1, kMaxDimension);
    c.n_heads = header.required("attention.head_count", 1, 4096);
    c.n_kv_heads = header.optional("attention.head_count_kv", 1, 4096, c.n_heads);
    c.head_dim = header.optional("attention.key_length", 1, kMaxHeadDim, std::max(1, c.d_model / c.n_heads));
    c.trained_length = header.required("context_length", 1, 1 << 30);
    c.rope_dim = header.optional("rope.dimension_count", 2, kMaxHeadDim, c.head_dim);
    c.norm_epsilon = float(header.number("attention.layer_norm_rms_epsilon", 0, 1, 1e-5));

    if (c.n_heads % c.n_kv_heads != 0)
        header.reject(std::to_string(c.n_heads) + " query heads cannot share " + std::to_string(c.n_kv_heads) +
                      " key/value heads evenly");
    if (c.head_dim > kMaxHeadDim)
        header.reject("a head has " + std::to_string(c.head_dim) + " dimensions; expected at most " +
                      std::to_string(kMaxHeadDim));
    if (c.rope_dim > c.head_dim || c.rope_dim % 2 != 0)
        header.reject("rope.dimension_count is " + std::to_string(c.rope_dim) +
                      "; expected an even number up to the head size, " + std::to_string(c.head_dim));
    if (header.optional("attention.value_length", 1, kMaxHeadDim, c.head_dim) != c.head_dim)
        header.reject("keys and values have heads of different sizes, which is not supported");
}

// A scaling factor without a type means linear. `longrope` divides by a factor for each pair, which is a tensor's.
void read_rope(Header& header, const Architecture& architecture, ModelConfig& c) {
    RopeConfig& rope = c.rope;
    rope.theta = header.number("rope.freq_base", 1.001, 1e12, 10000);
    const std::string scaling = header.text("rope.scaling.type");
    if (!scaling.empty() && scaling != "none" && scaling != "linear" && scaling != "yarn" && scaling != "longrope")
        header.reject("the RoPE scaling \"" + scaling +
                      "\" is not supported; supported are: none, linear, yarn, longrope, and a rope_freqs tensor");
    const double old_factor = header.number("rope.scale_linear", 0, 1e6, 0);
    const double factor = header.number("rope.scaling.factor", 0, 1e6, old_factor);
    if (factor != 0 && factor < 1)
        header.reject("rope.scaling.factor is " + std::to_string(factor) + "; expected at least 1");
    if (factor > 1 && scaling != "none") rope.factor = factor;
    rope.magnitude = header.number("rope.scaling.attn_factor", 1e-3, 1e3, 1);
    rope.yarn = scaling == "yarn";
    if (rope.yarn) {
        rope.beta_fast = header.number("rope.scaling.yarn_beta_fast", 1e-3, 1e6, rope.beta_fast);
        rope.beta_slow = header.number("rope.scaling.yarn_beta_slow", 1e-3, 1e6, rope.beta_slow);
        rope.magnitude *= 1 + 0.1 * log_f64(rope.factor);
    }
    c.original_length = header.optional("rope.scaling.original_context_length", 1, 1 << 30, c.trained_length);

    c.rope_pairs = architecture.pairs;
    c.unrotated_period = architecture.unrotated_period;
    if (architecture.local_scaling) c.local_rope = rope;
    const double local_theta = architecture.default_local_theta > 0 ? architecture.default_local_theta : rope.theta;
    c.local_rope.theta = header.number("rope.freq_base_swa", 1.001, 1e12, local_theta);
}

// The pattern is a period, or one value for each layer, not 0 where it has a window.
void read_windows(Header& header, const Architecture& architecture, ModelConfig& c) {
    if (architecture.window_period == 0) return;
    c.window = header.optional("attention.sliding_window", 0, 1 << 30, architecture.default_window);
    if (c.window == 0) return;
    constexpr const char* kPattern = "attention.sliding_window_pattern";
    if (const auto list = header.list(kPattern)) {
        if (list->size() != size_t(c.n_layers))
            header.reject(std::string(kPattern) + " has " + std::to_string(list->size()) + " values; expected " +
                          std::to_string(c.n_layers) + ", one for each layer");
        for (const int64_t local : *list) c.local.push_back(local != 0);
        return;
    }
    const int period = header.optional(kPattern, 0, 1024, architecture.window_period);
    for (int layer = 0; layer < c.n_layers; ++layer) c.local.push_back(period == 0 || layer % period < period - 1);
}

void read_scales(Header& header, const Architecture& architecture, ModelConfig& c) {
    const auto scale = [&](const char* key, double otherwise) {
        return float(header.number(key, 1e-9, 1e9, otherwise));
    };
    const double root = std::sqrt(double(c.d_model));
    c.embedding_scale = scale("embedding_scale", architecture.root_scaled_embedding ? root : 1);
    c.residual_scale = scale("residual_scale", 1);
    c.logit_scale = 1.0f / scale("logit_scale", 1);
    c.query_scale = float(header.number("attention.scale", 0, 1e9, 0));
    if (architecture.layers_of_wide_queries == c.n_layers)
        c.query_scale = 1.0f / std::sqrt(float(c.d_model) / float(c.n_heads));
    c.score_cap = float(header.number("attn_logit_softcapping", 0, 1e9, architecture.default_score_cap));
    c.logit_cap = float(header.number("final_logit_softcapping", 0, 1e9, architecture.default_logit_cap));
}

}  // namespace

Result<ModelConfig> read_config(const GgufFile& file) {
    const auto name = file.string("general.architecture");
    if (!name)
        return Error{ErrorCode::corrupt_file,
                     "the key general.architecture is missing: this GGUF file does not say what model it holds"};
    const auto* architecture = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                            [&](const Architecture& a) { return a.name == *name; });
    if (architecture == kArchitectures.end())
        return Error{ErrorCode::unsupported_arch, "the model architecture is \"" + std::string(*name) +
                                                      "\"; supported are: " + known_architectures()};
    Header header(file, std::string(*name));
    if (header.optional("expert_count", 0, 1 << 16, 0) > 0)
        return Error{ErrorCode::unsupported_arch, "the model is a mixture of experts (" + std::string(*name) +
                                                      ".expert_count), which is not supported: choose a dense model"};
    ModelConfig config;
    config.architecture = *name;
    config.name = file.string("general.name").value_or("");
    config.norm_before = architecture->norm_before;
    config.norm_after = architecture->norm_after;
    config.qk_norm = architecture->qk_norm;
    config.activation = architecture->activation;
    config.fused_gate_up = architecture->fused_gate_up;
    read_shape(header, config);
    read_rope(header, *architecture, config);
    read_windows(header, *architecture, config);
    read_scales(header, *architecture, config);
    if (!header.problem().empty())
        return Error{ErrorCode::corrupt_file, "the model's header cannot be used: " + header.problem()};
    return config;
}

}  // namespace strata
