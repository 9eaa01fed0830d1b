// What every subcommand is to main.cpp: its arguments, and what it does. One file per subcommand.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>

#include "engine/engine.h"

namespace strata::cli {

struct Command {
    CLI::App* app;                // was it asked for, and with which arguments
    std::function<Status()> run;  // an Error is shown on stderr and ends in kExitBadInput
};

// Exit codes, as `strata --help` documents them.
constexpr int kExitDone = 0, kExitBadInput = 1, kExitUsage = 2;

Command add_generate(CLI::App& strata);
Command add_chat(CLI::App& strata);
Command add_ppl(CLI::App& strata);
Command add_bench(CLI::App& strata);
Command add_inspect(CLI::App& strata);
Command add_tokenize(CLI::App& strata);

}  // namespace strata::cli
