// Writes tests/golden/{logits,ppl,chat} from llama.cpp; tests/golden/README.md says what is in them.
//   node make_golden.mjs                   writes all files
//   node make_golden.mjs --check           computes again and compares with the committed files; writes nothing
//   node make_golden.mjs --check --step 1  the same, token by token: how far the reference is from itself
//   node make_golden.mjs --only logits     one kind: logits, ppl or chat
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chats } from './chats.mjs';
import * as goldenFile from './golden_file.mjs';
import { openReference, settings } from './reference.mjs';
import { columns, digest, negativeLogLikelihood, sampledIds, topTwo } from './rows.mjs';

const { values: options } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    step: { type: 'string', default: String(settings.batch) },
    only: { type: 'string', default: 'logits,ppl,chat' },
  },
});
const step = Number(options.step);
if (!options.check && step !== settings.batch) throw new Error('--step is for --check: files are made in one way only');

const root = new URL('../../../', import.meta.url);
const file = (path) => fileURLToPath(new URL(path, root));
const models = {
  stories: '../shared/data/models/stories260K-f32.gguf',
  f16: '../shared/model/pocket-chat-5.8m-f16.gguf',
  q8_0: 'web/public/models/pocket-chat-5.8m-q8_0.gguf',
};
const novels = [
  { path: '../shared/model/heldout/Conrad_Nostromo_1904.txt', from: 'In the time of Spanish rule' },
  { path: '../shared/model/heldout/Dickens_Expectations_1861.txt', from: "My father's family name" },
  { path: '../shared/model/heldout/Hardy_Madding_1874.txt', from: 'When Farmer Oak smiled' },
];
const logitRows = 200;
const scoredTokens = 2048; // the trained length of pocket-chat
const answerTokens = 96;

/** The text of a novel from its first sentence: title pages and prefaces are left out. */
function bodyOf(novel) {
  const text = readFileSync(file(novel.path), 'utf8');
  const begin = text.indexOf(novel.from);
  if (begin < 0) throw new Error(`${novel.path} does not contain "${novel.from}"`);
  return text.slice(begin);
}

const stem = (path) => basename(path).replace(/\.\w+$/, '');

/** Opens a model, hands it to `work`, and closes it whatever happens. */
async function withModel(path, contextSize, work) {
  if (!existsSync(file(path))) throw new Error(`${path} is missing: it is needed to make golden files`);
  const reference = await openReference(file(path), contextSize);
  try {
    await work(reference);
  } finally {
    await reference.close();
  }
}

const headerOf = (reference, modelPath) => ({
  engine: reference.engine,
  settings,
  model: basename(modelPath),
  model_sha256: goldenFile.sha256(file(modelPath)),
});

/** Writes the file, or with --check says how far it is from the committed one. */
function deliver(name, header, values) {
  if (options.check) {
    console.log(`tests/golden/${name}: ${compare(goldenFile.read(name), header, values)}`);
  } else {
    goldenFile.write(name, header, values);
    console.log(`tests/golden/${name}: written`);
  }
}

/** Other tokens, or a file of another length, end the script: such files cannot be compared. */
function compare(committed, header, values) {
  if (header.chats) return compareChats(committed.header.chats, header.chats);
  if (JSON.stringify(committed.header.tokens) !== JSON.stringify(header.tokens)) throw new Error('other tokens');
  if (committed.values.length !== values.length)
    throw new Error(`${committed.values.length} numbers; now ${values.length}`);
  const differences = values.map((value, i) => value - committed.values[i]);
  const largest = differences.reduce((most, d) => Math.max(most, Math.abs(d)), 0);
  const rms = Math.sqrt(differences.reduce((sum, d) => sum + d * d, 0) / differences.length);
  const numbers = `max difference ${largest.toExponential(2)}, rms ${rms.toExponential(2)}`;
  if (header.nll_mean !== undefined) return `${numbers}, mean NLL ${committed.header.nll_mean} -> ${header.nll_mean}`;
  const sameTop = committed.header.top_ids.filter((id, i) => id === header.top_ids[i]).length;
  return `${numbers}, same top-1 in ${sameTop} of ${header.top_ids.length} rows`;
}

/** An answer with a near-tie may differ on another processor; its least margin tells. */
function compareChats(committed, now) {
  const before = committed.flat();
  const after = now.flat();
  if (before.length !== after.length) throw new Error(`${before.length} answers; now ${after.length}`);
  const other = before.filter((turn, i) => JSON.stringify(turn.tokens) !== JSON.stringify(after[i].tokens));
  const list = other.map((turn) => `\n  "${turn.user}" (least margin ${turn.least_margin})`).join('');
  return `same answer in ${before.length - other.length} of ${before.length} turns${list && `; others:${list}`}`;
}

