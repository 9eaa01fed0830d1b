;; The instructions behind engine/simd/relaxed.h.
(module
 (func (export "relaxed_dot") (param v128 v128 v128) (result v128)
  (i32x4.relaxed_dot_i8x16_i7x16_add_s (local.get 0) (local.get 1) (local.get 2)))
 (func (export "relaxed_dot_pairs") (param v128 v128) (result v128)
  (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 0) (local.get 1)))
 (func (export "relaxed_swizzle") (param v128 v128) (result v128)
  (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))
