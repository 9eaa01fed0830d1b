// Our engine on the command line and llama.cpp, natively, alternating sample by sample.
//   npm run bench:native -- --model build/bench/135m-q8_0.gguf --kv quality,fp16 --depths 32,4000
// Nobody waits by spinning for long: what is not its turn sleeps. Run it alone on an idle machine.
import { spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { bandwidthKeys, rateKeys, round, textOf, titleOf } from './tab/rows.mjs';

const strata = 'build/native/strata';
const usage = `npm run bench:native -- --model FILE.gguf [options]
  --kv P[,P…]        our memory: quality (or another preset), fp16; none: not ours. Default quality
  --peer-kv P[,P…]   llama.cpp's cache types: f16, q8_0, q4_0; none: not llama.cpp. Default f16
  --threads N        default 2
  --depths N[,N…]    tokens in memory before decoding; none. Default 32
  --prompt N         tokens of the prefill measurement; 0: none. Default 512
  --gen N            tokens decoded for one sample; default 32
  --reps N           samples of each, after one that is dropped; default 5
  --output text|jsonl
`;

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    kv: { type: 'string', default: 'quality' },
    'peer-kv': { type: 'string', default: 'f16' },
    threads: { type: 'string', default: '2' },
    depths: { type: 'string', default: '32' },
    prompt: { type: 'string', default: '512' },
    gen: { type: 'string', default: '32' },
    reps: { type: 'string', default: '5' },
    output: { type: 'string', default: 'text' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const list = (text) => (text === 'none' ? [] : text.split(','));
const options = {
  model: values.model,
  threads: Number(values.threads),
  depths: list(values.depths).map(Number),
  prompt: Number(values.prompt),
  gen: Number(values.gen),
  reps: Number(values.reps),
};

const testsOf = () => [
  ...(options.prompt > 0 ? [{ n_prompt: options.prompt, n_gen: 0, n_depth: 0 }] : []),
  ...options.depths.map((n_depth) => ({ n_prompt: 0, n_gen: options.gen, n_depth })),
];

/** `strata bench`: a process for each test, started with its first turn, which runs when it is told to. */
class StrataContender {
  engine = 'strata';
  #test;
  #process;
  #lines;

  constructor(kv) {
    this.kv = kv;
  }

  begin(test) {
    this.#test = test;
    this.#process = undefined;
  }

  #start() {
    const { n_prompt, n_gen, n_depth } = this.#test;
    const memory = this.kv === 'fp16' ? ['-k', 'fp16', '-v', 'fp16'] : ['--kv', this.kv];
    const test = ['-p', n_prompt, '-n', n_gen, '-d', n_depth, '-j', options.threads, '-r', options.reps + 1];
    const args = ['bench', options.model, ...memory, ...test, '-o', 'jsonl', '--by-turns'].map(String);
    this.#process = spawn(strata, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async sample() {
    if (!this.#process) this.#start();
    this.#process.stdin.write('\n');
    return (await this.#next()).sample_ts;
  }

  /** What its own row says beside the samples. */
  async end() {
    const row = await this.#next();
    const keys = { engine_build: `${row.build_commit} ${row.simd}` };
    if (!row.gb_per_s) return keys;
    return { ...keys, weightBytes: (row.gb_per_s * 1e9) / row.avg_ts, read: row.read_gb_per_s };
  }

  async #next() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('strata bench has ended');
    return JSON.parse(value);
  }
}

/** llama.cpp in this process, opened once. */
class LlamaContender {
  engine = 'llama.cpp';
  #speed;
  #test;

  constructor(kv) {
    this.kv = kv;
  }

  async begin(test) {
    this.#test = test;
    const longest = Math.max(options.prompt, ...options.depths) + options.gen;
    const settings = { threads: options.threads, contextTokens: Math.ceil(longest / 256) * 256, kv: this.kv };
    const { openSpeed } = await import('../peers/llama/speed.mjs');
    this.#speed ??= await openSpeed(options.model, settings);
  }

  sample() {
    const { n_prompt, n_gen, n_depth } = this.#test;
    return n_prompt > 0 ? this.#speed.prefill(n_prompt) : this.#speed.decode(n_depth, n_gen);
  }

  async end() {
    return { engine_build: this.#speed.build, call_overhead_ms: round(await this.#speed.overheadMs()) };
  }

  close() {
    return this.#speed?.close();
  }
}

function contenders() {
  const all = list(values.kv).map((kv) => new StrataContender(kv));
  if (values['peer-kv'] === 'none') return all;
  if (existsSync('tests/peers/llama/node_modules/node-llama-cpp'))
    return [...all, ...list(values['peer-kv']).map((kv) => new LlamaContender(kv))];
  console.error('llama.cpp is not installed, so it is left out: npm ci --prefix tests/peers/llama');
  return all;
}

async function measure(test, engines) {
  for (const engine of engines) await engine.begin(test);
  const samples = engines.map(() => []);
  for (let round = 0; round <= options.reps; round++) {
    for (const [i, engine] of engines.entries()) {
      const rate = await engine.sample();
      const which = round === 0 ? 'warm-up' : `${round} of ${options.reps}`;
      console.error(`${titleOf(test)}, ${engine.engine} ${engine.kv}, ${which}: ${rate.toFixed(1)} tok/s`);
      if (round > 0) samples[i].push(rate);
    }
  }
  const ends = [];
  for (const engine of engines) ends.push(await engine.end());
  const { weightBytes, read } = ends.find((end) => end.weightBytes) ?? {};
  return engines.map((engine, i) => {
    const { engine_build, call_overhead_ms } = ends[i];
    const row = {
      engine: engine.engine,
      engine_build,
      model_filename: basename(options.model),
      model_size: statSync(options.model).size,
      n_threads: options.threads,
      ...test,
      kv: engine.kv,
      ...rateKeys(samples[i]),
      ...(call_overhead_ms === undefined ? {} : { call_overhead_ms }),
    };
    return { ...row, ...bandwidthKeys(row, weightBytes, read) };
  });
}

async function run() {
  console.error(`load average ${loadavg()[0].toFixed(2)}`);
  const engines = contenders();
  for (const test of testsOf()) {
    const rows = await measure(test, engines);
    for (const row of rows) console.log(values.output === 'jsonl' ? JSON.stringify(row) : textOf(row, rows));
  }
  for (const engine of engines) await engine.close?.();
}

if (values.help || !values.model) {
  console.error(usage);
  process.exit(values.help ? 0 : 2);
}
try {
  await run();
} catch (error) {
  console.error(`bench:native: ${error.message.split('\n')[0]}`);
  process.exitCode = 1;
}
process.exit(); // llama.cpp's threads would keep it
