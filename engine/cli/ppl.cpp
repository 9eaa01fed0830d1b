// `strata ppl`: what a way of remembering costs, measured as perplexity of a text.
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/args.h"
#include "engine/cli/commands.h"
#include "engine/cli/model_file.h"
#include "engine/cli/progress.h"
#include "engine/cli/report.h"
#include "engine/cli/scored_text.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata ppl MODEL --text book.txt -k fp32 -v fp32              the exact memory, to compare with
  strata ppl MODEL --text book.txt -k turbo_kv_4b --k-window 128
  strata ppl MODEL --text book.txt --protocol chunks --ctx 512  as llama-perplexity does it
  strata ppl MODEL --text book.txt --protocol chunks --ctx 192 --stride 64
                                                                with 128 to 191 tokens of context, no more
  strata ppl MODEL --text book.txt --kv quality --max-tokens 10000 --last 500
                                                                the newest 500 of 10,000 tokens

Protocols: "single" reads the whole text in one pass and scores every token; "chunks" reads disjoint chunks
of --ctx tokens, each from an empty memory, and scores the second half of each; with --stride N, a chunk
begins every N tokens and its last N tokens are scored.
To compare two settings, write --scores with each and look at the paired differences: they are far more
certain than the two perplexities themselves.)";

struct PplArguments {
    EngineArguments engine;
    std::string text, scores;
    PplProtocol protocol = PplProtocol::single;
    std::optional<int> n_ctx;  // only chunks need it
    int stride = 0;
    int64_t max_tokens = 0;  // 0: all
    int64_t from = 0, last = 0;
    OutputFormat output = OutputFormat::text;
};

int chunk_length(const PplArguments& arguments) { return arguments.n_ctx.value_or(PplOptions{}.n_ctx); }

Status write_scores(const std::string& path, const PplResult& result) {
    std::vector<float> nll;
    for (const PplScore& score : result.scores) nll.push_back(score.nll);
    return write_floats(path, nll);
}

struct Measurement {
    PplResult result;
    size_t n_tokens;
    double seconds, tokens_per_second;
};

Json to_json(const PplArguments& arguments, const ModelFile& model, const Measurement& measured) {
    const PplResult& result = measured.result;
    const BuildInfo build = build_info();
    const bool beyond = result.n_beyond_window > 0;
    Json json = {
        {"command", "ppl"},
        {"model", file_name(arguments.engine.model)},
        {"model_sha256", sha256(model.bytes())},
        {"text", file_name(arguments.text)},
        {"n_tokens", measured.n_tokens},
        {"n_scored", result.scores.size()},
        {"ppl", result.ppl},
        {"ppl_stderr", result.ppl_stderr},
        {"nll_mean", result.nll_mean},
        {"beyond_window",
         {{"n_scored", result.n_beyond_window}, {"nll_mean", beyond ? Json(result.nll_mean_beyond_window) : Json()}}},
        {"kv", kv_json(result.kv)},
        {"prefill_tok_per_s", measured.tokens_per_second},
        {"seconds", measured.seconds},
        {"threads", arguments.engine.threads},
        {"simd", build.simd},
        {"commit", build.commit},
    };
    // Only where they were asked for: scripts read the keys above.
    if (arguments.from > 0) json["from"] = arguments.from;
    if (arguments.last > 0) json["last"] = arguments.last;
    if (arguments.stride > 0) json["stride"] = arguments.stride;
    add_distance_clamp(json, arguments.engine.distance_clamp);
    return json;
}

void print_text(const Measurement& measured) {
    const PplResult& result = measured.result;
    std::printf("PPL %.4f +/- %.4f over %zu scored tokens (mean NLL %.6f)\n", result.ppl, result.ppl_stderr,
                result.scores.size(), result.nll_mean);
    if (result.n_beyond_window > 0)
        std::printf("from position %d on: mean NLL %.6f over %lld tokens\n", kBeyondWindow,
                    result.nll_mean_beyond_window, static_cast<long long>(result.n_beyond_window));
    std::printf("%s\n%s", result.kv.policy.c_str(), kv_text(result.kv).c_str());
    std::printf("%.1f s, %.0f tokens/s\n", measured.seconds, measured.tokens_per_second);
}

int run(const PplArguments& arguments) {
    const auto model = load_model(arguments.engine.model);
    if (!model) return fail(model.error());
    const auto tokens = text_tokens(model->model->tokenizer(), arguments.text, arguments.max_tokens);
    if (!tokens) return fail(tokens.error());
    const bool single = arguments.protocol == PplProtocol::single;
    warn_beyond_trained_length(model->model->config(), single ? int64_t(tokens->size()) : chunk_length(arguments));

    PplOptions options;
    options.protocol = arguments.protocol;
    options.n_ctx = chunk_length(arguments);
    options.stride = arguments.stride;
    if (arguments.n_ctx && single)
        note("--ctx is the length of a chunk; the single protocol reads the whole text in one pass");
    options.from = arguments.from;
    options.last = arguments.last;
    options.session = arguments.engine.session();
    int64_t n_read = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto result = [&] {
        Progress progress("scoring");
        options.progress = [&](int64_t done, int64_t total) {
            n_read = done;
            progress.update(done, total);
            return true;
        };
        return perplexity(*model->model, *tokens, options);
    }();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!result) return fail(result.error());
    if (!arguments.scores.empty())
        if (const Status written = write_scores(arguments.scores, *result); !written) return fail(written.error());

    const Measurement measured{*result, tokens->size(), seconds, double(n_read) / seconds};
    if (arguments.output == OutputFormat::jsonl)
        print_json_line(to_json(arguments, *model, measured));
    else
        print_text(measured);
    return kExitOk;
}

}  // namespace

Command add_ppl(CLI::App& app) {
    auto arguments = std::make_shared<PplArguments>();
    add_model(app, arguments->engine.model);
    app.add_option("-f,--text,--ppl", arguments->text, "The text, any bytes; - is standard input")
        ->required()
        ->type_name("FILE");
    add_choice<PplProtocol>(app, "--protocol", arguments->protocol,
                            {{"single", PplProtocol::single}, {"chunks", PplProtocol::chunks}}, "See below")
        ->default_str("single");
    app.add_option("-c,--ctx", arguments->n_ctx, "Tokens of a chunk; with --protocol single it changes nothing")
        ->check(CLI::Range(4, 1 << 24))
        ->type_name("N")
        ->default_str(std::to_string(PplOptions{}.n_ctx));
    app.add_option("--stride", arguments->stride,
                   "Chunks protocol: how far apart they begin, and what is scored of each")
        ->check(CLI::Range(1, 1 << 24))
        ->type_name("N");
    add_kv(app, arguments->engine.kv);
    add_distance_clamp(app, arguments->engine.distance_clamp);
    add_threads(app, arguments->engine.threads);
    add_max_tokens(app, arguments->max_tokens, "Score only the first N tokens of the text");
    app.add_option("--from", arguments->from, "Single protocol: score only query positions from N on")
        ->check(CLI::Range(int64_t(0), int64_t(1) << 40))
        ->type_name("N");
    app.add_option("--last", arguments->last, "Single protocol: score only the last N tokens")
        ->check(CLI::Range(int64_t(1), int64_t(1) << 40))
        ->type_name("N");
    app.add_option("--scores", arguments->scores, "Write the NLL of every scored token: float32, nothing else")
        ->type_name("FILE");
    add_output(app, arguments->output);
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
