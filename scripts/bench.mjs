// npm run bench: how fast this machine reads and writes tokens, on the command line and in a tab, beside wllama in the same
// browser. The shape is that of a 135M model with random weights; speed does not depend on the values. Run it alone: both
// engines wait for their threads by spinning, and another program's load ruins the numbers.
import { existsSync } from 'node:fs';
import { setUp } from './setup.mjs';
import { must, mustBuild, run } from './tools.mjs';

const shape = 'build/bench/135m-q8_0.gguf';
const shipped = 'web/public/models/pocket-chat-5.8m-q8_0.gguf';

setUp('test');
mustBuild('native', 'wasm', 'wasm-mt');
if (!existsSync(shape))
  must('node', ['tests/bench/make_model.mjs', '--shape', '135m', '--type', 'Q8_0', '--out', shape]);
if (!existsSync('tests/peers/wllama/node_modules'))
  must('npm', ['ci', '--prefix', 'tests/peers/wllama', '--ignore-scripts']);

const failed = [
  run('build/native/kernel_speed', []),
  run('build/native/strata', ['bench', shipped]),
  run('build/native/strata', ['bench', shape, '-k', 'fp16', '-n', '32', '-d', '32,1024']),
  run('node', ['tests/bench/tab_bench.mjs', '--model', shape, '--kv', 'fp16', '--threads', '2', '--depths', '32,1024']),
].some((code) => code !== 0);
process.exit(failed ? 1 : 0);
