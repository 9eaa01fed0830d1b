// For tests that run once for every backend that this build and this machine have, and for one of the tests' own.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/kernels/kernels.h"

namespace strata {

extern const Kernels kSharedKernels;  // tests/engine/shared_backend.cpp

inline auto every_backend() {
    std::vector<const Kernels*> all(available_kernels().begin(), available_kernels().end());
    all.push_back(&kSharedKernels);
    return testing::ValuesIn(all);
}

// As GoogleTest takes names: it ends the program at a dash.
inline std::string name_of_backend(const testing::TestParamInfo<const Kernels*>& backend) {
    std::string name = backend.param->name;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

}  // namespace strata
