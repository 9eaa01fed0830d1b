// npm run bench: how fast this machine reads and writes tokens: kernels, the command line beside llama.cpp, a tab beside wllama in
// the same browser. The shape is that of a 135M model with random weights; speed does not depend on the values. Run it alone:
// engines wait for their threads by spinning, and another program's load ruins the numbers.
//   npm run bench -- --build     only builds, and makes the models of the report
//   npm run bench -- --report …  measures all that docs/performance.md says, and writes it (tests/bench/performance_report.mjs)
import { existsSync } from 'node:fs';
import { setUp } from './setup.mjs';
import { cmakeBuild, must, mustBuild, run } from './tools.mjs';

const shipped = 'web/public/models/pocket-chat-5.8m-q8_0.gguf';
const model = (shape, type) => `build/bench/${shape}-${type.toLowerCase()}.gguf`;

function makeModel(shape, type) {
  if (existsSync(model(shape, type))) return;
  must('node', ['tests/bench/make_model.mjs', '--shape', shape, '--type', type, '--out', model(shape, type)]);
}

function installPeer(name) {
  const folder = `tests/peers/${name}`;
  if (!existsSync(`${folder}/node_modules`)) must('npm', ['ci', '--prefix', folder, '--ignore-scripts']);
}

function buildAll() {
  setUp('test');
  mustBuild('native', 'wasm', 'wasm-mt');
  for (const preset of ['wasm', 'wasm-mt']) {
    if (cmakeBuild(preset, ['kernel_speed']) !== 0) process.exit(1);
    cmakeBuild(preset, ['kernel_speed-relaxed']); // there only where the relaxed engine is
  }
  installPeer('wllama');
  installPeer('llama');
}

const [wish, ...rest] = process.argv.slice(2);
if (wish === '--report') {
  process.exit(run('node', ['tests/bench/performance_report.mjs', ...rest]));
} else if (wish === '--build') {
  buildAll();
  for (const [shape, type] of [
    ['135m', 'Q8_0'],
    ['1b', 'Q4_0'],
    ['1b', 'Q8_0'],
    ['3b', 'Q4_0'],
  ])
    makeModel(shape, type);
} else {
  buildAll();
  makeModel('135m', 'Q8_0');
  const shape = model('135m', 'Q8_0');
  const depths = ['--threads', '2', '--depths', '32,1024'];
  const failed = [
    run('node', ['tests/bench/kernel_bench.mjs']),
    run('build/native/strata', ['bench', shipped]),
    run('node', ['tests/bench/native_bench.mjs', '--model', shape, '--kv', 'quality,fp16', ...depths]),
    run('node', ['tests/bench/tab_bench.mjs', '--model', shape, '--kv', 'quality,fp16', ...depths]),
  ].some((code) => code !== 0);
  process.exit(failed ? 1 : 0);
}
