#include "tests/engine/tiny_models.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q8_0.h"
#include "tests/engine/gguf_builder.h"
#include "tests/engine/random_blocks.h"

namespace strata {

namespace {

using Norms = TinyModel::Norms;
using QkNorms = TinyModel::QkNorms;
using Factors = TinyModel::Factors;

// Sizes that no kernel is made for: heads of 80, 96 and 256, 1, 3, 7 and 8 queries to a key, and a vocabulary of 267.
// One of each architecture has rows of whole blocks of 256, as K-quants want them.
std::vector<TinyModel> list_of_models() {
    std::vector<TinyModel> all;
    all.reserve(64);  // references stay good
    const auto add = [&](TinyModel model) -> TinyModel& { return all.emplace_back(std::move(model)); };

    add({"llama-linear", "llama", 3, 96, 160, 6, 2, 80}).metadata = {{"rope.scaling.type", "linear"},
                                                                     {"rope.scaling.factor", 4.0f}};
    TinyModel& factors = add({"llama-factors", "llama", 2, 256, 256, 8, 1, 96});
    factors.factors = Factors::one_set;
    factors.biases = true;
    factors.tied = false;

    TinyModel& smollm3 = add({"smollm3", "smollm3", 5, 256, 256, 4, 1, 64});

    add({"qwen2", "qwen2", 2, 448, 192, 7, 1, 64}).biases = true;
    TinyModel& yarn = add({"qwen2-yarn", "qwen2", 2, 256, 256, 4, 4, 64});
    yarn.biases = true;
    yarn.metadata = {
        {"rope.scaling.type", "yarn"}, {"rope.scaling.factor", 4.0f}, {"rope.scaling.original_context_length", 128u}};

    TinyModel& qwen3 = add({"qwen3", "qwen3", 3, 256, 256, 4, 2, 128});
    qwen3.qk_norms = QkNorms::heads;

    TinyModel& gemma2 = add({"gemma2", "gemma2", 4, 256, 256, 6, 2, 128});
    gemma2.norms = Norms::both;
    gemma2.metadata = {{"attention.sliding_window", uint32_t(kTinyWindow)},
                       {"attn_logit_softcapping", 4.0f},
                       {"final_logit_softcapping", 6.0f}};
    TinyModel& gemma3 = add({"gemma3", "gemma3", 7, 256, 256, 2, 1, 256});
    gemma3.norms = Norms::both;
    gemma3.qk_norms = QkNorms::heads;
    gemma3.metadata = {{"attention.sliding_window", uint32_t(kTinyWindow)},
                       {"rope.freq_base", 1000000.0f},
                       {"rope.scaling.type", "linear"},
                       {"rope.scaling.factor", 8.0f}};
    // Small enough for the page's tests to read it as a file (tests/fixtures), with a window and caps.
    TinyModel& mini = add({"gemma2-mini", "gemma2", 2, 32, 32, 2, 1, 32});
    mini.norms = gemma2.norms;
    mini.metadata = gemma2.metadata;
    // llama.cpp takes GELU from a table of half-precision numbers.
    for (TinyModel* gemma : {&gemma2, &gemma3, &mini}) gemma->ffn_gain = 0.25f;

    TinyModel& phi3_long = add({"phi3-long", "phi3", 2, 384, 160, 4, 4, 96});
    phi3_long.rope_dim = 72;
    phi3_long.metadata = {{"rope.scaling.original_context_length", 128u}, {"rope.scaling.attn_factor", 1.19f}};
    TinyModel& phi3_short = add({"phi3-short", "phi3", 2, 256, 256, 8, 2, 32});
    for (TinyModel* phi3 : {&phi3_long, &phi3_short}) {
        phi3->fused = true;
        phi3->tied = false;
        phi3->factors = Factors::long_and_short;
    }

    add({"granite", "granite", 2, 256, 256, 4, 1, 64}).metadata = {
        {"embedding_scale", 3.0f}, {"residual_scale", 0.7f}, {"attention.scale", 0.2f}, {"logit_scale", 6.0f}};

    TinyModel& olmo2 = add({"olmo2", "olmo2", 2, 320, 160, 4, 4, 80});
    TinyModel& olmo3 = add({"olmo2-window", "olmo2", 5, 256, 256, 4, 2, 64});
    olmo3.metadata = {{"attention.sliding_window", uint32_t(kTinyWindow)},
                      {"rope.scaling.type", "yarn"},
                      {"rope.scaling.factor", 8.0f},
                      {"rope.scaling.attn_factor", 1.1f},
                      {"rope.scaling.original_context_length", 64u}};
    for (TinyModel* olmo : {&olmo2, &olmo3}) {
        olmo->norms = Norms::after;
        olmo->qk_norms = QkNorms::rows;
        olmo->tied = false;
    }
    // More layers than two make much of llama.cpp's rounding of activations, most of all for Q6_K.
    for (TinyModel* deep : {&smollm3, &qwen3, &olmo3}) deep->ffn_gain = 0.15f;
    return all;
}

// xorshift128 (Marsaglia 2003), seeded by a name, so that models do not depend on their order.
class Random {
public:
    explicit Random(std::string_view name) {
        uint32_t seed = 2166136261u;
        for (const char c : name) seed = (seed ^ uint8_t(c)) * 16777619u;
        state_[0] = seed;
        for (int i = 0; i < 32; ++i) word();
    }
    uint32_t word() {
        uint32_t t = state_[3];
        t ^= t << 11;
        t ^= t >> 8;
        state_[3] = state_[2];
        state_[2] = state_[1];
        state_[1] = state_[0];
        state_[0] = t ^ state_[0] ^ (state_[0] >> 19);
        return state_[0];
    }
    // n numbers in mean +- deviation * sqrt(3), evenly spread
    std::vector<float> numbers(int64_t n, float mean, float deviation) {
        std::vector<float> all(static_cast<size_t>(n));
        for (float& x : all) x = mean + float(double(word()) * 0x1p-31 - 1) * (deviation * 1.7320508f);
        return all;
    }

private:
    uint32_t state_[4] = {0, 0x9e3779b9u, 0x243f6a88u, 0xb7e15162u};
};

bool can_be_encoded(TensorType type) {
    return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::q8_0 || type == TensorType::q4_0;
}

std::string encode(TensorType type, const std::vector<float>& values) {
    const TensorTraits& traits = tensor_traits(type);
    CHECK(values.size() % size_t(traits.block_values) == 0);
    std::string bytes(values.size() / size_t(traits.block_values) * size_t(traits.block_bytes), '\0');
    auto* out = reinterpret_cast<uint8_t*>(bytes.data());
    if (type == TensorType::f32) std::memcpy(out, values.data(), bytes.size());
    if (type == TensorType::q8_0) encode_q8_0(values.data(), out, int(values.size()));
    if (type == TensorType::q4_0) encode_q4_0(values.data(), out, int(values.size()));
    for (size_t i = 0; type == TensorType::f16 && i < values.size(); ++i) {
        const uint16_t half = float_to_half(values[i]);
        std::memcpy(out + 2 * i, &half, sizeof half);
    }
    return bytes;
}

struct Tensor {
    std::string name;
    int64_t cols, rows;  // rows 0: a vector
    TensorType type;
    std::string bytes;
};

// The tensors, in the order of the file, which is also that of the random numbers.
class Tensors {
public:
    Tensors(const TinyModel& model, TensorType type, TypedPart part)
        : m_(model), type_(type), part_(part), random_(model.name) {
        const int64_t d = m_.d_model;
        matrix("token_embd.weight", d, kVocabulary, 0.3f);
        for (int layer = 0; layer < m_.layers; ++layer) add_layer("blk." + std::to_string(layer) + ".");
        vector("output_norm.weight", d, 1, 0.3f);
        if (!m_.tied) matrix("output.weight", d, kVocabulary, 0.3f);
        const int64_t pairs = (m_.rope_dim ? m_.rope_dim : m_.head_dim) / 2;
        if (m_.factors == Factors::one_set) vector("rope_freqs.weight", pairs, 3, 1);
        if (m_.factors == Factors::long_and_short) {
            vector("rope_factors_long.weight", pairs, 6, 2);
            vector("rope_factors_short.weight", pairs, 1.5f, 0.2f);
        }
    }

