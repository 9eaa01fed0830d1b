// Every row format with every window, and with three ways of keeping values: what each costs in perplexity.
import { basename } from 'node:path';
import { integer, share, signed, table } from './markdown.mjs';
import { meanAndError } from './measure.mjs';

const beyond = 256; // the record's beyond_window: query positions from here on
const windows = [0, 64, 128, 256];
const compressedKeys = ['fp16', 'q8_0', 'q4_0', 'hq4_0', 'turbo_kv_4b'];
const reference = { k: 'fp32', v: 'fp32', kWindow: 0, vWindow: 0 };

/** How values are kept: one table each. */
const lanes = [
  { title: 'Values in FP16', v: 'fp16', vWindow: () => 0, windows },
  { title: 'Values in q4_0, none exact', v: 'q4_0', vWindow: () => 0, windows },
  {
    title: 'Values in q4_0, the window exact as for keys',
    v: 'q4_0',
    vWindow: (window) => window,
    windows: windows.slice(1),
  },
];

/** The rows of a lane. FP32 keys are exact in and out of a window, so there they get a row only where values have one. */
function policiesOf(lane) {
  const exactKeys = lane.windows.filter((window) => window === lane.windows[0] || lane.vWindow(window) > 0);
  const rows = [['fp32', exactKeys], ...compressedKeys.map((k) => [k, lane.windows])];
  return rows.flatMap(([k, sizes]) =>
    sizes.map((window) => ({
      k,
      v: lane.v,
      kWindow: k === 'fp32' ? 0 : window,
      vWindow: lane.vWindow(window),
      window,
    })),
  );
}

/** The NLLs of several texts, one after the other; with `from`, only those of query positions from there on. */
const pooled = (runs, from = 0) => runs.flatMap(({ scores }) => scores.slice(from));

export function ppl(runs) {
  const { mean, error } = meanAndError(pooled(runs));
  return `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)}`;
}

/** How much larger the perplexity is than the reference's, in percent, from the differences token by token. */
function change(runs, referenceRuns, from = 0) {
  const exact = pooled(referenceRuns, from);
  const { mean, error } = meanAndError(pooled(runs, from).map((x, i) => x - exact[i]));
  return `${signed(100 * Math.expm1(mean), 2)} ± ${(100 * Math.exp(mean) * error).toFixed(2)}`;
}

const label = ({ window }) => (window === 0 ? 'flat' : String(window));
const memoryCells = ({ kv }) => [integer(kv.bytes), share(kv.bytes, kv.bytes_fp16), share(kv.bytes, kv.bytes_fp32)];

function pooledTable(results, referenceRuns) {
  const row = (name, window, runs) => [
    name,
    window,
    ppl(runs),
    runs === referenceRuns ? '' : change(runs, referenceRuns),
    runs === referenceRuns ? '' : change(runs, referenceRuns, beyond),
    ...memoryCells(runs[0]),
  ];
  return table(
    ['keys', 'window', 'PPL', 'to FP32, %', `… from position ${beyond} on, %`, 'bytes', 'of FP16', 'of FP32'],
    'lrrrrrrr',
    [
      row('fp32, values fp32', 'all', referenceRuns),
      ...results.map(({ policy, runs }) => row(policy.k, label(policy), runs)),
    ],
  );
}

function textTable(results, referenceRuns, texts) {
  const cells = (runs) => texts.map((_, i) => change([runs[i]], [referenceRuns[i]]));
  return table(
    ['keys', 'window', ...texts.map((text) => `${basename(text, '.txt')}, %`)],
    `lr${'r'.repeat(texts.length)}`,
    results.map(({ policy, runs }) => [policy.k, label(policy), ...cells(runs)]),
  );
}

/** The runs of one policy, one for each text. */
const runsOf = ({ measurements, model, texts, tokens }, { k, v, kWindow, vWindow }) => {
  const memory = ['-k', k, '-v', v, '--k-window', String(kWindow), '--v-window', String(vWindow)];
  const args = ['--max-tokens', String(tokens), ...memory];
  return texts.map((text) => measurements.run('ppl', model, ['--text', text, ...args], { scores: true }));
};

export const exactRuns = (report) => runsOf(report, reference);

export function rowsSection(report) {
  const referenceRuns = exactRuns(report);
  const sections = lanes.map((lane) => {
    const results = policiesOf(lane).map((policy) => ({ policy, runs: runsOf(report, policy) }));
    return `### ${lane.title}

${pooledTable(results, referenceRuns)}

<details><summary>Each text, PPL to FP32</summary>

${textTable(results, referenceRuns, report.texts)}

</details>
`;
  });
  return `## Row formats

The formats of other engines, one row (a key or value of one position, layer and head) at a time. Every row of the tables is
\`strata ppl MODEL --text TEXT --max-tokens ${report.tokens} -k KEYS -v VALUES --k-window N --v-window N\` over each text, every token but the first scored.

- **To FP32** is the change of PPL against FP32 keys and values, from the differences of each token's log-likelihood on the same text.
- **From position ${beyond} on** leaves out the queries that have little or no compressed memory before them.
- **Window** N: the newest N keys that a query sees are exact; flat: none. FP32 keys are exact with any window.
- **Bytes** are those allocated at the end of one text, with the exact window and the slack of pages; the shares are of a plain FP16 or FP32
  cache without slack. The window is a constant, so its share falls as a conversation grows.

${sections.join('\n')}`;
}
