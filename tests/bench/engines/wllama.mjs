// wllama, as its package is published. Imported by URL at run time: bundling would change what is measured.
import { firstWord, words } from './words.mjs';

/** @typedef {import('./contender').Contender} Contender */

/** @implements {Contender} */
export class WllamaContender {
  #wllama;
  #textTokens = 0; // what a text has beside its words

  async load(file, { kv, threads, contextTokens }) {
    const started = performance.now();
    const { Wllama } = await import(/* @vite-ignore */ new URL('/wllama/esm/index.js', location.href).href);
    this.#wllama = new Wllama({ default: '/wllama/esm/wasm/wllama.wasm' });
    await this.#wllama.loadModel([file], {
      n_ctx: contextTokens,
      n_threads: threads,
      n_gpu_layers: 0,
      n_parallel: 1,
      n_batch: 512,
      cache_type_k: kv,
      cache_type_v: kv,
    });
    const { success } = this.#wllama.getLoadedContextInfo(); // loadModel() succeeds even when memory ran out
    if (success === false) throw new Error('wllama could not load the model');
    const loadMs = performance.now() - started;
    const { version } = await (await fetch('/wllama/package.json')).json();
    this.#textTokens = (await this.#complete(words(1), 1, false)).prompt - 1;
    return { build: version, threads: this.#wllama.getNumThreads(), loadMs };
  }

  async prefill(promptTokens, index) {
    const { prompt, ms } = await this.#complete(words(promptTokens - this.#textTokens, firstWord(index)), 1, false);
    if (prompt !== promptTokens) throw new Error(`wllama read ${prompt} tokens; ${promptTokens} were meant`);
    return { tokens: prompt, ms, read: prompt };
  }

  async decode(depth, tokens) {
    const { prompt, generated, decodeMs } = await this.#complete(words(depth - this.#textTokens), tokens + 1, true);
    return { tokens: generated - 1, ms: decodeMs, read: prompt };
  }

  /** `prompt` counts what was read, without what `reuse` found in memory. */
  async #complete(text, maxTokens, reuse) {
    const started = performance.now();
    const arrivals = [];
    let timings;
    const request = {
      prompt: text,
      max_tokens: maxTokens,
      temperature: 0,
      top_k: 1,
      ignore_eos: true,
      cache_prompt: reuse,
      stream: true,
    };
    for await (const chunk of await this.#wllama.createCompletion(request)) {
      if (chunk.choices?.[0]?.text) arrivals.push(performance.now());
      timings = chunk.timings ?? timings;
    }
    if (!timings || arrivals.length === 0) throw new Error('wllama ended without an answer');
    return {
      prompt: timings.prompt_n,
      generated: timings.predicted_n,
      ms: arrivals[0] - started,
      decodeMs: arrivals.at(-1) - arrivals[0],
    };
  }
}
