// Every tensor type against llama.cpp, on tiny models with random blocks (tests/golden/README.md says how the numbers
// were made); and what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/kernels/kernels.h"
#include "tests/engine/facts.h"
#include "tests/engine/gguf_builder.h"
#include "tests/engine/golden_rows.h"
#include "tests/engine/random_blocks.h"
#include "tests/engine/test_files.h"
#include "tests/engine/tiny_models.h"

namespace strata {
namespace {

// llama.cpp rounds the activations that meet quantised weights in its own way; where F32 matrices carry the decoded
// values, nothing is rounded but sums.
Differences allowed(TypedPart part, TensorType type) {
    if (part == TypedPart::embedding || type == TensorType::f32) return {1e-4, 1e-5};
    return {.25, .05};
}

class TensorTypes : public testing::TestWithParam<TensorType> {};

TEST_P(TensorTypes, LogitsAreLlamaCpps) {
    const char* name = tensor_traits(GetParam()).name;
    const GoldenRows golden = read_golden("tensor_types/llama");
    const auto& models = golden.header["models"];
    ASSERT_EQ(golden.header["tokens"], tiny_tokens());
    nlohmann::json seen;
    for (size_t i = 0; i < models.size(); ++i) {
        if (models[i]["type"] != name) continue;
        const TypedPart part = models[i]["part"] == "embedding" ? TypedPart::embedding : TypedPart::matrices;
        SCOPED_TRACE(name_of(part));
        const std::string file = make_tiny_model(tensor_types_model(), GetParam(), part);
        ASSERT_EQ(golden_hash(file), models[i]["fnv1a"]) << "the model is not the one llama.cpp was asked about";
        const auto model = Model::open(bytes_of(file));
        ASSERT_TRUE(model) << model.error().message;
        const auto found = differences(**model, golden, i);
        ASSERT_TRUE(found);
        EXPECT_LE(found->largest, allowed(part, GetParam()).largest);
        EXPECT_LE(found->rms, allowed(part, GetParam()).rms);
        seen[name_of(part)] = {{"seen", as_json(*found)}, {"allowed", as_json(allowed(part, GetParam()))}};
    }
    EXPECT_EQ(seen.size(), 2u);
    report_fact({{"kind", "tensor type"}, {"name", name}, {"differences", seen}});
}

// One token at a time, on any backend and number of threads: the same bits as a whole prompt.
TEST_P(TensorTypes, LogitsHaveTheSameBitsWhateverTheBatchesThreadsAndBackend) {
    const std::string file = make_tiny_model(tensor_types_model(), GetParam());
    const auto model = Model::open(bytes_of(file));
    ASSERT_TRUE(model) << model.error().message;
    const std::vector<int> all = tiny_tokens(), tokens(all.begin(), all.begin() + 40);
    const auto last_logits = [&](const char* simd, int threads, size_t call) {
        SessionOptions options;
        options.simd = simd;
        options.threads = threads;
        const auto session = Session::open(**model, options);
        EXPECT_TRUE(session);
        for (size_t at = 0; at < tokens.size(); at += call)
            EXPECT_TRUE((*session)->append(std::span(tokens).subspan(at, std::min(call, tokens.size() - at))));
        const auto logits = (*session)->logits();
        return std::vector<float>(logits.begin(), logits.end());
    };
    const auto expected = last_logits("scalar", 1, tokens.size());
    for (const Kernels* kernels : available_kernels()) {
        EXPECT_EQ(last_logits(kernels->name, 2, tokens.size()), expected) << kernels->name;
        EXPECT_EQ(last_logits(kernels->name, 1, 1), expected) << kernels->name;
    }
}

// As llama.cpp refuses it: a row is a whole number of blocks.
TEST_P(TensorTypes, RowsThatAreNoWholeBlocksAreRefused) {
    const TensorTraits& traits = tensor_traits(GetParam());
    if (traits.block_values == 1) return;
    GgufBuilder file;
    file.header(1, 0);
    const auto cols = uint64_t(traits.block_values + traits.block_values / 2);
    file.tensor("blk.0.ffn_up.weight", {cols, 4}, uint32_t(traits.type), 0).pad();
    file.bytes().resize(file.bytes().size() + 4096);
    const auto open = file.open();
    ASSERT_FALSE(open);
    for (const std::string& part : {std::string("blk.0.ffn_up.weight"), std::to_string(cols),
                                    std::to_string(traits.block_values), std::string(traits.name)})
        EXPECT_NE(open.error().message.find(part), std::string::npos) << open.error().message;
}

INSTANTIATE_TEST_SUITE_P(Types, TensorTypes, testing::ValuesIn(kAllTensorTypes),
                         [](const auto& info) { return std::string(tensor_traits(info.param).name); });

TEST(TensorTypes, OthersAreRefusedByName) {
    nlohmann::json names = nlohmann::json::array();
    for (const uint32_t type : {4u, 9u, 15u, 16u, 17u, 18u, 19u, 21u, 22u, 24u, 28u, 29u, 34u, 35u, 39u, 40u}) {
        GgufBuilder file;
        file.header(1, 0).tensor("output.weight", {256, 1}, type, 0).pad();
        file.bytes().resize(file.bytes().size() + 4096);
        const auto open = file.open();
        ASSERT_FALSE(open) << type;
        for (const std::string& part : {std::string("output.weight"), tensor_type_name(type), supported_tensor_types()})
            EXPECT_NE(open.error().message.find(part), std::string::npos) << open.error().message;
        names.push_back(tensor_type_name(type));
    }
    report_fact({{"kind", "refused tensor types"}, {"names", names}});
}

}  // namespace
}  // namespace strata
