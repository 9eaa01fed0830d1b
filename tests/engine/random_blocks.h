// Random weights of any tensor type: any bytes, but half-precision numbers of a sane size where the type has them.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstring>
#include <random>
#include <vector>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/formats/iq4_nl.h"
#include "engine/formats/iq4_xs.h"
#include "engine/formats/q2_k.h"
#include "engine/formats/q3_k.h"
#include "engine/formats/q4_0.h"
#include "engine/formats/q4_1.h"
#include "engine/formats/q4_k.h"
#include "engine/formats/q5_0.h"
#include "engine/formats/q5_1.h"
#include "engine/formats/q5_k.h"
#include "engine/formats/q6_k.h"
#include "engine/formats/q8_0.h"
#include "engine/formats/tensor_type.h"

namespace strata {

inline constexpr TensorType kAllTensorTypes[] = {
    TensorType::f32,  TensorType::f16,  TensorType::bf16, TensorType::q8_0,   TensorType::q4_0,
    TensorType::q4_1, TensorType::q5_0, TensorType::q5_1, TensorType::q2_k,   TensorType::q3_k,
    TensorType::q4_k, TensorType::q5_k, TensorType::q6_k, TensorType::iq4_nl, TensorType::iq4_xs};

// Where a block keeps its halves. The minimum that makes the mean 0 is so many times the scale, on average.
struct BlockHalves {
    size_t scale_at;
    size_t minimum_at = 0;  // 0: none
    float minimum_ratio = 0;
};

inline BlockHalves block_halves(TensorType type) {
    switch (type) {
        case TensorType::q4_1:
            return {offsetof(BlockQ4_1, scale), offsetof(BlockQ4_1, minimum), -7.5f};
        case TensorType::q5_1:
            return {offsetof(BlockQ5_1, scale), offsetof(BlockQ5_1, minimum), -15.5f};
        case TensorType::q2_k:
            return {offsetof(BlockQ2_K, scale), offsetof(BlockQ2_K, minimum), 1.5f};
        case TensorType::q4_k:
            return {offsetof(BlockQ4_K, scale), offsetof(BlockQ4_K, minimum), 7.5f};
        case TensorType::q5_k:
            return {offsetof(BlockQ5_K, scale), offsetof(BlockQ5_K, minimum), 15.5f};
        case TensorType::q3_k:
            return {offsetof(BlockQ3_K, scale)};
        case TensorType::q6_k:
            return {offsetof(BlockQ6_K, scale)};
        default:  // F16, and the others that begin with their scale
            return {0};
    }
}

// `values` weights around 0. The standard deviation is about `deviation`.
inline std::vector<uint8_t> random_blocks(TensorType type, size_t values, double deviation, std::mt19937& rng) {
    const TensorTraits& traits = tensor_traits(type);
    const size_t count = values / size_t(traits.block_values), size = size_t(traits.block_bytes);
    CHECK(count * size_t(traits.block_values) == values);
    std::vector<uint8_t> bytes(count * size);
    const auto uniform = [&] { return double(int(rng() % 20001) - 10000) * 1e-4; };  // [-1, 1]
    if (traits.block_values == 1) {
        for (size_t i = 0; i < count; ++i) {
            const float value = float(uniform() * deviation * std::sqrt(3.0));
            const uint32_t bits = type == TensorType::f32   ? bits_of(value)
                                  : type == TensorType::f16 ? float_to_half(value)
                                                            : bits_of(value) >> 16;
            std::memcpy(bytes.data() + i * size, &bits, size);
        }
        return bytes;
    }
    for (uint8_t& byte : bytes) byte = uint8_t(rng());
    const BlockHalves halves = block_halves(type);
    const auto set_scales = [&](uint8_t* block, float scale) {
        const uint16_t half = float_to_half(scale), minimum = float_to_half(scale * halves.minimum_ratio);
        std::memcpy(block + halves.scale_at, &half, sizeof half);
        if (halves.minimum_at != 0) std::memcpy(block + halves.minimum_at, &minimum, sizeof minimum);
    };
    // How large weights are at scale 1, seen in blocks of this kind.
    std::mt19937 probe_rng(1);
    std::vector<uint8_t> probe(16 * size);
    std::vector<float> decoded(16 * size_t(traits.block_values));
    for (uint8_t& byte : probe) byte = uint8_t(probe_rng());
    for (size_t b = 0; b < 16; ++b) set_scales(probe.data() + b * size, 1);
    traits.decode(probe.data(), decoded.data(), int64_t(decoded.size()));
    double squares = 0;
    for (const float value : decoded) squares += double(value) * double(value);
    const double unit = std::sqrt(squares / double(decoded.size()));
    for (size_t b = 0; b < count; ++b) {
        const double sign = rng() % 2 == 0 ? 1 : -1;
        set_scales(bytes.data() + b * size, float(sign * deviation / unit * (1 + 0.3 * uniform())));
    }
    return bytes;
}

}  // namespace strata
