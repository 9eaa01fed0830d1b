// Golden logits of models that a tool of ours makes from a seed: what make_architectures.mjs and make_tensor_types.mjs share.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as goldenFile from './golden_file.mjs';
import { openReference, settings } from './reference.mjs';

/** Logits of some positions of made models, for one golden file after the other. */
export class MadeModels {
  #folder = mkdtempSync(join(tmpdir(), 'made-models-'));

  /** @param {{tool: string, context: number, tokens: number[], positions: number[], check: boolean}} options */
  constructor(options) {
    this.options = options;
  }

  /** The logits of the positions, and the hash of the model that gave them. `names`: the tool's arguments before the file. */
  async #rowsOf(names, mayRepack) {
    const { tool, context, tokens, positions } = this.options;
    const path = join(this.#folder, `${names.join('-')}.gguf`);
    const hash = runTool(tool, ...names, path);
    const reference = await openReference(path, context, mayRepack);
    const rows = [];
    let position = 0;
    for await (const row of reference.evaluate(tokens)) if (positions.includes(position++)) rows.push(row);
    await reference.close();
    rmSync(path);
    return { hash, rows, engine: reference.engine };
  }

  /**
   * Writes the golden file `name`, or says how far it is from now.
   * @param {{names: string[], mayRepack: boolean}[]} models
   * @param {object} more of the header
   */
  async deliver(name, models, more) {
    const { tokens, positions, check } = this.options;
    const made = [];
    for (const { names, mayRepack } of models) made.push(await this.#rowsOf(names, mayRepack));
    const values = Float32Array.from(made.flatMap(({ rows }) => rows.flatMap((row) => [...row])));
    if (values.some((value) => !Number.isFinite(value))) throw new Error(`${name}: logits are not finite`);
    if (check) return console.log(`${name}: max difference ${largestDifference(name, values).toExponential(2)}`);
    const [{ engine, rows }] = made;
    const header = { engine, settings, n_vocab: rows[0].length, positions, tokens, ...more };
    goldenFile.write(name, { ...header, model_fnv1a: made.map(({ hash }) => hash) }, values);
    console.log(`${name}: written`);
  }

  close() {
    rmSync(this.#folder, { recursive: true });
  }
}

export const runTool = (tool, ...args) => execFileSync(tool, args, { encoding: 'utf8' }).trim();

function largestDifference(name, values) {
  const committed = goldenFile.read(name).values;
  if (committed.length !== values.length) throw new Error(`${committed.length} numbers; now ${values.length}`);
  return values.reduce((most, value, i) => Math.max(most, Math.abs(value - committed[i])), 0);
}
