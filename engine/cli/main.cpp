// The command line: which subcommand is meant, and the exit code.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/cli/args.h"
#include "engine/cli/commands.h"
#include "engine/engine.h"

namespace strata::cli {
namespace {

constexpr const char* kAbout = R"(Strata runs small language models whose memory fades instead of ending:
recent tokens are kept exact, older ones compressed, none is dropped.)";

constexpr const char* kExamples = R"(
Try:
  strata chat MODEL.gguf                                talk with a model
  strata generate MODEL.gguf -p "Once upon a time"      let it continue a text
  strata ppl MODEL.gguf --text book.txt -k turbo_kv_4b --k-window 128
                                                        what does compressed memory cost?
  strata MODEL.gguf --ppl book.txt -k turbo_kv_4b -j 8 --k-window 128
                                                        the same, as older scripts spell it
  strata kld MODEL.gguf --text book.txt --kv quality    what does it change, position by position?
  strata recall MODEL.gguf --filler book.txt            does it still know what it was told?
  strata bench MODEL.gguf                               how fast is this machine?
  strata inspect MODEL.gguf                             what is in the file?
  strata tokenize MODEL.gguf "How are you?"             how does it read a text?

"strata COMMAND --help" explains a command. Results go to stdout, everything else to stderr.
Exit codes: 0 all is well, 1 a file, a model or the memory is not as needed, 2 the command line is wrong.)";

std::string version() {
    const BuildInfo build = build_info();
    return std::string("strata ") + build.commit + " (" + build.compiler + ", SIMD: " + build.simd + ")";
}

bool is_command(const CLI::App& app, const std::string& name) {
    const auto same = [&](const CLI::App* command) { return command->check_name(name); };
    return !app.get_subcommands(same).empty();
}

// `MODEL --ppl FILE …` is `ppl MODEL --ppl FILE …`.
std::vector<std::string> with_subcommand(std::vector<std::string> arguments, const CLI::App& app) {
    const bool asks_for_ppl = std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
        return argument == "--ppl" || argument.starts_with("--ppl=");
    });
    if (asks_for_ppl && !is_command(app, arguments[0])) arguments.insert(arguments.begin(), "ppl");
    return arguments;
}

int report_no_command(const CLI::App& app, const std::string& name) {
    std::string known;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        known += (known.empty() ? "" : ", ") + command->get_name();
    std::fprintf(stderr, "strata: there is no command \"%s\"; expected %s\n", name.c_str(), known.c_str());
    if (name.ends_with(".gguf")) std::fprintf(stderr, "To talk with this model: strata chat %s\n", name.c_str());
    return kExitUsage;
}

int run(int argc, char** argv) {
    CLI::App app{kAbout, "strata"};
    app.footer(kExamples);
    app.set_version_flag("--version", version());
    app.require_subcommand(1);

    std::vector<std::pair<CLI::App*, Command>> commands;
    const auto add = [&](const char* name, const char* help, Command (*add_options)(CLI::App&)) {
        CLI::App* command = app.add_subcommand(name, help);
        commands.emplace_back(command, add_options(*command));
    };
    add("chat", "Talk with a model", add_chat);
    add("generate", "Let a model continue a text", add_generate);
    add("ppl", "Perplexity of a text: how well a model, with a given memory, predicts it", add_ppl);
    add("kld", "How far a memory's predictions are from those of the exact memory", add_kld);
    add("recall", "Whether a model, with a given memory, still finds what it was told long ago", add_recall);
    add("bench", "Measure the speed of reading and writing tokens", add_bench);
    add("inspect", "Show what a model file holds", add_inspect);
    add("tokenize", "Show the tokens of a text", add_tokenize);

    const auto arguments = with_subcommand({argv + 1, argv + argc}, app);
    if (arguments.empty()) {
        std::fputs(app.help().c_str(), stderr);
        return kExitUsage;
    }
    if (!arguments[0].starts_with("-") && !is_command(app, arguments[0])) return report_no_command(app, arguments[0]);
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // the order that CLI11 wants
    try {
        app.parse(reversed);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitOk : kExitUsage;  // prints help, version or what is wrong
    }
    for (const auto& [command, run_command] : commands)
        if (command->parsed()) return run_command();
    return kExitUsage;
}

}  // namespace
}  // namespace strata::cli

int main(int argc, char** argv) { return strata::cli::run(argc, argv); }
