// Writes docs/performance.md: the speeds that we set out to reach, and where the time goes.
//   npm run bench -- --report [--part NAME[,NAME…]] [--again] [--write-only] [--list] [--results FOLDER] [--out FILE]
// Each part is measured once and kept (build/bench/results); --again measures anew. About twenty minutes in all. Run it alone
// on an idle machine, after npm run bench -- --build, which builds everything and makes the models.
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { chromiumPath, output } from '../../scripts/tools.mjs';
import { table } from '../tools/quality/markdown.mjs';
import { quietLoad } from './browser.mjs';
import { shapes } from './model/shapes.mjs';
import { goals, inUnit, rowsWhere, verdict } from './performance/goals.mjs';
import { busyCores, Measurements } from './performance/measurements.mjs';
import { parts } from './performance/parts.mjs';
import { boundMs, machineBounds, profileCells } from './performance/profile.mjs';
import { median } from './statistics.mjs';
import { titleOf } from './tab/rows.mjs';

const { values: options } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    again: { type: 'boolean', default: false },
    'write-only': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    results: { type: 'string', default: 'build/bench/results' },
    out: { type: 'string', default: 'docs/performance.md' },
  },
});

function chosenParts() {
  if (!options.part) return parts;
  const names = options.part.flatMap((names) => names.split(','));
  const unknown = names.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0)
    throw new Error(`There is no part ${unknown.join(', ')}; known are ${parts.map((part) => part.name).join(', ')}`);
  return parts.filter((part) => names.includes(part.name));
}

/** Goes on with the next part where one fails: most of a report is better than none. */
async function measureAll(measurements) {
  const wanted = chosenParts().filter((part) => options.again || !measurements.has(part));
  let left = wanted.reduce((sum, { seconds }) => sum + seconds, 0);
  for (const part of wanted) {
    const busy = await busyCores();
    console.error(`\n${part.name}: about ${part.seconds} s, ${Math.ceil(left / 60)} minutes for all that is left`);
    if (busy > quietLoad)
      console.error(`Others keep ${busy.toFixed(2)} cores busy: too many for numbers to quote. Close what else runs.`);
    try {
      console.error(`${part.name}: took ${(await measurements.measure(part, busy)).toFixed(0)} s`);
    } catch (error) {
      console.error(error.message);
      process.exitCode = 1;
    }
    left -= part.seconds;
  }
}

const verdicts = { aim: 'aim reached', floor: 'floor holds', missed: '**missed**', 'not measured': 'not measured' };

function goalTable(results) {
  const rows = goals(results).map((goal) => [
    goal.shape,
    goal.what,
    inUnit(goal.floor, goal.unit),
    inUnit(goal.aim, goal.unit),
    inUnit(goal.value, goal.unit),
    goal.detail ?? '',
    verdicts[verdict(goal)],
  ]);
  return table(['shape', 'what', 'floor', 'aim', 'measured', 'medians', ''], 'llrrrll', rows);
}

/** Every row with a rate. */
function speedTable(results) {
  const rows = parts.flatMap(({ name }) =>
    (results[name]?.rows ?? [])
      .filter((row) => row.samples_ts)
      .map((row) => [
        name.startsWith('native') ? 'native' : 'tab',
        row.model_filename.replace('.gguf', ''),
        row.engine,
        row.kv,
        row.n_threads,
        titleOf(row),
        median(row.samples_ts).toFixed(1),
        `${Math.min(...row.samples_ts).toFixed(1)} to ${Math.max(...row.samples_ts).toFixed(1)}`,
        row.gb_per_s?.toFixed(1) ?? '',
        row.read_fraction ? `${(100 * row.read_fraction).toFixed(0)} %` : '',
      ]),
  );
  const head = ['where', 'model', 'engine', 'memory', 'threads', 'test', 'tok/s', 'samples', 'GB/s', 'of reading'];
  return table(head, 'llllrlrrrr', rows);
}

