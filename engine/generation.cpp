#include <algorithm>

#include "engine/session.h"

namespace strata {

namespace {

// Where in `text` the first of the stop texts begins; npos: nowhere.
size_t find_stop(const std::string& text, const std::vector<std::string>& stops) {
    size_t first = std::string::npos;
    for (const std::string& stop : stops)
        if (!stop.empty()) first = std::min(first, text.find(stop));
    return first;
}

// How many bytes at the end of `text` may be the beginning of a stop text.
size_t possible_stop(const std::string& text, const std::vector<std::string>& stops) {
    size_t longest = 0;
    for (const std::string& stop : stops)
        for (size_t n = std::min(stop.size(), text.size()); n > longest; --n)
            if (text.compare(text.size() - n, n, stop, 0, n) == 0) longest = n;
    return longest;
}

}  // namespace

const char* stop_reason_name(StopReason reason) {
    switch (reason) {
        case StopReason::none:
            return "none";
        case StopReason::end_of_turn:
            return "end_of_turn";
        case StopReason::stop_text:
            return "stop_text";
        case StopReason::max_tokens:
            return "max_tokens";
    }
    return "unknown";
}

Result<Generation> Generation::start(Session& session, const GenerationOptions& options) {
    if (session.logits().empty())
        return Error{ErrorCode::invalid_argument,
                     "there is nothing to continue: the prompt is empty. Say something first"};
    if (options.max_tokens < 1)
        return Error{ErrorCode::invalid_argument,
                     "max_tokens is " + std::to_string(options.max_tokens) + "; expected at least 1"};
    auto sampler = Sampler::create(options.sampler);
    if (!sampler) return sampler.error();
    const auto history = session.tokens();
    const size_t n = std::min(history.size(), size_t(options.sampler.repeat_last_n));
    for (const int token : history.last(n)) sampler->accept(token);
    return Generation(session, options, std::move(*sampler));
}

Generation::Generation(Session& session, const GenerationOptions& options, Sampler sampler)
    : session_(&session), options_(options), sampler_(std::move(sampler)) {}

Result<Generation::Step> Generation::step() {
    Step step;
    const Tokenizer& tokenizer = session_->model().tokenizer();
    sampler_.seek(uint64_t(session_->position()));
    step.token = sampler_.sample(session_->logits());
    if (options_.stop_at_end_of_generation && tokenizer.is_end_of_generation(step.token)) {
        step.stop = StopReason::end_of_turn;
        step.text = held_ + utf8_.finish();
        return step;
    }
    if (const Status appended = session_->append({&step.token, 1}); !appended) return appended.error();
    sampler_.accept(step.token);
    ++n_generated_;
    held_ += utf8_.push(tokenizer.piece(step.token));
    if (const size_t at = find_stop(held_, options_.stop); at != std::string::npos) {
        step.stop = StopReason::stop_text;
        step.text = held_.substr(0, at);
    } else if (n_generated_ >= options_.max_tokens) {
        step.stop = StopReason::max_tokens;
        step.text = held_ + utf8_.finish();
    } else {
        const size_t ready = held_.size() - possible_stop(held_, options_.stop);
        step.text = held_.substr(0, ready);
        held_.erase(0, ready);
    }
    return step;
}

}  // namespace strata
