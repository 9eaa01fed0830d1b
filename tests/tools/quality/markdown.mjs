// Tables and numbers as the report writes them.

/** `align`: one letter a column, l or r. */
export function table(head, align, rows) {
  const rule = [...align].map((letter) => (letter === 'r' ? '--:' : '---'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export const integer = (x) => x.toLocaleString('en-US');
export const signed = (x, decimals) => `${x < 0 ? '-' : '+'}${Math.abs(x).toFixed(decimals)}`;
export const share = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;

/** Three digits of a number that may be of any size. */
export const small = (x) => (x === 0 ? '0' : x < 1e-4 ? x.toExponential(1) : x.toPrecision(3));

export const plusMinus = (mean, error, write = small) =>
  mean === 0 && error === 0 ? '0' : `${write(mean)} ± ${write(error)}`;

/** A ratio of perplexities as a change in percent. */
export const change = (ratio, error) => `${signed(100 * (ratio - 1), 2)} ± ${(100 * error).toFixed(2)}`;
