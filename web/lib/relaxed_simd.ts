// Whether this browser has relaxed SIMD and computes what the engine relies on. That it accepts the instructions proves
// nothing: there are engines that accept them and multiply wrongly.

// (module (memory (export "memory") 1)
//  (func (export "run")
//   (v128.store (i32.const 48) (i32x4.relaxed_dot_i8x16_i7x16_add_s
//    (v128.load (i32.const 0)) (v128.load (i32.const 16)) (v128.load (i32.const 32))))
//   (v128.store (i32.const 64) (i16x8.relaxed_dot_i8x16_i7x16_s (v128.load (i32.const 0)) (v128.load (i32.const 16))))))
const probe =
  'AGFzbQEAAAABBAFgAAADAgEABQMBAAEHEAIGbWVtb3J5AgADcnVuAAAKNQEzAEEwQQD9AAQAQRD9AAQAQSD9AAQA/ZMC/QsEAEHAAEEA/QAEAEEQ/QAEAP2SAv0LBAAL';

/** The answer for the known operands: a is any int8, b is 0..127, c is any int32. */
function isRight(a: Int8Array, b: Int8Array, c: Int32Array, fours: Int32Array, pairs: Int16Array): boolean {
  const product = (i: number) => (a[i] ?? 0) * (b[i] ?? 0);
  return (
    pairs.every((sum, i) => sum === product(2 * i) + product(2 * i + 1)) &&
    fours.every((sum, i) => sum === (c[i] ?? 0) + [0, 1, 2, 3].reduce((all, j) => all + product(4 * i + j), 0))
  );
}

/** Computes some products with relaxed SIMD and compares them with the exact ones. */
export function relaxedSimdWorks(): boolean {
  const bytes = Uint8Array.from(atob(probe), (character) => character.charCodeAt(0));
  if (!WebAssembly.validate(bytes)) return false;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const { memory, run } = exports as { memory: WebAssembly.Memory; run: () => void };
  const a = new Int8Array(memory.buffer, 0, 16);
  const b = new Int8Array(memory.buffer, 16, 16);
  const c = new Int32Array(memory.buffer, 32, 4);
  const fours = new Int32Array(memory.buffer, 48, 4);
  const pairs = new Int16Array(memory.buffer, 64, 8);
  c.set([0, -70_000, 123_456, 1 - 2 ** 30]);
  const extremes = [
    [-128, 127],
    [127, 127],
    [-1, 127],
    [-128, 1],
  ] as const;
  for (let round = 0; round < 32; round++) {
    for (let i = 0; i < 16; i++) {
      const [w, x] = extremes[(i * 7 + round) % 5] ?? [((i * 37 + round * 11) % 256) - 128, (i * 29 + round * 5) % 128];
      a[i] = w;
      b[i] = x;
    }
    if (round < extremes.length) {
      a.fill(extremes[round]?.[0] ?? 0);
      b.fill(extremes[round]?.[1] ?? 0);
    }
    run();
    if (!isRight(a, b, c, fours, pairs)) return false;
  }
  return true;
}
