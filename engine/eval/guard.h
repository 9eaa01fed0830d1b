// The guard: does this model bear a compressed memory? Some models have keys that few bits cannot hold (large biases in
// a few layers). A fixed text of 512 tokens is read with exact and with compressed memory; where predictions differ too
// much, the layers that cause it are found, and keep their sealed keys at 8 bits (KvOptions::guarded_layers).
// A pure function over sessions; meant for idle time after a first load, its result to be kept with the model's
// identity.
#pragma once
#include <vector>

#include "engine/session.h"

namespace strata {

constexpr double kGuardThreshold = 0.01;  // mean KLD, nats, of the last 256 positions
constexpr int kGuardTokens = 512;

struct GuardResult {
    double kld_without = 0;           // mean KLD with nothing guarded
    double kld = 0;                   // and with these layers guarded
    std::vector<int> guarded_layers;  // ascending; empty: the model bears compression as it is
};

// options: preset and threads; its budget and guarded layers are not used. Takes one pass over the text when nothing is
// wrong, and one more for each layer when something is.
Result<GuardResult> guard(const Model& model, const SessionOptions& options, double threshold = kGuardThreshold);

}  // namespace strata
