// What a model file that cannot be used is told: what, where, and what was expected.
#include "engine/model/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/facts.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

namespace strata {
namespace {

std::string tiny(const char* name, std::vector<std::pair<std::string, TinyModel::Value>> more = {}) {
    TinyModel model = *find_tiny_model(name);
    model.metadata.insert(model.metadata.end(), more.begin(), more.end());
    return make_tiny_model(model, TensorType::q8_0);
}

// Replaces a text by another of the same length, everywhere.
std::string replaced(std::string bytes, const std::string& from, const std::string& to) {
    EXPECT_EQ(from.size(), to.size());
    size_t count = 0;
    for (size_t at = 0; (at = bytes.find(from, at)) != std::string::npos; ++count) bytes.replace(at, to.size(), to);
    EXPECT_GT(count, 0u) << from;
    return bytes;
}

// Another value for a key whose value is a u32.
std::string with_number(std::string bytes, const std::string& key, uint32_t value) {
    const size_t at = bytes.find(key);
    EXPECT_NE(at, std::string::npos) << key;
    bytes.replace(at + key.size() + 4, sizeof value, reinterpret_cast<const char*>(&value), sizeof value);
    return bytes;
}

void expect_error(const std::string& bytes, ErrorCode code, std::initializer_list<const char*> parts) {
    const auto model = Model::open(bytes_of(bytes));
    ASSERT_FALSE(model);
    EXPECT_EQ(model.error().code, code) << model.error().message;
    for (const char* part : parts)
        EXPECT_NE(model.error().message.find(part), std::string::npos)
            << "\"" << part << "\" is not in: " << model.error().message;
}

TEST(ModelErrors, AnUnknownArchitectureIsToldAllThatAreKnown) {
    const std::string unknown = replaced(tiny("qwen3"), "qwen3", "qwop3");
    report_fact({{"kind", "refused architecture"}, {"message", Model::open(bytes_of(unknown)).error().message}});
    expect_error(unknown, ErrorCode::unsupported_arch,
                 {"\"qwop3\"", "llama (", "smollm3 (", "qwen2 (", "qwen3 (", "gemma2 (", "gemma3 (", "phi3 (",
                  "granite (", "olmo2 ("});
}

TEST(ModelErrors, AMixtureOfExpertsIsRefusedByName) {
    expect_error(tiny("qwen3", {{"expert_count", 8u}}), ErrorCode::unsupported_arch,
                 {"mixture of experts", "qwen3.expert_count"});
}

TEST(ModelErrors, AMissingTensorIsNamedWithItsShape) {
    expect_error(replaced(tiny("qwen3"), "blk.1.attn_k_norm.weight", "blk.1.attn_k_warm.weight"),
                 ErrorCode::corrupt_file, {"blk.1.attn_k_norm.weight is missing", "expected 128"});
    expect_error(replaced(tiny("gemma2"), "blk.3.post_ffw_norm", "blk.3.post_ffw_warm"), ErrorCode::corrupt_file,
                 {"blk.3.post_ffw_norm.weight is missing", "expected 256"});
    expect_error(replaced(tiny("phi3-short"), "blk.0.attn_qkv", "blk.0.attn_abc"), ErrorCode::corrupt_file,
                 {"blk.0.attn_q.weight is missing", "expected 256 x 256"});
}

TEST(ModelErrors, AMisshapenTensorIsNamedWithBothShapes) {
    expect_error(with_number(tiny("olmo2"), "olmo2.feed_forward_length", 161), ErrorCode::corrupt_file,
                 {"blk.0.ffn_gate.weight is 320 x 160", "expected 320 x 161"});
    expect_error(with_number(tiny("phi3-short"), "phi3.feed_forward_length", 80), ErrorCode::corrupt_file,
                 {"blk.0.ffn_up.weight is 256 x 512", "expected 256 x 160"});
    expect_error(with_number(tiny("phi3-short"), "phi3.attention.head_count_kv", 4), ErrorCode::corrupt_file,
                 {"blk.0.attn_qkv.weight is 256 x 384", "expected 256 x 512"});
    expect_error(with_number(tiny("qwen2"), "qwen2.rope.dimension_count", 66), ErrorCode::corrupt_file,
                 {"rope.dimension_count is 66", "the head size, 64"});
}

TEST(ModelErrors, ATensorThatWouldBeIgnoredIsRefused) {
    expect_error(replaced(tiny("qwen2"), "blk.0.attn_v.bias", "blk.0.attn_w.bias"), ErrorCode::unsupported_arch,
                 {"blk.0.attn_w.bias", "qwen2"});
}

TEST(ModelErrors, NonsenseInTheHeaderIsNamed) {
    const struct {
        const char* model;
        const char* key;
        TinyModel::Value value;
        const char* part;
    } cases[] = {
        {"smollm3", "rope.scaling.type", std::string("spiral"), "\"spiral\""},
        {"smollm3", "rope.scaling.factor", 0.5f, "rope.scaling.factor is 0.5"},
        {"smollm3", "rope.scaling.factor", -1.0f, "smollm3.rope.scaling.factor is out of range"},
        {"smollm3", "rope.freq_base", 0.0f, "smollm3.rope.freq_base is out of range"},
        {"smollm3", "rope.freq_base", std::nanf(""), "smollm3.rope.freq_base is out of range"},
        {"granite", "attention.key_length_of", 1u, nullptr},  // unknown keys are nobody's business
        {"olmo2", "attention.sliding_window", 0xffffffffu, "olmo2.attention.sliding_window is 4294967295"},
        {"olmo2-window", "attention.sliding_window_pattern", std::vector<bool>{true, false},
         "attention.sliding_window_pattern has 2 values; expected 5"},
        {"qwen2", "rope.scaling.original_context_length", 0u, "rope.scaling.original_context_length is 0"},
        {"qwen3", "final_logit_softcapping", -3.0f, "qwen3.final_logit_softcapping is out of range"},
        {"qwen3", "logit_scale", 0.0f, "qwen3.logit_scale is out of range"},
    };
    for (const auto& c : cases) {
        SCOPED_TRACE(c.key);
        const std::string bytes = tiny(c.model, {{c.key, c.value}});
        if (c.part)
            expect_error(bytes, ErrorCode::corrupt_file, {c.part});
        else
            EXPECT_TRUE(Model::open(bytes_of(bytes)));
    }
}

}  // namespace
}  // namespace strata
