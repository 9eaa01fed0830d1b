#include "engine/model/rope_options.h"

#include <algorithm>
#include <cmath>

#include "engine/base/math.h"

namespace strata {

namespace {

// The pair that turns `turns` times within the original length.
double pair_with(double turns, const ModelConfig& c, double theta) {
    constexpr double kTwoPi = 6.28318530717958647693;
    return c.rope_dim * log_f64(c.original_length / (turns * kTwoPi)) / (2 * log_f64(theta));
}

// Pairs that turn often keep their frequency, those that hardly turn are slowed by the factor, in between a straight
// line leads from one to the other (YaRN, arXiv 2309.00071).
void scale_yarn(const ModelConfig& c, const RopeConfig& rope, std::vector<double>& frequencies) {
    const double low = std::max(0.0, std::floor(pair_with(rope.beta_fast, c, rope.theta)));
    const double high = std::min(c.rope_dim - 1.0, std::ceil(pair_with(rope.beta_slow, c, rope.theta)));
    for (size_t i = 0; i < frequencies.size(); ++i) {
        const double slowed = std::clamp((double(i) - low) / std::max(0.001, high - low), 0.0, 1.0);
        frequencies[i] = frequencies[i] / rope.factor * slowed + frequencies[i] * (1 - slowed);
    }
}

std::vector<double> frequencies(const ModelConfig& c, const RopeConfig& rope, const std::vector<float>& factors) {
    std::vector<double> result(size_t(c.rope_dim / 2));
    for (size_t i = 0; i < result.size(); ++i) {
        result[i] = pow_f64(rope.theta, -2.0 * double(i) / c.rope_dim);
        if (!rope.yarn) result[i] = result[i] / rope.factor;
        if (!factors.empty()) result[i] /= double(factors[i]);
    }
    if (rope.yarn) scale_yarn(c, rope, result);
    return result;
}

}  // namespace

RopeOptions rope_options(const ModelConfig& c, const std::vector<float>& factors, int distance_clamp) {
    return {frequencies(c, c.rope, factors), c.trained_length, distance_clamp, c.rope_pairs, c.rope.magnitude};
}

RopeOptions local_rope_options(const ModelConfig& c) {
    if (c.local.empty()) return {};
    return {frequencies(c, c.local_rope, {}), 0, 0, c.rope_pairs, c.local_rope.magnitude};
}

}  // namespace strata
