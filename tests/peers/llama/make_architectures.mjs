// Writes tests/golden/architectures from llama.cpp; tests/golden/README.md says what is in it.
//   node make_architectures.mjs                    writes all files
//   node make_architectures.mjs --only gemma2      one model
//   node make_architectures.mjs --check            computes again and compares with the committed files; writes nothing
// The models are made by our own tool, which CMake builds: --tool build/native/tiny_model
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as goldenFile from './golden_file.mjs';
import { openReference, settings } from './reference.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    types: { type: 'string', default: 'F32,Q8_0,Q4_0' },
    check: { type: 'boolean', default: false },
    tool: { type: 'string', default: fileURLToPath(new URL('../../../build/native/tiny_model', import.meta.url)) },
  },
});

// Inside the window of layers that have one, at its end and beyond; at the ends of tiles and of a chunk of positions.
const positions = [0, 39, 40, 64, 130, 255, 256, 299];

const run = (...arguments_) => execFileSync(options.tool, arguments_, { encoding: 'utf8' }).trim();
const { models, tokens, context } = JSON.parse(run());
const folder = mkdtempSync(join(tmpdir(), 'tiny-models-'));

/** The logits of `positions`, and the hash of the model that gave them. */
async function rowsOf(name, type) {
  const path = join(folder, `${name}-${type}.gguf`);
  const hash = run(name, type, path);
  const reference = await openReference(path, context, type.startsWith('Q4'));
  const rows = [];
  let position = 0;
  for await (const row of reference.evaluate(tokens)) if (positions.includes(position++)) rows.push(row);
  await reference.close();
  rmSync(path);
  return { hash, rows, engine: reference.engine };
}

function largestDifference(name, values) {
  const committed = goldenFile.read(name).values;
  if (committed.length !== values.length) throw new Error(`${committed.length} numbers; now ${values.length}`);
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - committed[i])), 0);
}

async function makeModel(model) {
  const types = options.types.split(',');
  const made = [];
  for (const type of types) made.push(await rowsOf(model, type));
  const values = Float32Array.from(made.flatMap(({ rows }) => rows.flatMap((row) => [...row])));
  if (values.some((value) => !Number.isFinite(value))) throw new Error(`${model}: logits are not finite`);
  const name = `architectures/${model}`;
  if (options.check) return console.log(`${name}: max difference ${largestDifference(name, values).toExponential(2)}`);
  const header = {
    engine: made[0].engine,
    settings,
    n_vocab: made[0].rows[0].length,
    positions,
    tokens,
    types,
    model_fnv1a: made.map(({ hash }) => hash),
  };
  goldenFile.write(name, header, values);
  console.log(`${name}: written`);
}

for (const model of models) if (!options.only || options.only.split(',').includes(model)) await makeModel(model);
rmSync(folder, { recursive: true });
process.exit(0); // node-llama-cpp leaves handles open
