// One arithmetic: this browser, on one thread and on two, computes the bits that every build computes; also where most of
// the memory that 32 bits can address lies below the weights and the conversation.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { withGap } from '../tools/split_gguf.mjs';
import { agreed } from '../web/agreed';
import { modelFile } from './page';

test.use({ serviceWorkers: 'block' });

// Runs in a worker, because a page must not wait for threads.
const script = `onmessage = async ({ data: { engine, threads, gap, before, memory, tokens } }) => {
  const folder = new URL('/engine/', location.href).href;
  const glue = folder + engine + '.mjs';
  const { default: create } = await import(glue);
  const module = await create({ locateFile: (file) => folder + file, mainScriptUrlOrBlob: glue, threads });
  const native = new module.Engine();
  const bytes = new Uint8Array(await (await fetch('/parity_model.gguf')).arrayBuffer());
  if (!native.reserve(bytes.length + gap)) throw new Error('there is no room');
  native.bytes().set(bytes.subarray(0, before));
  native.bytes().set(bytes.subarray(before), before + gap);
  const failed = native.open(bytes.length + gap, []) ?? native.openSession({ ...memory, threads });
  if (failed) throw new Error(failed.message);
  const digest = native.scoreDigest(tokens);
  postMessage({ signature: module.kernelSignature(), digest, threads: native.threads(), simd: native.simd() });
};`;

const large = 3.4e9; // bytes between the model's first tensor and the others, which nobody touches
for (const [engine, threads, gap] of [
  ['engine-st', 1, 0],
  ['engine-mt', 1, 0],
  ['engine-mt', 2, 0],
  ['engine-st-relaxed', 1, 0],
  ['engine-mt-relaxed', 2, 0],
  ['engine-st', 1, large],
  ['engine-mt', 2, large],
  ['engine-st-relaxed', 1, large],
  ['engine-mt-relaxed', 2, large],
] as const) {
  test(`${engine}, ${threads} thread(s)${gap > 0 ? ', 3.4 GB' : ''}`, async ({ page }) => {
    const missing = !existsSync(`web/public/engine/${engine}.wasm`);
    test.skip(
      missing && engine.endsWith('relaxed'),
      'built without relaxed SIMD: that needs npm binaryen, see cmake/wasm.cmake',
    );
    const headers = { 'Cross-Origin-Embedder-Policy': 'require-corp' };
    await page.route('/parity_worker.js', (route) =>
      route.fulfill({ contentType: 'text/javascript', headers, body: script }),
    );
    const { file, before } = withGap(readFileSync(modelFile), gap);
    await page.route('/parity_model.gguf', (route) => route.fulfill({ headers, body: file }));
    await page.goto('/');
    const result = await page.evaluate(
      (job) => {
        const worker = new Worker('/parity_worker.js', { type: 'module' });
        return new Promise((resolve, reject) => {
          worker.onmessage = ({ data }) => resolve(data);
          worker.onerror = ({ message }) => reject(new Error(message));
          worker.postMessage(job);
        });
      },
      { engine, threads, gap, before, memory: agreed.memory, tokens: agreed.tokens },
    );
    const simd = engine.endsWith('relaxed') ? 'wasm-relaxed' : 'wasm128';
    expect(result).toEqual({ signature: agreed.signature, digest: agreed.digest, threads, simd });
  });
}
