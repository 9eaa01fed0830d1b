// The reference: llama.cpp on the CPU, set up to compute as plainly as it can. What knows node-llama-cpp, beside speed.mjs.
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

// One thread and one batch length, so that a second run on the same processor gives the same bits.
export const settings = {
  threads: 1,
  batch: 512, // positions per forward pass; also the largest that evaluate() hands over at once
  key_type: 'F32',
  value_type: 'F32',
  flash_attention: false,
};

const repackPromise = {
  what: 'weights as they are in the file',
  holds: (log) => !/REPACK model buffer size/.test(log),
};

// What llama.cpp must say about itself while a context is made: an option that is renamed or ignored must not go unnoticed.
const promises = [
  { what: 'keys and values in F32', holds: (log) => /llama_kv_cache: size = .* K \(f32\): .* V \(f32\)/.test(log) },
  { what: 'flash attention off', holds: (log) => /flash_attn\s*= disabled/.test(log) },
  repackPromise,
];

// llama.cpp keeps one log for the whole process, so there is one instance, and each context looks at what came after it.
let log = '';
let instance;
function getInstance() {
  const logger = (_, message) => {
    log += `${message}\n`;
  };
  instance ??= getLlama({
    gpu: false,
    build: 'never',
    maxThreads: settings.threads,
    logLevel: LlamaLogLevel.log,
    logger,
  });
  return instance;
}

/** @returns {string} the versions, and the processor code that makes the numbers */
function describe(llama) {
  const manifest = new URL('./node_modules/node-llama-cpp/package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
  const backend = /loaded CPU backend from .*?([^/\\\s]+)$/m.exec(log)?.[1] ?? 'unknown CPU backend';
  return `node-llama-cpp ${version}, llama.cpp ${llama.llamaCppRelease.release}, ${backend}`;
}

/** Log lines arrive some time after the call that wrote them, in order. */
async function confirmPromises(path, wanted, said) {
  const broken = () => wanted.find((promise) => !promise.holds(said()));
  for (let waited = 0; broken() && waited < 2000; waited += 20) await setTimeout(20);
  if (broken()) throw new Error(`llama.cpp's log does not confirm "${broken().what}" for ${path}:\n${said()}`);
}

/**
 * Opens a model with one empty context.
 * @param {string} path of a .gguf
 * @param {number} contextSize positions
 * @param {boolean} mayRepack for weight types that llama.cpp rearranges whatever one asks (Q4_0, Q4_K, ...)
 */
export async function openReference(path, contextSize, mayRepack = false) {
  const llama = await getInstance();
  const before = log.length;
  const model = await llama.loadModel({ modelPath: path });
  const context = await model.createContext({
    contextSize,
    batchSize: settings.batch,
    threads: settings.threads,
    sequences: 1,
    flashAttention: settings.flash_attention,
    experimentalKvCacheKeyType: settings.key_type,
    experimentalKvCacheValueType: settings.value_type,
  });
  const wanted = promises.filter((promise) => !(mayRepack && promise === repackPromise));
  await confirmPromises(path, wanted, () => log.slice(before));
  return new Reference(model, context, describe(llama));
}

class Reference {
  #model;
  #sequence;

  constructor(model, context, engine) {
    this.#model = model;
    this.#sequence = context.getSequence();
    this.engine = engine;
  }

  /** The id that begins every text of this model, or nothing. */
  get bos() {
    return this.#model.tokens.shouldPrependBosToken ? [this.#model.tokens.bos] : [];
  }

  /** @returns {number[]} without BOS; `special`: control tokens that are spelled out become tokens */
  tokenize(text, special = false) {
    return [...this.#model.tokenize(text, special)];
  }

  detokenize(tokens) {
    return this.#model.detokenize(tokens, true);
  }

  isEndOfGeneration(token) {
    return this.#model.isEogToken(token);
  }

  /** Forgets everything that was evaluated. */
  async clear() {
    await this.#sequence.clearHistory();
  }

  /**
   * Appends tokens to the context and yields the logits after each of them, unmodified, as a Float32Array (n_vocab).
   * @param {number[]} tokens
   * @param {number} step tokens per evaluation, at most settings.batch
   */
  async *evaluate(tokens, step = settings.batch) {
    for (let begin = 0; begin < tokens.length; begin += step) {
      const ask = { generateNext: { logits: true, options: { temperature: 0 } } };
      const part = tokens.slice(begin, begin + step);
      const outputs = await this.#sequence.controlledEvaluate(part.map((token) => [token, ask]));
      for (let i = 0; i < part.length; i++) yield toRow(outputs[i].next.logits);
    }
  }

  /**
   * Reads tokens from an empty context.
   * @param {number[]} tokens
   * @param {number} n of the last tokens
   * @returns {Promise<number[]>} the likeliest token after each of the last n
   */
  async likeliestAfterLast(tokens, n) {
    await this.clear();
    const ask = { generateNext: { token: true, options: { temperature: 0 } } };
    const first = tokens.length - n;
    const outputs = await this.#sequence.controlledEvaluate(
      tokens.map((token, i) => (i < first ? token : [token, ask])),
    );
    return outputs.slice(first).map((output) => output.next.token);
  }

  async close() {
    await this.#model.dispose(); // and its context
  }
}

/** From a map in the order of the values to an array in the order of the ids. */
function toRow(logits) {
  const row = new Float32Array(logits.size);
  for (const [id, logit] of logits) row[id] = logit;
  return row;
}
