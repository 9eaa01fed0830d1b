#include "engine/cli/kv_policy.h"

#include <charconv>

namespace strata::cli {

namespace {

constexpr std::string_view kDelete = "delete:";
constexpr int kMaxVisibleWindow = 1 << 24;

// All of `text` as a number in decimal digits.
std::optional<uint64_t> number_from(std::string_view text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

struct Unit {
    std::string_view name;
    uint64_t bytes;
};
constexpr Unit kUnits[] = {{"kB", 1000},        {"MB", 1000000},       {"GB", 1000000000},
                           {"KiB", 1ull << 10}, {"MiB", 1ull << 20},   {"GiB", 1ull << 30},
                           {"TiB", 1ull << 40}, {"TB", 1000000000000}, {"B", 1}};

}  // namespace

std::string kv_policy_names() {
    std::string names;
    for (const KvPreset preset : kKvPresets) names += std::string(kv_preset_name(preset)) + "|";
    return names + std::string(kDelete) + "N";
}

std::optional<KvOptions> kv_policy_from_name(std::string_view name) {
    KvOptions kv;
    if (const auto preset = kv_preset_from_name(name)) {
        kv.preset = *preset;
        return kv;
    }
    if (!name.starts_with(kDelete)) return std::nullopt;
    const auto window = number_from(name.substr(kDelete.size()));
    if (!window || *window < 1 || *window > kMaxVisibleWindow) return std::nullopt;
    kv.key_type = kv.value_type = KvType::fp32;
    kv.visible_window = int(*window);
    return kv;
}

std::optional<uint64_t> bytes_from_text(std::string_view text) {
    uint64_t unit = 1;
    for (const Unit& each : kUnits) {
        if (!text.ends_with(each.name)) continue;
        unit = each.bytes;
        text.remove_suffix(each.name.size());
        break;
    }
    const auto number = number_from(text);
    if (!number || *number == 0 || *number > UINT64_MAX / unit) return std::nullopt;
    return *number * unit;
}

}  // namespace strata::cli
