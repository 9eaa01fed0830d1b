// Every architecture against llama.cpp, on tiny models with random weights (tests/golden/README.md says how the numbers
// were made), and the promises of a conversation on each of them.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/facts.h"
#include "tests/engine/golden_rows.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

namespace strata {

void PrintTo(const TinyModel& model, std::ostream* out) { *out << model.name; }

namespace {

// llama.cpp rounds the activations that meet quantised weights in its own way.
Differences allowed(TensorType type) {
    return type == TensorType::f32 ? Differences{1e-3, 1e-3} : Differences{.25, .05};
}

struct OpenModel {
    std::string bytes;
    std::unique_ptr<Model> model;
};
OpenModel open_tiny(const TinyModel& tiny, TensorType type) {
    OpenModel result{make_tiny_model(tiny, type), nullptr};
    auto model = Model::open(bytes_of(result.bytes));
    EXPECT_TRUE(model) << tiny.name << ": " << (model ? "" : model.error().message);
    if (model) result.model = std::move(*model);
    return result;
}

class Architectures : public testing::TestWithParam<TinyModel> {};

TEST_P(Architectures, LogitsAreLlamaCpps) {
    const TinyModel& tiny = GetParam();
    const GoldenRows golden = read_golden("architectures/" + tiny.name);
    const auto& models = golden.header["models"];
    ASSERT_EQ(golden.header["tokens"], tiny_tokens());
    ASSERT_EQ(models.size(), golden_types_of(tiny).size());
    nlohmann::json seen;
    for (size_t i = 0; i < models.size(); ++i) {
        const std::string name = models[i]["type"];
        SCOPED_TRACE(name);
        const TensorType type = type_named(name);
        const OpenModel open = open_tiny(tiny, type);
        ASSERT_TRUE(open.model);
        ASSERT_EQ(golden_hash(open.bytes), models[i]["fnv1a"]) << "the model is not the one llama.cpp was asked about";
        const auto found = differences(*open.model, golden, i);
        ASSERT_TRUE(found);
        EXPECT_LE(found->largest, allowed(type).largest);
        EXPECT_LE(found->rms, allowed(type).rms);
        seen.push_back({{"type", name}, {"seen", as_json(*found)}, {"allowed", as_json(allowed(type))}});
    }
    nlohmann::json keys = nlohmann::json::object();
    for (const auto& [key, value] : tiny.metadata) std::visit([&, &key = key](const auto& v) { keys[key] = v; }, value);
    report_fact({{"kind", "architecture"},
                 {"name", tiny.name},
                 {"architecture", tiny.architecture},
                 {"heads", tiny.heads},
                 {"kv_heads", tiny.kv_heads},
                 {"head_dim", tiny.head_dim},
                 {"rope_dim", tiny.rope_dim},
                 {"factors", int(tiny.factors)},
                 {"biases", tiny.biases},
                 {"metadata", keys},
                 {"differences", seen}});
}

// Bits of the logits of the last token, which was read in calls of `call` tokens.
std::vector<float> last_logits(const Model& model, const SessionOptions& options, size_t call,
                               const std::vector<int>& tokens = tiny_tokens()) {
    const auto session = Session::open(model, options);
    EXPECT_TRUE(session) << session.error().message;
    for (size_t at = 0; at < tokens.size(); at += call)
        EXPECT_TRUE((*session)->append(std::span(tokens).subspan(at, std::min(call, tokens.size() - at))));
    const auto logits = (*session)->logits();
    return {logits.begin(), logits.end()};
}

// Otherwise the golden files would not prove that it is read.
TEST_P(Architectures, EveryKeyOfItsHeaderChangesTheLogits) {
    const auto& keys = GetParam().metadata;
    if (keys.empty()) return;
    const auto logits_of = [](const TinyModel& model) {
        const OpenModel open = open_tiny(model, TensorType::f32);
        return open.model ? last_logits(*open.model, {}, kTinyTokens) : std::vector<float>{};
    };
    const auto reference = logits_of(GetParam());
    for (size_t i = 0; i < keys.size(); ++i) {
        if (keys[i].second == TinyModel::Value(std::string("linear"))) continue;  // the default
        TinyModel without = GetParam();
        without.metadata.erase(without.metadata.begin() + int64_t(i));
        const auto logits = logits_of(without);
        ASSERT_EQ(logits.size(), reference.size());
        double largest = 0;
        for (size_t id = 0; id < logits.size(); ++id)
            largest = std::max(largest, std::fabs(double(logits[id]) - double(reference[id])));
        EXPECT_GT(largest / deviation_of(reference), 0.01) << keys[i].first;
    }
}

TEST_P(Architectures, TheTieredMemoryGivesTheSameBitsWhateverTheBatchesThreadsAndBackend) {
    const OpenModel open = open_tiny(GetParam(), TensorType::q8_0);
    ASSERT_TRUE(open.model);
    SessionOptions options;
    options.kv.preset = KvPreset::quality;
    const auto reference = last_logits(*open.model, options, kTinyTokens);
    for (const float logit : reference) ASSERT_TRUE(std::isfinite(logit));
    EXPECT_GT(deviation_of(reference), 0);
    EXPECT_EQ(reference, last_logits(*open.model, options, 1));
    options.threads = 3;
    options.micro_batch = 17;
    EXPECT_EQ(reference, last_logits(*open.model, options, 100));
    options.simd = "scalar";
    EXPECT_EQ(reference, last_logits(*open.model, options, 100));
}

TinyModel mini_gemma(uint32_t window, TinyModel::Value pattern = 2u) {
    TinyModel model = *find_tiny_model("gemma2-mini");
    for (auto& [key, value] : model.metadata)
        if (key == "attention.sliding_window") value = window;
    model.metadata.push_back({"attention.sliding_window_pattern", pattern});
    return model;
}

// Windows that end inside a tile, at its end, in sealed tiles and in exact ones, also past the trained length.
TEST(SlidingWindows, GiveTheSameBitsWhateverTheBatchesAndTheMemory) {
    std::vector<int> tokens(700);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = 3 + int(i * i * 31 + i * 7919) % 264;
    for (const uint32_t window : {1u, 63u, 64u, 100u, 193u, 230u, 256u, 400u}) {
        SCOPED_TRACE(window);
        const OpenModel open = open_tiny(mini_gemma(window), TensorType::f32);
        ASSERT_TRUE(open.model);
        SessionOptions exact, sealed;
        exact.kv = {KvType::fp32, KvType::fp32, 0, 0};
        sealed.kv.preset = KvPreset::quality;
        std::vector<std::vector<float>> of_both;
        for (const SessionOptions& options : {exact, sealed}) {
            const auto reference = last_logits(*open.model, options, tokens.size(), tokens);
            EXPECT_EQ(reference, last_logits(*open.model, options, 1, tokens));
            SessionOptions other = options;
            other.micro_batch = 17;
            other.threads = 2;
            EXPECT_EQ(reference, last_logits(*open.model, other, 97, tokens));
            of_both.push_back(reference);
        }
        for (size_t id = 0; id < of_both[0].size(); ++id)
            EXPECT_NEAR(of_both[1][id], of_both[0][id], 0.25 * deviation_of(of_both[0]));
    }
}

TEST(SlidingWindows, AWindowThatReachesTheBeginningIsNone) {
    const OpenModel wide = open_tiny(mini_gemma(kTinyTokens), TensorType::f32),
                    none = open_tiny(mini_gemma(kTinyTokens, 1u), TensorType::f32),
                    narrow = open_tiny(mini_gemma(kTinyTokens - 1), TensorType::f32);
    ASSERT_TRUE(wide.model && none.model && narrow.model);
    const auto logits = last_logits(*none.model, {}, kTinyTokens);
    EXPECT_EQ(logits, last_logits(*wide.model, {}, kTinyTokens));
    EXPECT_NE(logits, last_logits(*narrow.model, {}, kTinyTokens));
}

TEST(SlidingWindows, TheirLayersMayBeListed) {
    const auto logits_of = [](TinyModel::Value pattern) {
        const OpenModel open = open_tiny(mini_gemma(kTinyWindow, pattern), TensorType::f32);
        return open.model ? last_logits(*open.model, {}, kTinyTokens) : std::vector<float>{};
    };
    EXPECT_EQ(logits_of(2u), logits_of(std::vector<bool>{true, false}));
    EXPECT_NE(logits_of(2u), logits_of(std::vector<bool>{false, true}));
    EXPECT_NE(logits_of(2u), logits_of(std::vector<bool>{false, false}));
}

TEST(TinyModels, TheFileForThePagesTestsIsWhatTheGeneratorMakes) {
    EXPECT_EQ(make_tiny_model(*find_tiny_model("gemma2-mini"), TensorType::q4_0),
              read_file("tests/fixtures/gemma2-mini-q4_0.gguf"));
}

INSTANTIATE_TEST_SUITE_P(Tiny, Architectures, testing::ValuesIn(tiny_models()), [](const auto& info) {
    std::string name = info.param.name;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

}  // namespace
}  // namespace strata
