// The profile of one token and one micro-batch, each part beside its bound: pure functions.
import { rowsWhere } from './goals.mjs';

/**
 * What the machine can do at best, on so many threads: GB/s of reading, and GOP/s of multiplying a micro-batch by weights of a
 * type. Undefined where it was not measured.
 */
export function machineBounds(results, threads) {
  const native = (keys) => rowsWhere(results, 'kernels', { where: 'native', ...keys });
  const highest = (rows, key) => (rows.length > 0 ? Math.max(...rows.map((row) => row[key])) : undefined);
  return {
    readGbPerS: highest(native({ read: 'memory', n_threads: threads }), 'gb_per_s'),
    gopPerS(type) {
      const one = highest(native({ type, n_tokens: 64, n_threads: 1 }), 'gop_per_s');
      return one === undefined ? undefined : one * threads;
    },
    /** Milliseconds in which a token's attention over so many positions is computed by itself. */
    attentionMs({ heads, headDim, layers }, positions) {
      const [row] = native({ attention: 'quality', head_dim: headDim, group: 3 });
      return row && (row.ns * positions * heads * layers) / threads / 1e6;
    },
  };
}

/**
 * Milliseconds in which a part could be done: its weights read, or its products computed at the kernel's peak; the attention of
 * one token as it is by itself.
 * @param {{ type: string, shape: { heads: number, headDim: number, layers: number } }} model
 */
export function boundMs(row, { type, shape }, bounds) {
  if (row.profile === 'decode' && row.part === 'attention') return bounds.attentionMs(shape, row.n_depth + 1);
  if (!row.bytes || !bounds.readGbPerS) return undefined;
  const reading = row.bytes / bounds.readGbPerS / 1e6;
  const peak = bounds.gopPerS(type);
  if (row.profile === 'decode' || row.part === 'head' || peak === undefined) return reading;
  return Math.max(reading, (row.gop_per_s * row.ms) / peak);
}

/** Cells of a table: part, ms, share, bound, how much of the bound is reached. */
export function profileCells(rows, model, bounds) {
  return rows.map((row) => {
    const bound = boundMs(row, model, bounds);
    const rate = row.profile === 'decode' ? row.gb_per_s : row.gop_per_s;
    const unit = row.profile === 'decode' ? 'GB/s' : 'GOP/s';
    return [
      row.part.replaceAll('_', ' '),
      row.ms.toFixed(3),
      `${(100 * row.share).toFixed(1)} %`,
      rate === undefined ? '' : `${rate.toFixed(1)} ${unit}`,
      bound === undefined ? '' : bound.toFixed(3),
      bound === undefined ? '' : `${((100 * bound) / row.ms).toFixed(0)} %`,
    ];
  });
}
