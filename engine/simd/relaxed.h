// The relaxed SIMD operations that the engine uses. A compiler older than the standard (Debian's clang 14) has other
// opcodes for them, so there they are imported functions, which cmake/relaxed replaces by the instructions.
#pragma once
#include <wasm_simd128.h>

#if defined(__wasm_relaxed_simd__) && __clang_major__ >= 17
#define relaxed_dot wasm_i32x4_relaxed_dot_i8x16_i7x16_add
#define relaxed_swizzle wasm_i8x16_relaxed_swizzle
#define relaxed_dot_pairs wasm_i16x8_relaxed_dot_i8x16_i7x16
inline v128_t in_order(v128_t a) { return a; }  // untested, like the rest of this branch
#else
// c + sums of four products of a (int8) and b, which must be 0..127. "const, nothrow" as an instruction would be.
extern "C" __attribute__((import_module("env"), import_name("relaxed_dot"), const, nothrow)) v128_t relaxed_dot(
    v128_t a, v128_t b, v128_t c);
// Sums of two products, 16 bits each.
extern "C" __attribute__((import_module("env"), import_name("relaxed_dot_pairs"), const, nothrow)) v128_t
relaxed_dot_pairs(v128_t a, v128_t b);
// The bytes of the table at the indices, which must be 0..15.
extern "C" __attribute__((import_module("env"), import_name("relaxed_swizzle"), const, nothrow)) v128_t relaxed_swizzle(
    v128_t table, v128_t indices);
// a, computed before what follows: not "const", so that compilers keep calls in order. They are gone in the end.
extern "C" __attribute__((import_module("env"), import_name("in_order"), nothrow)) v128_t in_order(v128_t a);
#endif
