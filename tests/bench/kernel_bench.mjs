// The kernels by themselves, natively and in a tab (plain and relaxed SIMD), one JSON line each with `where`:
//   npm run bench:kernels -- [--where native,tab,tab-relaxed] [--seconds S] [--types Q8_0,…] [--threads N]
// The first touch of memory, reading it, and matrix times vector on one thread and on N; a micro-batch, tiles and attention on one.
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { launchBrowser } from './browser.mjs';
import { kernelLines, kernelsBuilt } from './kernels_in_tab.mjs';

const { values } = parseArgs({
  options: {
    where: { type: 'string', default: 'native,tab,tab-relaxed' },
    seconds: { type: 'string', default: '0.3' },
    types: { type: 'string', default: 'Q8_0,Q4_0,Q4_K,Q6_K' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string', default: 'touch,read,matvec,batch,tiles,attention' },
  },
});

const only = values.only.split(',');
const common = ['--seconds', values.seconds, '--types', values.types];
const manyThreaded = only.filter((what) => what === 'read' || what === 'matvec');
const jobs = [['--only', only.join(), '--threads', '1', ...common]];
if (values.threads !== '1' && manyThreaded.length > 0)
  jobs.push(['--only', manyThreaded.join(), '--threads', values.threads, ...common]);

const print = (where, line) => console.log(JSON.stringify({ where, ...line }));

function native() {
  for (const args of jobs) {
    const text = execFileSync('build/native/kernel_speed', args, { encoding: 'utf8' });
    for (const line of text.trim().split('\n')) print('native', JSON.parse(line));
  }
}

async function inTab(browser, where) {
  const relaxed = where === 'tab-relaxed';
  if (!kernelsBuilt(true, relaxed)) return console.error(`${where} is left out: npm run bench builds it`);
  for (const args of jobs)
    await kernelLines(browser, { isolated: true, relaxed, args, onLine: (l) => print(where, l) });
}

const places = values.where.split(',');
if (places.includes('native')) native();
if (places.some((where) => where !== 'native')) {
  const browser = await launchBrowser();
  try {
    for (const where of places.filter((where) => where !== 'native')) await inTab(browser, where);
  } finally {
    await browser.close();
  }
}
