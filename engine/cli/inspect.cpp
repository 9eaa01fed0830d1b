// `strata inspect`: what a model file holds, and what a conversation with it will need.
#include <cstdio>
#include <map>
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
  strata inspect MODEL              metadata, shape, weights by type, memory per token
  strata inspect MODEL --tensors    every tensor as well)";

struct InspectArguments {
    std::string model;
    bool tensors = false;
};

void print_metadata(const GgufFile& file) {
    std::printf("GGUF version %u, %zu tensors, %zu metadata entries\n\nMetadata\n", file.version(),
                file.tensors().size(), file.metadata().size());
    for (const auto& [key, value] : file.metadata())
        std::printf("  %s = %s\n", printable(key, 200).c_str(), printable(GgufFile::to_text(value), 160).c_str());
}

void print_tensors(const GgufFile& file) {
    std::printf("\nTensors\n");
    for (const GgufTensor& tensor : file.tensors()) {
        std::string shape;
        for (const uint64_t extent : tensor.shape) shape += (shape.empty() ? "" : " x ") + std::to_string(extent);
        std::printf("  %-32s %-6s %s\n", printable(tensor.name, 200).c_str(), tensor_traits(tensor.type).name,
                    shape.c_str());
    }
}

void print_weights_by_type(const GgufFile& file) {
    struct Sum {
        int tensors = 0;
        uint64_t bytes = 0, values = 0;
    };
    std::map<std::string, Sum> sums;
    for (const GgufTensor& tensor : file.tensors()) {
        Sum& sum = sums[tensor_traits(tensor.type).name];
        ++sum.tensors;
        sum.bytes += tensor.data.size();
        sum.values += tensor.n_elements();
    }
    std::printf("\nWeights by type\n");
    for (const auto& [type, sum] : sums)
        std::printf("  %-6s %4d tensors, %s values, %s\n", type.c_str(), sum.tensors,
                    std::to_string(sum.values).c_str(), size_text(sum.bytes).c_str());
}

void print_shape(const Model& model) {
    const ModelConfig& config = model.config();
    std::printf("\nShape\n");
    std::printf("  architecture      %s\n", config.architecture.c_str());
    std::printf("  parameters        %.2f M\n", double(model.n_parameters()) / 1e6);
    std::printf("  layers            %d\n", config.n_layers);
    std::printf("  width             %d, feed-forward %d\n", config.d_model, config.d_ffn);
    std::printf("  heads             %d query, %d key/value, of %d dimensions\n", config.n_heads, config.n_kv_heads,
                config.head_dim);
    std::printf("  vocabulary        %d tokens\n", config.n_vocab);
    std::printf("  trained length    %d tokens\n", config.trained_length);
    std::printf("  RoPE              theta %g, %d dimensions\n", config.rope.theta, config.rope_dim);
    std::printf("  chat template     %s\n", model.chat_template() ? "yes" : "none");
}

// Asks a session with one token in it, so that the numbers are the cache's own.
Result<KvTier> tier_of_one_token(const Model& model, KvType keys, KvType values) {
    SessionOptions options;
    options.kv = {keys, values, 0, 0};
    auto session = Session::open(model, options);
    if (!session) return session.error();
    const int token = 0;
    if (const Status read = (*session)->append({&token, 1}); !read) return read.error();
    return (*session)->stats().tiers.at(0);
}

std::string bytes_per_token(const ModelConfig& config, double bits) {
    return fixed(double(config.n_layers) * config.n_kv_heads * config.head_dim * bits / 8, 0);
}

void print_plan(const MemoryPlan& plan) {
    std::printf("\nMemory: weights %s, working memory about %s, the newest tokens %s\n  %-12s %16s %22s\n",
                size_text(plan.weight_bytes).c_str(), size_text(plan.working_bytes).c_str(),
                size_text(plan.window_bytes).c_str(), "preset", "bytes per token", "tokens that fit a tab");
    for (const KvPreset preset : kKvPresets) {
        const auto& bytes = plan.bytes_per_token[size_t(preset)];
        std::printf("  %-12s %16s %22s\n", kv_preset_name(preset), bytes ? fixed(bytes->global, 0).c_str() : "-",
                    bytes ? std::to_string(plan.tokens_within(preset, kTabBytes)).c_str() : "-");
    }
    const KvShape shape = plan.config.kv_shape();
    if (shape.n_windowed() == 0) return;
    const auto& quality = plan.bytes_per_token[size_t(KvPreset::quality)];
    std::printf("  %d of %d layers see the last %d tokens only, and take at most %s more (quality)\n",
                shape.n_windowed(), shape.n_layers, shape.window,
                quality ? size_text(uint64_t(quality->windowed * double(plan.windowed_tokens))).c_str() : "-");
}

void print_memory(const Model& model) {
    std::printf(
        "\nMemory of a conversation in the formats of other engines, bytes per token outside the window\n  %-12s %10s "
        "%10s\n",
        "type", "keys", "values");
    for (const KvType type : kKvTypes) {
        const auto keys = tier_of_one_token(model, type, KvType::fp16),
                   values = tier_of_one_token(model, KvType::fp16, type);
        std::printf("  %-12s %10s %10s\n", kv_type_name(type),
                    keys ? bytes_per_token(model.config(), keys->key_bits).c_str() : "-",
                    values ? bytes_per_token(model.config(), values->value_bits).c_str() : "-");
    }
    std::printf("  Within the window: %s bytes per token for keys, as many for values, as in fp32.\n",
                bytes_per_token(model.config(), 32).c_str());
}

int run(const InspectArguments& arguments) {
    const auto mapped = MappedFile::open(arguments.model);
    if (!mapped) return fail(mapped.error());
    const auto file = GgufFile::open(mapped->bytes());
    if (!file) return fail({file.error().code, "'" + arguments.model + "': " + file.error().message});
    print_metadata(*file);
    if (arguments.tensors) print_tensors(*file);
    if (!file->tensors().empty()) print_weights_by_type(*file);
    const auto model = Model::open(mapped->bytes());
    if (!model) {
        note("this file cannot be run: " + model.error().message);
        return kExitOk;
    }
    print_shape(**model);
    const uint64_t size = mapped->bytes().size();
    const auto plan = plan_memory(mapped->bytes(), size, size);
    if (plan) print_plan(*plan);
    print_memory(**model);
    return kExitOk;
}

}  // namespace

Command add_inspect(CLI::App& app) {
    auto arguments = std::make_shared<InspectArguments>();
    add_model(app, arguments->model);
    app.add_flag("--tensors", arguments->tensors, "List every tensor");
    app.footer(kExamples);
    return [arguments] { return run(*arguments); };
}

}  // namespace strata::cli