function loadTable(results) {
  const [touch] = rowsWhere(results, 'kernels', { where: 'tab', touch: 'fresh memory' });
  const ms = (value) => value?.toFixed(0) ?? '';
  const rows = parts.flatMap(({ name }) =>
    (results[name]?.rows ?? [])
      .filter((row) => row.load_ms)
      .map((row) => [
        row.model_filename,
        row.engine,
        row.n_threads,
        row.samples_ms.length,
        ...[row.load_ms, row.start_ms, row.read_ms, row.open_ms].map(ms),
        ms(touch && (touch.ms * row.model_size) / touch.bytes),
      ]),
  );
  const head = ['model', 'engine', 'threads', 'loads', 'ms', 'start', 'read', 'open', 'page faults'];
  return table(head, 'llrrrrrrr', rows);
}

const places = ['native', 'tab', 'tab-relaxed'];

function productTable(results) {
  const kernels = (keys) => rowsWhere(results, 'kernels', keys);
  const matvec = kernels({ n_tokens: 1 }).map((row) => {
    const [read] = kernels({ where: row.where, read: 'memory', n_threads: row.n_threads });
    const [batch] = kernels({ where: row.where, backend: row.backend, type: row.type, n_tokens: 64 });
    const share = read ? `${((100 * row.gb_per_s) / read.gb_per_s).toFixed(0)} %` : '';
    const gops = row.n_threads === 1 && batch ? batch.gop_per_s.toFixed(0) : '';
    return [row.where, row.backend, row.type, row.n_threads, row.gb_per_s.toFixed(1), share, gops];
  });
  const head = ['where', 'kernels', 'weights', 'threads', 'vector, GB/s', 'of reading', 'batch of 64, GOP/s'];
  return table(head, 'lllrrrr', matvec);
}

const backends = (results, where) => [
  ...new Set(rowsWhere(results, 'kernels', { where }).flatMap((r) => r.backend ?? [])),
];

function attentionTable(results) {
  const rows = places.flatMap((where) =>
    backends(results, where).flatMap((backend) =>
      [64, 128].flatMap((head_dim) =>
        [1, 3].map((group) => {
          const keys = { where, backend, head_dim };
          const row = (attention) => rowsWhere(results, 'kernels', { ...keys, group, attention })[0];
          const ns = (attention) => row(attention)?.ns;
          const [apart] = rowsWhere(results, 'kernels', { ...keys, queries: group, tiles: '4 bits' });
          const [fp32, fp16, quality] = ['fp32', 'fp16', 'quality'].map(ns);
          const gain = fp32 && fp16 && quality ? `${(Math.min(fp32, fp16) / quality).toFixed(2)}x` : '';
          const parts = ['f32_', 'f16_', ''].map((of) =>
            apart ? `${apart[`${of}scores_ns`].toFixed(1)} + ${apart[`${of}values_ns`].toFixed(1)}` : '',
          );
          const whole = [fp32, fp16, quality].map((x) => x?.toFixed(1) ?? '');
          const again = ['fp32', 'fp16', 'quality'].map((kv) => row(kv)?.again_ns.toFixed(1) ?? '').join(', ');
          return [where, backend, head_dim, group, ...whole, gain, again, ...parts];
        }),
      ),
    ),
  );
  const head = ['where', 'kernels', 'head_dim', 'queries', 'FP32', 'FP16', '`quality`', 'gain', 'again'];
  return table([...head, 'FP32, in cache', 'FP16, in cache', '`quality`, in cache'], 'llrrrrrrrrrr', rows);
}

function profileSection(results, part, title, model) {
  const rows = results[part]?.rows;
  if (!rows) return `### ${title}\n\nNot measured.`;
  const bounds = machineBounds(results, rows[0].n_threads);
  const tests = [...new Set(rows.map((row) => `${row.profile} ${row.n_depth}`))];
  const tables = tests.map((test) => {
    const of = rows.filter((row) => `${row.profile} ${row.n_depth}` === test);
    const [{ profile, n_tokens, n_depth }] = of;
    const which = `${profile === 'decode' ? 'One token' : `A micro-batch of ${n_tokens}`} behind ${n_depth}`;
    const sum = of.reduce((all, row) => all + (boundMs(row, model, bounds) ?? 0), 0);
    const total = of.find((row) => row.part === 'total').ms;
    const text = sum ? ` What is bounded could take ${sum.toFixed(2)} ms of ${total.toFixed(2)}.` : '';
    const cells = profileCells(of, model, bounds);
    return `${which}.${text}\n\n${table(['part', 'ms', 'share', 'speed', 'bound, ms', 'of bound'], 'lrrrrr', cells)}`;
  });
  return [`### ${title}`, ...tables].join('\n\n');
}

