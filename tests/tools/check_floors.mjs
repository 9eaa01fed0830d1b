// Fails when a file includes something on its own floor (other than its own folder) or above. ARCHITECTURE.md has the map.
//   node tests/tools/check_floors.mjs [ROOT]     default: the repository that this script is part of
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Lowest floor first. Siblings on one floor do not know each other.
const floors = [
  ['engine/base'],
  ['engine/formats', 'engine/simd'],
  ['engine/kernels'],
  ['engine/gguf', 'engine/tokenizer', 'engine/kv', 'engine/sampler'],
  ['engine/model'],
  ['engine'], // the session: files directly in engine/
  ['engine/eval'],
  ['engine/engine.h'],
  ['engine/cli', 'wasm'],
  ['tests'],
];
/** These see one thing of what is below them: the engine's public face. */
const outside = ['engine/cli', 'wasm'];
/** The public face is a header and what implements it. */
const faceFiles = ['engine/engine.h', 'engine/build_info.cpp'];
/** Headers that the build makes: on no floor. */
const generated = ['commit.h'];

/** The unit that a file belongs to: a folder of the list above, or the public face. */
function unitOf(path) {
  if (faceFiles.includes(path)) return 'engine/engine.h';
  const [top, folder, ...rest] = path.split('/');
  return top === 'engine' && rest.length > 0 ? `engine/${folder}` : top;
}

function floorOf(unit) {
  return floors.findIndex((units) => units.includes(unit));
}

/** Why a file may not include another, or undefined. */
function objection(file, included) {
  if (generated.includes(included)) return undefined;
  const from = unitOf(file);
  const to = unitOf(included);
  if (floorOf(from) < 0) return `${from} is on no floor: give it one in tests/tools/check_floors.mjs`;
  if (floorOf(to) < 0) return 'the path does not begin at the root of the repository, or its folder is on no floor';
  if (to === from) return undefined;
  if (outside.includes(from) && to !== 'engine/engine.h')
    return `${from} includes engine/engine.h and its own folder only`;
  if (floorOf(to) >= floorOf(from)) return `${to} is not below ${from}`;
  return undefined;
}

function* sources(root, folder) {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (entry.name !== 'node_modules') yield* sources(root, path);
    } else if (/\.(h|cpp)$/.test(entry.name)) yield path;
  }
}

const root = process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url));
let checked = 0;
let broken = 0;
for (const folder of ['engine', 'wasm', 'tests'].filter((name) => existsSync(join(root, name)))) {
  for (const file of sources(root, folder)) {
    ++checked;
    const text = readFileSync(join(root, file), 'utf8');
    for (const [, included] of text.matchAll(/^[ \t]*#[ \t]*include[ \t]*"([^"]+)"/gm)) {
      const problem = objection(file, included);
      if (!problem) continue;
      console.error(`${file}: includes ${included}: ${problem}`);
      ++broken;
    }
  }
}
if (checked === 0) console.error(`no sources in ${root}: is this the repository?`);
process.exit(broken > 0 || checked === 0 ? 1 : 0);
