// `strata recall`: can the model still say what it was told so many tokens ago?
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/args.h"
#include "engine/cli/chat_template.h"
#include "engine/cli/commands.h"
#include "engine/cli/model_file.h"
#include "engine/cli/progress.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata recall MODEL --filler novel.txt                    five memories, ages up to 1,536 tokens
  strata recall MODEL --filler novel.txt --ages 512 --kv-list exact,max --questions 1000 --form raw
  strata recall MODEL --filler novel.txt --ages 2000,3000 --kv-list exact,quality,delete:2048
                                                            beyond the trained length of a small model

Facts are planted among prose from the filler, which should be a text that the model was not trained on, and
asked when they are as old as --ages says: tokens from the end of the fact to the answer. A question counts
as answered when greedy decoding writes exactly the value. "raw": statements with the same attribute and
other owners, in prose. "chat": told in the model's chat template, then passages are pasted.
All memories get the same questions. "only exact": answered with the exact memory and not with this one.
Standard errors are between contexts of up to 15 questions; the difference to exact is paired.)";

struct RecallArguments {
    EngineArguments engine;
    std::string filler, dump;
    std::vector<int64_t> ages{128, 256, 512, 1024, 1536};
    std::vector<std::string> policies{"exact", "quality", "balanced", "max", "delete:128"};
    int n_questions = 400;
    uint64_t seed = 1;
    std::string form = "both";
    OutputFormat output = OutputFormat::text;

    std::vector<RecallForm> forms() const {
        if (form == "raw") return {RecallForm::raw};
        if (form == "chat") return {RecallForm::chat};
        return {RecallForm::raw, RecallForm::chat};
    }
};

const char* form_name(RecallForm form) { return form == RecallForm::raw ? "raw" : "chat"; }

// The questions of one form and age, the same for every memory.
struct Part {
    RecallForm form;
    int64_t age;
    std::vector<RecallContext> contexts;

    int64_t n_tokens() const {
        int64_t n = 0;
        for (const RecallContext& context : contexts) n += int64_t(context.tokens.size());
        return n;
    }
};

struct Row {
    std::string policy;
    RecallForm form;
    int64_t age;
    RecallTally tally;
    bool has_reference;
};

Result<std::vector<Part>> make_parts(const Model& model, const RecallArguments& arguments) {
    const auto text = read_text(arguments.filler);
    if (!text) return text.error();
    const Tokenizer& tokenizer = model.tokenizer();
    const RecallFiller filler(tokenizer, tokenizer.encode(*text));
    const ChosenFormat chosen = choose_chat_format(model);
    std::vector<Part> parts;
    for (const RecallForm form : arguments.forms()) {
        if (form == RecallForm::chat) report_fallback(chosen);
        for (const int64_t age : arguments.ages) {
            RecallTask task{form, age, arguments.n_questions, arguments.seed, {}};
            task.encode_turn = [&](bool first, std::string_view message) {
                return encode_turn(*chosen.format, tokenizer, {first, "", message});
            };
            auto contexts = recall_contexts(tokenizer, filler, task);
            if (!contexts)
                return Error{contexts.error().code, "'" + arguments.filler + "': " + contexts.error().message};
            parts.push_back({form, age, std::move(*contexts)});
        }
    }
    return parts;
}

// For other engines: prompt and answer as texts, control tokens written out.
Status dump(const std::string& path, const Tokenizer& tokenizer, const std::vector<Part>& parts) {
    std::ofstream file(path, std::ios::binary);
    for (const Part& part : parts) {
        for (const RecallContext& context : part.contexts) {
            for (const RecallQuestion& question : context.questions) {
                const auto read = std::span(context.tokens).first(size_t(question.asked_at));
                const Json line = {
                    {"form", form_name(part.form)},
                    {"age", question.age()},
                    {"prompt", tokenizer.decode(read, true) + tokenizer.decode(question.question, true)},
                    {"answer", tokenizer.decode(question.answer, true)},
                };
                file << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
            }
        }
    }
    file.close();
    if (!file) return Error{ErrorCode::invalid_argument, "cannot write the questions to '" + path + "'"};
    return Done{};
}

class Examination {
public:
    Examination(const Model& model, const RecallArguments& arguments, const std::vector<Part>& parts)
        : model_(model), arguments_(arguments) {
        for (const Part& part : parts) n_all_ += part.n_tokens() * int64_t(arguments.policies.size());
    }

    // One row for each memory; the exact one, if it is among them, is the reference of the others.
    Result<std::vector<Row>> rows(const Part& part) {
        std::vector<RecallAnswers> answers;
        RecallAnswers reference;
        for (const std::string& policy : arguments_.policies) {
            auto given = answer(part, policy);
            if (!given) return given.error();
            if (policy == kv_preset_name(KvPreset::exact)) reference = *given;
            answers.push_back(std::move(*given));
        }
        std::vector<Row> rows;
        for (size_t i = 0; i < answers.size(); ++i)
            rows.push_back(
                {arguments_.policies[i], part.form, part.age, tally(answers[i], reference), !reference.empty()});
        return rows;
    }

private:
    Result<RecallAnswers> answer(const Part& part, const std::string& policy) {
        SessionOptions options = arguments_.engine.session();
        options.kv = *kv_policy_from_name(policy);
        RecallAnswers answers;
        for (const RecallContext& context : part.contexts) {
            auto given = recall_answers(model_, context, options);
            if (!given) return given.error();
            answers.push_back(std::move(*given));
            n_read_ += int64_t(context.tokens.size());
            progress_.update(n_read_, n_all_);
        }
        return answers;
    }

