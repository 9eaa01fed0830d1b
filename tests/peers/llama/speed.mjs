// How fast llama.cpp is natively, through node-llama-cpp: for tests/bench/native_bench.mjs.
//
// Tokens are decoded by the binding's own calls and not by its evaluate(): a batch of one, llama_decode, nothing sampled,
// as llama-bench does it. What JavaScript adds for each token is measured by the same calls on a batch that is made and
// not decoded, and a round trip through the thread pool of node: `overheadMs`.
import { readFile } from 'node:fs/promises';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

const token = (i) => 2000 + ((i * 7919) % 15000); // ordinary tokens of the vocabularies of make_model.mjs

/**
 * @param {string} path of a .gguf
 * @param {{ threads: number, contextTokens: number, kv: string }} options kv: f16, q8_0, …
 */
export async function openSpeed(path, { threads, contextTokens, kv }) {
  const llama = await getLlama({ gpu: false, build: 'never', logLevel: LlamaLogLevel.error, maxThreads: threads });
  const model = await llama.loadModel({ modelPath: path, useMmap: false }); // as a whole, so that weights are repacked
  const context = await model.createContext({
    contextSize: contextTokens,
    batchSize: 512,
    threads,
    sequences: 1,
    flashAttention: true,
    experimentalKvCacheKeyType: kv.toUpperCase(),
    experimentalKvCacheValueType: kv.toUpperCase(),
  });
  return new Speed(model, context, `llama.cpp ${llama.llamaCppRelease.release}`);
}

class Speed {
  #model;
  #context;
  #raw; // what the binding itself offers
  #length = 0; // positions in memory
  build;

  constructor(model, context, build) {
    this.#model = model;
    this.#context = context;
    this.#raw = context._ctx;
    this.build = build;
    context.getSequence(); // so that nobody else gets sequence 0
  }

  /** @returns {Promise<number>} tokens per second */
  async prefill(n) {
    this.#forget(0);
    return this.#timed(n, () => this.#read(n));
  }

  /** Behind `depth` tokens, which are read untimed, or still in memory. */
  async decode(depth, n) {
    if (this.#length > depth) this.#forget(depth);
    while (this.#length < depth) await this.#read(Math.min(512, depth - this.#length));
    return this.#timed(n, async () => {
      for (let i = 0; i < n; i++) await this.#read(1);
    });
  }

  /** Of one token, in milliseconds: everything but decoding. */
  async overheadMs(n = 200) {
    const rate = await this.#timed(n, async () => {
      for (let i = 0; i < n; i++) {
        this.#raw.initBatch(1);
        this.#raw.addToBatch(0, this.#length, Uint32Array.of(token(0)), Uint32Array.of(0));
        await readFile('/dev/null').catch(() => {}); // more than one round trip: an upper bound
      }
    });
    return 1000 / rate;
  }

  async close() {
    await this.#context.dispose();
    await this.#model.dispose();
  }

  async #timed(n, run) {
    const started = performance.now();
    await run();
    return (1000 * n) / (performance.now() - started);
  }

  #forget(length) {
    this.#raw.removeTokenCellsFromSequence(0, length, -1);
    this.#length = length;
  }

  // At most a batch; logits of the last token.
  async #read(n) {
    const tokens = Uint32Array.from({ length: n }, (_, i) => token(this.#length + i));
    this.#raw.initBatch(n);
    this.#raw.addToBatch(0, this.#length, tokens, Uint32Array.of(n - 1));
    await this.#raw.decodeBatch();
    this.#length += n;
  }
}
