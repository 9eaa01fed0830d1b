// Writes tests/golden/{architectures,tensor_types} from llama.cpp; tests/golden/README.md says what is in them.
//   node make_tiny_models.mjs                    writes all files
//   node make_tiny_models.mjs --only gemma2      one model
//   node make_tiny_models.mjs --check            computes again and compares with the committed files; writes nothing
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
    check: { type: 'boolean', default: false },
    tool: { type: 'string', default: fileURLToPath(new URL('../../../build/native/tiny_model', import.meta.url)) },
  },
});
const runTool = (...args) => execFileSync(options.tool, args, { encoding: 'utf8' }).trim();
const made = JSON.parse(runTool());

// Inside the window of layers that have one, at its end and beyond; at the ends of tiles and of a chunk of positions.
const architectures = made.models.map(({ name, types }) => ({
  file: `architectures/${name}`,
  model: name,
  positions: [0, 39, 40, 64, 130, 255, 256, 299],
  variants: types.map((type) => ({ type, part: 'matrices' })),
}));
const tensorTypes = {
  file: 'tensor_types/llama',
  model: made.tensor_types_model,
  positions: [0, 1, 40, 130, 299],
  variants: made.tensor_types.flatMap((type) => ['matrices', 'embedding'].map((part) => ({ type, part }))),
};

const folder = mkdtempSync(join(tmpdir(), 'tiny-models-'));

/** The logits of the positions, and the hash of the model that gave them. llama.cpp rearranges some types, whatever one asks. */
async function rowsOf(model, { type, part }, positions) {
  const path = join(folder, 'model.gguf');
  const fnv1a = runTool(model, type, part, path);
  const mayRepack = part === 'matrices' && !['F32', 'F16', 'BF16', 'Q8_0'].includes(type);
  const reference = await openReference(path, made.context, mayRepack);
  const rows = [];
  let position = 0;
  for await (const row of reference.evaluate(made.tokens)) if (positions.includes(position++)) rows.push(row);
  await reference.close();
  rmSync(path);
  return { fnv1a, rows, engine: reference.engine };
}

function largestDifference(name, values) {
  const committed = goldenFile.read(name).values;
  if (committed.length !== values.length) throw new Error(`${committed.length} numbers; now ${values.length}`);
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - committed[i])), 0);
}

async function deliver({ file, model, positions, variants }) {
  const results = [];
  for (const variant of variants) results.push(await rowsOf(model, variant, positions));
  const values = Float32Array.from(results.flatMap(({ rows }) => rows.flatMap((row) => [...row])));
  if (values.some((value) => !Number.isFinite(value))) throw new Error(`${file}: logits are not finite`);
  if (options.check) return console.log(`${file}: max difference ${largestDifference(file, values).toExponential(2)}`);
  const [{ engine, rows }] = results;
  const models = variants.map((variant, i) => ({ ...variant, fnv1a: results[i].fnv1a }));
  const header = { engine, settings, n_vocab: rows[0].length, positions, tokens: made.tokens, models };
  goldenFile.write(file, header, values);
  console.log(`${file}: written`);
}

for (const golden of [...architectures, tensorTypes]) {
  if (!options.only || options.only.split(',').includes(golden.model)) await deliver(golden);
}
rmSync(folder, { recursive: true });
process.exit(0); // node-llama-cpp leaves handles open
