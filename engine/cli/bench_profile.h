// `strata bench --profile`: where the time of one decoded token and of one micro-batch of a prompt goes.
#pragma once
#include <vector>

#include "engine/cli/report.h"
#include "engine/engine.h"

namespace strata::cli {

// One row for each part of a forward pass, and for what is around it: {test, part, ms, share, and for matrix products
// bytes, gb_per_s, gop_per_s}. depth: tokens in memory before.
Result<std::vector<Json>> profile(const Model& model, const SessionOptions& options, int depth, int repetitions);

}  // namespace strata::cli
