// The subcommands. Each adds its options to the command line, and returns what runs it and gives the exit code.
#pragma once
#include <functional>

#include <CLI/CLI.hpp>

namespace strata::cli {

using Command = std::function<int()>;

Command add_generate(CLI::App& app);
Command add_chat(CLI::App& app);
Command add_ppl(CLI::App& app);
Command add_kld(CLI::App& app);
Command add_recall(CLI::App& app);
Command add_bench(CLI::App& app);
Command add_inspect(CLI::App& app);
Command add_tokenize(CLI::App& app);

}  // namespace strata::cli
