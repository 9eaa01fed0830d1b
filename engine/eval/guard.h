// The guard: does this model bear a compressed memory? Some models have keys that few bits cannot hold (large biases in
// a few layers). A fixed text of 512 tokens is read with exact and with compressed memory; where predictions differ too
// much, the layers that cause it are found, and keep their sealed keys at 8 bits (KvOptions::guarded_layers).
// A pure function over sessions; meant for idle time after a first load, its result to be kept with the model's
// identity.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "engine/eval/kld.h"
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
// wrong, and at most two more for each layer when something is.
Result<GuardResult> guard(const Model& model, const SessionOptions& options, double threshold = kGuardThreshold);

// The same in small steps, for a tab that must stay quick. It has sessions of its own and touches no other. With
// options.threads = 1 it starts no thread. The model must outlive it.
class GuardRun {
public:
    static Result<std::unique_ptr<GuardRun>> open(const Model& model, const SessionOptions& options,
                                                  double threshold = kGuardThreshold);
    // Reads up to `positions` (1 to 64) of the text, exact and compressed.
    Status step(int64_t positions);
    bool done() const { return !pass_; }
    double progress() const;  // 0 to 1 of the work that is known now; the search for layers, once it begins, adds to it
    // Of a run that was ended early: every layer where the first pass has shown that some must be guarded, and none
    // where it has not ended (kld_without is below 0 then).
    GuardResult result() const;

private:
    GuardRun(const Model& model, const SessionOptions& options, double threshold);
    Status try_layers(std::vector<int> layers);
    Status take(double kld);
    Status guard_next();

    const Model& model_;
    SessionOptions options_;
    double threshold_;
    std::vector<int> tokens_;
    std::unique_ptr<KldPass> pass_;  // under way; empty: done
    GuardResult result_{-1, -1, {}};
    std::vector<std::pair<double, int>> gains_;  // KLD with one layer guarded; sorted once all are known
};

}  // namespace strata
