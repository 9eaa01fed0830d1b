// The ways of remembering that the report compares, beside the table of row formats.
const rows = (type, window) => ['-k', type, '-v', type, '--k-window', String(window), '--v-window', String(window)];

/** The memory in tiers has a window of 129 to 192 positions: row formats get 128, and the best of them the most as well. */
export const window = 128;
const longestWindow = 192;

export const presets = ['quality', 'balanced', 'max'];
export const deleted = `delete:${window}`;

export const compared = [
  { name: 'FP16 (floor)', args: ['-k', 'fp16', '-v', 'fp16'] },
  ...presets.map((preset) => ({ name: preset, args: ['--kv', preset] })),
  ...['hq4_0', 'turbo_kv_4b', 'q4_0'].map((type) => ({ name: `${type}, ${window} exact`, args: rows(type, window) })),
  ...['hq3_0', 'hq2_0'].map((type) => ({ name: `${type}, ${window} exact`, args: rows(type, window) })),
  { name: `hq4_0, ${longestWindow} exact`, args: rows('hq4_0', longestWindow) },
  { name: `deleted beyond ${window}`, args: ['--kv', deleted], keepsAll: true },
];
