// What a whole memory takes, with its exact window and all it keeps.

import { integer, share, table } from './markdown.mjs';
import { presets, window } from './memories.mjs';

const lengths = [2048, 10_000];
const memories = [
  { name: 'FP32', args: ['-k', 'fp32', '-v', 'fp32'] },
  { name: 'FP16', args: ['-k', 'fp16', '-v', 'fp16'] },
  ...['exact', ...presets].map((preset) => ({ name: preset, args: ['--kv', preset] })),
  {
    name: `hq4_0, ${window} exact`,
    args: ['-k', 'hq4_0', '-v', 'hq4_0', '--k-window', String(window), '--v-window', String(window)],
  },
];

export function bytesSection({ measurements, model, texts }) {
  // One token more than is read: the last one is only predicted.
  const at = (length, args) =>
    measurements.run('ppl', model, ['--text', texts[0], '--max-tokens', String(length + 1), '--last', '1', ...args]).kv;
  const cells = (kv) => [integer(kv.bytes), share(kv.bytes, kv.bytes_fp16), share(kv.bytes, kv.bytes_fp32)];
  return `## Bytes of a whole memory

\`strata ppl MODEL --text TEXT --max-tokens N+1 --last 1\` reads N tokens and reports what is allocated then: the exact window, the rows
that are kept so that the last turn can be taken back, and the slack of pages among it. Shares are of plain caches without slack.

${table(
  ['memory', ...lengths.flatMap((length) => [`bytes at ${integer(length)}`, 'of FP16', 'of FP32'])],
  `l${'rrr'.repeat(lengths.length)}`,
  memories.map(({ name, args }) => [name, ...lengths.flatMap((length) => cells(at(length, args)))]),
)}
`;
}
