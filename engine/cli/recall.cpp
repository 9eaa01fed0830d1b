// `strata recall`: can the model still say what it was told so many tokens ago?
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/cli/args.h"
#include "engine/cli/chat_template.h"
#include "engine/cli/commands.h"
#include "engine/cli/model_file.h"
#include "engine/cli/progress.h"
#include "engine/cli/recall_file.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata recall MODEL --filler novel.txt                    five memories, ages up to 1,536 tokens
  strata recall MODEL --filler novel.txt --ages 512 --kv-list exact,max --questions 1000 --form raw
  strata recall MODEL --filler novel.txt --dump q.jsonl     and write the questions for other engines
  strata recall MODEL --ask q.jsonl --kv-list quality       ask those questions
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
    std::string filler, questions_file, dump;
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

struct Row {
    std::string policy;
    RecallForm form;
    int64_t age;
    RecallTally tally;
    bool has_reference;
};

using Parts = std::vector<RecallPart>;

Result<Parts> make_parts(const Model& model, const RecallArguments& arguments) {
    if (!arguments.questions_file.empty()) return read_questions(arguments.questions_file, model.tokenizer());
    const auto text = read_text(arguments.filler);
    if (!text) return text.error();
    const Tokenizer& tokenizer = model.tokenizer();
    const RecallFiller filler(tokenizer, tokenizer.encode(*text));
    const ChosenFormat chosen = choose_chat_format(model);
    Parts parts;
    for (const RecallForm form : arguments.forms()) {
        if (form == RecallForm::chat) report_fallback(chosen);
        for (const int64_t age : arguments.ages) {
            RecallTask task{form, age, arguments.n_questions, arguments.seed, {}};
            task.encode_turn = [&](bool first, std::string_view message) {
                return encode_turn(chosen.format, tokenizer, {first, "", message});
            };
            auto contexts = recall_contexts(tokenizer, filler, task);
            if (!contexts)
                return Error{contexts.error().code, "'" + arguments.filler + "': " + contexts.error().message};
            parts.push_back({form, age, std::move(*contexts)});
        }
    }
    return parts;
}

class Examination {
public:
    Examination(const Model& model, const RecallArguments& arguments, const Parts& parts)
        : model_(model), arguments_(arguments) {
        for (const RecallPart& part : parts) n_all_ += part.n_tokens() * int64_t(arguments.policies.size());
    }

    // One row for each memory; the exact one, if it is among them, is the reference of the others.
    Result<std::vector<Row>> rows(const RecallPart& part) {
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
    Result<RecallAnswers> answer(const RecallPart& part, const std::string& policy) {
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
    };
    if (arguments.questions_file.empty()) {
        json["filler"] = file_name(arguments.filler);
        json["seed"] = arguments.seed;
    } else {
        json["questions"] = file_name(arguments.questions_file);
    }
    json["results"] = std::move(results);
    json["threads"] = arguments.engine.threads;
    json["simd"] = build.simd;
    json["commit"] = build.commit;
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
        if (const Status written = write_questions(arguments.dump, model->model->tokenizer(), *parts); !written)
            return fail(written.error());

    const bool as_text = arguments.output == OutputFormat::text;
    if (as_text)
        std::printf("form     age  memory            n          answered     less exact's    only exact, only this\n");
    Examination examination(*model->model, arguments, *parts);
    std::vector<Row> all;
    for (const RecallPart& part : *parts) {
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
    auto* filler =
        app.add_option("--filler", arguments->filler, "Prose to lie between facts and questions; - is standard input")
            ->type_name("FILE");
    auto* file = app.add_option("--ask", arguments->questions_file,
                                "Ask the questions of a file, as --dump writes it, instead of making some")
                     ->excludes(filler)
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
    app.callback([filler, file] {
        if (filler->count() + file->count() == 0)
            throw CLI::ValidationError("give --filler, to make questions from, or --ask, to read them");
    });
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
