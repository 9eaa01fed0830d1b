// Writes docs/quality.md: what each way of remembering costs in perplexity and takes in bytes, on real texts.
//   node tests/tools/quality_report.mjs [--texts FOLDER] [--model FILE] [--strata FILE] [--tokens N] [--out FILE]
// The default texts lie beside the repository (three novels that the default model was not trained on). About 200 runs
// of `strata ppl`: some minutes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    texts: { type: 'string', default: '../shared/model/heldout' },
    model: { type: 'string', default: 'web/public/models/pocket-chat-5.8m-q8_0.gguf' },
    strata: { type: 'string', default: 'build/native/strata' },
    tokens: { type: 'string', default: '2048' },
    out: { type: 'string', default: 'docs/quality.md' },
  },
});

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

function findTexts() {
  if (!existsSync(options.texts)) {
    console.error(`The folder of texts ${options.texts} is not here: name another with --texts FOLDER.`);
    process.exit(1);
  }
  const names = readdirSync(options.texts).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name) => join(options.texts, name));
}

const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** One run: the record that `strata ppl` prints, and the NLL of every scored token. */
function measure(text, { k, v, kWindow, vWindow }, folder) {
  const scores = join(folder, 'scores.f32');
  const args = ['ppl', options.model, '--text', text, '--max-tokens', options.tokens, '--output', 'jsonl'];
  args.push('-k', k, '-v', v, '--k-window', String(kWindow), '--v-window', String(vWindow), '--scores', scores);
  const record = JSON.parse(execFileSync(options.strata, args, { stdio: ['ignore', 'pipe', 'ignore'] }).toString());
  const bytes = readFileSync(scores);
  const nll = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  if (nll.length !== record.n_scored) throw new Error(`${scores} has ${nll.length} scores, not ${record.n_scored}`);
  return { record, nll };
}

function meanAndError(numbers) {
  let mean = 0;
  for (const x of numbers) mean += x / numbers.length;
  let squares = 0;
  for (const x of numbers) squares += (x - mean) ** 2;
  return { mean, error: Math.sqrt(squares / (numbers.length - 1) / numbers.length) };
}

/** The NLLs of several texts, one after the other; with `from`, only those of query positions from there on. */
const pooled = (runs, from = 0) => runs.flatMap(({ nll }) => Array.from(nll.subarray(from)));

function ppl(runs) {
  const { mean, error } = meanAndError(pooled(runs));
  return `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)}`;
}

/** How much larger the perplexity is than the reference's, in percent, from the differences token by token. */
function change(runs, referenceRuns, from = 0) {
  const exact = pooled(referenceRuns, from);
  const { mean, error } = meanAndError(pooled(runs, from).map((x, i) => x - exact[i]));
  const percent = 100 * Math.expm1(mean);
  return `${percent < 0 ? '-' : '+'}${Math.abs(percent).toFixed(2)} ± ${(100 * Math.exp(mean) * error).toFixed(2)}`;
}

const beyond = 256; // the record's beyond_window: query positions from here on
const table = (head, align, rows) => [head, align, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
const label = ({ window }) => (window === 0 ? 'flat' : String(window));

function memoryCells({ kv }) {
  const share = (whole) => `${((100 * kv.bytes) / whole).toFixed(1)} %`;
  return [kv.bytes.toLocaleString('en-US'), share(kv.bytes_fp16), share(kv.bytes_fp32)];
}

function pooledTable(results, referenceRuns) {
  const row = (name, window, runs) => [
    name,
    window,
    ppl(runs),
    runs === referenceRuns ? '' : change(runs, referenceRuns),
    runs === referenceRuns ? '' : change(runs, referenceRuns, beyond),
    ...memoryCells(runs[0].record),
  ];
  return table(
    ['keys', 'window', 'PPL', 'to FP32, %', `… from position ${beyond} on, %`, 'bytes', 'of FP16', 'of FP32'],
    ['---', '--:', '--:', '--:', '--:', '--:', '--:', '--:'],
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
    ['---', '--:', ...texts.map(() => '--:')],
    results.map(({ policy, runs }) => [policy.k, label(policy), ...cells(runs)]),
  );
}

const texts = findTexts();
const folder = mkdtempSync(join(tmpdir(), 'strata-quality-'));
const runAll = (policy) => {
  console.error(`-k ${policy.k} -v ${policy.v} --k-window ${policy.kWindow} --v-window ${policy.vWindow}`);
  return texts.map((text) => measure(text, policy, folder));
};
const referenceRuns = runAll(reference);
const sections = lanes.map((lane) => {
  const results = policiesOf(lane).map((policy) => ({ policy, runs: runAll(policy) }));
  return `## ${lane.title}

${pooledTable(results, referenceRuns)}

<details><summary>Each text, PPL to FP32</summary>

${textTable(results, referenceRuns, texts)}

</details>
`;
});
rmSync(folder, { recursive: true });

const { record } = referenceRuns[0];
const textRows = texts.map((text, i) => [
  basename(text),
  `\`${sha256(text).slice(0, 16)}…\``,
  referenceRuns[i].record.n_tokens.toLocaleString('en-US'),
  referenceRuns[i].record.n_scored.toLocaleString('en-US'),
  ppl([referenceRuns[i]]),
]);
writeFileSync(
  options.out,
  `# What compressed memory costs

Written by \`node tests/tools/quality_report.mjs\`; do not edit. Model: \`${record.model}\` (SHA-256 \`${record.model_sha256.slice(0, 16)}…\`),
engine ${record.commit}, ${record.simd}. Every row is \`strata ppl MODEL --text TEXT --max-tokens ${options.tokens} -k KEYS -v VALUES --k-window N --v-window N\`
over each text: one pass from an empty memory, all within the length that the model was trained on, every token but the first scored.

${table(['text', 'SHA-256', 'tokens', 'scored', 'PPL, FP32'], ['---', '---', '--:', '--:', '--:'], textRows)}

How to read the tables:
- **PPL** is over the tokens of all texts together; its standard error says how much other texts would differ, and hides small effects.
- **To FP32** is the change of PPL against FP32 keys and values, from the differences of each token's log-likelihood on the same text, with
  the standard error of their mean (which takes tokens for independent): differences below twice that are noise.
  Where weights are Q8_0, activations are rounded to 8 bits, and a difference in a last bit can grow to a few hundredths of a percent:
  FP16 shows how large that is.
- **From position ${beyond} on** leaves out the queries that have little or no compressed memory before them.
- **Window** N: the newest N keys that a query sees are exact; flat: none. FP32 keys are exact with any window.
- **Bytes** are those allocated at the end of one text, with the exact window and the slack of pages; the shares are of a plain FP16 or FP32
  cache without slack. The window is a constant, so its share falls as a conversation grows.

${sections.join('\n')}`,
);
console.error(`wrote ${options.out}`);
