// Fails when a file includes something on its own floor (other than its own folder) or above.
//   node tests/tools/check_floors.mjs          from the repository root
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Lowest first; siblings on one floor do not know each other. A place is a folder, or one of the files in engine/ itself.
const floors = [
  ['engine/base'],
  ['engine/formats', 'engine/simd'],
  ['engine/kernels'],
  ['engine/gguf', 'engine/tokenizer', 'engine/kv', 'engine/sampler'],
  ['engine/model'],
  ['engine'],
  ['engine/eval'],
  ['engine/engine.h', 'engine/build_info.cpp'],
  ['engine/cli', 'wasm'],
];
const ownPlaces = ['engine/engine.h', 'engine/build_info.cpp'];

// The frontends see the engine only through its public face.
const frontends = ['engine/cli', 'wasm'];
const publicFace = ['engine/engine.h', 'engine/base'];

const placeOf = (file) => (ownPlaces.includes(file) ? file : dirname(file));

function floorOf(place) {
  const floor = floors.findIndex((places) => places.includes(place));
  if (floor < 0) throw new Error(`${place} is on no floor: add it to check_floors.mjs`);
  return floor;
}

/** What is wrong with `file` including `target`; undefined: nothing. */
export function complaint(file, target) {
  const [from, to] = [placeOf(file), placeOf(target)];
  if (from === to) return undefined;
  if (frontends.includes(from) && !publicFace.includes(to)) return `${from} may include only ${publicFace.join(', ')}`;
  return floorOf(to) < floorOf(from) ? undefined : `${to} is not below ${from}`;
}

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.(h|cpp)$/.test(entry.name)) yield path;
  }
}

/** Every include that points into the repository, one complaint a line. */
export function* brokenFloors(folders) {
  for (const file of folders.flatMap((folder) => [...sources(folder)])) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
      // From the root, so that the floor shows in the line.
      const problem = existsSync(target) ? complaint(file, target) : 'no such file, seen from the repository root';
      if (problem) yield `${file}: includes ${target}: ${problem}`;
    }
  }
}

if (import.meta.filename === process.argv[1] || process.argv[1]?.endsWith('check_floors.mjs')) {
  const problems = [...brokenFloors(['engine', 'wasm'])];
  for (const problem of problems) console.error(problem);
  process.exit(problems.length > 0 ? 1 : 0);
}
