// `strata bench`: how fast tokens are read and written. Same tests and key names as llama-bench, so that its plots
// work.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/cli/args.h"
#include "engine/cli/bench_profile.h"
#include "engine/cli/bench_tokens.h"
#include "engine/cli/commands.h"
#include "engine/cli/model_file.h"
#include "engine/cli/report.h"

namespace strata::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  strata bench MODEL                                  512 tokens read, 128 written
  strata bench MODEL -p 0 -n 64 -d 0,1024,4096        writing, at several depths of memory
  strata bench MODEL -k turbo_kv_4b -v q4_0 --k-window 128 -o md
  strata bench MODEL --profile -d 32,4000 -o jsonl    where the time goes

Decoding is bound by the weights that must be read for each token: "weights GB/s" says how close to the
memory's bandwidth a machine comes.)";

struct BenchArguments {
    EngineArguments engine;
    std::vector<int> n_prompt{512}, n_gen{128}, n_depth{0};
    int repetitions = 5;
    OutputFormat output = OutputFormat::text;
    bool profile = false, by_turns = false;
};

// One test: n_prompt tokens read at once, or n_gen tokens one after the other, behind n_depth tokens.
struct Test {
    int n_prompt, n_gen, n_depth;

    std::string name() const {
        const std::string what = n_prompt > 0 ? "pp" + std::to_string(n_prompt) : "tg" + std::to_string(n_gen);
        return n_depth > 0 ? what + " @ d" + std::to_string(n_depth) : what;
    }
    int n_tokens() const { return n_prompt + n_gen; }
};

std::vector<Test> tests(const BenchArguments& arguments) {
    std::vector<Test> all;
    for (const int depth : arguments.n_depth) {
        for (const int n : arguments.n_prompt)
            if (n > 0) all.push_back({n, 0, depth});
        for (const int n : arguments.n_gen)
            if (n > 0) all.push_back({0, n, depth});
    }
    return all;
}

// A session that has read what lies before the tokens of a test.
Result<std::unique_ptr<Session>> open_before(const Model& model, const SessionOptions& options, const Test& test) {
    auto session = Session::open(model, options);
    if (!session) return session.error();
    if (test.n_depth > 0)
        if (const Status read = (*session)->append(some_tokens(test.n_depth, model.config().n_vocab)); !read)
            return read.error();
    (*session)->begin_turn();
    return session;
}

