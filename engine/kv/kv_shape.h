#pragma once

namespace strata {

// The shape of a model's keys and values.
struct KvShape {
    int n_layers, n_kv_heads, head_dim;
};

}  // namespace strata
