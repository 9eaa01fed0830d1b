// Our engine, as a page uses it: the library, its worker, and the files in web/public/engine.
import { createWorkerEngine } from '../../../web/lib/index';
import { firstWord, words } from './words.mjs';

const presets = ['exact', 'quality', 'balanced', 'max'];

/** A preset, or rows: "fp16", "turbo_kv_4b/fp16" (keys/values) or "turbo_kv_4b/fp16/128" (and a window) */
function memoryOptions(kv) {
  if (presets.includes(kv)) return { preset: kv, budgetBytes: 0 };
  const [keyType, valueType = keyType, window = '0'] = kv.split('/');
  return { rows: { keyType, valueType, keyWindow: Number(window), valueWindow: Number(window) } };
}

/** @typedef {import('./contender').Contender} Contender */

/** @implements {Contender} */
export class StrataContender {
  #engine = createWorkerEngine({ engineFolder: '/engine/' });
  // What a text, or a message in its chat template, has beside its words.
  #textTokens = 0;
  #templateTokens = 0;

  async load(file, { kv, threads }) {
    const started = performance.now();
    const began = {}; // when a phase was first heard of
    const onProgress = ({ phase }) => {
      began[phase] ??= performance.now();
    };
    const options = { memory: memoryOptions(kv), threads, onProgress };
    const info = await this.#engine.load({ kind: 'file', file }, options);
    const ended = performance.now();
    // Starting the engine, up to the first bytes; the others; the model over them and its session.
    const loadSteps = { start: began.read - started, read: began.open - began.read, open: ended - began.open };
    this.#textTokens = (await this.#answer(words(1), 1)).prompt - 1;
    await this.#engine.reset();
    this.#templateTokens = (await this.#answer([{ role: 'user', content: words(1) }], 1)).prompt - 1;
    return {
      build: info.simd,
      threads: info.threads,
      loadMs: ended - started,
      loadSteps,
      weightBytes: info.weightBytes,
    };
  }

  async prefill(promptTokens, index) {
    await this.#engine.reset();
    const { prompt, ms } = await this.#answer(words(promptTokens - this.#textTokens, firstWord(index)), 1);
    if (prompt !== promptTokens) throw new Error(`our engine read ${prompt} tokens; ${promptTokens} were meant`);
    return { tokens: prompt, ms, read: prompt };
  }

  // A conversation of one message: asked again, its prompt is still in memory.
  async decode(depth, tokens) {
    const content = words(Math.max(1, depth - this.#templateTokens));
    const { prompt, generated, written, writtenMs } = await this.#answer([{ role: 'user', content }], tokens + 1);
    if (generated !== tokens + 1) throw new Error(`our engine stopped after ${generated} of ${tokens + 1} tokens`);
    if (written === 0) throw new Error('our engine wrote no text whose time could be told');
    return { tokens: written, ms: writtenMs, read: prompt, kvBytes: (await this.#engine.stats()).bytes };
  }

  /**
   * `prompt` counts what was read, without what was in memory; `written` the tokens between the first and the last text, because
   * one that has none of its own (half a character) is not heard of when it is made.
   */
  async #answer(input, maxTokens) {
    const started = performance.now();
    const arrivals = [];
    let end;
    for await (const piece of this.#engine.generate(input, { temperature: 0, maxTokens })) {
      if (piece.kind === 'text') arrivals.push({ at: performance.now(), positions: piece.positions });
      if (piece.kind === 'end') end = piece;
    }
    if (!end || arrivals.length === 0) throw new Error('our engine ended without an answer');
    return {
      prompt: end.promptTokens,
      generated: end.generatedTokens,
      ms: arrivals[0].at - started,
      written: arrivals.at(-1).positions - arrivals[0].positions,
      writtenMs: arrivals.at(-1).at - arrivals[0].at,
    };
  }
}