// Seconds for the tokens of one test.
Result<double> time_once(Session& session, int n_vocab, const Test& test) {
    const std::vector<int> tokens = some_tokens(test.n_tokens(), n_vocab);
    const size_t at_once = test.n_prompt > 0 ? tokens.size() : 1;
    const auto start = std::chrono::steady_clock::now();
    for (size_t at = 0; at < tokens.size(); at += at_once)
        if (const Status read = session.append(std::span(tokens).subspan(at, at_once)); !read) return read.error();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Statistics {
    double mean = 0, deviation = 0;
};

Statistics statistics(const std::vector<double>& samples) {
    Statistics result;
    for (const double sample : samples) result.mean += sample / double(samples.size());
    double squares = 0;
    for (const double sample : samples) squares += (sample - result.mean) * (sample - result.mean);
    if (samples.size() > 1) result.deviation = std::sqrt(squares / double(samples.size() - 1));
    return result;
}

struct Measurement {
    Test test;
    std::vector<double> seconds, speeds;
};

// Waits for a line on standard input; false: there will be none.
bool my_turn() {
    int c = std::getchar();
    while (c != '\n' && c != EOF) c = std::getchar();
    return c == '\n';
}

// What lies before the tokens is read once: each repetition takes its own tokens back.
Result<Measurement> measure(const Model& model, const BenchArguments& arguments, const Test& test) {
    Measurement measured{test, {}, {}};
    std::unique_ptr<Session> session;
    for (int i = 0; i < arguments.repetitions; ++i) {
        if (arguments.by_turns && !my_turn()) return Error{ErrorCode::invalid_argument, "standard input has ended"};
        if (session && test.n_depth > 0) {
            if (const auto back = session->truncate(test.n_depth); !back) return back.error();
        } else {
            auto opened = open_before(model, arguments.engine.session(), test);
            if (!opened) return opened.error();
            session = std::move(*opened);
        }
        const auto seconds = time_once(*session, model.config().n_vocab, test);
        if (!seconds) return seconds.error();
        measured.seconds.push_back(*seconds);
        measured.speeds.push_back(test.n_tokens() / *seconds);
        if (!arguments.by_turns) continue;
        print_json_line({{"sample_ts", measured.speeds.back()}});
        std::fflush(stdout);
    }
    return measured;
}

// What is read from memory for one token. Of an embedding that is not the output head as well, one row: next to
// nothing.
uint64_t weight_bytes_per_token(const Model& model) {
    const GgufTensor* embedding = model.file().tensor("token_embd.weight");
    const bool untied = model.file().tensor("output.weight") != nullptr;
    return model.weight_bytes() - (untied && embedding ? embedding->data.size() : 0);
}

// Only where every token reads all weights anew: a prompt shares them among the positions of a micro-batch.
Json weights_gb_per_s(const Model& model, const Measurement& measured) {
    if (measured.test.n_gen == 0) return {};
    return statistics(measured.speeds).mean * double(weight_bytes_per_token(model)) / 1e9;
}

// What the threads together read of the model's own bytes, at best: the bound of decoding.
double read_gb_per_s(std::span<const uint8_t> bytes, int threads) {
    const size_t words = bytes.size() / 8 / size_t(threads);
    std::vector<uint64_t> sums(static_cast<size_t>(threads));
    double best = 0;
    for (int repetition = 0; repetition < 5; ++repetition) {
        const auto start = std::chrono::steady_clock::now();
        std::vector<std::thread> readers;
        for (int t = 0; t < threads; ++t)
            readers.emplace_back([&, t] {
                const uint8_t* at = bytes.data() + size_t(t) * words * 8;
                uint64_t some[8] = {};
                for (size_t i = 0; i + 8 <= words; i += 8)
                    for (size_t j = 0; j < 8; ++j) {
                        uint64_t word;
                        std::memcpy(&word, at + (i + j) * 8, sizeof word);
                        some[j] ^= word;
                    }
                for (const uint64_t each : some) sums[size_t(t)] ^= each;
            });
        for (std::thread& reader : readers) reader.join();
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        best = std::max(best, double(words) * 8 * threads / seconds / 1e9);
    }
    volatile uint64_t keep = sums[0];  // so that the reading is not optimised away
    (void)keep;
    return best;
}

Json fraction(const Json& part, double whole) { return part.is_null() ? Json{} : Json(part.get<double>() / whole); }

Json to_json(const BenchArguments& arguments, const ModelFile& file, const std::string& hash, double read,
             const Measurement& measured) {
    const BuildInfo build = build_info();
    std::vector<double> nanoseconds;
    for (const double seconds : measured.seconds) nanoseconds.push_back(std::round(seconds * 1e9));
    const KvOptions& kv = arguments.engine.kv;
    const Statistics time = statistics(nanoseconds), speed = statistics(measured.speeds);
    return {
        {"build_commit", build.commit},
        {"simd", build.simd},
        {"model_filename", file_name(arguments.engine.model)},
        {"model_sha256", hash},
        {"model_type", file.model->weight_types()},
        {"model_size", file.model->weight_bytes()},
        {"model_n_params", file.model->n_parameters()},
        {"n_threads", arguments.engine.threads},
        {"n_prompt", measured.test.n_prompt},
        {"n_gen", measured.test.n_gen},
        {"n_depth", measured.test.n_depth},
        {"type_k", kv.preset ? kv_preset_name(*kv.preset) : kv_type_name(kv.key_type)},
        {"type_v", kv.preset ? kv_preset_name(*kv.preset) : kv_type_name(kv.value_type)},
        {"kv", arguments.engine.kv.policy()},
        {"avg_ns", time.mean},
        {"stddev_ns", time.deviation},
        {"avg_ts", speed.mean},
        {"stddev_ts", speed.deviation},
        {"samples_ns", nanoseconds},
        {"samples_ts", measured.speeds},
        {"gb_per_s", weights_gb_per_s(*file.model, measured)},
        {"read_gb_per_s", read},
        {"read_fraction", fraction(weights_gb_per_s(*file.model, measured), read)},
    };
}

void print_row(const Model& model, const BenchArguments& arguments, const Measurement& measured) {
    const Statistics speed = statistics(measured.speeds);
    const Json bandwidth = weights_gb_per_s(model, measured);
    const std::string gb_per_s = bandwidth.is_null() ? "" : fixed(bandwidth.get<double>(), 2);
    const std::string tokens_per_s = fixed(speed.mean, 2) + " ± " + fixed(speed.deviation, 2);
    if (arguments.output == OutputFormat::text) {
        std::printf("%-16s %20s tokens/s%s\n", measured.test.name().c_str(), tokens_per_s.c_str(),
                    gb_per_s.empty() ? "" : (", weights " + gb_per_s + " GB/s").c_str());
    } else {
        std::printf("| %s | %s | %s | %s | %d | %s | %s | %s | %s |\n", file_name(arguments.engine.model).c_str(),
                    size_text(model.weight_bytes()).c_str(),
                    fixed(double(model.n_parameters()) / 1e6, 2).append(" M").c_str(), build_info().simd,
                    arguments.engine.threads, arguments.engine.kv.policy().c_str(), measured.test.name().c_str(),
                    tokens_per_s.c_str(), gb_per_s.c_str());
    }
    std::fflush(stdout);
}

void print_profile_row(const Json& row) {
    const auto number = [&](const char* key, const char* unit) {
        return row.contains(key) ? "  " + fixed(row[key].get<double>(), 1) + unit : "";
    };
    std::printf("%-8s @ d%-6d %-16s %9s ms %5s %%%s%s\n", row["profile"].get<std::string>().c_str(),
                row["n_depth"].get<int>(), row["part"].get<std::string>().c_str(),
                fixed(row["ms"].get<double>(), 3).c_str(), fixed(row["share"].get<double>() * 100, 1).c_str(),
                number("gb_per_s", " GB/s").c_str(), number("gop_per_s", " GOP/s").c_str());
}

int run_profile(const BenchArguments& arguments, const ModelFile& file) {
    for (const int depth : arguments.n_depth) {
        const auto rows = profile(*file.model, arguments.engine.session(), depth, arguments.repetitions);
        if (!rows) return fail(rows.error());
        for (Json row : *rows) {
            row["model_filename"] = file_name(arguments.engine.model);
            row["n_threads"] = arguments.engine.threads;
            row["kv"] = arguments.engine.kv.policy();
            if (arguments.output == OutputFormat::text)
                print_profile_row(row);
            else
                print_json_line(row);
        }
    }
    return kExitOk;
}

int run(const BenchArguments& arguments) {
    const auto file = load_model(arguments.engine.model);
    if (!file) return fail(file.error());
    const Model& model = *file->model;
    // Brings the weights into memory and the processor up to speed.
    if (const auto warm = open_before(model, arguments.engine.session(), {0, 0, 64}); !warm) return fail(warm.error());

    if (arguments.profile) return run_profile(arguments, *file);
    if (arguments.output == OutputFormat::markdown)
        std::printf(
            "| model | size | params | backend | threads | memory | test | t/s | weights GB/s |\n"
            "| --- | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: |\n");
    const bool as_json = arguments.output == OutputFormat::json || arguments.output == OutputFormat::jsonl;
    const std::string hash = as_json && !arguments.by_turns ? sha256(file->bytes()) : "";
    const double read = as_json ? read_gb_per_s(file->bytes(), arguments.engine.threads) : 0;
    Json list = Json::array();
    for (const Test& test : tests(arguments)) {
        const auto measured = measure(model, arguments, test);
        if (!measured) return fail(measured.error());
        if (!as_json)
            print_row(model, arguments, *measured);
        else if (arguments.output == OutputFormat::jsonl)
            print_json_line(to_json(arguments, *file, hash, read, *measured));
        else
            list.push_back(to_json(arguments, *file, hash, read, *measured));
    }
    if (arguments.output == OutputFormat::json) std::printf("%s\n", list.dump(2).c_str());
    return kExitOk;
}

}  // namespace

