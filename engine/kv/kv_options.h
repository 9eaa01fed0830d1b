// What a KV cache is asked to be, and what it reports about itself. Plain values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/kv/kv_shape.h"

namespace strata {

// How one row (the key or value vector of one position, layer and KV head) is kept once it has left the window: the
// formats of other engines, for comparison. hq3_0 and hq2_0 are hq4_0 rounded again (engine/formats/requantised.h).
enum class KvType { fp32, fp16, q8_0, q4_0, hq4_0, hq3_0, hq2_0, turbo_kv_4b };

constexpr KvType kKvTypes[] = {KvType::fp32,  KvType::fp16,  KvType::q8_0,  KvType::q4_0,
                               KvType::hq4_0, KvType::hq3_0, KvType::hq2_0, KvType::turbo_kv_4b};
const char* kv_type_name(KvType type);
std::optional<KvType> kv_type_from_name(std::string_view name);

// The finest tier that a sealed tile gets in the tiered memory (engine/kv/tile_cache.h): exact keeps FP32, the others
// 4, 3 and 2 bits for keys and values.
enum class KvPreset { exact, quality, balanced, max };

constexpr KvPreset kKvPresets[] = {KvPreset::exact, KvPreset::quality, KvPreset::balanced, KvPreset::max};
const char* kv_preset_name(KvPreset preset);
std::optional<KvPreset> kv_preset_from_name(std::string_view name);

// Two kinds of memory. With a preset: tiles in tiers, under a budget of bytes; the product. Without: rows in a format,
// with a window of exact rows; for comparison.
struct KvOptions {
    // ---- rows
    KvType key_type = KvType::fp16;
    KvType value_type = KvType::fp16;
    int key_window = 0;    // the newest N keys, seen from each query, are exact (FP32)
    int value_window = 0;  // the same for values

    // ---- tiles
    std::optional<KvPreset> preset = {};   // set: the fields above are not read
    uint64_t budget_bytes = 0;             // of the whole memory; 0: no budget
    std::vector<int> guarded_layers = {};  // layers whose sealed keys are kept at 8 bits, whatever the tier

    // ---- both, for evaluation only
    // A query sees the newest N positions and the first kSinkPositions, as if the others had been deleted; 0: all.
    int visible_window = 0;

    std::string policy() const;  // "kv=quality budget=…" or "k=turbo_kv_4b v=fp16 k_window=128 v_window=0"
};

constexpr int kSinkPositions = 4;  // the first positions: attention sinks (arXiv 2309.17453), exact for ever in tiles

// A run of positions that are kept the same way. Tiers are listed oldest first and cover every position once.
struct KvTier {
    std::string name;  // rows: "turbo_kv_4b/fp16" (keys/values), "fp32" when both are the same.
                       // tiles: "exact", "K4V4", "K4V3", "K3V3", "K3V2", "K2V2"
    int64_t first;     // first position
    int64_t positions;
    double key_bits;  // per stored value, scales included
    double value_bits;
    uint64_t bytes;  // allocated for it, slack included
};

struct KvStats {
    std::string policy;
    int64_t positions = 0;
    uint64_t bytes = 0;  // allocated: the sum of all tiers, kept_bytes and spare_bytes
    // What a plain FP16 cache of as many positions would take, without slack. It too keeps only what layers with a
    // window can see, as llama.cpp's does: positions that no engine need keep are no saving.
    uint64_t bytes_fp16 = 0;
    uint64_t bytes_fp32 = 0;
    std::vector<KvTier> tiers;

    // ---- models with a window in some layers
    int windowed_layers = 0;
    int window = 0;               // how many positions these see
    uint64_t windowed_bytes = 0;  // of `bytes`, what is held for them

    // ---- tiles only
    uint64_t budget_bytes = 0;        // 0: none
    uint64_t least_budget_bytes = 0;  // the smallest budget that can be set
    uint64_t kept_bytes = 0;          // kept only so that the last turn and its answer can be taken back
    uint64_t spare_bytes = 0;         // free pages
    int64_t thawed_positions = 0;     // in the window, but restored from their compressed form
};

// Sets bytes_fp16, bytes_fp32 and what follows from the shape, for stats.positions.
void describe_shape(const KvShape& shape, KvStats& stats);

}  // namespace strata
