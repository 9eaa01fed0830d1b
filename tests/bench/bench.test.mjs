// The pure parts of the benchmarks: what a wrong number in docs/performance.md would come from.
import { expect, test } from 'vitest';
import { attentionGain, goals, inUnit, speed, verdict } from './performance/goals.mjs';
import { parts } from './performance/parts.mjs';
import { boundMs, machineBounds, profileCells } from './performance/profile.mjs';
import { mean, median, standardDeviation } from './statistics.mjs';
import { contextTokens, readOptions, testsOf } from './tab/options.mjs';
import { bandwidthKeys, rateKeys, textOf, titleOf } from './tab/rows.mjs';

const model = 'web/public/models/pocket-chat-5.8m-q8_0.gguf';

test('statistics', () => {
  expect(mean([1, 2, 6])).toBe(3);
  expect(median([9, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 9])).toBe(3);
  expect(standardDeviation([2, 4, 6])).toBe(2);
  expect(standardDeviation([7])).toBe(0);
});

test('rates have the keys of llama-bench', () => {
  expect(rateKeys([1, 2, 6])).toEqual({ avg_ts: 3, stddev_ts: 2.646, median_ts: 2, samples_ts: [1, 2, 6] });
});

test('bandwidth is said of decoding only', () => {
  expect(bandwidthKeys({ n_gen: 32, median_ts: 10 }, 5e8, 20)).toEqual({
    gb_per_s: 5,
    read_gb_per_s: 20,
    read_fraction: 0.25,
  });
  expect(bandwidthKeys({ n_gen: 32, median_ts: 10 }, 5e8, undefined)).toEqual({ gb_per_s: 5 });
  expect(bandwidthKeys({ n_gen: 0, median_ts: 10 }, 5e8, 20)).toEqual({});
  expect(bandwidthKeys({ n_gen: 32, median_ts: 10 }, undefined, 20)).toEqual({});
});

test('a line says the ratio to the best of the peers, also where less is better', () => {
  const row = (engine, median_ts) => ({
    engine,
    kv: 'x',
    n_threads: 2,
    n_gen: 32,
    n_depth: 4,
    ...rateKeys([median_ts]),
  });
  const rows = [row('strata', 30), row('wllama', 10), row('wllama', 15)];
  expect(titleOf(rows[0])).toBe('decode 32 @ 4');
  expect(textOf(rows[0], rows)).toContain("2.00 x the peer's best");
  expect(textOf(rows[1], rows)).not.toContain("the peer's best");
  expect(textOf(rows[0], [rows[0]])).not.toContain("the peer's best");
  const load = (engine, load_ms) => ({ engine, kv: 'x', n_threads: 2, load_ms, samples_ms: [load_ms] });
  expect(textOf(load('strata', 500), [load('strata', 500), load('wllama', 1000)])).toContain('2.00 x');
});

test('the peer can be asked for less', () => {
  const args = `--model ${model} --kv quality,fp16 --depths 32,4000 --prompt 512,128 --peer-prompt 128 --peer-depths 32 --peer-reps 3`;
  const { wishes, gen } = readOptions(args.split(' '));
  expect(wishes.strata).toMatchObject({ kv: ['quality', 'fp16'], prompts: [512, 128], depths: [32, 4000], reps: 5 });
  expect(wishes.wllama).toMatchObject({ kv: ['f16'], prompts: [128], depths: [32], reps: 3 });
  const engines = testsOf({ wishes, gen }).map(([of, ...others]) => [titleOf(of), of.engines.join(), ...others]);
  expect(engines).toEqual([
    ['prefill 512', 'strata'],
    ['prefill 128', 'strata,wllama'],
    ['decode 32 @ 32', 'strata,wllama'],
    ['decode 32 @ 4000', 'strata'],
  ]);
  expect(contextTokens(wishes.strata, gen)).toBe(4096);
  expect(contextTokens(wishes.wllama, gen)).toBe(256);
});

test('only some tests, and an engine that is not asked', () => {
  const options = readOptions(`--model ${model} --only decode --peer-kv none --peer-depths 7`.split(' '));
  const titles = (options) => testsOf(options).map((tests) => tests.map(titleOf));
  expect(titles(options)).toEqual([['decode 32 @ 32'], ['decode 32 @ 1024']]);
  expect(titles({ ...options, depthsInTurn: true })).toEqual([['decode 32 @ 32', 'decode 32 @ 1024']]);
  expect(readOptions([])).toBeUndefined();
  expect(() => readOptions(['--model', 'missing.gguf'])).toThrow('missing.gguf does not exist');
});

