// Past the length that the model was trained on: do the newest tokens profit from the oldest, and are facts still found?
import { change, table } from './markdown.mjs';
import { meanAndError } from './measure.mjs';
import { accuracy, formNames } from './recall_tables.mjs';

const length = 10_000;
const newest = 500;
const ages = [2000, 3000, 4500, 6000];

/** The last three columns of a row: which memory, how far distances may grow (undefined: as the engine decides). */
const proseRows = [
  { memory: 'exact' },
  { memory: 'quality' },
  { memory: 'delete:2048' },
  { memory: 'delete:128' },
  ...[0, 512, 1024, 1536].map((clamp) => ({ memory: 'exact', clamp })),
  { memory: 'delete:2048', clamp: 0 },
];
const recallRows = [
  { memory: 'exact' },
  { memory: 'quality' },
  { memory: 'delete:2048' },
  ...[0, 512, 1024, 1536].map((clamp) => ({ memory: 'exact', clamp })),
];

const clampArguments = ({ clamp }) => (clamp === undefined ? [] : ['--distance-clamp', String(clamp)]);
const clampName = ({ clamp }) => (clamp === undefined ? 'default' : clamp === 0 ? 'none' : String(clamp));

function proseTable({ measurements, model, texts }) {
  const nll = (row) => {
    const args = ['--max-tokens', String(length), '--last', String(newest), '--kv', row.memory, ...clampArguments(row)];
    return texts.flatMap((text) => measurements.run('ppl', model, ['--text', text, ...args], { scores: true }).scores);
  };
  const reference = nll(proseRows[0]);
  const cells = (row) => {
    const these = nll(row);
    const { mean, error } = meanAndError(these);
    const paired = meanAndError(these.map((x, i) => x - reference[i]));
    return [
      `${Math.exp(mean).toFixed(2)} ± ${(Math.exp(mean) * error).toFixed(2)}`,
      row === proseRows[0] ? '' : change(Math.exp(paired.mean), Math.exp(paired.mean) * paired.error),
    ];
  };
  return table(
    ['memory', 'distances clamped to', 'PPL', 'to the first row, %'],
    'lrrr',
    proseRows.map((row) => [row.memory, clampName(row), ...cells(row)]),
  );
}

function recallTable({ measurements, model, filler, longQuestions }) {
  const results = (row) => {
    const args = ['--filler', filler, '--ages', ages.join(','), '--questions', String(longQuestions)];
    return measurements.run('recall', model, [...args, '--kv-list', row.memory, ...clampArguments(row)]).results;
  };
  const rows = Object.keys(formNames).flatMap((form) =>
    recallRows.map((row) => [
      formNames[form],
      row.memory,
      clampName(row),
      ...results(row)
        .filter((result) => result.form === form)
        .map(accuracy),
    ]),
  );
  return table(['facts', 'memory', 'distances clamped to', ...ages.map(String)], `llr${'r'.repeat(ages.length)}`, rows);
}

export function longSection(report) {
  return `## Past the trained length

A conversation that is longer than the model was trained on goes on. Keys farther than a distance then look that far away
(\`--distance-clamp\`; by default half the trained length); *none* is plain RoPE.

PPL of the newest ${newest} of ${length.toLocaleString('en-US')} tokens of each text: \`strata ppl MODEL --text TEXT --max-tokens ${length} --last ${newest} --kv MEMORY --distance-clamp N\`,
all texts together.

${proseTable(report)}

Recall at ages beyond it: \`strata recall MODEL --filler ${report.filler.split('/').at(-1)} --ages ${ages.join(',')} --questions ${report.longQuestions} --kv-list MEMORY --distance-clamp N\`;
percent answered.

${recallTable(report)}
`;
}
