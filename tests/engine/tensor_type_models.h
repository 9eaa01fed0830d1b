// Two tiny llama models for each tensor type, made from a seed, the same bytes on every machine: random blocks, which
// no quantiser made. tests/golden/tensor_types holds what llama.cpp computes with them.
#pragma once
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/check.h"
#include "tests/engine/gguf_builder.h"
#include "tests/engine/random_blocks.h"

namespace strata {

// What is of the type in question; the rest is F32.
enum class TypedPart {
    matrices,   // every matrix: kernels, whose activations llama.cpp rounds in its own way
    embedding,  // the token embedding alone: decoding, which must be exact
};
inline constexpr TypedPart kTypedParts[] = {TypedPart::matrices, TypedPart::embedding};
inline const char* name_of(TypedPart part) { return part == TypedPart::matrices ? "matrices" : "embedding"; }

inline std::vector<int> typed_model_tokens() {
    std::vector<int> tokens(40);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = 3 + int(i * 7919 % 264);
    return tokens;
}

class TypedModel {
public:
    // The whole GGUF file.
    static std::string make(TypedPart part, TensorType type) { return TypedModel(part, type).file(); }

private:
    static constexpr int64_t kWidth = 256, kFfn = 512, kHeads = 4, kKvHeads = 2, kHeadDim = 64, kLayers = 2;
    static constexpr int64_t kVocabulary = 267;  // no multiple of a block

    struct Tensor {
        std::string name;
        int64_t cols, rows;  // rows 0: a vector
        TensorType type;
        std::vector<uint8_t> bytes;
    };

    TypedModel(TypedPart part, TensorType type) : part_(part), type_(type), rng_(uint32_t(type) + 1) {
        matrix("token_embd.weight", kWidth, kVocabulary, 0.3);
        for (int layer = 0; layer < kLayers; ++layer) add_layer("blk." + std::to_string(layer) + ".");
        gain("output_norm.weight");
        matrix("output.weight", kWidth, kVocabulary, 0.3);
    }

    // Queries and keys are large enough for attention to prefer some positions clearly.
    void add_layer(const std::string& prefix) {
        const double narrow = 1 / std::sqrt(double(kWidth)), wide = 1 / std::sqrt(double(kFfn));
        gain(prefix + "attn_norm.weight");
        matrix(prefix + "attn_q.weight", kWidth, kHeads * kHeadDim, 1.5 * narrow);
        matrix(prefix + "attn_k.weight", kWidth, kKvHeads * kHeadDim, 1.5 * narrow);
        matrix(prefix + "attn_v.weight", kWidth, kKvHeads * kHeadDim, narrow);
        matrix(prefix + "attn_output.weight", kHeads * kHeadDim, kWidth, narrow);
        gain(prefix + "ffn_norm.weight");
        matrix(prefix + "ffn_gate.weight", kWidth, kFfn, narrow);
        matrix(prefix + "ffn_up.weight", kWidth, kFfn, narrow);
        matrix(prefix + "ffn_down.weight", kFfn, kWidth, wide);
    }
    void matrix(const std::string& name, int64_t cols, int64_t rows, double deviation) {
        const bool typed = part_ == TypedPart::matrices || name == "token_embd.weight";
        const TensorType type = typed ? type_ : TensorType::f32;
        tensors_.push_back({name, cols, rows, type, random_blocks(type, size_t(cols * rows), deviation, rng_)});
    }
    void gain(const std::string& name) {
        std::vector<uint8_t> bytes(kWidth * sizeof(float));
        for (size_t i = 0; i < kWidth; ++i) {
            const float value = 0.5f + float(rng_() % 1024) / 1024;
            std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value);
        }
        tensors_.push_back({name, kWidth, 0, TensorType::f32, bytes});
    }

    // <unk>, <s>, </s>, the bytes, and some pieces: a SentencePiece vocabulary.
    static void add_vocabulary(GgufBuilder& out) {
        std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
        std::vector<int32_t> kinds = {2, 3, 3};  // unknown, control
        for (unsigned byte = 0; byte < 256; ++byte) {
            char text[8];
            std::snprintf(text, sizeof text, "<0x%02X>", byte);
            tokens.push_back(text);
            kinds.push_back(6);
        }
        for (const char* piece : {"\u2581", "a", "b", "c", "d", "e", "f", "g"}) {
            tokens.push_back(piece);
            kinds.push_back(1);
        }
        CHECK(int64_t(tokens.size()) == kVocabulary);
        out.string("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", tokens);
        out.array("tokenizer.ggml.scores", GgufType::f32, tokens.size());
        for (size_t i = 0; i < tokens.size(); ++i) out.put(-float(i));
        out.array("tokenizer.ggml.token_type", GgufType::i32, kinds.size());
        for (const int32_t kind : kinds) out.put(kind);
        out.u32("tokenizer.ggml.bos_token_id", 1).u32("tokenizer.ggml.eos_token_id", 2);
    }

    std::string file() const {
        GgufBuilder out;
        out.header(tensors_.size(), 15);
        out.string("general.architecture", "llama");
        out.u32("llama.block_count", kLayers).u32("llama.context_length", 512).u32("llama.embedding_length", kWidth);
        out.u32("llama.feed_forward_length", kFfn).u32("llama.attention.head_count", kHeads);
        out.u32("llama.attention.head_count_kv", kKvHeads).u32("llama.rope.dimension_count", kHeadDim);
        out.key("llama.attention.layer_norm_rms_epsilon", GgufType::f32).put(1e-5f);
        add_vocabulary(out);
        uint64_t offset = 0;
        for (const Tensor& t : tensors_) {
            if (t.rows > 0)
                out.tensor(t.name, {uint64_t(t.cols), uint64_t(t.rows)}, uint32_t(t.type), offset);
            else
                out.tensor(t.name, {uint64_t(t.cols)}, uint32_t(t.type), offset);
            offset += (t.bytes.size() + 31) / 32 * 32;
        }
        for (const Tensor& t : tensors_) out.pad().bytes().append(t.bytes.begin(), t.bytes.end());
        return std::move(out.pad().bytes());
    }

    TypedPart part_;
    TensorType type_;
    std::mt19937 rng_;
    std::vector<Tensor> tensors_;
};

}  // namespace strata
