// Sixteen columns of a row of floats: two vectors whose products are summed apart (engine/kernels/kernels.h).
#pragma once

namespace strata {

// For any backend; one whose registers hold both has its own.
template <class S>
struct PairOf {
    using F32 = typename S::F32;
    F32 first, second;

    static PairOf zero() { return {S::splat(0), S::splat(0)}; }
    static PairOf load(const float* p) { return {S::load(p), S::load(p + F32::kLanes)}; }
    static PairOf mul_add(const PairOf& a, const PairOf& b, const PairOf& c) {
        return {S::mul_add(a.first, b.first, c.first), S::mul_add(a.second, b.second, c.second)};
    }
    F32 even() const { return first; }
    F32 odd() const { return second; }
};

}  // namespace strata
