// Writes tests/golden/architectures from llama.cpp; tests/golden/README.md says what is in it.
//   node make_architectures.mjs                    writes all files
//   node make_architectures.mjs --only gemma2      one model
//   node make_architectures.mjs --check            computes again and compares with the committed files; writes nothing
// The models are made by our own tool, which CMake builds: --tool build/native/tiny_model
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MadeModels, runTool } from './made_models.mjs';

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

const { models, tokens, context } = JSON.parse(runTool(options.tool));
const made = new MadeModels({ tool: options.tool, context, tokens, positions, check: options.check });
const types = options.types.split(',');
for (const model of models) {
  if (options.only && !options.only.split(',').includes(model)) continue;
  const each = types.map((type) => ({ names: [model, type], mayRepack: type.startsWith('Q4') }));
  await made.deliver(`architectures/${model}`, each, { types });
}
made.close();
process.exit(0); // node-llama-cpp leaves handles open
