// The model that we ship, opened once for all tests of the program.
#pragma once
#include "engine/model/model.h"
#include "tests/engine/test_files.h"

namespace strata {

inline std::span<const uint8_t> shipped_model_bytes() {
    static const std::string bytes = read_file(kDefaultModel);
    return bytes_of(bytes);
}

inline const Model& shipped_model() {
    static const auto model = Model::open(shipped_model_bytes());
    return **model;
}

}  // namespace strata
