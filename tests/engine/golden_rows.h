// Logits that llama.cpp gave for models that we make from a seed (tests/golden/README.md).
#pragma once
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/base/hash.h"
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

}  // namespace strata
