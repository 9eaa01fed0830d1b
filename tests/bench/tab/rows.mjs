// The rows of our benchmarks: the keys of llama-bench, and what tells ours apart.
import { mean, median, standardDeviation } from '../statistics.mjs';

export const round = (value) => Number(value.toFixed(3));

/** @param {number[]} rates tokens per second */
export const rateKeys = (rates) => ({
  avg_ts: round(mean(rates)),
  stddev_ts: round(standardDeviation(rates)),
  median_ts: round(median(rates)),
  samples_ts: rates.map(round),
});

/**
 * How fast the weights are read. Only where every token reads them anew: a prompt shares them among its positions.
 * @param {{ n_gen: number, median_ts: number }} row
 * @param {number | undefined} weightBytes that one token reads
 * @param {number | undefined} read GB/s at which as many threads read memory
 */
export function bandwidthKeys({ n_gen, median_ts }, weightBytes, read) {
  if (n_gen === 0 || !weightBytes) return {};
  const speed = (median_ts * weightBytes) / 1e9;
  return {
    gb_per_s: round(speed),
    ...(read ? { read_gb_per_s: round(read), read_fraction: round(speed / read) } : {}),
  };
}

export function titleOf(row) {
  if (row.load_ms !== undefined) return 'load';
  return row.n_gen === 0 ? `prefill ${row.n_prompt}` : `decode ${row.n_gen} @ ${row.n_depth}`;
}

const value = (row) => row.load_ms ?? row.median_ts;

/** A line for people: `others` are rows of the same test, of which a peer's best is compared with ours. */
export function textOf(row, others) {
  const isLoad = row.load_ms !== undefined;
  const samples = isLoad ? row.samples_ms : row.samples_ts;
  const digits = isLoad ? 0 : 1;
  const peers = others.filter((other) => other.engine !== 'strata').map(value);
  const best = isLoad ? Math.min(...peers) : Math.max(...peers);
  const ratio = isLoad ? best / value(row) : value(row) / best;
  return [
    titleOf(row).padEnd(18),
    row.engine.padEnd(9),
    (row.kv ?? '').padEnd(14),
    `${row.n_threads} t`,
    `${value(row).toFixed(digits).padStart(8)} ${isLoad ? 'ms' : 'tok/s'}`,
    `(${Math.min(...samples).toFixed(digits)} to ${Math.max(...samples).toFixed(digits)})`,
    row.read_fraction ? `${(100 * row.read_fraction).toFixed(0)} % of reading` : '',
    row.engine === 'strata' && peers.length > 0 ? `${ratio.toFixed(2)} x the peer's best` : '',
  ]
    .join(' ')
    .trimEnd();
}
