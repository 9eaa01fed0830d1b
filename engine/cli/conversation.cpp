#include "engine/cli/conversation.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "engine/cli/interrupt.h"
#include "engine/cli/progress.h"
#include "engine/cli/report.h"

namespace strata::cli {

namespace {

class Stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string rate(int64_t tokens, double seconds) { return seconds > 0 ? fixed(double(tokens) / seconds, 0) : "-"; }

// Forgets what came after `position`.
Status take_back(Session& session, int64_t position) {
    const auto exact = session.truncate(position);
    if (!exact) return exact.error();
    if (!*exact) note("some of what was exact before is now remembered in its compressed form");
    return Done{};
}

// The tokens that spell a stop text are no part of the answer that began at position `begin`.
Status forget_stop_text(Session& session, int64_t begin, const std::vector<std::string>& stops) {
    const auto answer = session.tokens().subspan(size_t(begin));
    const auto holds_stop = [&](size_t n) {
        const std::string text = session.model().tokenizer().decode(answer.first(n));
        return std::any_of(stops.begin(), stops.end(), [&](const std::string& stop) {
            return !stop.empty() && text.find(stop) != std::string::npos;
        });
    };
    size_t n = answer.size();
    while (n > 0 && holds_stop(n)) --n;
    return take_back(session, begin + int64_t(n));
}

class AnswerPrinter {
public:
    explicit AnswerPrinter(bool trim) : trim_(trim), terminal_(is_terminal(STDOUT_FILENO)) {}

    void print(std::string text) {
        if (trim_) text.erase(0, std::min(text.find_first_not_of(" \n\t"), text.size()));
        if (text.empty()) return;
        trim_ = false;
        const std::string shown = terminal_ ? terminal_safe(text) : text;
        std::fwrite(shown.data(), 1, shown.size(), stdout);
        std::fflush(stdout);
    }

private:
    bool trim_, terminal_;
};

}  // namespace

std::string Timing::text() const {
    return "read " + std::to_string(n_read) + " tokens at " + rate(n_read, read_seconds) + "/s, wrote " +
           std::to_string(n_written) + " at " + rate(n_written, write_seconds) + "/s";
}

Result<Outcome> read_tokens(Session& session, std::span<const int> tokens, Timing& timing) {
    constexpr size_t kPart = 64;  // how much is read between two looks at Ctrl-C
    const Stopwatch watch;
    const int64_t before = session.position();
    Progress progress("reading");
    for (size_t at = 0; at < tokens.size(); at += kPart) {
        if (interrupted()) {
            if (const Status forgotten = take_back(session, before); !forgotten) return forgotten.error();
            return Outcome::interrupted;
        }
        const auto part = tokens.subspan(at, std::min(kPart, tokens.size() - at));
        if (const Status read = session.append(part); !read) {
            const Status forgotten = take_back(session, before);  // what went wrong first is what matters
            return forgotten ? read.error() : forgotten.error();
        }
        progress.update(int64_t(at + part.size()), int64_t(tokens.size()));
    }
    timing.n_read = int64_t(tokens.size());
    timing.read_seconds = watch.seconds();
    return Outcome::done;
}

Result<StopReason> write_answer(Session& session, const GenerationOptions& options, bool trim, Timing& timing) {
    const int64_t begin = session.position();
    auto generation = Generation::start(session, options);
    if (!generation) return generation.error();
    const Stopwatch watch;
    AnswerPrinter printer(trim);
    StopReason reason = StopReason::none;
    while (reason == StopReason::none && !interrupted()) {
        const auto step = generation->step();
        if (!step) return step.error();
        printer.print(step->text);
        reason = step->stop;
    }
    timing.n_written = generation->n_generated();
    timing.write_seconds = watch.seconds();
    if (reason != StopReason::stop_text) return reason;
    const Status forgotten = forget_stop_text(session, begin, options.stop);
    return forgotten ? Result<StopReason>(reason) : forgotten.error();
}

}  // namespace strata::cli
