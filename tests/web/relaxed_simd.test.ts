import { afterEach, expect, test, vi } from 'vitest';
import { relaxedSimdWorks } from '../../web/lib/relaxed_simd';

afterEach(() => vi.restoreAllMocks());

/** An engine that has the instructions; what it computes is `change`d. */
function pretend(change: (fours: Int32Array, pairs: Int16Array) => void) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const run = () => {
    const [a, b] = [new Int8Array(memory.buffer, 0, 16), new Int8Array(memory.buffer, 16, 16)];
    const c = new Int32Array(memory.buffer, 32, 4);
    const [fours, pairs] = [new Int32Array(memory.buffer, 48, 4), new Int16Array(memory.buffer, 64, 8)];
    fours.set(c);
    pairs.fill(0);
    a.forEach((value, i) => {
      const product = value * (b[i] ?? 0);
      fours[i >> 2] = (fours[i >> 2] ?? 0) + product;
      pairs[i >> 1] = (pairs[i >> 1] ?? 0) + product;
    });
    change(fours, pairs);
  };
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(true);
  vi.spyOn(WebAssembly, 'Module').mockImplementation(class {} as never);
  vi.spyOn(WebAssembly, 'Instance').mockImplementation(
    class {
      exports = { memory, run };
    } as never,
  );
}

test('an engine without the instructions is not asked to compute', () => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
  expect(relaxedSimdWorks()).toBe(false);
});

test('exact products pass', () => {
  pretend(() => {});
  expect(relaxedSimdWorks()).toBe(true);
});

test('an engine that accepts the instructions and takes the second operand as unsigned, or saturates, does not', () => {
  pretend((fours) => {
    fours[3] = (fours[3] ?? 0) + 256;
  });
  expect(relaxedSimdWorks()).toBe(false);
  pretend((_, pairs) => {
    for (let i = 0; i < 8; i++) pairs[i] = Math.max(pairs[i] ?? 0, -32_000);
  });
  expect(relaxedSimdWorks()).toBe(false);
});