Command add_bench(CLI::App& app) {
    auto arguments = std::make_shared<BenchArguments>();
    add_engine(app, arguments->engine);
    const auto add_list = [&](const char* flags, std::vector<int>& list, const char* help) {
        app.add_option(flags, list, help)
            ->delimiter(',')
            ->allow_extra_args(false)
            ->check(CLI::Range(0, 1 << 24))
            ->type_name("N,…")
            ->capture_default_str();
    };
    add_list("-p,--n-prompt", arguments->n_prompt, "Tokens to read at once; 0: none");
    add_list("-n,--n-gen", arguments->n_gen, "Tokens to write one by one; 0: none");
    add_list("-d,--n-depth", arguments->n_depth, "Tokens in memory before");
    app.add_option("-r,--repetitions", arguments->repetitions, "How often each test runs")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_flag("--profile", arguments->profile,
                 "Where the time of one micro-batch and of one written token goes, at each depth; as text or, with any "
                 "other output, one JSON object a line");
    app.add_flag("--by-turns", arguments->by_turns,
                 "A repetition for each line of standard input, and a line for each, so that programs can alternate");
    add_choice<OutputFormat>(app, "-o,--output", arguments->output,
                             {{"text", OutputFormat::text},
                              {"json", OutputFormat::json},
                              {"jsonl", OutputFormat::jsonl},
                              {"md", OutputFormat::markdown}},
                             "How results are written")
        ->default_str("text");
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
