#include "engine/kv/tier_policy.h"

namespace strata {

const char* tier_name(Tier tier) {
    constexpr const char* kNames[kTiers] = {"exact", "K4V4", "K4V3", "K3V3", "K3V2", "K2V2"};
    return kNames[int(tier)];
}

Tier finest_tier(KvPreset preset) {
    switch (preset) {
        case KvPreset::exact:
            return Tier::exact;
        case KvPreset::quality:
            return Tier::k4v4;
        case KvPreset::balanced:
            return Tier::k3v3;
        case KvPreset::max:
            break;
    }
    return Tier::k2v2;
}

TierPolicy::TierPolicy(Tier finest, double fine_tiles) : finest_(finest) {
    double end = fine_tiles;
    for (int tier = int(finest); tier < kTiers; ++tier) {
        ends_[size_t(tier)] = end;
        end *= kTierGrowth;
    }
}

Tier TierPolicy::tier_at(int64_t age) const {
    for (int tier = int(finest_); tier < int(kCoarsest); ++tier)
        if (double(age) < ends_[size_t(tier)]) return Tier(tier);
    return kCoarsest;
}

uint64_t bytes_under(const TierPolicy& policy, std::span<const Tier> tiers, const TileBytes& bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < tiers.size(); ++i) {
        const Tier tier = coarser(tiers[i], policy.tier_at(int64_t(tiers.size() - 1 - i)));
        sum += (int64_t(i) < bytes.n_oldest ? bytes.oldest : bytes.others)[size_t(tier)];
    }
    return sum;
}

TierPolicy fit_tiers(Tier finest, std::span<const Tier> tiers, const TileBytes& bytes, uint64_t budget_bytes) {
    const auto fits = [&](double fine) { return bytes_under(TierPolicy(finest, fine), tiers, bytes) <= budget_bytes; };
    double high = double(tiers.size());
    if (fits(high)) return TierPolicy(finest);
    double low = 0;
    for (int step = 0; step < 24; ++step) {
        const double middle = (low + high) / 2;
        (fits(middle) ? low : high) = middle;
    }
    return TierPolicy(finest, low);
}

}  // namespace strata
