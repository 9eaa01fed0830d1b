// A golden file: NAME.json says what was computed and how, NAME.bin holds the numbers as little-endian float32.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const golden = new URL('../../golden/', import.meta.url);
const path = (name, extension) => fileURLToPath(new URL(`${name}.${extension}`, golden));

export function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** One line per key, and per element of a list of things: ids stay on one line, and a change shows as one line. */
function toJson(header) {
  const value = (v) =>
    Array.isArray(v) && typeof v[0] === 'object'
      ? block(
          '[',
          v.map((x) => `  ${JSON.stringify(x)}`),
          '  ]',
        )
      : JSON.stringify(v);
  const block = (open, lines, close) => `${open}\n  ${lines.join(',\n  ')}\n${close}`;
  return `${block(
    '{',
    Object.entries(header).map(([key, v]) => `${JSON.stringify(key)}: ${value(v)}`),
    '}',
  )}\n`;
}

/** @param {Float32Array} [values] none for a file that is all header */
export function write(name, header, values) {
  if (endianness() !== 'LE') throw new Error('golden files are little-endian; this machine is not');
  mkdirSync(dirname(path(name, 'json')), { recursive: true });
  writeFileSync(path(name, 'json'), toJson(header));
  if (values) writeFileSync(path(name, 'bin'), new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

export function read(name) {
  if (!existsSync(path(name, 'json')))
    throw new Error(`tests/golden/${name}.json is missing; run without --check first`);
  const header = JSON.parse(readFileSync(path(name, 'json'), 'utf8'));
  const bytes = existsSync(path(name, 'bin')) ? readFileSync(path(name, 'bin')) : new Uint8Array();
  return { header, values: new Float32Array(new Uint8Array(bytes).buffer) };
}