    static constexpr int64_t kVocabulary = 267;
    const std::vector<Tensor>& all() const { return all_; }

private:
    // Scaled so that outputs are about as large as inputs, times `gain`.
    void projection(const std::string& name, int64_t cols, int64_t rows, float gain = 1) {
        matrix(name, cols, rows, gain / std::sqrt(float(cols)));
    }
    void matrix(const std::string& name, int64_t cols, int64_t rows, float deviation) {
        const bool typed = part_ == TypedPart::matrices || name == "token_embd.weight";
        const TensorType type = typed ? type_ : TensorType::f32;
        all_.push_back({name, cols, rows, type, weights(type, cols * rows, deviation)});
    }
    void vector(const std::string& name, int64_t n, float mean, float deviation) {
        all_.push_back({name, n, 0, TensorType::f32, encode(TensorType::f32, random_.numbers(n, mean, deviation))});
    }

    std::string weights(TensorType type, int64_t n, float deviation) {
        if (can_be_encoded(type) && !m_.any_blocks) return encode(type, random_.numbers(n, 0, deviation));
        std::mt19937 rng(random_.word());
        const auto blocks = random_blocks(type, size_t(n), double(deviation), rng);
        return {blocks.begin(), blocks.end()};
    }

    // Queries and keys are large enough for attention to prefer some positions clearly.
    void add_layer(const std::string& prefix) {
        constexpr float kSharp = 1.5f;
        const int64_t d = m_.d_model, q = int64_t(m_.heads) * m_.head_dim, kv = int64_t(m_.kv_heads) * m_.head_dim;
        const bool before = m_.norms != Norms::after, after = m_.norms != Norms::before;
        if (before) vector(prefix + "attn_norm.weight", d, 1, 0.3f);
        if (m_.fused) {
            projection(prefix + "attn_qkv.weight", d, q + 2 * kv, kSharp);
        } else {
            projection(prefix + "attn_q.weight", d, q, kSharp);
            projection(prefix + "attn_k.weight", d, kv, kSharp);
            projection(prefix + "attn_v.weight", d, kv);
        }
        if (m_.biases) {
            vector(prefix + "attn_q.bias", q, 0, 0.5f);
            vector(prefix + "attn_k.bias", kv, 0, 0.5f);
            vector(prefix + "attn_v.bias", kv, 0, 0.5f);
        }
        if (m_.qk_norms != QkNorms::none) {
            const bool heads = m_.qk_norms == QkNorms::heads;
            vector(prefix + "attn_q_norm.weight", heads ? m_.head_dim : q, kSharp, 0.3f);
            vector(prefix + "attn_k_norm.weight", heads ? m_.head_dim : kv, kSharp, 0.3f);
        }
        projection(prefix + "attn_output.weight", q, d);
        if (after) vector(prefix + "post_attention_norm.weight", d, 1, 0.3f);
        if (before) vector(prefix + "ffn_norm.weight", d, 1, 0.3f);
        if (!m_.fused) projection(prefix + "ffn_gate.weight", d, m_.d_ffn);
        projection(prefix + "ffn_up.weight", d, m_.fused ? 2 * m_.d_ffn : m_.d_ffn);
        projection(prefix + "ffn_down.weight", m_.d_ffn, d, after ? 1 : m_.ffn_gain);
        if (after) vector(prefix + "post_ffw_norm.weight", d, m_.ffn_gain, 0.3f * m_.ffn_gain);
    }

