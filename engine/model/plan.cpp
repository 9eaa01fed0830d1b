#include "engine/model/plan.h"

#include <algorithm>

#include "engine/kernels/kernels.h"
#include "engine/kv/attention.h"
#include "engine/kv/tile_cache.h"
#include "engine/model/config.h"
#include "engine/model/transformer.h"

namespace strata {

namespace {

constexpr int64_t kMostValues = 1 << 22;         // keys of one token: fifty times those of the largest models
constexpr int64_t kLateTile = int64_t(1) << 32;  // no window reaches from here to the beginning
constexpr uint64_t kTokenBytes = 160;            // of the tokenizer's tables, for each token: measured 90 to 150

std::unique_ptr<TileCache> empty_cache(const KvShape& shape, KvPreset preset) {
    KvOptions options;
    options.preset = preset;
    auto cache = TileCache::create(shape, options);
    return cache ? std::move(*cache) : nullptr;
}

}  // namespace

Result<MemoryPlan> plan_memory(std::span<const uint8_t> start, uint64_t file_bytes, uint64_t all_bytes) {
    const auto file = GgufFile::open_header(start, file_bytes);
    if (!file) return file.error();
    auto config = read_config(*file);
    if (!config) return config.error();
    const int64_t values = int64_t(config->n_layers) * config->n_kv_heads * config->head_dim;
    if (values > kMostValues)
        return Error{ErrorCode::corrupt_file, "the model's header asks for " + std::to_string(values) +
                                                  " key values of each token; expected at most " +
                                                  std::to_string(kMostValues)};
    const auto tokenizer = open_tokenizer(*file);
    if (!tokenizer) return tokenizer.error();
    config->n_vocab = tokenizer->size();

    MemoryPlan plan;
    plan.weight_types = types_of_tensors(*file);
    if (file->split_count() == 1)
        for (const GgufTensor& tensor : file->tensors()) plan.n_parameters += tensor.n_elements();
    plan.weight_bytes = all_bytes;
    if (all_bytes == 0)
        for (const GgufTensor& tensor : file->tensors()) plan.weight_bytes += tensor.data_bytes;
    plan.working_bytes = Transformer::needed_bytes(*config, best_kernels()) + uint64_t(tokenizer->size()) * kTokenBytes;
    const KvShape shape = config->kv_shape();
    for (size_t i = 0; i < std::size(kKvPresets); ++i) {
        const auto cache = empty_cache(shape, kKvPresets[i]);
        if (!cache) continue;
        const Tier finest = finest_tier(kKvPresets[i]);
        const TileBytes bytes = cache->tile_bytes(kLateTile);
        const uint64_t global = bytes.oldest[size_t(finest)], all = bytes.others[size_t(finest)];
        plan.bytes_per_token[i] = {double(global) / kTilePositions, double(all - global) / kTilePositions};
        if (shape.n_windowed() > 0) {
            // bytes.n_oldest: for a turn that began as far back as still matters; here its answer did.
            const int64_t turn = oldest_visible(shape.window, (bytes.n_oldest - 1) * kTilePositions) / kTilePositions;
            plan.windowed_tokens = (kLateTile - kExactTiles + 1 - turn) * kTilePositions;
        }
        plan.window_bytes = std::max(plan.window_bytes, cache->least_budget_bytes());
    }
    plan.scratch_per_token = attention_bytes_per_token(config->n_heads, config->head_dim);
    if (best_kernels().fetches_by_storing) plan.scratch_per_token += line_bytes_per_token(shape);
    plan.config = std::move(*config);
    return plan;
}

int64_t MemoryPlan::tokens_within(KvPreset preset, uint64_t bytes) const {
    const auto& each = bytes_per_token[size_t(preset)];
    const uint64_t fixed = weight_bytes + working_bytes + window_bytes;
    if (!each || bytes <= fixed) return 0;
    const double room = double(bytes - fixed), later = each->global + scratch_per_token;
    const double early = room / (later + each->windowed);
    const double tokens =
        early <= double(windowed_tokens) ? early : (room - double(windowed_tokens) * each->windowed) / later;
    return int64_t(tokens) + kExactTiles * kTilePositions;
}

}  // namespace strata
