;; in_order of engine/simd/relaxed.h: nothing, once all that could have changed the order is done.
(module
 (func (export "in_order") (param v128) (result v128)
  (local.get 0)))
