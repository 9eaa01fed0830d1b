// Perplexity: exp of the mean negative log-likelihood (nats) of each token given those before it.
// A pure function over a session: no files, no printing.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/session.h"

namespace strata {

enum class PplProtocol {
    single,  // the whole text in one pass, BOS in front if the model wants it; every position but the first token is
             // scored
    chunks,  // llama-perplexity's: chunks of n_ctx, BOS in place of the first token of each if the model wants it;
             // every chunk from an empty memory. Without a stride they are disjoint and the second half of each is
             // scored; with one, a chunk begins every `stride` tokens and its last `stride` tokens are scored
};

struct PplOptions {
    PplProtocol protocol = PplProtocol::single;
    int n_ctx = 512;   // chunks only
    int stride = 0;    // chunks only: 0, or 1 to n_ctx
    int64_t from = 0;  // single only: score the query positions from here on …
    int64_t last = 0;  // … and no more than the last so many; 0: all
    SessionOptions session;
    std::function<bool(int64_t done, int64_t total)>
        progress;  // positions; return false to stop early (then: invalid_argument "stopped")
};

struct PplScore {
    int64_t position;  // of the query: the token scored is the one after it
    float nll;         // nats
};

struct PplResult {
    std::vector<PplScore> scores;  // every scored token, in order
    double nll_mean = 0, ppl = 0;
    double ppl_stderr = 0;        // ppl times the standard error of the mean NLL
    int64_t n_beyond_window = 0;  // query positions >= kBeyondWindow
    double nll_mean_beyond_window = 0;
    KvStats kv;  // at the end of the (last) pass
};

constexpr int kBeyondWindow = 256;

// `tokens` as the tokenizer made them, without BOS. Fails when there are too few to score.
Result<PplResult> perplexity(const Model& model, std::span<const int> tokens, const PplOptions& options);

// -log softmax(logits)[target], summed in double, written order; relative error about 1e-7.
double negative_log_likelihood(std::span<const float> logits, int target);

}  // namespace strata
