#include "engine/cli/report.h"

#include <cstdio>
#include <filesystem>

namespace strata::cli {

namespace {

// The length of the UTF-8 sequence at the start of `text`; 0: there is none (RFC 3629: shortest form, no surrogates).
size_t utf8_length(std::string_view text) {
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
    const unsigned lead = byte(0);
    if (lead < 0x80) return 1;
    const size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const bool too_long = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool no_character = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
    return too_long || no_character ? 0 : length;
}

std::string percent(uint64_t part, uint64_t whole) {
    return whole == 0 ? "-" : fixed(100.0 * double(part) / double(whole), 1) + " %";
}

// KvOptions::policy() begins so for a preset, and only then.
bool is_tiled(const KvStats& stats) { return stats.policy.starts_with("kv="); }

}  // namespace

int fail(const Error& error) {
    std::fprintf(stderr, "strata: %s\n", error.message.c_str());
    return 1;
}

void note(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

void warn(const std::string& text) { std::fprintf(stderr, "warning: %s\n", text.c_str()); }

std::string fixed(double value, int decimals) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", decimals, value);
    return text;
}

std::string size_text(uint64_t bytes) {
    const char* units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = double(bytes);
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < std::size(units)) {
        value /= 1000;
        ++unit;
    }
    return fixed(value, unit == 0 ? 0 : 1) + " " + units[unit];
}

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

void print_json_line(const Json& object) {
    std::printf("%s\n", object.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

Json kv_json(const KvStats& stats) {
    Json tiers = Json::array();
    for (const KvTier& tier : stats.tiers)
        tiers.push_back({{"name", tier.name},
                         {"positions", tier.positions},
                         {"key_bits", tier.key_bits},
                         {"value_bits", tier.value_bits},
                         {"bytes", tier.bytes}});
    Json json = {{"policy", stats.policy},
                 {"bytes", stats.bytes},
                 {"bytes_fp16", stats.bytes_fp16},
                 {"bytes_fp32", stats.bytes_fp32},
                 {"tiers", std::move(tiers)}};
    if (stats.windowed_layers > 0) {
        json["windowed_layers"] = stats.windowed_layers;
        json["window"] = stats.window;
        json["windowed_bytes"] = stats.windowed_bytes;
    }
    if (!is_tiled(stats)) return json;
    json["budget_bytes"] = stats.budget_bytes > 0 ? Json(stats.budget_bytes) : Json();
    json["least_budget_bytes"] = stats.least_budget_bytes;
    json["kept_bytes"] = stats.kept_bytes;
    json["spare_bytes"] = stats.spare_bytes;
    json["thawed_positions"] = stats.thawed_positions;
    return json;
}

void add_distance_clamp(Json& object, const std::optional<int>& distance_clamp) {
    if (distance_clamp) object["distance_clamp"] = *distance_clamp;
}

std::string kv_text(const KvStats& stats) {
    std::string text;
    for (const KvTier& tier : stats.tiers)
        text += "  " + tier.name + ": " + std::to_string(tier.positions) + " tokens, " + size_text(tier.bytes) +
                ", bits of a key " + fixed(tier.key_bits, 2) + ", of a value " + fixed(tier.value_bits, 2) + "\n";
    if (is_tiled(stats)) {
        text += "  kept to take the last turn back: " + size_text(stats.kept_bytes) +
                ", free pages: " + size_text(stats.spare_bytes) + "\n";
        if (stats.thawed_positions > 0)
            text += "  in the window, but from their compressed form: " + std::to_string(stats.thawed_positions) +
                    " tokens\n";
        if (stats.budget_bytes > 0)
            text += "  budget: " + size_text(stats.budget_bytes) + ", at least " + size_text(stats.least_budget_bytes) +
                    "\n";
    }
    if (stats.windowed_layers > 0)
        text += "  " + std::to_string(stats.windowed_layers) + " layers see the last " + std::to_string(stats.window) +
                " tokens only: " + size_text(stats.windowed_bytes) + "\n";
    return text + "  memory: " + size_text(stats.bytes) + " for " + std::to_string(stats.positions) + " tokens (" +
           percent(stats.bytes, stats.bytes_fp16) + " of FP16, " + percent(stats.bytes, stats.bytes_fp32) +
           " of FP32)\n";
}

std::string terminal_safe(std::string_view text) {
    std::string safe;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0xFFu; };
        const bool c0 = (byte(i) < 0x20 && text[i] != '\n' && text[i] != '\t') || byte(i) == 0x7F;
        const bool c1 = byte(i) == 0xC2 && byte(i + 1) < 0xA0;  // U+0080 to U+009F
        if (c1) ++i;
        if (!c0 && !c1) safe += text[i];
    }
    return safe;
}

size_t find_invalid_utf8(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = utf8_length(text.substr(at));
        if (length == 0) return at;
        at += length;
    }
    return std::string_view::npos;
}

}  // namespace strata::cli
