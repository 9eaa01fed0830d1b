// Writes docs/models.md: what works, from what the engine's tests found out (tests/engine/facts.h).
//   node tests/tools/models_report.mjs [--tests build/native/engine_tests] [--out docs/models.md]
//   node tests/tools/models_report.mjs --check       fails where the committed file says something else; ctest runs this
// Logits have the same bits everywhere, so that the numbers do not depend on the machine.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { integer, table } from './quality/markdown.mjs';

const { values: options } = parseArgs({
  options: {
    tests: { type: 'string', default: 'build/native/engine_tests' },
    out: { type: 'string', default: 'docs/models.md' },
    check: { type: 'boolean', default: false },
  },
});

const factual = [
  '*Architectures.LogitsAreLlamaCpps/*',
  '*TensorTypes.LogitsAreLlamaCpps/*',
  'TensorTypes.OthersAreRefusedByName',
  'ModelErrors.AnUnknownArchitecture*',
  'TokenizerGolden.*',
  '*GeneratedTextsOf.*',
  '*VocabularyVectors.*',
  '*TemplateOf.*',
];

/** What the tests reported, all kinds together. */
function facts() {
  const folder = mkdtempSync(join(tmpdir(), 'models-report-'));
  const report = join(folder, 'report.json');
  try {
    const flags = [`--gtest_filter=${factual.join(':')}`, `--gtest_output=json:${report}`, '--gtest_brief=1'];
    execFileSync(options.tests, flags, { stdio: ['ignore', 'ignore', 'inherit'] });
    const suites = JSON.parse(readFileSync(report, 'utf8')).testsuites;
    return suites.flatMap((suite) => suite.testsuite).flatMap((test) => (test.fact ? [JSON.parse(test.fact)] : []));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const json = (file) => JSON.parse(readFileSync(file, 'utf8'));
const all = facts();
const kind = (name) => all.filter((fact) => fact.kind === name);
const only = (name) => {
  const found = kind(name);
  if (found.length !== 1) throw new Error(`The tests reported "${name}" ${found.length} times; expected once.`);
  return found[0];
};
const families = json('tests/golden/templates/sources.json');
const rendered = json('tests/golden/templates/rendered.json');

const number = (x) => (x === 0 ? '0' : x < 0.001 ? x.toExponential(1) : x.toFixed(3));
const pair = ({ max, rms }) => `${number(max)} / ${number(rms)}`;
const code = (text) => `\`${text}\``;
const unique = (list) => [...new Set(list)];

const scalings = ['', 'llama3 (factors in a tensor)', 'longrope'];
const scalingOf = ({ factors, metadata }) => metadata['rope.scaling.type'] ?? scalings[factors];

function architectureTable() {
  const names = [...only('refused architecture').message.matchAll(/(\w+) \(([^)]+)\)/g)];
  return table(
    ['architecture', 'models', 'RoPE scaling tried', 'sliding window', 'chat templates tried'],
    'lllll',
    names.map(([, name, models]) => {
      const tried = kind('architecture').filter((fact) => fact.architecture === name);
      const window = tried.some(({ metadata }) => metadata['attention.sliding_window']);
      const templates = Object.keys(families).filter((family) => families[family].architectures.includes(name));
      const scaling = unique(tried.map(scalingOf).filter(Boolean));
      return [code(name), models, scaling.join(', ') || 'none', window ? 'yes' : 'none', templates.join(', ')];
    }),
  );
}

const weightTypes = ['F32', 'Q8_0', 'Q4_0', 'Q4_K', 'Q5_K', 'Q6_K'];

function logitsTable() {
  const of = (fact, type) => fact.differences.find((difference) => difference.type === type);
  const allowed = weightTypes.map((type) =>
    pair(kind('architecture').flatMap((fact) => of(fact, type) ?? [])[0].allowed),
  );
  return table(
    ['tiny model', 'query : key heads', 'head', 'RoPE scaling', ...weightTypes],
    `lrrl${'r'.repeat(weightTypes.length)}`,
    [
      ['*allowed*', '', '', '', ...allowed],
      ...kind('architecture').map((fact) => [
        code(fact.name),
        `${fact.heads} : ${fact.kv_heads}`,
        String(fact.head_dim),
        scalingOf(fact) || 'none',
        ...weightTypes.map((type) => (of(fact, type) ? pair(of(fact, type).seen) : '')),
      ]),
    ],
  );
}

const tensorTypeTable = () =>
  table(
    ['type', 'embedding alone', 'allowed', 'all matrices', 'allowed'],
    'lrrrr',
    kind('tensor type').map(({ name, differences: { embedding, matrices } }) => [
      name,
      pair(embedding.seen),
      pair(embedding.allowed),
      pair(matrices.seen),
      pair(matrices.allowed),
    ]),
  );

const counted = ({ identical, texts }) => `${integer(identical)} of ${integer(texts)}`;

function preTokenizerTable() {
  const { texts } = only('pre-tokenizers');
  return table(
    ['pre-tokenizers that are read alike', 'the first: plain text', 'with special tokens', 'each of the others'],
    'lrrr',
    unique(texts.map(({ grammar }) => grammar)).map((grammar) => {
      const [first, ...others] = texts.filter((text) => text.grammar === grammar);
      const least = others.toSorted((a, b) => a.as_text.identical - b.as_text.identical)[0];
      const names = [first, ...others].map(({ name }) => code(name)).join(', ');
      return [names, counted(first.as_text), counted(first.parsed), least ? counted(least.as_text) : ''];
    }),
  );
}

const sentencePieceTable = () =>
  table(
    ['SentencePiece', 'plain text', 'with special tokens'],
    'lrr',
    only('SentencePiece').texts.map(({ name, as_text, parsed }) => [
      name === 'llama' ? 'with a space in front' : 'without',
      counted(as_text),
      counted(parsed),
    ]),
  );

/** Vocabularies that are not part of the repository: where they are missing, the committed rows stand. */
function vocabularyTable() {
  const vectors = Object.fromEntries(kind('vectors').map(({ name, texts }) => [name, texts]));
  const rows = kind('vocabulary').map(({ texts: { name, as_text, parsed } }) => [
    code(name),
    `${vectors[name]} of ${vectors[name]}`,
    counted(as_text),
    counted(parsed),
  ]);
  const head = ['vocabulary', "llama.cpp's own vectors", 'generated, plain text', 'with special tokens'];
  const written = table(head, 'lrrr', rows);
  if (rows.length > 0) return written;
  if (!options.check) throw new Error('../shared/data/vocab is missing: the table of vocabularies cannot be written.');
  const committed = readFileSync(options.out, 'utf8').split('\n');
  const begin = committed.indexOf(written.split('\n')[0]);
  return committed.slice(begin, committed.indexOf('', begin)).join('\n');
}

function templateTable() {
  const commandLine = Object.fromEntries(kind('template').map((fact) => [fact.name, fact]));
  return table(
    ['template', 'models', 'its text', 'page and library', 'command line'],
    'lllrr',
    Object.entries(rendered.templates).map(([name, { conversations }]) => {
      if (!families[name] || !(name in commandLine))
        throw new Error(`sources.json or the tests say nothing of ${name}.`);
      const { models, text } = families[name];
      const n = Object.values(conversations).filter((conversation) => !conversation.refused).length;
      return [code(name), models, text, `${n} of ${Object.keys(conversations).length}`, counted(commandLine[name])];
    }),
  );
}

const texts = `# What works

Written by \`node tests/tools/models_report.mjs\` from what the tests found out; do not edit. \`ctest\` fails where it is out of date. What is not here is
refused by name before anything is loaded; \`strata inspect\` and the page say so from a file's header.

## Architectures

${architectureTable()}

All of them in all weight types below. RoPE scaling may be \`linear\`, \`yarn\`, \`longrope\` or a tensor of factors whatever the architecture; any other is
refused by name, and so are mixtures of experts and every other architecture: "${only('refused architecture').message.split(';')[0].replace('qwop3', 'NAME')}; supported are: …".

## Logits beside llama.cpp's

Largest / root mean square difference of all logits of eight positions (of 300), in standard deviations of a position's logits; memory in F32. The
models are tiny, random and made from a seed; the vocabulary is 267 tokens ([tests/golden](../tests/golden/README.md)).

${logitsTable()}

In quantised weights the difference is how activations are rounded: llama.cpp does it its way, we do it ours. Rows of K-quants are whole blocks of 256,
so that only models of such shapes can have them.

## Tensor types

As above, for two models each: the token embedding alone is of that type, or every matrix is.

${tensorTypeTable()}

Refused by name: ${only('refused tensor types').names.join(', ')}.

## Tokenizers

Texts that give the same tokens as llama.cpp: 5,000 generated ones of many scripts, marks, emoji, white space, numbers, code and look-alikes of special
tokens, on vocabularies of our own that are made to show every cut.

${preTokenizerTable()}

${sentencePieceTable()}

On vocabularies of published models:

${vocabularyTable()}

Pre-tokenizers that llama.cpp knows and we do not: ${only('refused pre-tokenizers').names.map(code).join(', ')}. Most belong to architectures
that are refused, or to models that only embed text. The message: "${only('refused pre-tokenizers')
  .message.split(';')[0]
  .replace(/"[^"]+"/, '"NAME"')}; supported are …".

## Chat templates

Conversations that are rendered to the same text as by the hub's own reference (Jinja for Python ${rendered.engine.replace('jinja2 ', '')}). The page and the library run a
file's own template, whatever it is. The command line has no Jinja: it recognises these families by their template, keeps what it said, and answers every message,
so that it is compared on fewer conversations; others it names, and falls back to the markers in the vocabulary. *Ours*: written to print
what the model's own template prints, which is not part of the repository ([where they come from](../tests/golden/templates/README.md)).

${templateTable()}
`;

if (!options.check) {
  writeFileSync(options.out, texts);
  console.log(`${options.out} written`);
} else {
  const [committed, now] = [readFileSync(options.out, 'utf8').split('\n'), texts.split('\n')];
  const at = now.findIndex((line, i) => line !== committed[i]);
  if (at >= 0 || committed.length !== now.length) {
    console.error(
      `${options.out} is out of date: node tests/tools/models_report.mjs\n- ${committed[at]}\n+ ${now[at]}`,
    );
    process.exit(1);
  }
  console.log(`${options.out} is what the tests say`);
}
