// `strata tokenize`: the tokens of a text, as a model's own vocabulary cuts it. Needs no weights.
#include <cstdio>
#include <memory>
#include <string>

#include "engine/cli/args.h"
#include "engine/cli/commands.h"
#include "engine/cli/model_file.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata tokenize MODEL "How are you?"              one line for each token: id, piece
  strata tokenize MODEL --file book.txt -o jsonl    one object with ids and pieces
  strata tokenize MODEL --special "<|im_end|>"      control tokens are recognised, as in a chat template

No BOS is added. The model may be a file that holds a vocabulary and no weights.)";

struct TokenizeArguments {
    std::string model, text, file;
    bool special = false;
    OutputFormat output = OutputFormat::text;
};

int run(const TokenizeArguments& arguments) {
    const auto file = MappedFile::open(arguments.model);
    if (!file) return fail(file.error());
    const auto gguf = GgufFile::open(file->bytes());
    if (!gguf) return fail({gguf.error().code, "'" + arguments.model + "': " + gguf.error().message});
    const auto tokenizer = open_tokenizer(*gguf);
    if (!tokenizer) return fail({tokenizer.error().code, "'" + arguments.model + "': " + tokenizer.error().message});
    const auto text = arguments.file.empty() ? Result<std::string>(arguments.text) : read_text(arguments.file);
    if (!text) return fail(text.error());

    const auto ids = tokenizer->encode(*text, arguments.special ? SpecialTokens::parse : SpecialTokens::as_text);
    if (arguments.output == OutputFormat::jsonl) {
        Json pieces = Json::array();
        for (const int id : ids) pieces.push_back(tokenizer->piece(id, true));
        print_json_line(
            {{"command", "tokenize"}, {"n_tokens", ids.size()}, {"ids", ids}, {"pieces", std::move(pieces)}});
        return kExitOk;
    }
    for (const int id : ids) std::printf("%6d  %s\n", id, printable(tokenizer->piece(id, true), 1000).c_str());
    note(std::to_string(ids.size()) + " tokens for " + std::to_string(text->size()) + " bytes");
    return kExitOk;
}

}  // namespace

Command add_tokenize(CLI::App& app) {
    auto arguments = std::make_shared<TokenizeArguments>();
    add_model(app, arguments->model);
    auto* text = app.add_option("text", arguments->text, "The text");
    auto* file = app.add_option("-f,--file", arguments->file, "Take the text from a file; - is standard input")
                     ->type_name("FILE");
    app.add_flag("--special", arguments->special, "Recognise control tokens in the text");
    add_output(app, arguments->output);
    app.footer(kExamples);
    app.callback([text, file] {
        if ((text->count() > 0) == (file->count() > 0)) throw CLI::ValidationError("give either a text or --file");
    });
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
