// Writes tests/golden/tokenizer/{synthetic,generated}: what llama.cpp makes of 5,000 generated texts, for every
// pre-tokenizer that engine/tokenizer knows and for the vocabularies of ../shared/data/vocab.
//   node make_tokenizer_golden.mjs                      writes the files; trains the synthetic vocabularies anew
//   node make_tokenizer_golden.mjs --ids NAME BLOCK     shows texts and ids of one block, to find a difference
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getLlama } from 'node-llama-cpp';
import { encodeHeader, F32 } from '../../bench/model/gguf.mjs';
import { blocks, digests, generatedText, textsPerBlock } from '../../golden/tokenizer/generated_texts.mjs';
import { byteCharacters, trainByteLevel, trainSentencePiece } from './synthetic_vocabularies.mjs';

const root = new URL('../../../', import.meta.url);
const file = (path) => fileURLToPath(new URL(path, root));
const golden = (name) => file(`tests/golden/tokenizer/${name}`);
const vocabularies = file('../shared/data/vocab/');
const fewBlocks = 10;
const kind = { normal: 1, unknown: 2, control: 3, userDefined: 4, byte: 6 };

/** Names, and what engine/tokenizer reads them as: names that are read alike are compared on fewer texts. */
const preTokenizers = () =>
  [
    ...readFileSync(file('engine/tokenizer/pre_tokenizer.cpp'), 'utf8').matchAll(/^ {4}\{"(.+?)", (Grammar::.+)\},$/gm),
  ].map(([, name, rules]) => ({ name, rules }));

const control = ['<|im_start|>', '<|im_end|>', '<|endoftext|>', '<s>', '</s>'];
const userDefined = ['<think>', '</think>', '\n\n\n', '    '];

// What llama.cpp wants to know of a model, although only its vocabulary is loaded.
const architecture = {
  'general.architecture': 'llama',
  'llama.context_length': 64,
  'llama.embedding_length': 64,
  'llama.feed_forward_length': 64,
  'llama.block_count': 1,
  'llama.attention.head_count': 1,
  'llama.rope.dimension_count': 64,
  'llama.attention.layer_norm_rms_epsilon': new F32(1e-5),
};

function byteLevelFile({ merges, words }, pre) {
  const merged = merges.map((merge) => merge.replace(' ', ''));
  const text = [...byteCharacters, ...merged, ...words];
  return encodeHeader(
    {
      ...architecture,
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': pre,
      'tokenizer.ggml.tokens': [...control, ...userDefined, ...text],
      'tokenizer.ggml.token_type': Int32Array.from([
        ...control.map(() => kind.control),
        ...userDefined.map(() => kind.userDefined),
        ...text.map(() => kind.normal),
      ]),
      'tokenizer.ggml.merges': merges,
      'tokenizer.ggml.bos_token_id': 3,
      'tokenizer.ggml.eos_token_id': 4,
    },
    [],
  );
}

const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);

function sentencePieceFile({ pieces }, addSpacePrefix) {
  const tokens = ['<unk>', ...control, ...userDefined, ...bytes, ...pieces];
  const first = tokens.length - pieces.length;
  return encodeHeader(
    {
      ...architecture,
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.scores': Int32Array.from(tokens, (_, id) => (id < first ? 0 : first - id - 1)),
      'tokenizer.ggml.token_type': Int32Array.from([
        kind.unknown,
        ...control.map(() => kind.control),
        ...userDefined.map(() => kind.userDefined),
        ...bytes.map(() => kind.byte),
        ...pieces.map(() => kind.normal),
      ]),
      'tokenizer.ggml.bos_token_id': 4,
      'tokenizer.ggml.eos_token_id': 5,
      'tokenizer.ggml.unknown_token_id': 0,
      'tokenizer.ggml.add_space_prefix': addSpacePrefix,
    },
    [],
  );
}

const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
const engine = `llama.cpp ${llama.llamaCppRelease.release}`;

/** Hands `work` a function from a text to ids. */
async function withTokenizer(modelPath, work) {
  const model = await llama.loadModel({ modelPath, vocabOnly: true });
  try {
    return await work((text, special) => model.tokenize(text, special));
  } finally {
    await model.dispose();
  }
}

const results = (modelPath, textBlocks) =>
  withTokenizer(modelPath, (tokenize) => ({
    as_text: digests((text) => tokenize(text, false), textBlocks).join(' '),
    parsed: digests((text) => tokenize(text, true), fewBlocks).join(' '),
  }));

const scratch = mkdtempSync(join(tmpdir(), 'strata-vocabulary-'));
const scratchFile = (bytes) => {
  const path = join(scratch, 'vocabulary.gguf');
  writeFileSync(path, bytes);
  return path;
};

function* subjects(trained) {
  for (const { name, rules } of preTokenizers()) {
    yield { name, rules, make: () => scratchFile(byteLevelFile(trained, name)) };
  }
  for (const prefix of [true, false]) {
    const name = `llama${prefix ? '' : ' without space'}`;
    yield { name, rules: name, make: () => scratchFile(sentencePieceFile(trained, prefix)) };
  }
}

const ownVocabularies = () =>
  existsSync(vocabularies) ? readdirSync(vocabularies).filter((name) => name.endsWith('.gguf')) : [];

const json = (value) => `${JSON.stringify(value, null, 1)}\n`;

async function showBlock(name, block) {
  const trained = JSON.parse(readFileSync(golden('synthetic.json'), 'utf8'));
  const synthetic = [...subjects(trained)].find((subject) => subject.name === name);
  const path = synthetic ? synthetic.make() : join(vocabularies, name);
  await withTokenizer(path, (tokenize) => {
    for (let i = block * textsPerBlock; i < (block + 1) * textsPerBlock; i++) {
      const text = generatedText(i);
      console.log(JSON.stringify({ text, as_text: tokenize(text, false), parsed: tokenize(text, true) }));
    }
  });
}

async function writeAll() {
  // llama.cpp takes some texts for control tokens wherever they are in a vocabulary.
  const reserved = [
    '<unk>',
    ...control,
    ...userDefined,
    ...bytes,
    '<|eot_id|>',
    '<|end|>',
    '<end_of_turn>',
    '<fim_prefix>',
  ];
  const trained = { ...trainByteLevel(reserved), ...trainSentencePiece(reserved), control, user_defined: userDefined };
  writeFileSync(golden('synthetic.json'), json(trained));
  const found = [];
  for (const { name, rules, make } of subjects(trained)) {
    const isFirst = !found.some((other) => other.rules === rules);
    found.push({ name, rules, ...(await results(make(), isFirst ? blocks : fewBlocks)) });
    console.log(name);
  }
  writeFileSync(golden('synthetic.digests.json'), json({ engine, results: found.map(({ rules, ...rest }) => rest) }));

  const own = [];
  for (const name of ownVocabularies()) {
    const path = join(vocabularies, name);
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
    own.push({ vocabulary: name, sha256, ...(await results(path, blocks)) });
    console.log(name);
  }
  if (own.length > 0) writeFileSync(golden('generated.digests.json'), json({ engine, results: own }));
}

try {
  const [option, name, block] = process.argv.slice(2);
  if (option === '--ids') await showBlock(name, Number(block));
  else await writeAll();
} finally {
  rmSync(scratch, { recursive: true });
}
process.exit(0); // node-llama-cpp leaves handles open
