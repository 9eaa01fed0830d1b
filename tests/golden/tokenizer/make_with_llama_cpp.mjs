// Golden vectors for the default model's tokenizer, from llama.cpp:
//   node make_with_llama_cpp.mjs FOLDER MODEL.gguf
// FOLDER has node-llama-cpp in its node_modules. Reads unicode.inp; writes unicode.out (ids of the texts as plain text)
// and unicode.special.out (with special tokens recognised).
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const separator = '\n__ggml_vocab_test__\n';
const [folder, modelPath] = process.argv.slice(2);
const entry = resolve(folder, 'node_modules/node-llama-cpp/dist/index.js');
const { getLlama } = await import(pathToFileURL(entry).href);

const here = (name) => new URL(name, import.meta.url);
const texts = readFileSync(here('unicode.inp'), 'utf8').split(separator).slice(0, -1);
const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
const model = await llama.loadModel({ modelPath: resolve(modelPath), vocabOnly: true });
for (const [name, special] of [
  ['unicode.out', false],
  ['unicode.special.out', true],
]) {
  const lines = texts.map((text) => `${model.tokenize(text, special).map((id) => ` ${id}`).join('')}\n`);
  writeFileSync(here(name), lines.join(''));
}
console.log(`${texts.length} texts, llama.cpp ${llama.llamaCppRelease.release}`);
process.exit(0);
