// The model that we ship, opened once for all tests of the program.
#pragma once
#include "engine/model/model.h"
#include "tests/engine/test_files.h"

namespace strata {

inline const Model& shipped_model() {
    static const std::string bytes = read_file(kDefaultModel);
    static const auto model = Model::open(bytes_of(bytes));
    return **model;
}

}  // namespace strata
