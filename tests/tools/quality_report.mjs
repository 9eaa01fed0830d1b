// Writes docs/quality.md: what each way of remembering costs, and what it takes in bytes, on real texts.
//   node tests/tools/quality_report.mjs [--texts FOLDER] [--model FILE] [--float-model FILE] [--strata FILE]
//     [--tokens N] [--questions N] [--long-questions N] [--only kld,bytes,recall,long,rows] [--kept FOLDER] [--out FILE]
// The default texts lie beside the repository (three novels that the default model was not trained on). About half an
// hour on two cores; what was measured is kept, so that a second run with the same program only writes.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bytesSection } from './quality/byte_tables.mjs';
import { kldSection } from './quality/kld_tables.mjs';
import { longSection } from './quality/long_tables.mjs';
import { table } from './quality/markdown.mjs';
import { Measurements, sha256 } from './quality/measure.mjs';
import { recallSection } from './quality/recall_tables.mjs';
import { exactRuns, ppl, rowsSection } from './quality/row_tables.mjs';

const sections = { kld: kldSection, bytes: bytesSection, recall: recallSection, long: longSection, rows: rowsSection };

const { values: options } = parseArgs({
  options: {
    texts: { type: 'string', default: '../shared/model/heldout' },
    model: { type: 'string', default: 'web/public/models/pocket-chat-5.8m-q8_0.gguf' },
    'float-model': { type: 'string', default: '../shared/model/pocket-chat-5.8m-f16.gguf' },
    strata: { type: 'string', default: 'build/native/strata' },
    tokens: { type: 'string', default: '2048' },
    questions: { type: 'string', default: '400' },
    'long-questions': { type: 'string', default: '120' },
    only: { type: 'string', default: Object.keys(sections).join(',') },
    kept: { type: 'string', default: 'build/quality' },
    out: { type: 'string', default: 'docs/quality.md' },
  },
});

function fail(message) {
  console.error(message);
  process.exit(1);
}

function findTexts() {
  const names = existsSync(options.texts) ? readdirSync(options.texts).filter((name) => name.endsWith('.txt')) : [];
  if (names.length === 0) fail(`There are no texts in ${options.texts}: name another folder with --texts FOLDER.`);
  return names.sort().map((name) => join(options.texts, name));
}

function chosenSections() {
  const names = options.only.split(',');
  const unknown = names.filter((name) => !(name in sections));
  if (unknown.length > 0)
    fail(`There is no section ${unknown.join(', ')}; known are ${Object.keys(sections).join(', ')}`);
  return names;
}

const floatModel = options['float-model'];
const texts = findTexts();
const names = chosenSections();
const report = {
  measurements: new Measurements(options.strata, options.kept),
  model: options.model,
  floatModel: existsSync(floatModel) ? { path: floatModel, name: basename(floatModel) } : undefined,
  texts,
  tokens: Number(options.tokens),
  filler: texts.at(-1),
  questions: Number(options.questions),
  longQuestions: Number(options['long-questions']),
};

const runs = exactRuns(report);
const textRows = texts.map((text, i) => [
  basename(text),
  `\`${sha256(text).slice(0, 16)}…\``,
  runs[i].n_tokens.toLocaleString('en-US'),
  runs[i].n_scored.toLocaleString('en-US'),
  ppl([runs[i]]),
]);
const [record] = runs;
writeFileSync(
  options.out,
  `# What compressed memory costs

Written by \`node tests/tools/quality_report.mjs\`; do not edit. Model: \`${record.model}\` (SHA-256 \`${record.model_sha256.slice(0, 16)}…\`),
engine ${record.commit}, ${record.simd}. Texts: the first ${record.n_tokens.toLocaleString('en-US')} tokens of each file (more where a section says so), each in one pass
from an empty memory.

${table(['text', 'SHA-256', 'tokens', 'scored', 'PPL, FP32'], 'llrrr', textRows)}

How to read the tables: numbers are over all texts together. **±** is one standard error, with tokens taken for independent; a PPL's own
says how much other texts would differ and hides small effects, that of a change comes from the differences token by token.
A difference below twice its error is noise. Each section says which commands it is made of.

${names.map((name) => sections[name](report)).join('\n')}`,
);
console.error(`wrote ${options.out}`);
