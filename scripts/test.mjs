// npm test: everything, on every build. A suite that fails does not keep the next one from running; the last line adds
// them all up. Needs about as long as a coffee: under 25 minutes on two cores, from nothing.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { runChecks } from './checks.mjs';
import { setUp } from './setup.mjs';
import { cmakeBuild, run } from './tools.mjs';

const reports = resolve('build/reports');
const fuzzSeconds = 60; // for all fuzz targets together

const one = (code) => ({ passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 });
const add = (a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped });

/** A suite that wrote no report, or whose runner failed although no test did, counts as one failure. */
function counted(code, report, count) {
  if (!existsSync(report)) return one(code || 1);
  const result = count(readFileSync(report, 'utf8'));
  return code !== 0 && result.failed === 0 ? add(result, one(code)) : result;
}

function ctest(preset) {
  if (cmakeBuild(preset) !== 0) return one(1);
  const report = `${reports}/${preset}.xml`;
  const code = run('ctest', [
    '--preset',
    preset,
    '--parallel',
    String(availableParallelism()),
    '--output-junit',
    report,
  ]);
  return counted(code, report, (xml) => {
    const number = (name) => Number(new RegExp(`<testsuite[^>]*\\s${name}="(\\d+)"`).exec(xml)?.[1] ?? 0);
    const [failed, skipped] = [number('failures'), number('skipped') + number('disabled')];
    return { passed: number('tests') - failed - skipped, failed, skipped };
  });
}

function fuzz() {
  const targets = readdirSync('tests/fuzz').flatMap((file) => /^(.+)_fuzz\.cpp$/.exec(file)?.[1] ?? []);
  const programs = targets.map((name) => `${name}_fuzz`);
  if (cmakeBuild('fuzz', programs) !== 0) return one(1); // not the rest: with sanitizers it takes minutes to compile
  return targets
    .map((name) => {
      const found = `build/fuzz/found/${name}/`; // new inputs go here, not into the corpus of the repository
      mkdirSync(found, { recursive: true });
      const seconds = Math.floor(fuzzSeconds / targets.length);
      return run(`build/fuzz/${name}_fuzz`, [
        `-max_total_time=${seconds}`,
        '-print_final_stats=0',
        `-artifact_prefix=build/fuzz/${name}-`,
        found,
        `tests/fuzz/corpus/${name}`,
      ]);
    })
    .map(one)
    .reduce(add, one(targets.length > 0 ? 0 : 1));
}

function vitest() {
  const report = `${reports}/web.json`;
  const code = run('npx', ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]);
  return counted(code, report, (json) => {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(json);
    return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests + numTodoTests };
  });
}

function playwright() {
  const report = `${reports}/page.json`;
  const code = run('npx', ['playwright', 'test']);
  return counted(code, report, (json) => {
    const { expected, unexpected, flaky, skipped } = JSON.parse(json).stats;
    return { passed: expected + flaky, failed: unexpected, skipped };
  });
}

const suites = [
  ['checks of the source', runChecks],
  ['native: engine and command line', () => ctest('native')],
  ['native: fuzzing', fuzz],
  ['ARM under qemu', () => ctest('arm')],
  ['WebAssembly: build', () => add(one(cmakeBuild('wasm')), one(cmakeBuild('wasm-mt')))],
  ['WebAssembly in node, library', vitest],
  ['page: build', () => one(run('npx', ['vite', 'build']))],
  ['page in Chromium', playwright],
];

setUp('test');
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });
const results = suites.map(([name, suite]) => {
  console.log(`\n==== ${name}`);
  const started = Date.now();
  return { name, ...suite(), seconds: Math.round((Date.now() - started) / 1000) };
});

console.log('');
console.table(results);
const total = results.reduce(add, { passed: 0, failed: 0, skipped: 0 });
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`);
process.exit(total.failed > 0 ? 1 : 0);
