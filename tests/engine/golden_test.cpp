// Our logits and perplexities against those of llama.cpp (tests/golden/README.md says how they were made).
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/engine.h"
#include "tests/engine/test_files.h"

namespace strata {
namespace {

std::vector<float> read_floats(const std::string& path) {
    const auto bytes = read_file(path);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

nlohmann::json read_json(const std::string& path) {
    const auto bytes = read_file(path);
    return nlohmann::json::parse(bytes.begin(), bytes.end());
}

struct Case {
    const char* name;   // of the golden file
    const char* model;  // path from the repository root
    double max_difference, rms;
};

class Golden : public testing::TestWithParam<Case> {};

TEST_P(Golden, LogitsOf200PositionsAreLlamaCpps) {
    const auto bytes = read_file(GetParam().model);
    if (bytes.empty()) GTEST_SKIP() << GetParam().model << " is not here";
    const std::string path = std::string("tests/golden/logits/") + GetParam().name;
    const auto golden = read_json(path + ".json");
    const auto rows = read_floats(path + ".bin");
    const std::vector<int> tokens = golden["tokens"], ids = golden["ids"], top_ids = golden["top_ids"];
    const size_t row_size = ids.size() + golden["columns"].size();
    ASSERT_EQ(rows.size(), tokens.size() * row_size);

    const auto model = Model::open(bytes_of(bytes));
    ASSERT_TRUE(model) << model.error().message;
    SessionOptions options;
    options.kv = {KvType::fp32, KvType::fp32, 0, 0};
    const auto session = Session::open(**model, options);
    ASSERT_TRUE(session);
    double largest = 0, squares = 0;
    size_t count = 0;
    const Status done = (*session)->score(tokens, [&](int64_t position, std::span<const float> logits) {
        const float* row = rows.data() + size_t(position) * row_size;
        for (size_t i = 0; i < ids.size(); ++i, ++count) {
            const double difference = std::fabs(double(row[i]) - double(logits[size_t(ids[i])]));
            largest = std::max(largest, difference);
            squares += difference * difference;
        }
        const double gap = double(row[ids.size()]) - double(row[ids.size() + 1]);
        if (gap > 2 * GetParam().max_difference) {
            const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
            EXPECT_EQ(top, top_ids[size_t(position)]) << "position " << position;
        }
    });
    ASSERT_TRUE(done);
    const double rms = std::sqrt(squares / double(count));
    RecordProperty("max_difference", std::to_string(largest));
    RecordProperty("rms", std::to_string(rms));
    std::printf("%s: max difference %.2e, rms %.2e\n", GetParam().name, largest, rms);
    EXPECT_LE(largest, GetParam().max_difference);
    EXPECT_LE(rms, GetParam().rms);
}

INSTANTIATE_TEST_SUITE_P(
    Models, Golden,
    testing::Values(Case{"stories260K-f32", "../shared/data/models/stories260K-f32.gguf", 1e-3, 1e-3},
                    Case{"pocket-chat-5.8m-f16", "../shared/model/pocket-chat-5.8m-f16.gguf", 2e-2, 2e-2},
                    Case{"pocket-chat-5.8m-q8_0", "web/public/models/pocket-chat-5.8m-q8_0.gguf", .3, .04}),
    [](const auto& info) {
        std::string name = info.param.name;
        for (char& c : name)
            if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
        return name;
    });

struct TextCase {
    const char* text;
    const char* weights;
    const char* model;
    double relative_difference;
};

class GoldenPpl : public testing::TestWithParam<TextCase> {};

TEST_P(GoldenPpl, PerplexityIsLlamaCpps) {
    const auto bytes = read_file(GetParam().model);
    if (bytes.empty()) GTEST_SKIP() << GetParam().model << " is not here";
    const auto golden =
        read_json(std::string("tests/golden/ppl/") + GetParam().text + "-" + GetParam().weights + ".json");
    const std::vector<int> tokens = golden["tokens"];
    ASSERT_GE(tokens.size(), 1900u);
    const auto model = Model::open(bytes_of(bytes));
    ASSERT_TRUE(model) << model.error().message;
    PplOptions options;
    options.session.kv = {KvType::fp32, KvType::fp32, 0, 0};
    options.session.threads = 2;
    const auto result = perplexity(**model, tokens, options);
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ(result->scores.size(), tokens.size() - 1);
    const double expected = golden["ppl"];
    std::printf("%s %s: PPL %.4f, llama.cpp %.4f\n", GetParam().text, GetParam().weights, result->ppl, expected);
    EXPECT_NEAR(result->ppl / expected, 1.0, GetParam().relative_difference);
}

constexpr const char* kF16 = "../shared/model/pocket-chat-5.8m-f16.gguf";
constexpr const char* kQ8 = "web/public/models/pocket-chat-5.8m-q8_0.gguf";
INSTANTIATE_TEST_SUITE_P(Texts, GoldenPpl,
                         testing::Values(TextCase{"Conrad_Nostromo_1904", "f16", kF16, 1e-3},
                                         TextCase{"Dickens_Expectations_1861", "f16", kF16, 1e-3},
                                         TextCase{"Hardy_Madding_1874", "f16", kF16, 1e-3},
                                         // llama.cpp differs from itself by this much when its batches change
                                         TextCase{"Hardy_Madding_1874", "q8_0", kQ8, 3e-3}));

}  // namespace
}  // namespace strata
