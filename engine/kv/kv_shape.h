#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

namespace strata {

// The shape of a model's keys and values.
struct KvShape {
    int n_layers, n_kv_heads, head_dim;
    int window = 0;                      // how many positions a query of a windowed layer sees, itself included
    std::vector<uint8_t> windowed = {};  // (n_layers) 1: such a layer; empty: none is

    int window_of(int layer) const { return !windowed.empty() && windowed[size_t(layer)] != 0 ? window : 0; }
    int n_windowed() const {
        return window == 0 ? 0 : int(windowed.size()) - int(std::count(windowed.begin(), windowed.end(), 0));
    }
};

// The oldest position that the query at t sees; window 0: it sees all.
constexpr int64_t oldest_visible(int window, int64_t t) { return window > 0 && t >= window ? t - window + 1 : 0; }

}  // namespace strata