const decodeRow = (engine, kv, n_depth, median_ts) => ({ engine, kv, n_prompt: 0, n_gen: 32, n_depth, median_ts });

test('goals are ratios of medians, ours with the memory of the product', () => {
  const results = {
    'tab-135m': {
      rows: [
        decodeRow('strata', 'fp16', 32, 99),
        decodeRow('strata', 'quality', 32, 80),
        decodeRow('wllama', 'f16', 32, 20),
      ],
    },
  };
  const [first, second] = goals(results);
  expect(first).toMatchObject({ value: 4, detail: '80.0 and 20.0 tok/s' });
  expect(verdict(first)).toBe('aim');
  expect(verdict(second)).toBe('not measured');
  expect(speed(results, 'tab-135m', { engine: 'strata' })).toBe(99);
  expect(speed({ p: { rows: [{ samples_ts: [1, 5, 3] }] } }, 'p', {})).toBe(3);
});

test('what holds, and what does not', () => {
  const goal = { unit: 'x', floor: 2, aim: 3 };
  expect([1.99, 2, 3].map((value) => verdict({ ...goal, value }))).toEqual(['missed', 'floor', 'aim']);
  const seconds = { unit: 's', floor: 2.5, aim: 1.5 };
  expect([2.6, 2.5, 1.5].map((value) => verdict({ ...seconds, value }))).toEqual(['missed', 'floor', 'aim']);
  expect([inUnit(0.456, '%'), inUnit(2, 'x'), inUnit(1.5, 's'), inUnit(undefined, 's')]).toEqual([
    '46 %',
    '2.00x',
    '1.50 s',
    '',
  ]);
});

test('attention is compared with the faster exact memory, and the least gain counts', () => {
  const row = (attention, group, ns) => ({ where: 'tab', attention, head_dim: 64, group, ns });
  const rows = [row('fp32', 1, 30), row('fp16', 1, 24), row('quality', 1, 8), row('fp32', 3, 10), row('fp16', 3, 12)];
  expect(attentionGain({ kernels: { rows } }, 'tab', 64)).toBe(3);
  rows.push(row('quality', 3, 5));
  expect(attentionGain({ kernels: { rows } }, 'tab', 64)).toBe(2);
  expect(attentionGain({}, 'tab', 64)).toBeUndefined();
});

test('the bound of a part is reading for a token, and the slower of reading and computing for a micro-batch', () => {
  const results = {
    kernels: {
      rows: [
        { where: 'native', read: 'memory', n_threads: 2, gb_per_s: 20 },
        { where: 'native', type: 'Q8_0', n_tokens: 64, n_threads: 1, gop_per_s: 100 },
        { where: 'native', type: 'Q8_0', n_tokens: 64, n_threads: 1, gop_per_s: 80 },
        { where: 'native', attention: 'quality', head_dim: 64, group: 3, ns: 10 },
      ],
    },
  };
  const bounds = machineBounds(results, 2);
  const q8 = { type: 'Q8_0', shape: { heads: 9, headDim: 64, layers: 30 } };
  const token = { profile: 'decode', part: 'gate_up', ms: 4, share: 0.5, bytes: 4e7, gb_per_s: 10, gop_per_s: 1 };
  expect(boundMs(token, q8, bounds)).toBe(2);
  const batch = { ...token, profile: 'prefill', ms: 40, gop_per_s: 50 };
  expect(boundMs(batch, q8, bounds)).toBe(10); // 50 GOP/s for 40 ms, at 200 GOP/s
  expect(boundMs(batch, { ...q8, type: 'Q4_0' }, bounds)).toBe(2); // its peak was not measured
  expect(boundMs({ ...token, bytes: undefined }, q8, bounds)).toBeUndefined();
  const attention = { profile: 'decode', part: 'attention', n_depth: 999, ms: 2 };
  expect(boundMs(attention, q8, bounds)).toBe(1.35); // 10 ns for 9 heads of 30 layers, 1,000 positions, two threads
  expect(profileCells([token], q8, bounds)).toEqual([['gate up', '4.000', '50.0 %', '10.0 GB/s', '2.000', '50 %']]);
});

test('parts have names of their own', () => {
  expect(new Set(parts.map((part) => part.name)).size).toBe(parts.length);
});
