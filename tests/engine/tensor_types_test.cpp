// Every tensor type against llama.cpp, on tiny models with random blocks (tests/golden/README.md says how the numbers
// were made); and what is refused.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "engine/kernels/kernels.h"
#include "tests/engine/golden_rows.h"
#include "tests/engine/tensor_type_models.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

// As shares of the standard deviation of a row of logits. llama.cpp rounds the activations that meet quantised weights
// in its own way; where F32 matrices carry the decoded values, nothing is rounded but sums.
struct Tolerance {
    double largest, rms;
};
Tolerance tolerance_of(TypedPart part, TensorType type) {
    if (part == TypedPart::embedding || type == TensorType::f32) return {1e-4, 1e-5};
    return {.25, .05};
}

std::string lower(std::string text) {
    for (char& c : text) c = char(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

class TensorTypes : public testing::TestWithParam<TensorType> {};

TEST_P(TensorTypes, LogitsAreLlamaCpps) {
    const auto [golden, rows] = read_golden("tensor_types/" + lower(tensor_traits(GetParam()).name));
    const std::vector<int> positions = golden["positions"];
    const std::vector<std::string> parts = golden["parts"], hashes = golden["model_fnv1a"];
    const size_t n_vocab = golden["n_vocab"];
    ASSERT_EQ(golden["tokens"], typed_model_tokens());
    ASSERT_EQ(parts.size(), std::size(kTypedParts));
    ASSERT_EQ(rows.size(), parts.size() * positions.size() * n_vocab);

    const float* row = rows.data();
    for (size_t i = 0; i < parts.size(); ++i) {
        const TypedPart part = kTypedParts[i];
        ASSERT_EQ(parts[i], name_of(part));
        const std::string file = TypedModel::make(part, GetParam());
        ASSERT_EQ(golden_hash(file), hashes[i]) << "the model is not the one llama.cpp was asked about";
        const auto model = Model::open(bytes_of(file));
        ASSERT_TRUE(model) << model.error().message;
        SessionOptions options;
        options.kv = {KvType::fp32, KvType::fp32, 0, 0};
        const auto session = Session::open(**model, options);
        ASSERT_TRUE(session);
        const Tolerance tolerance = tolerance_of(part, GetParam());
        double largest = 0, squares = 0;
        const Status done =
            (*session)->score(typed_model_tokens(), [&](int64_t position, std::span<const float> logits) {
                if (std::find(positions.begin(), positions.end(), int(position)) == positions.end()) return;
                const double deviation = deviation_of({row, n_vocab});
                for (size_t id = 0; id < n_vocab; ++id) {
                    const double difference = std::fabs(double(row[id]) - double(logits[id])) / deviation;
                    largest = std::max(largest, difference);
                    squares += difference * difference;
                }
                row += n_vocab;
            });
        ASSERT_TRUE(done);
        const double rms = std::sqrt(squares / double(positions.size() * n_vocab));
        std::printf("%-6s %-9s max %.1e, rms %.1e of the standard deviation\n", tensor_traits(GetParam()).name,
                    name_of(part), largest, rms);
        EXPECT_LE(largest, tolerance.largest) << name_of(part);
        EXPECT_LE(rms, tolerance.rms) << name_of(part);
    }
}

// One token at a time, on any backend and number of threads: the same bits as a whole prompt.
TEST_P(TensorTypes, LogitsHaveTheSameBitsWhateverTheBatchesThreadsAndBackend) {
    const std::string file = TypedModel::make(TypedPart::matrices, GetParam());
    const auto model = Model::open(bytes_of(file));
    ASSERT_TRUE(model) << model.error().message;
    const auto tokens = typed_model_tokens();
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
    for (const uint32_t type : {4u, 9u, 15u, 16u, 17u, 18u, 19u, 21u, 22u, 24u, 28u, 29u, 34u, 35u, 39u, 40u}) {
        GgufBuilder file;
        file.header(1, 0).tensor("output.weight", {256, 1}, type, 0).pad();
        file.bytes().resize(file.bytes().size() + 4096);
        const auto open = file.open();
        ASSERT_FALSE(open) << type;
        for (const std::string& part : {std::string("output.weight"), tensor_type_name(type), supported_tensor_types()})
            EXPECT_NE(open.error().message.find(part), std::string::npos) << open.error().message;
    }
}

}  // namespace
}  // namespace strata
