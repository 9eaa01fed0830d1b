// One conversation at the command line: reads a turn, streams the answer to stdout, counts tokens and seconds.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/engine.h"

namespace strata::cli {

// How long the last reading and the last answer took.
struct Timing {
    int64_t n_read = 0, n_written = 0;
    double read_seconds = 0, write_seconds = 0;

    std::string text() const;  // "read 12 tokens at 800/s, wrote 40 at 120/s"
};

enum class Outcome { done, interrupted };

// Appends the tokens, with progress. Ctrl-C (see interrupt.h) takes them back and gives Outcome::interrupted.
Result<Outcome> read_tokens(Session& session, std::span<const int> tokens, Timing& timing);

// Writes an answer to stdout as it is made, and says how it ended; StopReason::none: by Ctrl-C. What was said stays in
// the conversation, a stop text does not. `trim`: without the white space in front.
Result<StopReason> write_answer(Session& session, const GenerationOptions& options, bool trim, Timing& timing);

}  // namespace strata::cli
