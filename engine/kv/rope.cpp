#include "engine/kv/rope.h"

#include <algorithm>

#include "engine/base/math.h"

namespace strata {

Rope::Rope(RopeOptions options) : options_(std::move(options)) {
    for (int r = 0; r < kChunkPositions; ++r) add_row(inside_, r, options_.magnitude);
    if (options_.distance_clamp > 0)
        for (int r = 0; r < kChunkPositions; ++r) add_row(clamped_, double(options_.distance_clamp - r));
}

// Angles are taken in double, where the sine's argument is reduced.
void Rope::add_row(Table& table, double angle_positions, double magnitude) const {
    for (const double frequency : options_.frequencies) {
        const SinCos angle = sin_cos_f64(angle_positions * frequency);
        table.cos.push_back(float(angle.cos * magnitude));
        table.sin.push_back(float(angle.sin * magnitude));
    }
}

void Rope::reserve(int64_t positions) {
    const size_t pairs = options_.frequencies.size();
    const auto rows = size_t(positions / kChunkPositions + 1);
    while (chunks_.cos.size() < rows * pairs) add_row(chunks_, double(chunks_.cos.size() / pairs) * kChunkPositions);
}

void Rope::turn(const Table& table, int64_t row, const float* x, float* out) const {
    const size_t pairs = options_.frequencies.size();
    const float* cosines = table.cos.data() + size_t(row) * pairs;
    const float* sines = table.sin.data() + size_t(row) * pairs;
    const auto turn_pair = [&](size_t i, size_t first, size_t second) {
        const float a = x[first], b = x[second];
        out[first] = a * cosines[i] - b * sines[i];
        out[second] = a * sines[i] + b * cosines[i];
    };
    if (options_.pairs == RopePairs::halves)
        for (size_t i = 0; i < pairs; ++i) turn_pair(i, i, i + pairs);
    else
        for (size_t i = 0; i < pairs; ++i) turn_pair(i, 2 * i, 2 * i + 1);
}

void Rope::turn_towards(int64_t chunk, int64_t t, int head_dim, const float* query, float* out) const {
    const int64_t chunks_away = t / kChunkPositions - chunk;
    const size_t turned = 2 * options_.frequencies.size();
    std::copy_n(query + turned, size_t(head_dim) - turned, out + turned);
    const bool inside = options_.trained_length == 0 || t < options_.trained_length;
    const bool far = t - chunk * kChunkPositions > options_.distance_clamp;
    if (options_.distance_clamp > 0 && !inside && far)
        turn(clamped_, t % kChunkPositions, query, out);
    else if (chunks_away > 0)
        turn(chunks_, chunks_away, query, out);
    else
        std::copy_n(query, turned, out);
}

uint64_t Rope::bytes() const {
    return 2 * sizeof(float) * (inside_.cos.size() + chunks_.cos.size() + clamped_.cos.size());
}

}  // namespace strata