    const Model& model_;
    const RecallArguments& arguments_;
    int64_t n_read_ = 0, n_all_ = 0;
    Progress progress_{"asking"};
};

Json row_json(const Row& row) {
    const RecallTally& tally = row.tally;
    const auto compared = [&](auto value) { return row.has_reference ? Json(value) : Json(); };
    return {
        {"policy", row.policy},
        {"form", form_name(row.form)},
        {"age", row.age},
        {"n", tally.n},
        {"correct", tally.correct},
        {"accuracy", tally.accuracy.mean},
        {"se", tally.accuracy.se},
        {"n_only_exact", compared(tally.n_only_reference)},
        {"n_only_this", compared(tally.n_only_this)},
        {"diff", compared(tally.difference.mean)},
        {"diff_se", compared(tally.difference.se)},
    };
}

Json to_json(const RecallArguments& arguments, const ModelFile& model, const std::vector<Row>& rows) {
    const BuildInfo build = build_info();
    Json results = Json::array();
    for (const Row& row : rows) results.push_back(row_json(row));
    Json json = {
        {"command", "recall"},
        {"model", file_name(arguments.engine.model)},
        {"model_sha256", sha256(model.bytes())},
        {"filler", file_name(arguments.filler)},
        {"seed", arguments.seed},
        {"results", std::move(results)},
        {"threads", arguments.engine.threads},
        {"simd", build.simd},
        {"commit", build.commit},
    };
    add_distance_clamp(json, arguments.engine.distance_clamp);
    return json;
}

std::string percent(const Estimate& estimate, const char* format) {
    char text[64];
    std::snprintf(text, sizeof text, format, 100 * estimate.mean, 100 * estimate.se);
    return text;
}

void print_row(const Row& row) {
    const RecallTally& tally = row.tally;
    std::printf("%-5s %6lld  %-12s %6lld  %16s", form_name(row.form), static_cast<long long>(row.age),
                row.policy.c_str(), static_cast<long long>(tally.n),
                percent(tally.accuracy, "%5.1f +/- %.1f %%").c_str());
    if (row.has_reference)
        std::printf("  %18s  %6lld %6lld", percent(tally.difference, "%+5.1f +/- %.1f %%").c_str(),
                    static_cast<long long>(tally.n_only_reference), static_cast<long long>(tally.n_only_this));
    std::printf("\n");
    std::fflush(stdout);
}

int run(const RecallArguments& arguments) {
    const auto model = load_model(arguments.engine.model);
    if (!model) return fail(model.error());
    const auto parts = make_parts(*model->model, arguments);
    if (!parts) return fail(parts.error());
    if (!arguments.dump.empty())
        if (const Status written = dump(arguments.dump, model->model->tokenizer(), *parts); !written)
            return fail(written.error());

    const bool as_text = arguments.output == OutputFormat::text;
    if (as_text)
        std::printf("form     age  memory            n          answered     less exact's    only exact, only this\n");
    Examination examination(*model->model, arguments, *parts);
    std::vector<Row> all;
    for (const Part& part : *parts) {
        const auto rows = examination.rows(part);
        if (!rows) return fail(rows.error());
        all.insert(all.end(), rows->begin(), rows->end());
        for (const Row& row : *rows)
            if (as_text) print_row(row);
    }
    if (!as_text) print_json_line(to_json(arguments, *model, all));
    return kExitOk;
}

std::string check_policy(const std::string& name) {
    return kv_policy_from_name(name) ? "" : "'" + name + "' is none of " + kv_policy_names();
}

}  // namespace

Command add_recall(CLI::App& app) {
    auto arguments = std::make_shared<RecallArguments>();
    add_model(app, arguments->engine.model);
    app.add_option("--filler", arguments->filler, "Prose to lie between facts and questions; - is standard input")
        ->required()
        ->type_name("FILE");
    app.add_option("--ages", arguments->ages, "How old the facts are when they are asked, in tokens")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::Range(kLeastRecallAge, 1 << 24))
        ->type_name("N,…")
        ->capture_default_str();
    app.add_option("--questions", arguments->n_questions, "Questions of each form at each age")
        ->check(CLI::Range(1, 1000000))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--kv-list", arguments->policies, "The memories to compare: " + kv_policy_names())
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(check_policy)
        ->type_name("NAME,…")
        ->capture_default_str();
    add_choice<std::string>(app, "--form", arguments->form, {{"raw", "raw"}, {"chat", "chat"}, {"both", "both"}},
                            "See below")
        ->default_str("both");
    app.add_option("-s,--seed", arguments->seed, "The same seed asks the same questions")->capture_default_str();
    add_distance_clamp(app, arguments->engine.distance_clamp);
    add_threads(app, arguments->engine.threads);
    app.add_option("--dump", arguments->dump, "Write the questions as well, one JSON object a line, for other engines")
        ->type_name("FILE");
    add_output(app, arguments->output);
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
