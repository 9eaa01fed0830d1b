// What a golden file keeps of one row of logits: enough to compare any engine with, a fraction of the size.

export const idsPerRow = 256;

// Behind the 256 logits of each row.
export const columns = ['top_logit', 'runner_up_logit', 'logsumexp', 'mean', 'standard_deviation'];

/** The ids whose logits are kept: evenly spaced, so that control tokens, bytes, and frequent and rare merges are there. */
export function sampledIds(vocabulary) {
  return Array.from({ length: idsPerRow }, (_, i) => Math.floor((i * vocabulary) / idsPerRow));
}

/** The two ids with the largest logits; of equal ones, the smaller id. */
export function topTwo(row) {
  let top = 0;
  let runnerUp = -1;
  for (let id = 1; id < row.length; id++) {
    if (row[id] > row[top]) {
      runnerUp = top;
      top = id;
    } else if (runnerUp < 0 || row[id] > row[runnerUp]) {
      runnerUp = id;
    }
  }
  return { top, runnerUp };
}

/** In double, relative to the largest logit. */
export function logSumExp(row) {
  const largest = row.reduce((a, b) => Math.max(a, b));
  return largest + Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
}

/** -log softmax(row)[target], in nats and in double. */
export function negativeLogLikelihood(row, target) {
  return logSumExp(row) - row[target];
}

/** Mean and standard deviation over the whole vocabulary, in double. */
function moments(row) {
  const mean = row.reduce((sum, logit) => sum + logit, 0) / row.length;
  const variance = row.reduce((sum, logit) => sum + (logit - mean) ** 2, 0) / row.length;
  return { mean, deviation: Math.sqrt(variance) };
}

/** The row of the file: 256 logits, then `columns`. */
export function digest(row, ids) {
  const { top, runnerUp } = topTwo(row);
  const { mean, deviation } = moments(row);
  const summary = [row[top], row[runnerUp], logSumExp(row), mean, deviation];
  return { top, runnerUp, values: [...ids.map((id) => row[id]), ...summary] };
}
