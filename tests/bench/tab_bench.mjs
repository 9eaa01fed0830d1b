// Our engine and wllama in tabs of the same headless Chromium, alternating.
//   npm run bench:tab -- --model build/bench/135m-q8_0.gguf --kv fp16 --threads 2 --depths 32,1024 --reps 5
//
// Models: tests/bench/make_model.mjs (prompts have an exact length only there, and their embedding is the output as well, so
// that a token reads all weights). Run it alone on an idle machine: engines wait for their threads by spinning, and another
// program's load ruins the numbers. Rows come as they are ready; each sample is told on standard error.
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { serve } from './bench_server.mjs';
import { launchBrowser } from './browser.mjs';
import { kernelLines, kernelsBuilt } from './kernels_in_tab.mjs';
import { median } from './statistics.mjs';
import { contextTokens, readOptions, testsOf, usage } from './tab/options.mjs';
import { bandwidthKeys, rateKeys, round, textOf, titleOf } from './tab/rows.mjs';

const folder = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const wllamaFolder = folder('tests/peers/wllama/node_modules/@wllama/wllama');
const siteFolder = folder('build/bench/site');

/** Engines with their memory types; wllama only where it is installed. */
function contendersOf({ wishes }) {
  if (wishes.wllama.kv.length > 0 && !existsSync(wllamaFolder)) {
    console.error('wllama is not installed, so it is left out: npm ci --prefix tests/peers/wllama');
    wishes.wllama.kv = [];
  }
  return Object.entries(wishes).flatMap(([engine, { kv }]) => kv.map((kv) => ({ engine, kv })));
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

async function loadOnce(context, site, contender, options) {
  const page = await context.newPage();
  page.setDefaultTimeout(0); // a prefill of a large model takes minutes
  page.on('pageerror', (error) => console.error(`${contender.engine}: ${error.message}`));
  await page.goto(`${site}page.html?engine=${contender.engine}`);
  await page.waitForFunction(() => 'contender' in window);
  await page.setInputFiles('#model', options.model);
  const wishes = options.wishes[contender.engine];
  const settings = {
    kv: contender.kv,
    threads: options.threads,
    contextTokens: contextTokens(wishes, options.gen),
  };
  const info = await page.evaluate((settings) => window.contender.load(settings), settings);
  console.error(`${contender.engine} ${contender.kv}: loaded in ${info.loadMs.toFixed(0)} ms`);
  return { ...contender, ...info, page };
}

/** A tab with the engine in it, and how long each of its loads took. */
async function openTab(context, site, contender, options) {
  const loads = [];
  for (;;) {
    const tab = await loadOnce(context, site, contender, options);
    loads.push(tab);
    if (loads.length >= options.wishes[contender.engine].loads) return { ...tab, loads };
    await tab.page.close();
  }
}

async function takeSample({ page }, { n_prompt, n_gen, n_depth }, index) {
  await page.bringToFront(); // browsers slow down what is not seen
  return n_prompt > 0
    ? page.evaluate(([n, index]) => window.contender.prefill(n, index), [n_prompt, index])
    : page.evaluate(([depth, n]) => window.contender.decode(depth, n), [n_depth, n_gen]);
}

/**
 * @param {{ tab: object, test: object }[]} takers they take turns
 * @returns {Promise<{ rates: number[], kvBytes?: number }[]>} what each did; samples that warm up are dropped
 */
async function measure(takers, wishes) {
  const results = takers.map(() => ({ rates: [] }));
  const last = Math.max(...takers.map(({ tab }) => wishes[tab.engine].reps));
  for (let round = 0; round <= last; round++) {
    for (const [i, { tab, test }] of takers.entries()) {
      const { reps, warmUp } = wishes[tab.engine];
      if (round > reps || (round === 0 && warmUp === 0)) continue;
      const started = performance.now();
      const { tokens, ms, read, kvBytes } = await takeSample(tab, test, round);
      const rate = (1000 * tokens) / ms;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const which = round === 0 ? 'warm-up' : `${round} of ${reps}`;
      console.error(
        `${titleOf(test)}, ${tab.engine} ${tab.kv}, ${which}: ${rate.toFixed(1)} tok/s (${read} tokens read, ${seconds} s)`,
      );
      results[i].kvBytes = kvBytes;
      if (round > 0) results[i].rates.push(rate);
    }
  }
  return results;
}

const commonKeys = (options, tab) => ({
  engine: tab.engine,
  engine_build: tab.build,
  model_filename: basename(options.model),
  model_size: statSync(options.model).size,
  n_threads: tab.threads,
});

function rowOf(options, test, tab, { rates, kvBytes }, { weightBytes, read }) {
  const { n_prompt, n_gen, n_depth } = test;
  const row = { ...commonKeys(options, tab), n_prompt, n_gen, n_depth, kv: tab.kv, ...rateKeys(rates) };
  return { ...row, ...bandwidthKeys(row, weightBytes, read), ...(kvBytes ? { n_kv_bytes: kvBytes } : {}) };
}

function loadRowOf(options, tab) {
  const samples = tab.loads.map(({ loadMs }) => loadMs);
  const steps = Object.keys(tab.loadSteps ?? {}).map((step) => [
    `${step}_ms`,
    round(median(tab.loads.map(({ loadSteps }) => loadSteps[step]))),
  ]);
  const common = { ...commonKeys(options, tab), kv: tab.kv };
  return { ...common, load_ms: round(median(samples)), ...Object.fromEntries(steps), samples_ms: samples.map(round) };
}

/** GB/s that a tab reads with so many threads. */
async function readBandwidth(browser, options) {
  if (!kernelsBuilt(options.isolated)) {
    console.error('The read bandwidth is left out: npm run bench builds its kernel');
    return undefined;
  }
  const lines = await kernelLines(browser, {
    isolated: options.isolated,
    relaxed: false,
    args: ['--only', 'read', '--threads', String(options.threads), '--seconds', '1'],
  });
  return lines.at(-1).gb_per_s;
}

async function run(options) {
  const contenders = contendersOf(options);
  if (contenders.length === 0)
    throw new Error('nothing to measure: --kv and --peer-kv name no engine that is installed');
  await buildSite();
  const folders = { '/': siteFolder, '/engine/': folder('web/public/engine'), '/wllama/': wllamaFolder };
  const site = await serve(folders, options.isolated);
  const browser = await launchBrowser();
  const print = (rows) => {
    for (const row of rows) console.log(options.jsonl ? JSON.stringify(row) : textOf(row, rows));
  };
  try {
    const read = options.wishes.strata.depths.length > 0 ? await readBandwidth(browser, options) : undefined;
    const context = await browser.newContext();
    const openTabs = async () => {
      const tabs = [];
      for (const contender of contenders) tabs.push(await openTab(context, site.url, contender, options));
      return tabs;
    };
    const tabs = [await openTabs()]; // of the first of tests that alternate, of the second …
    print(tabs[0].map((tab) => loadRowOf(options, tab)));
    const weightBytes = tabs[0].find((tab) => tab.weightBytes)?.weightBytes;
    for (const tests of testsOf(options)) {
      while (tabs.length < tests.length) tabs.push(await openTabs());
      const takers = tests.flatMap((test, i) =>
        tabs[i].filter((tab) => test.engines.includes(tab.engine)).map((tab) => ({ tab, test })),
      );
      const results = await measure(takers, options.wishes);
      print(takers.map(({ tab, test }, i) => rowOf(options, test, tab, results[i], { weightBytes, read })));
    }
  } finally {
    await browser.close();
    site.close();
  }
}

try {
  const options = readOptions();
  if (options) await run(options);
  else {
    console.error(usage);
    process.exitCode = process.argv.includes('--help') || process.argv.includes('-h') ? 0 : 2;
  }
} catch (error) {
  console.error(`bench:tab: ${error.message.split('\n')[0]}`);
  process.exitCode = 1;
}
