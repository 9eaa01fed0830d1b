#include "engine/eval/perplexity.h"

#include <algorithm>
#include <cmath>

#include "engine/base/math.h"

namespace strata {

namespace {

// A stretch of tokens to read from an empty memory, and the first position whose prediction counts.
struct Pass {
    std::vector<int> tokens;
    int64_t score_from;
};

Error too_short(size_t n_tokens, const std::string& needed) {
    return {ErrorCode::invalid_argument, "the text has " + std::to_string(n_tokens) + " tokens; " + needed};
}

Result<std::vector<Pass>> chunks(const Tokenizer& tokenizer, const std::vector<int>& text, size_t n_tokens,
                                 const PplOptions& options) {
    if (options.n_ctx < 4)
        return Error{ErrorCode::invalid_argument,
                     "chunks of " + std::to_string(options.n_ctx) + " tokens; expected at least 4"};
    if (options.stride < 0 || options.stride > options.n_ctx)
        return Error{ErrorCode::invalid_argument, "a stride of " + std::to_string(options.stride) + "; expected 1 to " +
                                                      std::to_string(options.n_ctx) + ", the tokens of a chunk"};
    const auto n_ctx = size_t(options.n_ctx);
    const size_t step = options.stride > 0 ? size_t(options.stride) : n_ctx;
    if (text.size() < n_ctx + step)
        return too_short(n_tokens, "the chunks protocol needs at least two chunks of " + std::to_string(n_ctx) +
                                       ": use a longer text, a smaller context or the single protocol");
    // The query before the first token that counts; with a stride of a whole chunk its first token has none.
    const size_t score_from = options.stride == 0 ? n_ctx / 2 : n_ctx - std::min(step, n_ctx - 1) - 1;
    std::vector<Pass> result;
    for (size_t at = 0; at + n_ctx <= text.size(); at += step) {
        const auto begin = text.begin() + std::ptrdiff_t(at);
        Pass pass{{begin, begin + std::ptrdiff_t(n_ctx)}, int64_t(score_from)};
        if (tokenizer.wants_bos()) pass.tokens[0] = tokenizer.bos();
        result.push_back(std::move(pass));
    }
    return result;
}

Result<std::vector<Pass>> passes(const Tokenizer& tokenizer, std::span<const int> tokens, const PplOptions& options) {
    if (options.from < 0 || options.last < 0)
        return Error{ErrorCode::invalid_argument, "positions to score from, or counted from the end, are not negative"};
    if (options.protocol == PplProtocol::chunks && (options.from > 0 || options.last > 0))
        return Error{ErrorCode::invalid_argument,
                     "the chunks protocol scores the end of each chunk; "
                     "only the single protocol can score other positions"};
    std::vector<int> text = tokenizer.with_bos(tokens);
    if (options.protocol == PplProtocol::single) {
        if (text.size() < 2) return too_short(tokens.size(), "too few to predict one from another");
        const int64_t n_queries = int64_t(text.size()) - 1;
        const int64_t from = std::max<int64_t>(options.from, options.last > 0 ? n_queries - options.last : 0);
        if (from >= n_queries)
            return too_short(tokens.size(), "none is left to score from position " + std::to_string(from) + " on");
        return std::vector<Pass>{{std::move(text), from}};
    }
    return chunks(tokenizer, text, tokens.size(), options);
}

void summarise(PplResult& result) {
    double sum = 0, beyond = 0;
    for (const PplScore& score : result.scores) {
        sum += double(score.nll);
        if (score.position < kBeyondWindow) continue;
        beyond += double(score.nll);
        ++result.n_beyond_window;
    }
    const double n = double(result.scores.size());
    result.nll_mean = sum / n;
    result.ppl = std::exp(result.nll_mean);
    if (result.n_beyond_window > 0) result.nll_mean_beyond_window = beyond / double(result.n_beyond_window);
    double squares = 0;
    for (const PplScore& score : result.scores)
        squares += (double(score.nll) - result.nll_mean) * (double(score.nll) - result.nll_mean);
    if (n > 1) result.ppl_stderr = result.ppl * std::sqrt(squares / (n - 1) / n);
}

}  // namespace

double negative_log_likelihood(std::span<const float> logits, int target) {
    float top = logits[0];
    for (const float logit : logits) top = logit > top ? logit : top;
    // Terms in single precision err by 1e-7 of themselves. In double they would take a quarter of a small model's time.
    double sum = 0;
    for (const float logit : logits) sum += double(exp_f32(logit - top));
    return log_f64(sum) + double(top) - double(logits[size_t(target)]);
}

Result<PplResult> perplexity(const Model& model, std::span<const int> tokens, const PplOptions& options) {
    auto plan = passes(model.tokenizer(), tokens, options);
    if (!plan) return plan.error();
    int64_t total = 0, done = 0;
    for (const Pass& pass : *plan) total += int64_t(pass.tokens.size()) - 1;

    PplResult result;
    for (const Pass& pass : *plan) {
        auto session = Session::open(model, options.session);
        if (!session) return session.error();
        // The last token has no successor to predict.
        const std::span<const int> to_read = std::span(pass.tokens).first(pass.tokens.size() - 1);
        for (size_t at = 0; at < to_read.size(); at += 64) {
            const auto part = to_read.subspan(at, std::min<size_t>(64, to_read.size() - at));
            const Status read = (*session)->score(part, [&](int64_t position, std::span<const float> logits) {
                if (position < pass.score_from) return;
                result.scores.push_back(
                    {position, float(negative_log_likelihood(logits, pass.tokens[size_t(position) + 1]))});
            });
            if (!read) return read.error();
            done += int64_t(part.size());
            if (options.progress && !options.progress(done, total))
                return Error{ErrorCode::invalid_argument, "stopped"};
        }
        result.kv = (*session)->stats();
    }
    summarise(result);
    return result;
}

}  // namespace strata
