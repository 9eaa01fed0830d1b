// For tests that run once for every backend that this build and this machine have.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "engine/kernels/kernels.h"

namespace strata {

inline auto every_backend() { return testing::ValuesIn(available_kernels().begin(), available_kernels().end()); }

// As GoogleTest takes names: it ends the program at a dash.
inline std::string name_of_backend(const testing::TestParamInfo<const Kernels*>& backend) {
    std::string name = backend.param->name;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

}  // namespace strata