    const TinyModel& m_;
    TensorType type_;
    TypedPart part_;
    Random random_;
    std::vector<Tensor> all_;
};

// <unk>, <s>, </s>, the bytes, and pieces enough for a size that no block divides. Byte by byte: a SentencePiece model.
void add_vocabulary(GgufBuilder& file) {
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> kinds = {2, 3, 3};  // unknown, control
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof text, "<0x%02X>", unsigned(byte));
        tokens.push_back(text);
        kinds.push_back(6);
    }
    for (const char* piece : {"\u2581", "a", "b", "c", "d", "e", "f", "g"}) {
        tokens.push_back(piece);
        kinds.push_back(1);
    }
    CHECK(int64_t(tokens.size()) == Tensors::kVocabulary);
    file.string("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", tokens);
    file.array("tokenizer.ggml.scores", GgufType::f32, tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i) file.put(-float(i));
    file.array("tokenizer.ggml.token_type", GgufType::i32, kinds.size());
    for (const int32_t kind : kinds) file.put(kind);
    file.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
}
constexpr int kVocabularyKeys = 6;

using Metadata = std::vector<std::pair<std::string, TinyModel::Value>>;

Metadata metadata_of(const TinyModel& m) {
    Metadata all = {{"block_count", uint32_t(m.layers)},
                    {"context_length", uint32_t(kTinyContext)},
                    {"embedding_length", uint32_t(m.d_model)},
                    {"feed_forward_length", uint32_t(m.d_ffn)},
                    {"attention.head_count", uint32_t(m.heads)},
                    {"attention.head_count_kv", uint32_t(m.kv_heads)},
                    {"attention.key_length", uint32_t(m.head_dim)},
                    {"attention.value_length", uint32_t(m.head_dim)},
                    {"attention.layer_norm_rms_epsilon", 1e-5f},
                    {"rope.dimension_count", uint32_t(m.rope_dim ? m.rope_dim : m.head_dim)}};
    all.insert(all.end(), m.metadata.begin(), m.metadata.end());
    return all;
}

}  // namespace

