// The command line of tab_bench.mjs.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';

export const usage = `npm run bench:tab -- --model FILE.gguf [options]
  --kv P[,P…]        our memory: quality (or another preset), fp16, turbo_kv_4b/fp16 (keys/values), turbo_kv_4b/fp16/128
                     (and a window); none: not ours. Default fp16
  --peer-kv P[,P…]   wllama's cache types: f16, q8_0, q4_0; none: not wllama. Default f16
  --threads N        default 2
  --depths N[,N…]    tokens in memory before decoding; none. Default 32,1024
  --depths-in-turn   samples of all depths alternate, so that they compare where a machine's speed varies; each depth has
                     tabs, and a copy of the model, of its own
  --prompt N[,N…]    tokens of the prefill measurement; none. Default 512
  --gen N            tokens generated for one sample; default 32
  --reps N           samples of each, after one that is dropped; default 5
  --loads N          how often each engine loads the model; default 1
  --peer-depths, --peer-prompt, --peer-reps, --peer-loads
                     the same for wllama, where it is too slow for ours; default: as ours
  --peer-warm-up 0   of wllama no sample is dropped: loading has run it already
  --only T[,T…]      of load, prefill, decode
  --no-isolation     a page that may not share memory: one thread
  --output text|jsonl
`;

const flags = {
  model: { type: 'string' },
  kv: { type: 'string', default: 'fp16' },
  'peer-kv': { type: 'string', default: 'f16' },
  threads: { type: 'string', default: '2' },
  depths: { type: 'string', default: '32,1024' },
  'depths-in-turn': { type: 'boolean', default: false },
  prompt: { type: 'string', default: '512' },
  gen: { type: 'string', default: '32' },
  reps: { type: 'string', default: '5' },
  loads: { type: 'string', default: '1' },
  'peer-depths': { type: 'string' },
  'peer-prompt': { type: 'string' },
  'peer-reps': { type: 'string' },
  'peer-loads': { type: 'string' },
  'peer-warm-up': { type: 'string', default: '1' },
  only: { type: 'string', default: 'load,prefill,decode' },
  'no-isolation': { type: 'boolean', default: false },
  output: { type: 'string', default: 'text' },
  help: { type: 'boolean', short: 'h', default: false },
};

const list = (text) => (text === 'none' ? [] : text.split(','));
const numbers = (text) =>
  list(text)
    .map(Number)
    .filter((value) => value > 0);

/**
 * What each engine is asked.
 * @typedef {{ kv: string[], prompts: number[], depths: number[], reps: number, loads: number, warmUp: number }} Wishes
 */

/** @param {string[]} [args] default: those of this process */
export function readOptions(args) {
  const { values } = parseArgs({ args, options: flags });
  if (values.help || !values.model) return undefined;
  if (!existsSync(values.model))
    throw new Error(`${values.model} does not exist; node tests/bench/make_model.mjs makes models`);
  const only = list(values.only);
  const wishes = (kv, prefix, warmUp) => {
    const value = (name) => values[prefix + name] ?? values[name];
    return {
      kv: list(kv),
      prompts: only.includes('prefill') ? numbers(value('prompt')) : [],
      depths: only.includes('decode') ? numbers(value('depths')) : [],
      reps: Number(value('reps')),
      loads: Number(value('loads')),
      warmUp,
    };
  };
  return {
    model: values.model,
    threads: values['no-isolation'] ? 1 : Number(values.threads),
    isolated: !values['no-isolation'],
    gen: Number(values.gen),
    depthsInTurn: values['depths-in-turn'],
    jsonl: values.output === 'jsonl',
    /** @type {Record<string, Wishes>} */
    wishes: {
      strata: wishes(values.kv, '', 1),
      wllama: wishes(values['peer-kv'], 'peer-', Number(values['peer-warm-up'])),
    },
  };
}

/** Tokens that the longest conversation of an engine has. */
export function contextTokens({ prompts, depths }, gen) {
  const longest = Math.max(0, ...depths, ...prompts) + gen + 2;
  return Math.ceil(longest / 256) * 256;
}

/** What is measured, in this order: tests whose samples alternate, each of the engines that were asked for it. */
export function testsOf({ wishes, gen, depthsInTurn }) {
  const all = (key) => [...new Set(Object.values(wishes).flatMap((of) => (of.kv.length > 0 ? of[key] : [])))];
  const asked = (key, value) => Object.keys(wishes).filter((engine) => wishes[engine][key].includes(value));
  const prefills = all('prompts').map((n) => ({ n_prompt: n, n_gen: 0, n_depth: 0, engines: asked('prompts', n) }));
  const decodes = all('depths').map((n) => ({ n_prompt: 0, n_gen: gen, n_depth: n, engines: asked('depths', n) }));
  const apart = (tests) => tests.map((test) => [test]);
  return [...apart(prefills), ...(depthsInTurn && decodes.length > 0 ? [decodes] : apart(decodes))];
}
