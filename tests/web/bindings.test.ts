// One arithmetic: the module computes the bits that every build computes. And what the library relies on in the bindings.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EngineModule, NativeEngine } from '../../wasm/engine_module';
import { withGap } from '../tools/split_gguf.mjs';
import { agreed } from './agreed';
import { defaultModel, instantiate } from './node_host';

let module: EngineModule;
let engine: NativeEngine;
beforeEach(async () => {
  module = await instantiate();
  engine = new module.Engine();
});
afterEach(() => engine.delete());

function open(bytes: Uint8Array = defaultModel()): void {
  expect(engine.reserve(bytes.length)).toBe(true);
  engine.bytes().set(bytes);
  expect(engine.open(bytes.length, [])).toBeUndefined();
}

test('the kernels have the agreed signature', () => {
  expect(module.kernelSignature()).toBe(agreed.signature);
  expect(module.weightsSignature()).toBe(agreed.weightsSignature);
});

test('the logits of the shipped model have the agreed digest', () => {
  open();
  expect(engine.openSession(agreed.memory)).toBeUndefined();
  expect(engine.scoreDigest(agreed.tokens)).toBe(agreed.digest);
  expect(engine.simd()).toBe('wasm128');
});

test('soft caps, sliding windows and GELU give the agreed digest', () => {
  open(readFileSync(agreed.tiny.model));
  expect(engine.openSession(agreed.memory)).toBeUndefined();
  expect(engine.scoreDigest(agreed.tiny.tokens)).toBe(agreed.tiny.digest);
});

test('growing keeps what was written, without needing the memory twice', () => {
  const step = 2 ** 24;
  for (let size = step; size <= 20 * step; size += step) {
    expect(engine.reserve(size)).toBe(true);
    engine.bytes()[size - 1] = size / step;
  }
  const bytes = engine.bytes();
  for (let n = 1; n <= 20; ++n) expect(bytes[n * step - 1]).toBe(n);
  open();
  engine.openSession({});
  expect(engine.stats().heapBytes).toBeLessThan(1.5 * 20 * step);
});

test('more memory than there is can be asked for, and nothing is lost', () => {
  engine.reserve(16);
  engine.bytes().fill(7);
  expect(engine.reserve(2 ** 32 - 2)).toBe(false);
  expect([...engine.bytes()]).toEqual(new Array(16).fill(7));
  expect(engine.reserve(engine.tabBytes())).toBe(true);
});

/** The shipped model, with so many bytes between its first tensor and the others: what is not touched costs nothing. */
function openWithGap(gap: number) {
  const { file, before } = withGap(defaultModel(), gap);
  expect(engine.reserve(file.length + gap)).toBe(true);
  engine.bytes().set(file.subarray(0, before));
  engine.bytes().set(file.subarray(before), before + gap);
  return engine.open(file.length + gap, []);
}

test.each([2.2e9, 3.4e9])('with %d bytes of model below them, weights, conversation and texts are the same', (gap) => {
  expect(openWithGap(gap)).toBeUndefined();
  expect(engine.openSession(agreed.memory)).toBeUndefined();
  expect(engine.stats().heapBytes).toBeGreaterThan(gap);
  expect(engine.scoreDigest(agreed.tokens)).toBe(agreed.digest);
  const text = 'The sea — naïve 👍';
  expect(engine.decode(engine.encode(text, false, []), false)).toBe(text);
  const snapshot = engine.save() as Uint8Array;
  expect(engine.restore(snapshot, {})).toBeUndefined();
  expect(Buffer.compare(engine.save() as Uint8Array, snapshot)).toBe(0);
});

test('memory can grow to where most of it is model, without ever needing it twice', () => {
  for (const size of [1.5e9, 2.1e9, 2.2e9, 3.3e9, 4e9]) {
    expect(engine.reserve(size)).toBe(true);
    engine.bytes()[size - 1] = size / 1e8;
  }
  const ends = [1.5e9, 2.1e9, 2.2e9, 3.3e9, 4e9].map((size) => engine.bytes()[size - 1]);
  expect(ends).toEqual([15, 21, 22, 33, 40]);
});

test('tokens and text are each other', () => {
  open();
  const text = 'The sea, the sea! — naïve 👍';
  expect(engine.decode(engine.encode(text, false, []), false)).toBe(text);
  const [start, end] = ['<|im_start|>', '<|im_end|>'].map((special) => engine.encode(special, true, []));
  expect([start, end]).toEqual([[1], [2]]);
  expect(engine.encode('<|im_end|><|im_end|>', true, [10, 11])).toEqual([2, ...engine.encode('<|im_end|>', false, [])]);
});
