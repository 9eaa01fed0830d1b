// What sealing and demoting cost: decoding token by token around 4,000 positions, the time of the steps at which a tile
// begins (and others are sealed and demoted) against the rest. Without a budget, and with one that binds.
//   sealing_cost MODEL
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "engine/engine.h"

namespace {

using namespace strata;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// Share of the decoding time, in percent.
void measure(const Model& model, uint64_t budget_bytes) {
    SessionOptions options;
    options.kv.preset = KvPreset::quality;
    options.kv.budget_bytes = budget_bytes;
    options.threads = 1;
    auto session = Session::open(model, options);
    if (!session) return (void)std::puts(session.error().message.c_str());
    std::vector<int> tokens(3840);
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = int(i * 7919 % size_t(model.config().n_vocab));
    if (const Status read = (*session)->append(tokens); !read) return (void)std::puts(read.error().message.c_str());
    std::vector<double> border, inside;
    for (int i = 0; i < 640; ++i) {
        const bool begins = (*session)->position() % 64 == 0;
        const auto start = std::chrono::steady_clock::now();
        if (!(*session)->append({&tokens[size_t(i)], 1})) return;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        (begins ? border : inside).push_back(seconds);
    }
    const double token = median(inside), extra = median(border) - token;
    std::printf(
        "budget %8.2f MB: a token %.3f ms, sealing a tile of all layers and heads %.3f ms: %.2f %% of decoding\n",
        double(budget_bytes) / 1e6, token * 1e3, extra * 1e3, 100 * extra / (64 * token + extra));
    for (const KvTier& tier : (*session)->stats().tiers)
        std::printf("  %s %lld", tier.name.c_str(), (long long)tier.positions);
    std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
    std::ifstream file(argc > 1 ? argv[1] : "", std::ios::binary);
    const std::vector<uint8_t> bytes{std::istreambuf_iterator<char>(file), {}};
    const auto model = Model::open(bytes);
    if (!model) return std::puts(model.error().message.c_str()), 1;
    SessionOptions options;
    options.kv.preset = KvPreset::quality;
    const auto session = Session::open(**model, options);
    const uint64_t least = (*session)->stats().least_budget_bytes;
    const ModelConfig& c = (*model)->config();
    const uint64_t sealed = uint64_t(c.n_layers) * uint64_t(c.n_kv_heads) * 2 * uint64_t(c.head_dim) * 4480 /
                            8;  // all of it at about 1 bit
    measure(**model, 0);
    measure(**model, least + 3 * sealed);
    measure(**model, least + 4 * sealed);
    return 0;
}
