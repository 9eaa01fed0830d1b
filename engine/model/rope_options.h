// The angles of a model's positions, from its header and its tensors.
#pragma once
#include <vector>

#include "engine/kv/rope.h"
#include "engine/model/model.h"

namespace strata {

// Of the layers that see everything. factors (rope_dim / 2): each frequency is divided by it; empty: none.
// distance_clamp: see engine/kv/rope.h.
RopeOptions rope_options(const ModelConfig& config, const std::vector<float>& factors, int distance_clamp);

// Of the layers with a window; without angles where there is none. Their distances never exceed it, so they are always
// true.
RopeOptions local_rope_options(const ModelConfig& config);

}  // namespace strata
