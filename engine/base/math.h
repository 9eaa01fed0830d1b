// exp, log, sin and cos of our own: those of the C libraries differ in the last bit, and every build of the engine is
// to compute the same bits ("one arithmetic", ARCHITECTURE.md). Only +, -, *, / and bit patterns are used.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "engine/base/bits.h"

namespace strata {

// The parts of e^x that the scalar and the vector version share (kernels.inl.h).
struct ExpF32 {
    static constexpr float kLowest = -87.0f, kHighest = 88.0f;  // beyond, the argument is clamped
    static constexpr float kLog2E = 1.44269504f;
    static constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
    static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    // e^r on |r| <= ln(2)/2, highest power first; error below 1 unit in the last place
    static constexpr float kPower6 = 1.3888889e-3f, kPower5 = 8.3333338e-3f, kPower4 = 4.1666668e-2f,
                           kPower3 = 1.6666667e-1f, kPower2 = 0.5f, kOne = 1.0f;
};

// e^x with a relative error of about 1e-7; x is clamped to [-87, 88], so the result is always positive and finite.
inline float exp_f32(float x) {
    x = x < ExpF32::kLowest ? ExpF32::kLowest : x;
    x = x > ExpF32::kHighest ? ExpF32::kHighest : x;
    const float t = x * ExpF32::kLog2E + ExpF32::kRound;
    const float n = t - ExpF32::kRound;
    float r = x - n * ExpF32::kLn2High;
    r = r - n * ExpF32::kLn2Low;
    float p = ExpF32::kPower6;
    p = ExpF32::kPower5 + p * r;
    p = ExpF32::kPower4 + p * r;
    p = ExpF32::kPower3 + p * r;
    p = ExpF32::kPower2 + p * r;
    p = ExpF32::kOne + p * r;
    p = ExpF32::kOne + p * r;
    return float_of(bits_of(p) + (bits_of(t) << 23));
}

// e^x in double, for |x| < 700; relative error about 1e-15.
inline double exp_f64(double x) {
    constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
    const double n = std::floor(x * 1.44269504088896338700 + 0.5);
    const double r = (x - n * kLn2High) - n * kLn2Low;
    double term = 1, sum = 1;
    for (int i = 1; i <= 16; ++i) {
        term = term * r / i;
        sum = sum + term;
    }
    uint64_t bits;
    std::memcpy(&bits, &sum, sizeof bits);
    bits += uint64_t(int64_t(n)) << 52;
    std::memcpy(&sum, &bits, sizeof bits);
    return sum;
}

// Natural logarithm of a positive, normal x in double; relative error about 1e-15.
inline double log_f64(double x) {
    uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    int exponent = int(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & 0xfffffffffffffull) | 1023ull << 52;
    double m;  // in [1, 2)
    std::memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m = m / 2;
        ++exponent;
    }
    const double z = (m - 1) / (m + 1), z2 = z * z;  // ln(m) = 2 atanh(z)
    double sum = 0, power = z;
    for (int i = 1; i <= 41; i += 2) {
        sum = sum + power / i;
        power = power * z2;
    }
    return exponent * 6.93147180559945286227e-01 + 2 * sum;
}

// base^exponent for a positive base.
inline double pow_f64(double base, double exponent) { return exp_f64(exponent * log_f64(base)); }

struct SinCos {
    double sin, cos;
};

// Sine and cosine for |x| < 1e9, absolute error about 1e-13 there and 1e-16 near zero.
inline SinCos sin_cos_f64(double x) {
    constexpr double kHalfPiHigh = 1.57079632673412561417e+00, kHalfPiLow = 6.07710050650619224932e-11;
    const double n = std::floor(x * 6.36619772367581382433e-01 + 0.5);
    const double r = (x - n * kHalfPiHigh) - n * kHalfPiLow, r2 = r * r;
    double sine = r, cosine = 1, sine_term = r, cosine_term = 1;
    for (int i = 2; i <= 18; i += 2) {
        cosine_term = -cosine_term * r2 / (i * (i - 1));
        cosine = cosine + cosine_term;
        sine_term = -sine_term * r2 / (i * (i + 1));
        sine = sine + sine_term;
    }
    switch (int64_t(n) & 3) {
        case 0:
            return {sine, cosine};
        case 1:
            return {cosine, -sine};
        case 2:
            return {-sine, -cosine};
        default:
            return {-cosine, sine};
    }
}

}  // namespace strata
