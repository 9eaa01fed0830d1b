// `strata kld`: how far a memory's predictions are from those of the exact memory.
#include <cstdio>
#include <memory>
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
  strata kld MODEL --text book.txt --kv quality                      the memory in tiers, 4 bits
  strata kld MODEL --text book.txt -k fp16 -v fp16                   the floor: rounding to half precision
  strata kld MODEL --text a.txt --text b.txt --max-tokens 2048 --kv delete:128
                                                                     several texts, as one result

The exact memory (FP32) and the chosen one read each text in lockstep, in one pass from an empty memory. At
each position, KLD is that of the chosen memory's prediction from the exact one's, over the whole
vocabulary, in nats; "same top" says whether both find the same token the likeliest.
All numbers are over query positions from 256 on, whatever the memory: before, one with a window has
forgotten little. By age: query positions in [256, 512), [512, 1024), and so on; a query's position is the
age of the oldest key that it sees. Standard errors take positions for independent.)";

struct KldArguments {
    EngineArguments engine;
    std::vector<std::string> texts;
    std::string scores;
    int64_t max_tokens = 0;  // of each text; 0: all
    bool guard = false;
    OutputFormat output = OutputFormat::text;
};

// All texts, one after the other.
struct Measurement {
    std::vector<KldScore> scores;
    int64_t n_tokens = 0;
    KvStats kv;  // at the end of the last text
    GuardResult guard;
};

Result<Measurement> measure(const Model& model, const KldArguments& arguments) {
    Measurement measured;
    KldOptions options;
    options.session = arguments.engine.session();
    if (arguments.guard) {
        const auto guarded = guard(model, options.session);
        if (!guarded) return guarded.error();
        measured.guard = *guarded;
        options.session.kv.guarded_layers = guarded->guarded_layers;
    }
    for (const std::string& text : arguments.texts) {
        const auto tokens = text_tokens(model.tokenizer(), text, arguments.max_tokens);
        if (!tokens) return tokens.error();
        warn_beyond_trained_length(model.config(), int64_t(tokens->size()));
        Progress progress("comparing");
        options.progress = [&](int64_t done, int64_t total) {
            progress.update(done, total);
            return true;
        };
        const auto result = kl_divergence(model, *tokens, options);
        if (!result) return Error{result.error().code, "'" + text + "': " + result.error().message};
        measured.scores.insert(measured.scores.end(), result->scores.begin(), result->scores.end());
        measured.n_tokens += int64_t(tokens->size());
        measured.kv = result->kv;
    }
    return measured;
}

// Pairs (KLD, NLL difference) of the positions that the numbers are over.
Status write_scores(const std::string& path, const std::vector<KldScore>& scores) {
    std::vector<float> pairs;
    for (const KldScore& score : scores) {
        if (score.position < kBeyondWindow) continue;
        pairs.push_back(float(score.kld));
        pairs.push_back(float(score.nll - score.nll_exact));
    }
    return write_floats(path, pairs);
}

Json names_json(const std::vector<std::string>& texts) {
    if (texts.size() == 1) return file_name(texts[0]);
    Json names = Json::array();
    for (const std::string& text : texts) names.push_back(file_name(text));
    return names;
}

Json buckets_json(const std::vector<KldBucket>& buckets) {
    Json list = Json::array();
    for (const KldBucket& bucket : buckets)
        list.push_back({{"from", bucket.from},
                        {"to", bucket.to},
                        {"n", bucket.n},
                        {"mean_kld", bucket.kld.mean},
                        {"mean_kld_se", bucket.kld.se},
                        {"nll_diff", bucket.nll_difference.mean},
                        {"nll_diff_se", bucket.nll_difference.se}});
    return list;
}

