// Logits that llama.cpp gave for models that we make from a seed (tests/golden/README.md).
#pragma once
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/base/hash.h"
#include "engine/engine.h"
#include "tests/engine/test_files.h"

namespace strata {

struct GoldenRows {
    nlohmann::json header;
    std::vector<float> rows;  // (models, positions, n_vocab)
};
inline GoldenRows read_golden(const std::string& name) {
    const std::string path = "tests/golden/" + name;
    const auto bytes = read_file(path + ".bin");
    GoldenRows golden{nlohmann::json::parse(read_file(path + ".json")),
                      std::vector<float>(bytes.size() / sizeof(float))};
    std::memcpy(golden.rows.data(), bytes.data(), bytes.size());
    return golden;
}

// The hash by which the header knows a model's file.
inline std::string golden_hash(const std::string& file) {
    char text[20];
    std::snprintf(text, sizeof text, "%016" PRIx64, fnv1a(bytes_of(file)));
    return text;
}

// The standard deviation of a row of logits.
inline double deviation_of(std::span<const float> row) {
    double mean = 0, squares = 0;
    for (const float x : row) mean += double(x) / double(row.size());
    for (const float x : row) squares += (double(x) - mean) * (double(x) - mean);
    return std::sqrt(squares / double(row.size()));
}

inline TensorType type_named(const std::string& name) {
    uint32_t number = 0;
    while (!tensor_traits(number) || name != tensor_traits(number)->name) ++number;
    return tensor_traits(number)->type;
}

// As shares of the standard deviation of a row of logits.
struct Differences {
    double largest = 0, rms = 0;
};

inline nlohmann::json as_json(const Differences& d) { return {{"max", d.largest}, {"rms", d.rms}}; }

// Of what we compute from what llama.cpp did, for the model with that index in the header. Memory in F32.
inline Result<Differences> differences(const Model& model, const GoldenRows& golden, size_t index) {
    const std::vector<int> tokens = golden.header["tokens"], positions = golden.header["positions"];
    const size_t n_vocab = golden.header["n_vocab"], values = positions.size() * n_vocab;
    CHECK(golden.rows.size() == golden.header["models"].size() * values);
    SessionOptions options;
    options.kv = {KvType::fp32, KvType::fp32, 0, 0};
    options.threads = 2;
    const auto session = Session::open(model, options);
    if (!session) return session.error();
    Differences found;
    const float* row = golden.rows.data() + index * values;
    const Status done = (*session)->score(tokens, [&](int64_t position, std::span<const float> logits) {
        if (std::find(positions.begin(), positions.end(), int(position)) == positions.end()) return;
        const double deviation = deviation_of({row, n_vocab});
        for (size_t id = 0; id < n_vocab; ++id) {
            const double difference = std::fabs(double(row[id]) - double(logits[id])) / deviation;
            found.largest = std::max(found.largest, difference);
            found.rms += difference * difference;
        }
        row += n_vocab;
    });
    if (!done) return done.error();
    found.rms = std::sqrt(found.rms / double(values));
    return found;
}

}  // namespace strata