const std::vector<TinyModel>& tiny_models() {
    static const std::vector<TinyModel> all = list_of_models();
    return all;
}

const TinyModel* find_tiny_model(std::string_view name) {
    const auto& all = tiny_models();
    const auto found = std::find_if(all.begin(), all.end(), [&](const TinyModel& m) { return m.name == name; });
    return found == all.end() ? nullptr : &*found;
}

const TinyModel& tensor_types_model() {
    static const TinyModel model = [] {
        TinyModel m{"tensor-types", "llama", 2, 256, 512, 4, 2, 64};
        m.tied = false;
        m.any_blocks = true;
        return m;
    }();
    return model;
}

std::vector<TensorType> golden_types_of(const TinyModel& model) {
    std::vector<TensorType> types;
    for (const TensorType type :
         {TensorType::f32, TensorType::q8_0, TensorType::q4_0, TensorType::q4_k, TensorType::q5_k, TensorType::q6_k}) {
        const int block = tensor_traits(type).block_values;
        if (model.d_model % block == 0 && model.d_ffn % block == 0 && model.heads * model.head_dim % block == 0)
            types.push_back(type);
    }
    return types;
}

std::string make_tiny_model(const TinyModel& model, TensorType type, TypedPart part) {
    const Tensors tensors(model, type, part);
    const Metadata metadata = metadata_of(model);
    GgufBuilder file;
    file.header(tensors.all().size(), 2 + metadata.size() + kVocabularyKeys);
    file.string("general.architecture", model.architecture).string("general.name", "tiny");
    for (const auto& [key, value] : metadata) {
        const std::string name = model.architecture + "." + key;
        if (const auto* text = std::get_if<std::string>(&value))
            file.string(name, *text);
        else if (const auto* number = std::get_if<uint32_t>(&value))
            file.u32(name, *number);
        else if (const auto* list = std::get_if<std::vector<bool>>(&value)) {
            file.array(name, GgufType::boolean, list->size());
            for (const bool element : *list) file.put(uint8_t(element));
        } else
            file.key(name, GgufType::f32).put(std::get<float>(value));
    }
    add_vocabulary(file);
    uint64_t offset = 0;
    for (const Tensor& t : tensors.all()) {
        if (t.rows > 0)
            file.tensor(t.name, {uint64_t(t.cols), uint64_t(t.rows)}, uint32_t(t.type), offset);
        else
            file.tensor(t.name, {uint64_t(t.cols)}, uint32_t(t.type), offset);
        offset += (t.bytes.size() + 31) / 32 * 32;
    }
    for (const Tensor& t : tensors.all()) file.pad().bytes() += t.bytes;
    return std::move(file.pad().bytes());
}

std::vector<int> tiny_tokens() {
    std::vector<int> tokens(kTinyTokens);
    for (int i = 0; i < kTinyTokens; ++i) tokens[size_t(i)] = 3 + (i * 7919 + i * i * 31) % 264;
    return tokens;
}

}  // namespace strata
