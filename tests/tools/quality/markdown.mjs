// Tables and numbers as the report writes them.

/** `align`: one letter a column, l or r. */
export function table(head, align, rows) {
  const rule = [...align].map((letter) => (letter === 'r' ? '--:' : '---'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export const integer = (x) => x.toLocaleString('en-US');
export const signed = (x, decimals) => `${x < 0 ? '-' : '+'}${Math.abs(x).toFixed(decimals)}`;
export const share = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;

/** With as many decimals as give the error two digits. */
export function plusMinus(mean, error) {
  if (error === 0) return String(mean);
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(error)));
  return `${mean.toFixed(decimals)} ± ${error.toFixed(decimals)}`;
}

/** A ratio of perplexities as a change in percent. */
export const change = (ratio, error) => `${signed(100 * (ratio - 1), 2)} ± ${(100 * error).toFixed(2)}`;
