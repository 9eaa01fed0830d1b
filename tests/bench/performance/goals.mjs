// The numbers that this engine is to reach, each from rows of the benchmarks: pure functions.
import { median } from '../statistics.mjs';

/** @typedef {Record<string, { rows: Record<string, any>[] } | undefined>} Results by the name of a part */

/** Rows of a part whose keys have these values. */
export function rowsWhere(results, part, keys) {
  const wanted = Object.entries(keys);
  return (results[part]?.rows ?? []).filter((row) => wanted.every(([key, value]) => row[key] === value));
}

const best = (values) => (values.length > 0 ? Math.max(...values) : undefined);
const ratio = (ours, theirs) => (ours === undefined || theirs === undefined ? undefined : ours / theirs);

/** Tokens per second, median; the best where several rows fit. */
export function speed(results, part, keys) {
  return best(rowsWhere(results, part, keys).map((row) => row.median_ts ?? median(row.samples_ts)));
}

const decode = (n_depth, more) => ({ n_prompt: 0, n_depth, ...more });
const prefill = (n_prompt, more) => ({ n_prompt, n_gen: 0, ...more });
const ours = { engine: 'strata', kv: 'quality' };
const wllama = { engine: 'wllama' };
const llama = { engine: 'llama.cpp', kv: 'f16' };

/** The share of its own read bandwidth at which a tab reads weights; of its modules, the faster. */
function matvecShare(results, type, n_threads) {
  return best(
    ['tab', 'tab-relaxed'].map((where) => {
      const at = { where, n_threads };
      const [read] = rowsWhere(results, 'kernels', { ...at, read: 'memory' });
      const [matvec] = rowsWhere(results, 'kernels', { ...at, type, n_tokens: 1 });
      return read && matvec ? matvec.gb_per_s / read.gb_per_s : 0;
    }),
  );
}

/** How many times as fast as the faster of the exact ones attention over compressed memory is; the least of all groups. */
export function attentionGain(results, where, head_dim) {
  const gains = [1, 3].flatMap((group) => {
    const ns = (attention) => rowsWhere(results, 'kernels', { where, attention, head_dim, group })[0]?.ns;
    const [quality, fp32, fp16] = ['quality', 'fp32', 'fp16'].map(ns);
    return quality && fp32 && fp16 ? [Math.min(fp32, fp16) / quality] : [];
  });
  return gains.length > 0 ? Math.min(...gains) : undefined;
}

function loadSeconds(results) {
  const [row] = rowsWhere(results, 'load-1b', { engine: 'strata' });
  return row ? row.load_ms / 1000 : undefined;
}

/**
 * floor and aim of a measured value. unit: x (a ratio), % (of 1), s (less is better)
 * @typedef {{ shape: string, what: string, unit: 'x' | '%' | 's', floor: number, aim: number, value: number | undefined, detail?: string }} Goal
 */

