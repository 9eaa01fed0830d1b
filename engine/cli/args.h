// The options that several subcommands share, with one meaning everywhere.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/cli/kv_policy.h"
#include "engine/engine.h"

namespace strata::cli {

// Exit codes, the same for every subcommand.
constexpr int kExitOk = 0;
constexpr int kExitWorldIsWrong = 1;  // a file, a model, memory
constexpr int kExitUsage = 2;         // the command line itself

inline int default_threads() { return std::clamp(int(std::thread::hardware_concurrency()), 1, 8); }

inline KvOptions default_kv() {
    KvOptions kv;
    kv.key_type = KvType::fp32;
    kv.value_type = KvType::fp16;
    return kv;
}

// What a subcommand needs in order to open a session.
struct EngineArguments {
    std::string model;
    KvOptions kv = default_kv();
    int threads = default_threads();
    std::optional<int> distance_clamp;

    SessionOptions session() const {
        SessionOptions options;
        options.kv = kv;
        options.threads = threads;
        options.distance_clamp = distance_clamp;
        return options;
    }
};

enum class OutputFormat { text, json, jsonl, markdown };

inline void add_model(CLI::App& app, std::string& model) {
    app.add_option("model,-m,--model", model, "The model: a GGUF file")->required()->type_name("FILE");
}

inline std::map<std::string, KvType> kv_types_by_name() {
    std::map<std::string, KvType> types;
    for (const KvType type : kKvTypes) types.emplace(kv_type_name(type), type);
    return types;
}

// An option whose value is one of `choices`, given by name.
template <class T>
CLI::Option* add_choice(CLI::App& app, const std::string& flags, T& value, const std::map<std::string, T>& choices,
                        const std::string& help) {
    std::string names;
    for (const auto& [name, choice] : choices) names += (names.empty() ? "" : "|") + name;
    const auto parse = [&value, choices, flags, names](const CLI::results_t& given) {
        const auto found = choices.find(given.at(0));
        if (found == choices.end()) throw CLI::ValidationError(flags, "'" + given.at(0) + "' is none of " + names);
        value = found->second;
        return true;
    };
    return app.add_option(flags, parse, help)->type_name(names);
}

// Of commands that print a text for people, or one JSON object.
inline void add_output(CLI::App& app, OutputFormat& output) {
    add_choice<OutputFormat>(app, "-o,--output", output, {{"text", OutputFormat::text}, {"jsonl", OutputFormat::jsonl}},
                             "jsonl: one object")
        ->default_str("text");
}

// 0: all
inline void add_max_tokens(CLI::App& app, int64_t& max_tokens, const std::string& help) {
    app.add_option("--max-tokens", max_tokens, help)->check(CLI::Range(int64_t(1), int64_t(1) << 40))->type_name("N");
}

inline void add_threads(CLI::App& app, int& threads) {
    app.add_option("-j,--threads", threads, "Threads; results do not depend on it")
        ->check(CLI::Range(1, 64))
        ->type_name("N")
        ->capture_default_str();
}

// The rows of other engines, for comparison.
inline std::vector<CLI::Option*> add_kv_rows(CLI::App& app, KvOptions& kv) {
    const auto types = kv_types_by_name();
    const auto add_window = [&](const char* flag, int& window, const char* help) {
        return app.add_option(flag, window, help)->check(CLI::Range(0, 1 << 20))->type_name("N")->capture_default_str();
    };
    return {
        add_choice(app, "-k,--key-type", kv.key_type, types, "Rows: how keys outside the window are kept")
            ->default_str("fp32"),
        add_choice(app, "-v,--value-type", kv.value_type, types, "Rows: how values outside the window are kept")
            ->default_str("fp16"),
        add_window("--k-window", kv.key_window, "Rows: the newest N keys stay exact"),
        add_window("--v-window", kv.value_window, "Rows: the newest N values stay exact"),
    };
}

// --kv stands before --kv-budget, so that it has been read when the budget is.
inline void add_kv(CLI::App& app, KvOptions& kv) {
    const auto read_policy = [&kv](const CLI::results_t& given) {
        const auto policy = kv_policy_from_name(given.at(0));
        if (!policy) throw CLI::ValidationError("--kv", "'" + given.at(0) + "' is none of " + kv_policy_names());
        kv = *policy;
        return true;
    };
    auto* policy = app.add_option("--kv", read_policy,
                                  "The memory: in tiers that fade with age, or (delete:N) one that sees the newest N "
                                  "positions only; instead of -k, -v and their windows")
                       ->type_name(kv_policy_names());
    const auto read_budget = [&kv](const CLI::results_t& given) {
        const auto bytes = bytes_from_text(given.at(0));
        if (!bytes)
            throw CLI::ValidationError("--kv-budget", "'" + given.at(0) + "' is no size: 256MiB, 1GiB, 900MB or bytes");
        if (!kv.preset)
            throw CLI::ValidationError("--kv-budget", "needs a memory in tiers: --kv exact, quality, balanced or max");
        kv.budget_bytes = *bytes;
        return true;
    };
    auto* budget =
        app.add_option("--kv-budget", read_budget, "With --kv: the memory never takes more than this; it gets coarser")
            ->type_name("SIZE");
    for (CLI::Option* rows : add_kv_rows(app, kv)) {
        policy->excludes(rows);
        budget->excludes(rows);
        rows->each([&kv](const std::string&) { kv.preset.reset(); });  // of a command that has one by default
    }
    if (kv.preset) policy->default_str(kv_preset_name(*kv.preset));
}

inline void add_distance_clamp(CLI::App& app, std::optional<int>& distance_clamp) {
    app.add_option("--distance-clamp", distance_clamp,
                   "Past the trained length, keys farther than N look N away; 0: plain RoPE. Default: half that length")
        ->check(CLI::Range(0, 1 << 24))
        ->type_name("N");
}

inline void add_engine(CLI::App& app, EngineArguments& arguments) {
    add_model(app, arguments.model);
    add_kv(app, arguments.kv);
    add_threads(app, arguments.threads);
}

inline void add_sampling(CLI::App& app, GenerationOptions& options) {
    SamplerOptions& sampler = options.sampler;
    app.add_option("-n,--max-tokens", options.max_tokens, "An answer has at most this many tokens")
        ->check(CLI::Range(1, 1 << 30))
        ->capture_default_str();
    app.add_option("--temp", sampler.temperature, "Temperature; 0 always takes the likeliest token")
        ->capture_default_str();
    app.add_option("--top-k", sampler.top_k, "Choose among the K likeliest; 0: all")->capture_default_str();
    app.add_option("--top-p", sampler.top_p, "Choose among the smallest set with this probability; 1: all")
        ->capture_default_str();
    app.add_option("--min-p", sampler.min_p, "Drop tokens below this fraction of the likeliest; 0: none")
        ->capture_default_str();
    app.add_option("--repeat-penalty", sampler.repeat_penalty, "Make recent tokens less likely; 1: off")
        ->capture_default_str();
    app.add_option("--repeat-last-n", sampler.repeat_last_n, "How many recent tokens the penalty covers")
        ->capture_default_str();
    app.add_option("-s,--seed", sampler.seed, "The same seed gives the same answer")->capture_default_str();
    app.add_option("--stop", options.stop, "End the answer before this text; may be repeated")->allow_extra_args(false);
}

}  // namespace strata::cli