Json to_json(const KldArguments& arguments, const ModelFile& model, const Measurement& measured,
             const KldSummary& summary) {
    const BuildInfo build = build_info();
    Json json = {
        {"command", "kld"},
        {"model", file_name(arguments.engine.model)},
        {"model_sha256", sha256(model.bytes())},
        {"text", names_json(arguments.texts)},
        {"n_tokens", measured.n_tokens},
        {"n_scored", summary.n},
        {"mean_kld", summary.kld.mean},
        {"mean_kld_se", summary.kld.se},
        {"median_kld", summary.median_kld},
        {"p99_kld", summary.p99_kld},
        {"p999_kld", summary.p999_kld},
        {"max_kld", summary.max_kld},
        {"same_top", summary.same_top.mean},
        {"same_top_se", summary.same_top.se},
        {"ppl_exact", summary.ppl_exact},
        {"ppl", summary.ppl},
        {"ppl_ratio", summary.ppl_ratio.mean},
        {"ppl_ratio_se", summary.ppl_ratio.se},
        {"by_age", buckets_json(summary.by_age)},
        {"kv", kv_json(measured.kv)},
        {"threads", arguments.engine.threads},
        {"simd", build.simd},
        {"commit", build.commit},
    };
    add_distance_clamp(json, arguments.engine.distance_clamp);
    if (arguments.guard)
        json["guard"] = {{"kld_without", measured.guard.kld_without},
                         {"kld", measured.guard.kld},
                         {"guarded_layers", measured.guard.guarded_layers}};
    return json;
}

// A KLD may be any power of ten.
std::string short_estimate(const Estimate& estimate) {
    char text[64];
    std::snprintf(text, sizeof text, "%.3g +/- %.2g", estimate.mean, estimate.se);
    return text;
}

void print_text(const Measurement& measured, const KldSummary& summary) {
    std::printf("KLD       mean %s, median %.3g, 99 %% %.3g, 99.9 %% %.3g, max %.3g\n",
                short_estimate(summary.kld).c_str(), summary.median_kld, summary.p99_kld, summary.p999_kld,
                summary.max_kld);
    std::printf("same top  %.2f +/- %.2f %%\n", 100 * summary.same_top.mean, 100 * summary.same_top.se);
    std::printf("PPL       %.4f, exact %.4f: ratio %.5f +/- %.5f\n", summary.ppl, summary.ppl_exact,
                summary.ppl_ratio.mean, summary.ppl_ratio.se);
    std::printf("over %lld positions from %d on\n\n%12s %10s  %-22s %s\n", static_cast<long long>(summary.n),
                kBeyondWindow, "age", "positions", "mean KLD", "NLL difference");
    for (const KldBucket& bucket : summary.by_age)
        std::printf("%5lld - %4lld %10lld  %-22s %+.6f +/- %.6f\n", static_cast<long long>(bucket.from),
                    static_cast<long long>(bucket.to), static_cast<long long>(bucket.n),
                    short_estimate(bucket.kld).c_str(), bucket.nll_difference.mean, bucket.nll_difference.se);
    std::printf("\n%s\n%s", measured.kv.policy.c_str(), kv_text(measured.kv).c_str());
}

int run(const KldArguments& arguments) {
    const auto model = load_model(arguments.engine.model);
    if (!model) return fail(model.error());
    const auto measured = measure(*model->model, arguments);
    if (!measured) return fail(measured.error());
    if (!arguments.scores.empty())
        if (const Status written = write_scores(arguments.scores, measured->scores); !written)
            return fail(written.error());
    const KldSummary summary = summarise(measured->scores);
    if (arguments.output == OutputFormat::jsonl)
        print_json_line(to_json(arguments, *model, *measured, summary));
    else
        print_text(*measured, summary);
    return kExitOk;
}

}  // namespace

Command add_kld(CLI::App& app) {
    auto arguments = std::make_shared<KldArguments>();
    add_model(app, arguments->engine.model);
    app.add_option("-f,--text", arguments->texts, "A text, any bytes; may be repeated: all texts as one result")
        ->required()
        ->allow_extra_args(false)
        ->type_name("FILE");
    add_kv(app, arguments->engine.kv);
    add_distance_clamp(app, arguments->engine.distance_clamp);
    add_threads(app, arguments->engine.threads);
    add_max_tokens(app, arguments->max_tokens, "Read only the first N tokens of each text");
    app.add_flag("--guard", arguments->guard,
                 "First find the layers whose keys this model cannot keep in few bits, and keep those at 8");
    app.add_option("--scores", arguments->scores,
                   "Write two float32 for each scored position: KLD, and NLL less that of the exact memory")
        ->type_name("FILE");
    add_output(app, arguments->output);
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
