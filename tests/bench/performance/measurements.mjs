// Runs parts of the report and keeps their lines in a folder, so that what was measured once is not measured again.
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { output } from '../../../scripts/tools.mjs';

/** How many cores others kept busy for a second. The load average still holds what we did a minute ago. */
export async function busyCores() {
  const idle = () => cpus().reduce((sum, { times }) => sum + times.idle, 0);
  const [before, started] = [idle(), performance.now()];
  await setTimeout(1000);
  return Math.max(0, cpus().length - (idle() - before) / (performance.now() - started));
}

export class Measurements {
  #folder;

  constructor(folder) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** @returns {boolean} whether it has been measured, to the end */
  has({ name }) {
    return existsSync(this.#file(name));
  }

  /** @returns {{ about: object, rows: object[] } | undefined} */
  read({ name }) {
    if (!this.has({ name })) return undefined;
    const lines = readFileSync(this.#file(name), 'utf8').trim().split('\n');
    const [about, ...rows] = lines.map((line) => JSON.parse(line));
    return { about, rows };
  }

  /** Lines are written as they come, under another name until the last one is there. */
  async measure({ name, command: [program, args] }, busy) {
    const started = new Date();
    const partial = `${this.#file(name)}.part`;
    const commit = output('git', ['describe', '--always', '--dirty']).trim();
    const about = { part: name, at: started.toISOString(), load_average: loadavg()[0], busy_cores: busy, commit };
    writeFileSync(partial, `${JSON.stringify({ ...about, command: [program, ...args].join(' ') })}\n`);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', resolve);
    });
    for await (const line of createInterface({ input: child.stdout })) appendFileSync(partial, `${line}\n`);
    const code = await ended;
    if (code !== 0) throw new Error(`${name} failed with code ${code}; what it measured before is in ${partial}`);
    renameSync(partial, this.#file(name));
    return (Date.now() - started.getTime()) / 1000;
  }

  #file(name) {
    return join(this.#folder, `${name}.jsonl`);
  }
}
