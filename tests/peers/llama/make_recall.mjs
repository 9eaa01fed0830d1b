// Writes tests/golden/recall: which of the kit's recall questions llama.cpp answers with the shipped model.
//   node make_recall.mjs            writes
//   node make_recall.mjs --check    asks again and compares; writes nothing
// A question is answered when each token of the answer is the likeliest after those before it.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fixedQuestions, fixedQuestionsPath } from '../../tools/model/fixed_questions.mjs';
import * as goldenFile from './golden_file.mjs';
import { openReference, settings } from './reference.mjs';

const { values: options } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
const file = (path) => fileURLToPath(new URL(path, new URL('../../../', import.meta.url)));
const modelPath = file('web/public/models/pocket-chat-5.8m-q8_0.gguf');
const questions = fixedQuestions(file(fixedQuestionsPath));
if (!questions) throw new Error(`${fixedQuestionsPath} is missing: it is needed to make golden files`);

async function isAnswered(reference, { prompt, answer }) {
  const expected = reference.tokenize(answer);
  const read = [...reference.bos, ...reference.tokenize(prompt, true), ...expected.slice(0, -1)];
  const written = await reference.likeliestAfterLast(read, expected.length);
  return expected.every((token, i) => token === written[i]);
}

const rows = new Map();
const reference = await openReference(modelPath, 2112);
for (const [i, question] of questions.entries()) {
  const key = `${question.form} ${question.age}`;
  rows.set(key, (rows.get(key) ?? '') + ((await isAnswered(reference, question)) ? '1' : '0'));
  if (i % 20 === 19) console.error(`${i + 1} of ${questions.length}`);
}

const results = [...rows].map(([key, answered]) => {
  const [form, age] = key.split(' ');
  return { form, age: Number(age), n: answered.length, correct: answered.replaceAll('0', '').length, answered };
});
const name = 'recall/pocket-chat-5.8m-q8_0';
if (options.check) {
  const before = goldenFile.read(name).header.results;
  for (const [i, { form, age, answered }] of results.entries()) {
    const others = [...answered].filter((bit, at) => bit !== before[i].answered[at]).length;
    console.log(`${form} ${age}: ${others} verdicts of ${answered.length} differ`);
  }
} else {
  goldenFile.write(name, {
    engine: reference.engine,
    settings,
    model: basename(modelPath),
    model_sha256: goldenFile.sha256(modelPath),
    questions: basename(fixedQuestionsPath),
    questions_sha256: goldenFile.sha256(file(fixedQuestionsPath)),
    results,
  });
  console.log(`tests/golden/${name}: written`);
}
await reference.close();
