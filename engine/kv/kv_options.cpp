#include "engine/kv/kv_options.h"

namespace strata {

const char* kv_type_name(KvType type) {
    switch (type) {
        case KvType::fp32:
            return "fp32";
        case KvType::fp16:
            return "fp16";
        case KvType::q8_0:
            return "q8_0";
        case KvType::q4_0:
            return "q4_0";
        case KvType::hq4_0:
            return "hq4_0";
        case KvType::hq3_0:
            return "hq3_0";
        case KvType::hq2_0:
            return "hq2_0";
        case KvType::turbo_kv_4b:
            return "turbo_kv_4b";
    }
    return "unknown";
}

std::optional<KvType> kv_type_from_name(std::string_view name) {
    for (KvType type : kKvTypes)
        if (name == kv_type_name(type)) return type;
    return std::nullopt;
}

const char* kv_preset_name(KvPreset preset) {
    switch (preset) {
        case KvPreset::exact:
            return "exact";
        case KvPreset::quality:
            return "quality";
        case KvPreset::balanced:
            return "balanced";
        case KvPreset::max:
            return "max";
    }
    return "unknown";
}

std::optional<KvPreset> kv_preset_from_name(std::string_view name) {
    for (KvPreset preset : kKvPresets)
        if (name == kv_preset_name(preset)) return preset;
    return std::nullopt;
}

std::string KvOptions::policy() const {
    std::string text;
    if (preset)
        text = std::string("kv=") + kv_preset_name(*preset) +
               (budget_bytes > 0 ? " budget=" + std::to_string(budget_bytes) : "");
    else
        text = std::string("k=") + kv_type_name(key_type) + " v=" + kv_type_name(value_type) +
               " k_window=" + std::to_string(key_window) + " v_window=" + std::to_string(value_window);
    if (!guarded_layers.empty()) text += " guarded_layers=" + std::to_string(guarded_layers.size());
    if (visible_window > 0) text += " delete=" + std::to_string(visible_window);
    return text;
}

void describe_shape(const KvShape& shape, KvStats& stats) {
    const uint64_t values = 2 * uint64_t(shape.n_kv_heads) * uint64_t(shape.head_dim);  // of a layer and position
    stats.bytes_fp16 = 0;
    for (int layer = 0; layer < shape.n_layers; ++layer) {
        const int window = shape.window_of(layer);
        const int64_t positions = window > 0 ? std::min<int64_t>(window, stats.positions) : stats.positions;
        stats.bytes_fp16 += 2 * values * uint64_t(positions);
    }
    stats.bytes_fp32 = 2 * stats.bytes_fp16;
    stats.windowed_layers = shape.n_windowed();
    stats.window = stats.windowed_layers > 0 ? shape.window : 0;
}

}  // namespace strata