async function makeLogits(modelPath, source, text) {
  await withModel(modelPath, 512, async (reference) => {
    const tokens = [...reference.bos, ...reference.tokenize(text)].slice(0, logitRows);
    if (tokens.length < logitRows)
      throw new Error(`${source} has only ${tokens.length} tokens; ${logitRows} are needed`);
    const rows = [];
    let ids = [];
    let vocabulary = 0;
    for await (const row of reference.evaluate(tokens, step)) {
      vocabulary = row.length;
      ids = sampledIds(vocabulary);
      rows.push(digest(row, ids));
    }
    const header = {
      ...headerOf(reference, modelPath),
      text: source,
      n_rows: rows.length,
      n_vocab: vocabulary,
      columns,
      tokens,
      ids,
      top_ids: rows.map((row) => row.top),
      runner_up_ids: rows.map((row) => row.runnerUp),
    };
    deliver(`logits/${stem(modelPath)}`, header, Float32Array.from(rows.flatMap((row) => row.values)));
  });
}

/**
 * The longest beginning of a text that has at most `limit` tokens and ends between two of them, so that the text alone
 * gives the same tokens again.
 */
function cutText(reference, text, limit) {
  const all = reference.tokenize(text.slice(0, 8 * limit));
  for (let n = limit; n > limit - 32; n--) {
    const tokens = all.slice(0, n);
    const beginning = reference.detokenize(tokens);
    const again = reference.tokenize(beginning);
    if (text.startsWith(beginning) && again.length === n && again.every((id, i) => id === tokens[i]))
      return { tokens, beginning };
  }
  throw new Error(`no place to cut the text near token ${limit}`);
}

async function scoreNovel(reference, modelPath, novel) {
  const { tokens, beginning } = cutText(reference, bodyOf(novel), scoredTokens);
  await reference.clear();
  const nll = [];
  for await (const row of reference.evaluate(tokens, step)) {
    if (nll.length < tokens.length - 1) nll.push(negativeLogLikelihood(row, tokens[nll.length + 1]));
  }
  const mean = nll.reduce((sum, value) => sum + value, 0) / nll.length;
  const header = {
    ...headerOf(reference, modelPath),
    text: basename(novel.path),
    text_begins: novel.from,
    text_bytes: Buffer.byteLength(beginning),
    n_tokens: tokens.length,
    n_scored: nll.length,
    nll_mean: mean,
    ppl: Math.exp(mean),
    tokens,
  };
  deliver(`ppl/${stem(novel.path)}-${modelPath.match(/(f16|q8_0)\.gguf$/)[1]}`, header, Float32Array.from(nll));
}

async function makePerplexity(modelPath) {
  await withModel(modelPath, scoredTokens, async (reference) => {
    for (const novel of novels) await scoreNovel(reference, modelPath, novel);
  });
}

const round = (value) => Number(value.toFixed(4));

/** Appends tokens and answers greedily. The token that ends the answer is reported and not appended. */
async function answer(reference, prompt) {
  const result = { prompt_tokens: prompt, tokens: [], margins: [], end: 'max_tokens' };
  let pending = prompt;
  while (result.tokens.length < answerTokens) {
    let last;
    for await (const row of reference.evaluate(pending, step)) last = row;
    const { top, runnerUp } = topTwo(last);
    result.margins.push(round(last[top] - last[runnerUp]));
    if (reference.isEndOfGeneration(top)) return { ...result, end: 'end_of_turn' };
    result.tokens.push(top);
    pending = [top];
  }
  return result;
}

/** One conversation in ChatML, as the model's own template spells it. History is append-only: answers stay as generated. */
async function converse(reference, questions) {
  await reference.clear();
  const turns = [];
  for (const question of questions) {
    const end = turns.length ? '<|im_end|>\n' : '';
    const prompt = `${end}<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
    const turn = await answer(reference, reference.tokenize(prompt, true));
    // An answer that was cut is not in memory to its last token; a next turn would begin elsewhere than with a person.
    if (turn.end !== 'end_of_turn' && question !== questions.at(-1))
      throw new Error(`the answer to "${question}" does not end`);
    turns.push({
      user: question,
      assistant: reference.detokenize(turn.tokens),
      least_margin: Math.min(...turn.margins),
      ...turn,
    });
  }
  return turns;
}

async function makeChats(modelPath) {
  await withModel(modelPath, scoredTokens, async (reference) => {
    const answered = [];
    for (const questions of chats) answered.push(await converse(reference, questions));
    deliver(`chat/${stem(modelPath)}`, {
      ...headerOf(reference, modelPath),
      max_tokens: answerTokens,
      chats: answered,
    });
  });
}

const kinds = options.only.split(',');
if (kinds.includes('logits')) {
  const novel = novels[1];
  await makeLogits(
    models.stories,
    'tests/golden/logits/story.txt',
    readFileSync(file('tests/golden/logits/story.txt'), 'utf8'),
  );
  for (const model of [models.f16, models.q8_0])
    await makeLogits(model, `${basename(novel.path)} from "${novel.from}"`, bodyOf(novel).slice(0, 8 * logitRows));
}
if (kinds.includes('ppl')) for (const model of [models.f16, models.q8_0]) await makePerplexity(model);
if (kinds.includes('chat')) await makeChats(models.q8_0);
process.exit(0); // node-llama-cpp leaves handles open
