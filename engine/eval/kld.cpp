#include "engine/eval/kld.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/base/check.h"
#include "engine/base/math.h"

namespace strata {

namespace {

constexpr int64_t kPart = 64;  // positions read by one session, then by the other

// e^-d - 1 + d for |d| < 1/2, without the cancellation: its terms, highest power first.
double second_order_of_exp(double d) {
    constexpr int kTerms = 12;
    double sum = 0;
    for (int k = kTerms; k >= 3; --k) sum = -d / k * (1 + sum);
    return d * d / 2 * (1 + sum);
}

// log(1 + x) for x >= 0.
double log1p_f64(double x) { return x < 1e-4 ? x - x * x / 2 + x * x * x / 3 : log_f64(1 + x); }

int likeliest(std::span<const float> logits) {
    return int(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

template <class Value>
Estimate estimate(std::span<const KldScore> scores, Value value) {
    const double n = double(scores.size());
    Estimate result;
    for (const KldScore& score : scores) result.mean += value(score);
    result.mean /= n;
    double squares = 0;
    for (const KldScore& score : scores) squares += (value(score) - result.mean) * (value(score) - result.mean);
    if (n > 1) result.se = std::sqrt(squares / (n - 1) / n);
    return result;
}

double kld_of(const KldScore& score) { return score.kld; }
double nll_difference_of(const KldScore& score) { return score.nll - score.nll_exact; }

std::vector<KldScore> scores_between(std::span<const KldScore> scores, int64_t from, int64_t to) {
    std::vector<KldScore> result;
    std::copy_if(scores.begin(), scores.end(), std::back_inserter(result),
                 [&](const KldScore& score) { return score.position >= from && score.position < to; });
    return result;
}

std::vector<KldBucket> buckets(std::span<const KldScore> scores) {
    int64_t last = -1;
    for (const KldScore& score : scores) last = std::max(last, score.position);
    std::vector<KldBucket> result;
    for (int64_t from = kBeyondWindow; from <= last; from *= 2) {
        const auto inside = scores_between(scores, from, 2 * from);
        if (!inside.empty())
            result.push_back({from, 2 * from, int64_t(inside.size()), estimate(inside, kld_of),
                              estimate(inside, nll_difference_of)});
    }
    return result;
}

void add_percentiles(std::span<const KldScore> scores, KldSummary& summary) {
    std::vector<double> sorted;
    for (const KldScore& score : scores) sorted.push_back(score.kld);
    std::sort(sorted.begin(), sorted.end());
    summary.median_kld = percentile(sorted, 0.5);
    summary.p99_kld = percentile(sorted, 0.99);
    summary.p999_kld = percentile(sorted, 0.999);
    summary.max_kld = sorted.back();
}

}  // namespace

// With d = log p - log q less its mean under p, the sum of p log(p / q) is log(1 + sum of p (e^-d - 1 + d)). There
// every term is positive and of second order, so that nothing cancels: the plain sum would lose a KLD of 1e-6 in the
// rounding of the two normalising constants.
double kl_divergence(std::span<const float> exact, std::span<const float> candidate) {
    const float top = *std::max_element(exact.begin(), exact.end());
    double sum = 0, weighted = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        const double p = double(exp_f32(exact[i] - top));
        sum += p;
        weighted += p * (double(exact[i]) - double(candidate[i]));
    }
    const double mean = weighted / sum;
    double excess = 0;
    for (size_t i = 0; i < exact.size(); ++i) {
        const double p = double(exp_f32(exact[i] - top));
        const double d = double(exact[i]) - double(candidate[i]) - mean;
        if (d > -0.5 && d < 0.5)
            excess += p * second_order_of_exp(d);
        else
            excess += double(exp_f32(float(double(exact[i]) - double(top) - d))) - p + p * d;
    }
    return log1p_f64(std::max(excess, 0.0) / sum);
}

double percentile(std::span<const double> sorted, double share) {
    const double at = share * double(sorted.size() - 1);
    const size_t below = size_t(at), above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

KldSummary summarise(std::span<const KldScore> all) {
    const auto scores = scores_between(all, kBeyondWindow, INT64_MAX);
    KldSummary summary;
    summary.n = int64_t(scores.size());
    if (scores.empty()) return summary;
    summary.kld = estimate(scores, kld_of);
    summary.same_top = estimate(scores, [](const KldScore& score) { return score.same_top ? 1.0 : 0.0; });
    add_percentiles(scores, summary);
    summary.ppl_exact = exp_f64(estimate(scores, [](const KldScore& score) { return score.nll_exact; }).mean);
    summary.ppl = exp_f64(estimate(scores, [](const KldScore& score) { return score.nll; }).mean);
    const Estimate difference = estimate(scores, nll_difference_of);
    summary.ppl_ratio.mean = exp_f64(difference.mean);
    summary.ppl_ratio.se = summary.ppl_ratio.mean * difference.se;
    summary.by_age = buckets(scores);
    return summary;
}

KldPass::~KldPass() = default;

Result<std::unique_ptr<KldPass>> KldPass::open(const Model& model, std::span<const int> tokens,
                                               const SessionOptions& candidate) {
    std::unique_ptr<KldPass> pass(new KldPass(model.tokenizer().with_bos(tokens)));
    if (pass->total() <= kBeyondWindow)
        return Error{ErrorCode::invalid_argument,
                     "the text has " + std::to_string(tokens.size()) + " tokens; memories are compared from position " +
                         std::to_string(kBeyondWindow) + " on, which needs " + std::to_string(kBeyondWindow + 2)};
    SessionOptions reference = candidate;
    reference.kv = {};
    reference.kv.key_type = reference.kv.value_type = KvType::fp32;
    auto exact = Session::open(model, reference);
    if (!exact) return exact.error();
    auto compressed = Session::open(model, candidate);
    if (!compressed) return compressed.error();
    pass->exact_ = std::move(*exact);
    pass->candidate_ = std::move(*compressed);
    pass->logits_.resize(size_t(kPart) * size_t(model.config().n_vocab));
    return pass;
}

Status KldPass::read(int64_t positions) {
    CHECK(positions >= 1 && positions <= kPart);
    const int64_t first = read_, n = std::min(positions, total() - read_);
    const size_t n_vocab = size_t(exact_->model().config().n_vocab);
    const auto part = std::span<const int>(text_).subspan(size_t(first), size_t(n));
    const Status exact = exact_->score(part, [&](int64_t position, std::span<const float> logits) {
        std::copy(logits.begin(), logits.end(), logits_.begin() + std::ptrdiff_t(size_t(position - first) * n_vocab));
    });
    if (!exact) return exact.error();
    const Status compressed = candidate_->score(part, [&](int64_t position, std::span<const float> logits) {
        const auto reference = std::span<const float>(logits_).subspan(size_t(position - first) * n_vocab, n_vocab);
        const int next = text_[size_t(position) + 1];
        scores_.push_back({position, kl_divergence(reference, logits), negative_log_likelihood(reference, next),
                           negative_log_likelihood(logits, next), likeliest(reference) == likeliest(logits)});
    });
    if (!compressed) return compressed.error();
    read_ += n;
    return Done{};
}

KvStats KldPass::candidate_stats() const { return candidate_->stats(); }

Result<KldResult> kl_divergence(const Model& model, std::span<const int> tokens, const KldOptions& options) {
    auto opened = KldPass::open(model, tokens, options.session);
    if (!opened) return opened.error();
    KldPass& pass = **opened;
    while (!pass.done()) {
        if (const Status read = pass.read(kPart); !read) return read.error();
        if (options.progress && !options.progress(pass.position(), pass.total()))
            return Error{ErrorCode::invalid_argument, "stopped"};
    }
    return KldResult{pass.scores(), pass.candidate_stats()};
}

}  // namespace strata
