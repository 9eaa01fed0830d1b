#pragma once
#include <cstdint>
#include <vector>

namespace strata::cli {

// Ids that look like text to nobody, the same in every run; which tokens they are does not change the work.
inline std::vector<int> some_tokens(int n, int n_vocab) {
    std::vector<int> tokens(static_cast<size_t>(n));
    uint32_t state = 1;
    for (int& token : tokens) {
        state = state * 1664525u + 1013904223u;
        token = int((state >> 8) % uint32_t(n_vocab));
    }
    return tokens;
}

}  // namespace strata::cli
