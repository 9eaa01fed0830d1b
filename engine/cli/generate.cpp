// `strata generate`: a model continues a text, or answers one message.
#include <cstdio>
#include <memory>
#include <string>

#include "engine/cli/args.h"
#include "engine/cli/chat_template.h"
#include "engine/cli/commands.h"
#include "engine/cli/conversation.h"
#include "engine/cli/model_file.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata generate MODEL -p "Once upon a time" -n 200        continue a text
  strata generate MODEL --chat -p "Who are you?"            answer a message, in the model's chat template
  strata generate MODEL --prompt-file notes.txt --temp 0    the likeliest continuation of a file
  strata generate MODEL -p "Tell me" -k turbo_kv_4b -v q4_0 --k-window 128

Only the answer goes to stdout.)";

struct GenerateArguments {
    EngineArguments engine;
    GenerationOptions generation;
    std::string prompt, prompt_file, system;
    bool chat = false;
};

std::vector<int> prompt_tokens(const Tokenizer& tokenizer, const std::string& prompt) {
    return tokenizer.with_bos(tokenizer.encode(prompt));
}

int run(GenerateArguments arguments) {
    const auto file = load_model(arguments.engine.model);
    if (!file) return fail(file.error());
    const Model& model = *file->model;
    const auto prompt =
        arguments.prompt_file.empty() ? Result<std::string>(arguments.prompt) : read_text(arguments.prompt_file);
    if (!prompt) return fail(prompt.error());
    if (prompt->empty())
        return fail({ErrorCode::invalid_argument, "the prompt is empty: there is nothing to continue"});

    std::vector<int> tokens;
    if (arguments.chat) {
        const ChosenFormat chosen = choose_chat_format(model);
        report_fallback(chosen);
        if (!chosen.format.stop.empty()) arguments.generation.stop.push_back(chosen.format.stop);
        tokens = encode_turn(chosen.format, model.tokenizer(), {true, arguments.system, *prompt});
    } else {
        tokens = prompt_tokens(model.tokenizer(), *prompt);
    }

    auto session = Session::open(model, arguments.engine.session());
    if (!session) return fail(session.error());
    Timing timing;
    const auto read = read_tokens(**session, tokens, timing);
    if (!read) return fail(read.error());
    const auto written = write_answer(**session, arguments.generation, arguments.chat, timing);
    if (!written) return fail(written.error());
    std::printf("\n");
    std::fflush(stdout);
    note(timing.text());
    return kExitOk;
}

}  // namespace

Command add_generate(CLI::App& app) {
    auto arguments = std::make_shared<GenerateArguments>();
    add_model(app, arguments->engine.model);
    auto* prompt = app.add_option("-p,--prompt", arguments->prompt, "The text to continue");
    auto* file = app.add_option("-f,--prompt-file", arguments->prompt_file, "Take it from a file; - is standard input")
                     ->type_name("FILE");
    auto* chat = app.add_flag("--chat", arguments->chat, "The prompt is a message: answer it");
    app.add_option("--system", arguments->system, "System prompt")->needs(chat);
    add_sampling(app, arguments->generation);
    arguments->engine.kv.preset = KvPreset::quality;  // as in the page
    add_kv(app, arguments->engine.kv);
    add_threads(app, arguments->engine.threads);
    app.footer(kExamples);
    app.callback([prompt, file] {
        if ((prompt->count() > 0) == (file->count() > 0))
            throw CLI::ValidationError("give either --prompt or --prompt-file");
    });
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
