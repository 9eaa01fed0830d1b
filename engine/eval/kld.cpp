#include "engine/eval/kld.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/base/math.h"

namespace strata {

namespace {

constexpr int kPart = 64;  // positions read by one session, then by the other

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

// The exact session's logits of up to kPart positions, kept until the candidate has read the same tokens.
class Lockstep {
public:
    Lockstep(Session& exact, Session& candidate, std::span<const int> text)
        : exact_(exact), candidate_(candidate), text_(text), n_vocab_(size_t(exact.model().config().n_vocab)) {
        logits_.resize(kPart * n_vocab_);
    }

    // Reads text[first, first + n) and appends their scores.
    Status read(int64_t first, int64_t n, std::vector<KldScore>& scores) {
        const auto part = text_.subspan(size_t(first), size_t(n));
        const Status exact = exact_.score(part, [&](int64_t position, std::span<const float> logits) {
            std::copy(logits.begin(), logits.end(), logits_.begin() + std::ptrdiff_t(offset(position, first)));
        });
        if (!exact) return exact.error();
        return candidate_.score(part, [&](int64_t position, std::span<const float> logits) {
            const auto reference = std::span<const float>(logits_).subspan(offset(position, first), n_vocab_);
            const int next = text_[size_t(position) + 1];
            scores.push_back({position, kl_divergence(reference, logits), negative_log_likelihood(reference, next),
                              negative_log_likelihood(logits, next), likeliest(reference) == likeliest(logits)});
        });
    }

private:
    size_t offset(int64_t position, int64_t first) const { return size_t(position - first) * n_vocab_; }

    Session& exact_;
    Session& candidate_;
    std::span<const int> text_;
    size_t n_vocab_;
    std::vector<float> logits_;  // (kPart, n_vocab)
};

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

Result<KldResult> kl_divergence(const Model& model, std::span<const int> tokens, const KldOptions& options) {
    const std::vector<int> text = model.tokenizer().with_bos(tokens);
    const int64_t n = int64_t(text.size()) - 1;  // the last token has no successor to predict
    if (n <= kBeyondWindow)
        return Error{ErrorCode::invalid_argument,
                     "the text has " + std::to_string(tokens.size()) + " tokens; memories are compared from position " +
                         std::to_string(kBeyondWindow) + " on, which needs " + std::to_string(kBeyondWindow + 2)};
    SessionOptions reference = options.session;
    reference.kv = {};
    reference.kv.key_type = reference.kv.value_type = KvType::fp32;
    auto exact = Session::open(model, reference);
    if (!exact) return exact.error();
    auto candidate = Session::open(model, options.session);
    if (!candidate) return candidate.error();

    KldResult result;
    Lockstep lockstep(**exact, **candidate, text);
    for (int64_t at = 0; at < n; at += kPart) {
        const int64_t part = std::min<int64_t>(kPart, n - at);
        if (const Status read = lockstep.read(at, part, result.scores); !read) return read.error();
        if (options.progress && !options.progress(at + part, n)) return Error{ErrorCode::invalid_argument, "stopped"};
    }
    result.kv = (*candidate)->stats();
    return result;
}

}  // namespace strata
