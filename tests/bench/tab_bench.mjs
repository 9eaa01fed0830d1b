// Our engine and wllama in tabs of the same headless Chromium, alternating.
//   npm run bench:tab -- --model build/bench/135m-q8_0.gguf --kv fp16 --threads 2 --depths 32,1024 --reps 5
//
// Models: tests/bench/make_model.mjs (prompts have an exact length only there). Run it alone on an idle machine: engines
// wait for their threads by spinning, and another program's load ruins the numbers.
import { existsSync, statSync } from 'node:fs';
import { loadavg } from 'node:os';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { build } from 'vite';
import { chromiumPath } from '../../scripts/tools.mjs';
import { serve } from './bench_server.mjs';
import { mean, median, standardDeviation } from './statistics.mjs';

const usage = `npm run bench:tab -- --model FILE.gguf [options]
  --kv P[,P…]        our memory: fp16, turbo_kv_4b/fp16 (keys/values), turbo_kv_4b/fp16/128 (and a window); none: not ours. Default fp16
  --peer-kv P[,P…]   wllama's cache types: f16, q8_0, q4_0; none: not wllama. Default f16
  --threads N        default 2
  --depths N[,N…]    tokens in memory before decoding; default 32,1024
  --prompt N         tokens of the prefill measurement; 0: none. Default 512
  --gen N            tokens generated for one sample; default 32
  --reps N           samples of each; default 5
  --no-isolation     a page that may not share memory: one thread
  --output text|jsonl
`;

const folder = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const wllamaFolder = folder('tests/peers/wllama/node_modules/@wllama/wllama');
const siteFolder = folder('build/bench/site');

function readOptions() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      kv: { type: 'string', default: 'fp16' },
      'peer-kv': { type: 'string', default: 'f16' },
      threads: { type: 'string', default: '2' },
      depths: { type: 'string', default: '32,1024' },
      prompt: { type: 'string', default: '512' },
      gen: { type: 'string', default: '32' },
      reps: { type: 'string', default: '5' },
      'no-isolation': { type: 'boolean', default: false },
      output: { type: 'string', default: 'text' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help || !values.model) {
    console.error(usage);
    process.exit(values.help ? 0 : 2);
  }
  if (!existsSync(values.model))
    throw new Error(`${values.model} does not exist; node tests/bench/make_model.mjs makes models`);
  const list = (text) => (text === 'none' ? [] : text.split(','));
  return {
    model: values.model,
    strataKv: list(values.kv),
    wllamaKv: list(values['peer-kv']),
    threads: values['no-isolation'] ? 1 : Number(values.threads),
    isolated: !values['no-isolation'],
    depths: list(values.depths).map(Number),
    prompt: Number(values.prompt),
    gen: Number(values.gen),
    reps: Number(values.reps),
    jsonl: values.output === 'jsonl',
  };
}

/** Engines with their memory types; wllama only where it is installed. */
function contendersOf({ strataKv, wllamaKv }) {
  if (wllamaKv.length > 0 && !existsSync(wllamaFolder)) {
    console.error('wllama is not installed, so it is left out: npm ci --prefix tests/peers/wllama');
    wllamaKv = [];
  }
  return [...strataKv.map((kv) => ({ engine: 'strata', kv })), ...wllamaKv.map((kv) => ({ engine: 'wllama', kv }))];
}

/** The page with our library in it, built as a user's page would be. */
async function buildSite() {
  await build({
    configFile: false,
    logLevel: 'warn',
    root: folder('tests/bench'),
    publicDir: false,
    worker: { format: 'es' },
    build: {
      target: 'es2022',
      outDir: siteFolder,
      emptyOutDir: true,
      rollupOptions: { input: folder('tests/bench/page.html') },
    },
  });
}

async function openTab(context, site, contender, options) {
  const page = await context.newPage();
  page.setDefaultTimeout(0); // a prefill of a large model takes minutes
  page.on('pageerror', (error) => console.error(`${contender.engine}: ${error.message}`));
  await page.goto(`${site}page.html?engine=${contender.engine}`);
  await page.waitForFunction(() => 'contender' in window);
  await page.setInputFiles('#model', options.model);
  const longest = Math.max(...options.depths, options.prompt) + options.gen + 2;
  const contextTokens = Math.ceil(longest / 256) * 256;
  const settings = { kv: contender.kv, threads: options.threads, contextTokens };
  const info = await page.evaluate((settings) => window.contender.load(settings), settings);
  return { ...contender, ...info, page };
}

