// What a KV cache is asked to be, and what it reports about itself. Plain values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

// How one row (the key or value vector of one position, layer and KV head) is kept once it has left the window.
enum class KvType { fp32, fp16, q8_0, q4_0, hq4_0, turbo_kv_4b };

constexpr KvType kKvTypes[] = {KvType::fp32, KvType::fp16,  KvType::q8_0,
                               KvType::q4_0, KvType::hq4_0, KvType::turbo_kv_4b};
const char* kv_type_name(KvType type);
std::optional<KvType> kv_type_from_name(std::string_view name);

struct KvOptions {
    KvType key_type = KvType::fp16;
    KvType value_type = KvType::fp16;
    int key_window = 0;    // the newest N keys, seen from each query, are exact (FP32)
    int value_window = 0;  // the same for values

    std::string policy() const;  // "k=turbo_kv_4b v=fp16 k_window=128 v_window=0"
};

// A run of positions that are kept the same way. Tiers are listed oldest first and cover every position once.
struct KvTier {
    std::string name;  // "turbo_kv_4b/fp16" (keys/values), "fp32" when both are the same
    int64_t first;     // first position
    int64_t positions;
    double key_bits;  // per stored value, scales included
    double value_bits;
    uint64_t bytes;  // allocated for it, slack included
};

struct KvStats {
    std::string policy;
    int64_t positions = 0;
    uint64_t bytes = 0;       // allocated: the sum of all tiers
    uint64_t bytes_fp16 = 0;  // what a plain FP16 cache of as many positions would take, without slack
    uint64_t bytes_fp32 = 0;
    std::vector<KvTier> tiers;
};

}  // namespace strata
