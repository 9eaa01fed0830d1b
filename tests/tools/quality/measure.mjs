// Runs the command line and remembers what it printed, so that a report that was cut off goes on where it stopped.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** A measurement is known by the program, the files it reads and its arguments; anything else does not change it. */
export class Measurements {
  constructor(strata, folder) {
    this.strata = strata;
    this.folder = folder;
    this.hashes = new Map();
    mkdirSync(folder, { recursive: true });
  }

  /** The object that `strata COMMAND MODEL ARGS --output jsonl` prints; with `scores`, the numbers of --scores as well. */
  run(command, model, args, { scores = false } = {}) {
    const path = join(this.folder, `${this.#key([command, model, ...args, scores])}.json`);
    if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8'));
    console.error(`strata ${[command, ...args].join(' ')}`);
    const scoresPath = join(this.folder, `scores-${process.pid}.f32`);
    const all = [command, model, ...args, '--output', 'jsonl', ...(scores ? ['--scores', scoresPath] : [])];
    const options = { stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 };
    const record = JSON.parse(execFileSync(this.strata, all, options).toString());
    if (scores) {
      record.scores = floats(readFileSync(scoresPath));
      rmSync(scoresPath);
    }
    writeFileSync(path, JSON.stringify(record));
    return record;
  }

  #key(args) {
    const known = [this.strata, ...args].map((arg) =>
      typeof arg === 'string' && existsSync(arg) ? this.#hash(arg) : arg,
    );
    return createHash('sha256').update(JSON.stringify(known)).digest('hex').slice(0, 32);
  }

  #hash(path) {
    if (!this.hashes.has(path)) this.hashes.set(path, sha256(path));
    return this.hashes.get(path);
  }
}

function floats(bytes) {
  return Array.from(new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
}

export function meanAndError(numbers) {
  let mean = 0;
  for (const x of numbers) mean += x / numbers.length;
  let squares = 0;
  for (const x of numbers) squares += (x - mean) ** 2;
  return { mean, error: Math.sqrt(squares / (numbers.length - 1) / numbers.length) };
}
