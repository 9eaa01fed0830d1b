// The kit's own recall questions, asked through Strata, and the answers of two others to the same or the like.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { integer, table } from '../quality/markdown.mjs';
import { formNames } from '../quality/recall_tables.mjs';

const questionsPath = 'build/quality/fixed_questions.jsonl';
const memories = ['exact', 'quality', 'delete:128'];

// The kit's README, PyTorch, 50 questions in each cell; these are the first 20 of them.
const kit = {
  raw: [0.94, 0.98, 0.98, 0.96, 1, 0.98, 0.94, 0.64, 0.52],
  chat: [0.98, 0.98, 1, 1, 1, 0.98, 0.98, 0.86, 0.52],
};

function askedThroughStrata({ measurements, model, questions }) {
  mkdirSync(dirname(questionsPath), { recursive: true });
  writeFileSync(questionsPath, questions.map((question) => JSON.stringify(question)).join('\n'));
  return measurements.run('recall', model, ['--ask', questionsPath, '--kv-list', memories.join(',')]).results;
}

const percent = (share) => (100 * share).toFixed(0);
const sum = (results, key) => results.reduce((total, result) => total + result[key], 0);
const pooled = (results) => sum(results, 'correct') / sum(results, 'n');

function rowsOf(form, results, reference) {
  const of = (policy) => results.filter((result) => result.form === form && result.policy === policy);
  const llama = reference.filter((result) => result.form === form);
  const cells = (list) => [...list.map(({ correct, n }) => percent(correct / n)), (100 * pooled(list)).toFixed(1)];
  const mean = kit[form].reduce((total, share) => total + share / kit[form].length, 0);
  return [
    ...memories.map((policy) => [formNames[form], `Strata, \`${policy}\``, ...cells(of(policy))]),
    [formNames[form], 'llama.cpp, F32 memory', ...cells(llama)],
    [formNames[form], 'PyTorch, 50 questions (kit)', ...kit[form].map(percent), (100 * mean).toFixed(1)],
  ];
}

export function recallSection(report) {
  const results = askedThroughStrata(report);
  const reference = JSON.parse(readFileSync('tests/golden/recall/pocket-chat-5.8m-q8_0.json', 'utf8')).results;
  const ages = [...new Set(results.map(({ age }) => age))];
  const exact = results.filter(({ policy }) => policy === 'exact');
  return `## Recall

The ${sum(exact, 'n')} questions of the kit's \`eval/recall.jsonl\`, 20 in each cell, percent answered to the letter by greedy decoding. Prose: five confusable
facts in a novel. Conversation: three facts, then pasted passages. \`delete:128\` sees the newest 128 tokens only.
\`strata recall MODEL --ask QUESTIONS --kv-list ${memories.join(',')}\`; llama.cpp by \`tests/peers/llama/make_recall.mjs\`. A cell's standard error is up to 11.

${table(['facts', 'engine', ...ages.map(integer), 'all'], `ll${'r'.repeat(ages.length + 1)}`, [...rowsOf('raw', results, reference), ...rowsOf('chat', results, reference)])}

All together: Strata ${(100 * pooled(exact)).toFixed(1)} %, llama.cpp ${(100 * pooled(reference)).toFixed(1)} %. With more questions, and every memory: [quality.md](quality.md#recall).
`;
}
