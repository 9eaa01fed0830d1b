// Token ids of no meaning, the same in every run, for the vocabulary of the model that we ship.
#pragma once
#include <vector>

namespace strata {

inline std::vector<int> some_tokens(int n, int from = 0) {
    std::vector<int> tokens(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) tokens[size_t(i)] = 3 + (i + from) * 7919 % 4000;
    return tokens;
}

// Others, which repeat less evenly.
inline std::vector<int> uneven_tokens(int n) {
    std::vector<int> tokens(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) tokens[size_t(i)] = 3 + i * i * 31 % 4000;
    return tokens;
}

}  // namespace strata
