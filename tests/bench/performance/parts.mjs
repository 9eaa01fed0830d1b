// What docs/performance.md is made of: one command each, in the order in which it matters.

const models = 'build/bench';
const tab = (model, ...args) => [
  'node',
  ['tests/bench/tab_bench.mjs', '--model', `${models}/${model}.gguf`, '--output', 'jsonl', ...args],
];
const native = (model, ...args) => [
  'node',
  ['tests/bench/native_bench.mjs', '--model', `${models}/${model}.gguf`, '--output', 'jsonl', ...args],
];
const profile = (model, depths) => [
  'build/native/strata',
  `bench ${models}/${model}.gguf --profile --kv quality -j 2 -d ${depths} -r 5 -o jsonl`.split(' '),
];

/**
 * seconds: about, on an idle machine.
 * @type {{ name: string, seconds: number, command: [string, string[]] }[]}
 */
export const parts = [
  {
    name: 'tab-135m',
    seconds: 100,
    command: tab('135m-q8_0', '--kv', 'quality,fp16', '--depths', '32', '--prompt', '512'),
  },
  {
    name: 'tab-1b',
    seconds: 420,
    command: tab(
      '1b-q4_0',
      ...['--kv', 'quality', '--depths', '32', '--prompt', '512,128'],
      ...['--peer-depths', '32', '--peer-prompt', '128', '--peer-reps', '3', '--peer-warm-up', '0'],
    ),
  },
  { name: 'native-1b', seconds: 150, command: native('1b-q4_0', '--kv', 'quality', '--depths', '32,4000') },
  {
    name: 'tab-1b-4000',
    seconds: 240,
    command: tab('1b-q4_0', '--kv', 'quality', '--peer-kv', 'none', '--depths', '4000', '--only', 'decode'),
  },
  {
    name: 'tab-135m-4000',
    seconds: 280,
    command: tab(
      '135m-q8_0',
      ...['--kv', 'quality,fp16', '--peer-kv', 'q8_0', '--depths', '32,4000', '--depths-in-turn'],
      ...['--only', 'load,decode'],
    ),
  },
  // A sample of 32 tokens at 32 takes a third of a second, which is less than the machine's speed keeps still for.
  {
    name: 'tab-135m-own',
    seconds: 70,
    command: tab(
      '135m-q8_0',
      ...['--kv', 'quality', '--peer-kv', 'none', '--depths', '32,4000', '--depths-in-turn'],
      ...['--only', 'decode', '--reps', '25'],
    ),
  },
  { name: 'native-135m', seconds: 45, command: native('135m-q8_0', '--kv', 'quality,fp16', '--depths', '32,4000') },
  { name: 'kernels', seconds: 90, command: ['node', ['tests/bench/kernel_bench.mjs', '--seconds', '0.3']] },
  {
    name: 'one-thread',
    seconds: 45,
    command: tab('135m-q8_0', '--kv', 'quality', '--depths', '32', '--only', 'decode', '--no-isolation'),
  },
  {
    name: 'load-1b',
    seconds: 30,
    command: tab('1b-q4_0', '--kv', 'quality', '--peer-kv', 'none', '--only', 'load', '--loads', '5'),
  },
  { name: 'profile-135m', seconds: 15, command: profile('135m-q8_0', '32,4000') },
  { name: 'profile-1b', seconds: 40, command: profile('1b-q4_0', '32,4000') },
  {
    name: 'tab-3b',
    seconds: 80,
    command: tab(
      '3b-q4_0',
      ...['--kv', 'quality', '--peer-kv', 'none', '--depths', '32', '--prompt', '128', '--reps', '3'],
    ),
  },
  {
    name: 'tab-1b-q8_0',
    seconds: 80,
    command: tab(
      '1b-q8_0',
      ...['--kv', 'quality', '--peer-kv', 'none', '--depths', '32', '--prompt', '512', '--reps', '3'],
    ),
  },
];