/** @returns {Goal[]} in the order in which they were set */
export function goals(results) {
  const at = (part, keys) => speed(results, part, keys);
  const goal = (shape, what, unit, floor, aim, value, detail) => ({ shape, what, unit, floor, aim, value, detail });
  const compared = (shape, what, unit, floor, aim, mine, theirs) => {
    const known = mine !== undefined && theirs !== undefined;
    const detail = known ? `${mine.toFixed(1)} and ${theirs.toFixed(1)} tok/s` : undefined;
    return goal(shape, what, unit, floor, aim, ratio(mine, theirs), detail);
  };
  const nativeGoals = (shape, part) => [
    compared(
      shape,
      'native decode @32, to llama.cpp f16',
      'x',
      0.95,
      1,
      at(part, decode(32, ours)),
      at(part, decode(32, llama)),
    ),
    compared(
      shape,
      'native decode @4,000 `quality`, to llama.cpp f16',
      'x',
      1.5,
      2,
      at(part, decode(4000, ours)),
      at(part, decode(4000, llama)),
    ),
    compared(
      shape,
      'native prefill of 512, to llama.cpp f16',
      'x',
      0.6,
      1,
      at(part, prefill(512, ours)),
      at(part, prefill(512, llama)),
    ),
  ];
  const small = '135M Q8_0';
  const large = '1B Q4_0';
  // Its best of both cache types.
  const wllamaAt32 = ['tab-135m', 'tab-135m-4000'].map((part) => at(part, decode(32, wllama))).filter(Boolean);
  return [
    compared(small, 'tab decode @32, to wllama', 'x', 3, 4, at('tab-135m', decode(32, ours)), best(wllamaAt32)),
    compared(
      small,
      'tab decode @4,000 `quality`, to wllama q8_0',
      'x',
      5,
      7,
      at('tab-135m-4000', decode(4000, ours)),
      at('tab-135m-4000', decode(4000, wllama)),
    ),
    compared(
      small,
      'the same, to our own @32, 25 of each in turn',
      '%',
      0.6,
      0.75,
      at('tab-135m-own', decode(4000, ours)),
      at('tab-135m-own', decode(32, ours)),
    ),
    compared(
      small,
      'tab prefill of 512, to wllama',
      'x',
      6,
      12,
      at('tab-135m', prefill(512, ours)),
      at('tab-135m', prefill(512, wllama)),
    ),
    compared(
      large,
      'tab decode @32, to wllama',
      'x',
      6,
      8,
      at('tab-1b', decode(32, ours)),
      at('tab-1b', decode(32, wllama)),
    ),
    compared(
      large,
      'tab decode @32, to native llama.cpp f16',
      '%',
      0.45,
      0.6,
      at('tab-1b', decode(32, ours)),
      at('native-1b', decode(32, llama)),
    ),
    compared(
      large,
      'tab prefill of 128, to wllama',
      'x',
      20,
      30,
      at('tab-1b', prefill(128, ours)),
      at('tab-1b', prefill(128, wllama)),
    ),
    compared(
      large,
      'tab prefill of 512, to native llama.cpp',
      '%',
      0.25,
      0.4,
      at('tab-1b', prefill(512, ours)),
      at('native-1b', prefill(512, llama)),
    ),
    compared(
      large,
      'tab decode @4,000 `quality`, to native llama.cpp f16 @4,000',
      '%',
      0.75,
      1,
      at('tab-1b-4000', decode(4000, ours)),
      at('native-1b', decode(4000, llama)),
    ),
    ...nativeGoals(small, 'native-135m'),
    ...nativeGoals(large, 'native-1b'),
    ...[
      ['Q8_0', 0.6, 0.75],
      ['Q4_0', 0.4, 0.55],
    ].flatMap(([type, floor, aim]) =>
      [2, 1].map((threads) =>
        goal(
          `matrix times vector, ${type}`,
          `tab, ${threads} threads, to the tab's own read bandwidth`.replace('1 threads', '1 thread'),
          '%',
          floor,
          aim,
          matvecShare(results, type, threads) || undefined,
        ),
      ),
    ),
    ...['tab-relaxed', 'native'].flatMap((where) =>
      [64, 128].map((head_dim) =>
        goal(
          'attention alone, 16K positions',
          `${where}, head_dim ${head_dim}: \`quality\` to the faster of FP32 and FP16`,
          'x',
          2,
          3,
          attentionGain(results, where, head_dim),
        ),
      ),
    ),
    compared(
      small,
      '1 thread, no isolation: decode @32, to wllama',
      'x',
      2,
      3,
      at('one-thread', decode(32, ours)),
      at('one-thread', decode(32, wllama)),
    ),
    goal(large, 'from a local file to ready, in the tab', 's', 2.5, 1.5, loadSeconds(results)),
  ];
}

/** @returns {'aim' | 'floor' | 'missed' | 'not measured'} */
export function verdict({ unit, floor, aim, value }) {
  if (value === undefined) return 'not measured';
  const reaches = (bound) => (unit === 's' ? value <= bound : value >= bound);
  if (reaches(aim)) return 'aim';
  return reaches(floor) ? 'floor' : 'missed';
}

export function inUnit(value, unit) {
  if (value === undefined) return '';
  if (unit === '%') return `${(100 * value).toFixed(0)} %`;
  return `${value.toFixed(2)}${unit === 's' ? ' s' : 'x'}`;
}
