// Numbers as people read them. A number and its unit never part: the space between them does not break.
const locale = 'en';
const nbsp = '\u00a0';
const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const upToOne = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

export const count = (n: number): string => whole.format(n);

/** 512 B, 41 KB, 6.3 MB, 153 MB, 1.9 GB: powers of ten, as in the file manager. */
export function bytes(n: number): string {
  if (n < 1000) return `${whole.format(n)}${nbsp}B`;
  if (n < 999_500) return `${n < 9950 ? one.format(n / 1e3) : whole.format(n / 1e3)}${nbsp}KB`;
  if (n < 999_500_000) return `${n < 99_950_000 ? one.format(n / 1e6) : whole.format(n / 1e6)}${nbsp}MB`;
  return `${one.format(n / 1e9)}${nbsp}GB`;
}

/** Two digits are enough for a forecast: 940, 38,000, 5.1 million. */
export function about(n: number): string {
  const rounded = Number(n.toPrecision(2));
  return rounded < 1e6 ? whole.format(rounded) : `${upToOne.format(rounded / 1e6)}${nbsp}million`;
}

/** How many times as much: 4.8, 12. */
export const ratio = (n: number): string => (n < 9.95 ? one.format(n) : whole.format(n));

/** 4.5 and 32, without a needless zero. */
export const bits = (n: number): string => upToOne.format(n);

export function perSecond(n: number): string {
  return n < 99.5 ? upToOne.format(n) : whole.format(n);
}

export function seconds(ms: number): string {
  return ms < 950
    ? `${(Math.max(10, ms) / 1000).toFixed(ms < 95 ? 2 : 1)}${nbsp}s`
    : `${upToOne.format(ms / 1000)}${nbsp}s`;
}

/** 5.8M, 494M, 1.2B parameters. */
export function parameters(n: number): string {
  if (n < 1e9) return `${n < 99.5e6 ? upToOne.format(n / 1e6) : whole.format(n / 1e6)}M`;
  return `${upToOne.format(n / 1e9)}B`;
}
