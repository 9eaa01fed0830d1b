// Writes tests/golden/tensor_types from llama.cpp; tests/golden/README.md says what is in it.
//   node make_tensor_types.mjs                 writes all files
//   node make_tensor_types.mjs --only Q4_K     one tensor type
//   node make_tensor_types.mjs --check         computes again and compares with the committed files; writes nothing
// The models are made by our own tool, which CMake builds: --tool build/native/tensor_type_model
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MadeModels, runTool } from './made_models.mjs';

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

const { types, parts, tokens } = JSON.parse(runTool(options.tool));
const made = new MadeModels({ tool: options.tool, context: 256, tokens, positions, check: options.check });
for (const type of types) {
  if (options.only && !options.only.split(',').includes(type)) continue;
  const each = parts.map((part) => ({ names: [type, part], mayRepack: part === 'matrices' }));
  await made.deliver(`tensor_types/${type.toLowerCase()}`, each, { parts });
}
made.close();
process.exit(0); // node-llama-cpp leaves handles open
