#include "engine/base/math.h"

#include <gtest/gtest.h>

#include <limits>

namespace strata {
namespace {

TEST(Math, ExpF32IsAccurateAndStaysFinite) {
    for (float x = -87.0f; x < 88.0f; x += 0.01f) EXPECT_NEAR(exp_f32(x) / std::exp(double(x)), 1.0, 3e-7) << x;
    EXPECT_EQ(exp_f32(0.0f), 1.0f);
    EXPECT_GT(exp_f32(-1e30f), 0.0f);
    EXPECT_TRUE(std::isfinite(exp_f32(1e30f)));
}

TEST(Math, DoublesAreAccurate) {
    for (double x = -50; x < 50; x += 0.037) EXPECT_NEAR(exp_f64(x) / std::exp(x), 1.0, 1e-14) << x;
    for (double x = 1e-9; x < 1e9; x *= 1.37)
        EXPECT_NEAR(log_f64(x), std::log(x), 1e-14 * std::fabs(std::log(x)) + 1e-15) << x;
    for (double x = 0; x < 200000; x += 17.3) {
        const SinCos angle = sin_cos_f64(x);
        EXPECT_NEAR(angle.sin, std::sin(x), 1e-10) << x;
        EXPECT_NEAR(angle.cos, std::cos(x), 1e-10) << x;
    }
    EXPECT_NEAR(pow_f64(10000, -0.53125) / std::pow(10000, -0.53125), 1.0, 1e-14);
}

// Every half: to float and back is the identity; and a float between two halves goes to the nearer one.
TEST(Math, HalvesRoundTripAndRoundToNearest) {
    for (uint32_t h = 0; h < 0x7c00; ++h) {
        EXPECT_EQ(float_to_half(half_to_float(uint16_t(h))), h);
        EXPECT_EQ(float_to_half(half_to_float(uint16_t(h | 0x8000))), h | 0x8000);
        if (h + 1 >= 0x7c00) continue;
        const float low = half_to_float(uint16_t(h)), high = half_to_float(uint16_t(h + 1));
        EXPECT_EQ(float_to_half(low + (high - low) * 0.25f), h);
        EXPECT_EQ(float_to_half(low + (high - low) * 0.75f), h + 1);
        EXPECT_EQ(float_to_half(low + (high - low) * 0.5f), h + (h & 1));  // a tie goes to the even one
    }
    EXPECT_EQ(float_to_half(1e9f), 0x7bff);
    EXPECT_EQ(float_to_half(std::numeric_limits<float>::quiet_NaN()) & 0x7fff, 0);
}

}  // namespace
}  // namespace strata
