// The command line: picks the subcommand, shows errors, and turns them into exit codes.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "engine/cli/command.h"

namespace {

using namespace strata::cli;

constexpr const char* kExamples = R"(Examples:
  strata chat model.gguf                               talk with a model; /help inside
  strata generate model.gguf -p "Once upon a time"     continue a text
  strata ppl model.gguf --text book.txt -k turbo_kv_4b --k-window 128
                                                       what compressed memory costs in quality
  strata bench model.gguf -p 512 -n 128 -d 0,1024      speed, reading and writing
  strata inspect model.gguf                            what is in the file, and memory per token
  strata tokenize model.gguf -t "Hello there"          ids and pieces

`strata COMMAND --help` explains each. Results go to stdout, everything else to stderr.
Exit codes: 0 done, 1 the input or the machine did not allow it, 2 wrong usage.)";

std::string version() {
    const strata::BuildInfo build = strata::build_info();
    return std::string("strata\ncommit   ") + build.commit + "\ncompiler " + build.compiler + "\nSIMD     " + build.simd;
}

// `strata MODEL --ppl FILE …`, the command of the project that published progressive KV compression first, is
// `strata ppl MODEL --ppl FILE …`.
std::vector<std::string> arguments(int argc, char** argv, const CLI::App& strata) {
    std::vector<std::string> args(argv + 1, argv + argc);
    const auto asks_for_ppl = [](std::string_view arg) { return arg == "--ppl" || arg.substr(0, 6) == "--ppl="; };
    const bool names_command = !args.empty() && strata.get_subcommand_no_throw(args[0]) != nullptr;
    if (!names_command && std::any_of(args.begin(), args.end(), asks_for_ppl)) args.insert(args.begin(), "ppl");
    std::reverse(args.begin(), args.end());  // the order that CLI::App::parse wants
    return args;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App strata("Strata runs a language model whose memory is compressed with age and never dropped.", "strata");
    strata.set_version_flag("--version", version, "Show commit, compiler and SIMD backend");
    strata.set_help_flag("-h,--help", "Show this help");
    strata.footer(kExamples);
    strata.require_subcommand(1);
    const Command commands[] = {add_chat(strata),  add_generate(strata), add_ppl(strata),
                                add_bench(strata), add_inspect(strata),  add_tokenize(strata)};
    if (argc == 1) {
        std::fputs(strata.help().c_str(), stderr);
        return kExitUsage;
    }
    try {
        strata.parse(arguments(argc, argv, strata));
    } catch (const CLI::ParseError& error) {  // also --help and --version, which are no errors
        return strata.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    for (const Command& command : commands) {
        if (!command.app->parsed()) continue;
        const strata::Status done = command.run();
        if (done) return kExitDone;
        std::fprintf(stderr, "strata %s: %s\n", command.app->get_name().c_str(), done.error().message.c_str());
        return kExitBadInput;
    }
    return kExitUsage;
}
