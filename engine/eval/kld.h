// What a memory changes, position by position: the exact memory and a candidate read one text in lockstep, and their
// predictions are compared. KLD = sum over the vocabulary of p log(p / q), p exact, q candidate, in nats.
// Pure functions over sessions: no files, no printing.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/eval/perplexity.h"
#include "engine/session.h"

namespace strata {

struct KldOptions {
    SessionOptions session;  // the candidate. The exact memory has the same options, but rows in FP32
    std::function<bool(int64_t done, int64_t total)>
        progress;  // positions; return false to stop early (then: invalid_argument "stopped")
};

struct KldScore {
    int64_t position;       // of the query
    double kld;             // nats
    double nll_exact, nll;  // of the next token
    bool same_top;          // both find the same token the likeliest
};

struct KldResult {
    std::vector<KldScore> scores;  // of every query position that has a next token, in order
    KvStats kv;                    // the candidate's, at the end
};

// One pass from an empty memory, BOS in front if the model wants it; never more than 64 positions of logits are held.
// Fails when no query position is at kBeyondWindow or later: before, memories with a window hardly differ.
Result<KldResult> kl_divergence(const Model& model, std::span<const int> tokens, const KldOptions& options);

// The same pass in parts of any size, for those who must let others have their turn in between.
class KldPass {
public:
    static Result<std::unique_ptr<KldPass>> open(const Model& model, std::span<const int> tokens,
                                                 const SessionOptions& candidate);
    ~KldPass();
    // Reads up to `positions` (1 to 64) more with both memories. The division into calls changes no score.
    Status read(int64_t positions);
    bool done() const { return read_ == total(); }
    int64_t position() const { return read_; }
    int64_t total() const { return int64_t(text_.size()) - 1; }  // the last token has no successor to predict
    const std::vector<KldScore>& scores() const { return scores_; }
    KvStats candidate_stats() const;

private:
    explicit KldPass(std::vector<int> text) : text_(std::move(text)) {}

    std::vector<int> text_;
    std::unique_ptr<Session> exact_, candidate_;
    std::vector<float> logits_;  // (64, n_vocab) of the exact memory, until the candidate has read the same tokens
    std::vector<KldScore> scores_;
    int64_t read_ = 0;
};

struct Estimate {
    double mean = 0, se = 0;  // standard error of the mean, samples taken for independent; 0 for one sample
};

// Query positions from `from` to before `to`. A query's position is the age of the oldest key that it sees.
struct KldBucket {
    int64_t from, to, n;
    Estimate kld, nll_difference;  // candidate - exact
};

// Over the query positions >= kBeyondWindow only, whatever the policy, so that policies can be compared.
struct KldSummary {
    int64_t n = 0;
    Estimate kld, same_top;  // same_top: the share, 0 to 1
    double median_kld = 0, p99_kld = 0, p999_kld = 0, max_kld = 0;
    double ppl_exact = 0, ppl = 0;
    Estimate ppl_ratio;             // exp of the mean paired difference of NLL, and that times its standard error
    std::vector<KldBucket> by_age;  // [256, 512), [512, 1024), …: those with scores
};

// Of the scores of one text, or of several one after the other.
KldSummary summarise(std::span<const KldScore> scores);

// KLD of the softmax of `candidate` from that of `exact`: never negative, 0 for equal logits, relative error about
// 1e-6 however small it is; beyond some 80 nats it saturates.
double kl_divergence(std::span<const float> exact, std::span<const float> candidate);

// Between the samples as well: percentile(s, 0.5) is the median. `sorted` ascends and is not empty.
double percentile(std::span<const double> sorted, double share);

}  // namespace strata
