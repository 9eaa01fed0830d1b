// Writes tests/golden/tensor_types from llama.cpp; tests/golden/README.md says what is in it.
//   node make_tensor_types.mjs                 writes all files
//   node make_tensor_types.mjs --only Q4_K     one tensor type
//   node make_tensor_types.mjs --check         computes again and compares with the committed files; writes nothing
// The models are made by our own tool, which CMake builds: --tool build/native/tensor_type_model
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
    check: { type: 'boolean', default: false },
    tool: {
      type: 'string',
      default: fileURLToPath(new URL('../../../build/native/tensor_type_model', import.meta.url)),
    },
  },
});

const positions = [0, 1, 7, 20, 39];
const contextSize = 256;

const run = (...arguments_) => execFileSync(options.tool, arguments_, { encoding: 'utf8' }).trim();
const { types, parts, tokens } = JSON.parse(run());
const folder = mkdtempSync(join(tmpdir(), 'tensor-types-'));

/** The logits of `positions`, and the hash of the model that gave them. */
async function rowsOf(type, part) {
  const path = join(folder, `${type}-${part}.gguf`);
  const hash = run(type, part, path);
  const reference = await openReference(path, contextSize, part === 'matrices');
  const rows = [];
  let position = 0;
  for await (const row of reference.evaluate(tokens)) if (positions.includes(position++)) rows.push(row);
  await reference.close();
  rmSync(path);
  return { hash, rows, engine: reference.engine };
}

async function makeType(type) {
  const made = [];
  for (const part of parts) made.push(await rowsOf(type, part));
  const values = Float32Array.from(made.flatMap(({ rows }) => rows.flatMap((row) => [...row])));
  if (values.some((value) => !Number.isFinite(value))) throw new Error(`${type}: logits are not finite`);
  const name = `tensor_types/${type.toLowerCase()}`;
  if (options.check) {
    const committed = goldenFile.read(name).values;
    if (committed.length !== values.length) throw new Error(`${committed.length} numbers; now ${values.length}`);
    const largest = values.reduce((most, value, i) => Math.max(most, Math.abs(value - committed[i])), 0);
    return console.log(`${name}: max difference ${largest.toExponential(2)}`);
  }
  const header = {
    engine: made[0].engine,
    settings,
    n_vocab: made[0].rows[0].length,
    positions,
    tokens,
    parts,
    model_fnv1a: made.map(({ hash }) => hash),
  };
  goldenFile.write(name, header, values);
  console.log(`${name}: written`);
}

for (const type of types) if (!options.only || options.only.split(',').includes(type)) await makeType(type);
rmSync(folder, { recursive: true });
process.exit(0); // node-llama-cpp leaves handles open