function machine(results) {
  const chromium = output(chromiumPath() ?? 'chromium', ['--version']).trim();
  const read = (what) =>
    rowsWhere(results, 'kernels', { read: what })
      .map(
        (row) =>
          `${row.where} ${row.n_threads} ${row.n_threads === 1 ? 'thread' : 'threads'} ${row.gb_per_s.toFixed(1)}`,
      )
      .join(', ') || 'not measured';
  const measured = parts.map(({ name }) => results[name]?.about).filter(Boolean);
  const first = [...measured].sort((a, b) => a.at.localeCompare(b.at))[0]?.load_average.toFixed(2) ?? '';
  const busy = measured.map((about) => `${about.part} ${about.busy_cores.toFixed(2)}`);
  return `${cpus()[0].model}, ${cpus().length} cores; node ${process.versions.node}; ${chromium}. Reading 256 MB, GB/s: ${read('memory')}.
The same in pieces of 2 KB, as a head's keys or values lie in the tiles of the 135M model: ${read('pieces')}.
Cores that others kept busy in the second before each part: ${busy.join(', ')}. Load average before the first: ${first}.
Commits measured: ${[...new Set(measured.map((about) => about.commit))].join(', ')}.`;
}

function writeReport(measurements) {
  const results = Object.fromEntries(parts.map((part) => [part.name, measurements.read(part)]));
  writeFileSync(
    options.out,
    `# How fast it is

Written by \`npm run bench -- --report\`; do not edit. Models: random weights in the shapes of real ones
(\`tests/bench/make_model.mjs\`); speed does not depend on the values. Engines alternate sample by sample; numbers are medians of 5 (of wllama
on 1B: 3). wllama as its package is published; llama.cpp natively through node-llama-cpp, its CPU code as it comes, flash attention, two
threads. \`quality\`: sealed keys and values at 4 bits.

${machine(results)}

## What we set out to reach

${goalTable(results)}

## Tokens per second

GB/s: of weights, which every decoded token reads anew; beside it its share of what as many threads read of plain memory in the same place.

${speedTable(results)}

## From a file to ready

In the tab: from the chosen local file to an engine that answers. Ours in parts: start of the engine up to the first bytes, reading the file
into its memory, opening (header, vocabulary, session). Page faults: what the first touch of as much fresh memory costs in a tab, which is in
the reading.

${loadTable(results)}

## Kernels by themselves

Matrix times vector: 65,536 rows of 2,048 columns, from memory. A batch of 64 on one thread, weights in cache.

${productTable(results)}

Attention of one token over 16,384 positions, one thread, nothing in a cache: nanoseconds per position and query head. Queries: how many share
a key-value head. Again: the three right after, where caches may have them. In cache: scores + values of 256 positions by themselves.

${attentionTable(results)}

## Where the time goes

Natively (\`strata bench --profile\`), two threads, memory \`quality\`. The bound of a part that reads weights: the time in which two threads read as
many bytes of memory, or, in a micro-batch, in which the kernel at its peak computes as many products, if that is longer. That of one token's
attention: the same attention by itself (above), shared by two threads.

${profileSection(results, 'profile-135m', '135M Q8_0', { type: 'Q8_0', shape: shapes['135m'] })}

${profileSection(results, 'profile-1b', '1B Q4_0', { type: 'Q4_0', shape: shapes['1b'] })}

## To repeat it

\`npm run bench -- --build\`, then \`npm run bench -- --report\` on a machine where nothing else runs: both engines wait for their threads by spinning.
Parts that were measured are kept in \`build/bench/results\`; \`--again\` measures anew, \`--part NAME\` one of them:

${table(
  ['part', 'about', 'command'],
  'lrl',
  parts.map(({ name, seconds, command: [program, args] }) => [
    name,
    `${seconds} s`,
    `\`${program} ${args.join(' ')}\``,
  ]),
)}
`,
  );
  console.error(`\nWrote ${options.out}`);
}

if (options.list) {
  for (const { name, seconds, command } of parts) console.log(`${name} (${seconds} s): ${command.flat().join(' ')}`);
} else {
  if (!existsSync('build/native/strata')) throw new Error('npm run bench -- --build comes first');
  const measurements = new Measurements(options.results);
  if (!options['write-only']) await measureAll(measurements);
  writeReport(measurements);
}
