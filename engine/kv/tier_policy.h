// How precisely a sealed tile is remembered, from its age, the preset and the budget. Pure values: no clock, no cache.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "engine/formats/tile.h"
#include "engine/kv/kv_options.h"

namespace strata {

// From fine to coarse: bits of keys and values. A tile only ever moves down this ladder, one or more steps at a time.
enum class Tier : uint8_t { exact, k4v4, k4v3, k3v3, k3v2, k2v2 };
constexpr int kTiers = 6;
constexpr Tier kCoarsest = Tier::k2v2;

const char* tier_name(Tier tier);  // "exact", "K4V4", …
constexpr int key_bits(Tier tier) {
    return tier == Tier::exact ? 32 : tier <= Tier::k4v3 ? 4 : tier <= Tier::k3v2 ? 3 : 2;
}
constexpr int value_bits(Tier tier) {
    return tier == Tier::exact ? 32 : tier == Tier::k4v4 ? 4 : tier <= Tier::k3v3 ? 3 : 2;
}
constexpr int bits_of_side(TileSide side, Tier tier) {
    return side == TileSide::keys ? key_bits(tier) : value_bits(tier);
}
constexpr Tier coarser(Tier a, Tier b) { return a > b ? a : b; }

Tier finest_tier(KvPreset preset);

// Attention to a position falls about like 1 / age, so that the best number of bits falls by one when age grows
// fourfold, measured 3.4-fold; a step of the ladder takes half a bit: each tier ends at sqrt(3.4) times the age where
// the one before ended.
constexpr double kTierGrowth = 1.8439;

// Tiles younger than `fine_tiles` get the finest tier, and so on down the ladder. Age 0 is the youngest sealed tile.
class TierPolicy {
public:
    explicit TierPolicy(Tier finest, double fine_tiles = 1e18);
    Tier tier_at(int64_t age) const;

private:
    Tier finest_;
    std::array<double, kTiers> ends_{};  // of each tier: the first age that is too old for it
};

// What a tile takes in each tier. Of the oldest tiles layers with a window keep nothing.
struct TileBytes {
    std::array<uint64_t, kTiers> oldest, others;
    int64_t n_oldest = 0;
};

// The policy that keeps most: the largest fine_tiles with which the tiles fit `budget_bytes`. `tiers`: of all sealed
// tiles now, oldest first; none becomes finer. With kCoarsest everywhere the tiles may still not fit: bytes_under()
// tells.
TierPolicy fit_tiers(Tier finest, std::span<const Tier> tiers, const TileBytes& bytes, uint64_t budget_bytes);
uint64_t bytes_under(const TierPolicy& policy, std::span<const Tier> tiers, const TileBytes& bytes);

}  // namespace strata
