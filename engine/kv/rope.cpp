#include "engine/kv/rope.h"

#include <algorithm>
#include <cstring>

#include "engine/base/math.h"

namespace strata {

namespace {

typedef float Four __attribute__((vector_size(16)));

Four load4(const float* x) {
    Four four;
    std::memcpy(&four, x, sizeof four);
    return four;
}

// Two pairs of neighbours.
void turn_neighbours4(const float* x, const float* cosines, const float* sines, float* out) {
    const Four a = load4(x), swapped = {a[1], a[0], a[3], a[2]};
    const Four turned = a * load4(cosines) + swapped * load4(sines);
    std::memcpy(out, &turned, sizeof turned);
}

}  // namespace

Rope::Rope(RopeOptions options) : options_(std::move(options)) {
    for (int r = 0; r < kChunkPositions; ++r) add_row(inside_, r, options_.magnitude);
    if (options_.distance_clamp > 0)
        for (int r = 0; r < kChunkPositions; ++r) add_row(clamped_, double(options_.distance_clamp - r));
}

// Angles are taken in double, where the sine's argument is reduced.
void Rope::add_row(Table& table, double angle_positions, double magnitude) const {
    for (const double frequency : options_.frequencies) {
        const SinCos angle = sin_cos_f64(angle_positions * frequency);
        const float cos = float(angle.cos * magnitude), sin = float(angle.sin * magnitude);
        if (options_.pairs == RopePairs::neighbours) {
            table.cos.push_back(cos);
            table.sin.push_back(-sin);
        }
        table.cos.push_back(cos);
        table.sin.push_back(sin);
    }
}

void Rope::reserve(int64_t positions) {
    const auto rows = size_t(positions / kChunkPositions + 1);
    while (chunks_.cos.size() < rows * row_size())
        add_row(chunks_, double(chunks_.cos.size() / row_size()) * kChunkPositions);
}

void Rope::turn(const Table& table, int64_t row, const float* x, float* out) const {
    const size_t n = row_size();
    const float* cosines = table.cos.data() + size_t(row) * n;
    const float* sines = table.sin.data() + size_t(row) * n;
    const auto turn_pair = [&](size_t i, size_t first, size_t second) {
        const float a = x[first], b = x[second];
        out[first] = a * cosines[i] - b * sines[i];
        out[second] = a * sines[i] + b * cosines[i];
    };
    if (options_.pairs == RopePairs::halves) {
        for (size_t i = 0; i < n; ++i) turn_pair(i, i, i + n);
        return;
    }
    size_t i = 0;
    for (; i + 4 <= n; i += 4) turn_neighbours4(x + i, cosines + i, sines + i, out + i);
    if (i < n) turn_pair(i + 1, i, i + 1);
}

void Rope::turn_towards(int64_t chunk, int64_t t, int head_dim, const float* query, float* out) const {
    const int64_t chunks_away = t / kChunkPositions - chunk;
    const size_t turned = 2 * options_.frequencies.size();
    // (To copy nothing is a call too, in WebAssembly.)
    if (size_t(head_dim) > turned) std::copy_n(query + turned, size_t(head_dim) - turned, out + turned);
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