/** What is measured of each contender: one sample at a time, by turns. */
function testsOf({ prompt, depths, gen }) {
  const prefill = {
    n_prompt: prompt,
    n_gen: 0,
    n_depth: 0,
    sample: (page, index) => page.evaluate(([n, index]) => window.contender.prefill(n, index), [prompt, index]),
  };
  const decode = depths.map((depth) => ({
    n_prompt: 0,
    n_gen: gen,
    n_depth: depth,
    sample: (page) => page.evaluate(([depth, n]) => window.contender.decode(depth, n), [depth, gen]),
  }));
  return prompt > 0 ? [prefill, ...decode] : decode;
}

/** @returns {Promise<number[][]>} tokens per second of every tab; the first round warms up and is dropped */
async function measure(test, tabs, reps) {
  const rates = tabs.map(() => []);
  for (let round = 0; round <= reps; round++) {
    for (const [i, tab] of tabs.entries()) {
      await tab.page.bringToFront(); // browsers slow down what is not seen
      const { tokens, ms } = await test.sample(tab.page, round);
      if (round > 0) rates[i].push((1000 * tokens) / ms);
    }
  }
  return rates;
}

const round = (value) => Number(value.toFixed(3));

/** The keys of llama-bench, and what tells our rows apart. */
function rowOf(options, test, tab, rates) {
  return {
    engine: tab.engine,
    engine_build: tab.build,
    model_filename: basename(options.model),
    model_size: statSync(options.model).size,
    n_threads: tab.threads,
    n_prompt: test.n_prompt,
    n_gen: test.n_gen,
    n_depth: test.n_depth,
    kv: tab.kv,
    avg_ts: round(mean(rates)),
    stddev_ts: round(standardDeviation(rates)),
    median_ts: round(median(rates)),
    samples_ts: rates.map(round),
  };
}

/** How our engine compares with the best of the peer's, per test. */
function printTable(rows) {
  const titleOf = (row) => (row.n_gen === 0 ? `prefill ${row.n_prompt}` : `decode ${row.n_gen} @ ${row.n_depth}`);
  for (const row of rows) {
    const peers = rows.filter((other) => other.engine === 'wllama' && titleOf(other) === titleOf(row));
    const ratio =
      row.engine === 'strata' && peers.length
        ? row.median_ts / Math.max(...peers.map((peer) => peer.median_ts))
        : undefined;
    const spread = `${Math.min(...row.samples_ts).toFixed(1)} to ${Math.max(...row.samples_ts).toFixed(1)}`;
    console.log(
      [titleOf(row).padEnd(18), row.engine.padEnd(7), row.kv.padEnd(20), `${row.n_threads} t`].join(' '),
      `${row.median_ts.toFixed(1).padStart(9)} tok/s  (${spread})${ratio ? `  ${ratio.toFixed(2)} x wllama's best` : ''}`,
    );
  }
}

async function run(options) {
  const contenders = contendersOf(options);
  if (contenders.length === 0)
    throw new Error('nothing to measure: --kv and --peer-kv name no engine that is installed');
  await buildSite();
  const folders = { '/': siteFolder, '/engine/': folder('web/public/engine'), '/wllama/': wllamaFolder };
  const site = await serve(folders, options.isolated);
  const asRoot = process.getuid?.() === 0;
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ['--disable-gpu', ...(asRoot ? ['--no-sandbox'] : [])],
  });
  try {
    console.error(
      `Chromium ${browser.version()}, load average ${loadavg()[0].toFixed(2)}${loadavg()[0] > 0.3 ? ': too high for numbers to quote' : ''}`,
    );
    const context = await browser.newContext();
    const tabs = [];
    for (const contender of contenders) tabs.push(await openTab(context, site.url, contender, options));
    const rows = [];
    for (const test of testsOf(options)) {
      const rates = await measure(test, tabs, options.reps);
      const measured = tabs.map((tab, i) => rowOf(options, test, tab, rates[i]));
      if (options.jsonl) for (const row of measured) console.log(JSON.stringify(row));
      rows.push(...measured);
    }
    if (!options.jsonl) printTable(rows);
  } finally {
    await browser.close();
    site.close();
  }
}

try {
  await run(readOptions());
} catch (error) {
  console.error(`bench:tab: ${error.message.split('\n')[0]}`);
  process.exitCode = 1;
}
