// One arithmetic: this browser, on one thread and on two, computes the bits that every build computes.
import { existsSync } from 'node:fs';
import { expect, test } from '@playwright/test';
import { agreed } from '../web/agreed';

test.use({ serviceWorkers: 'block' });

// Runs in a worker, because a page must not wait for threads.
const script = `onmessage = async ({ data: { engine, threads, memory, tokens } }) => {
  const folder = new URL('/engine/', location.href).href;
  const glue = folder + engine + '.mjs';
  const { default: create } = await import(glue);
  const module = await create({ locateFile: (file) => folder + file, mainScriptUrlOrBlob: glue, threads });
  const native = new module.Engine();
  const bytes = new Uint8Array(await (await fetch('/models/pocket-chat-5.8m-q8_0.gguf')).arrayBuffer());
  native.reserve(bytes.length);
  native.bytes().set(bytes);
  const failed = native.open(bytes.length, []) ?? native.openSession({ ...memory, threads });
  if (failed) throw new Error(failed.message);
  const digest = native.scoreDigest(tokens);
  postMessage({ signature: module.kernelSignature(), digest, threads: native.threads(), simd: native.simd() });
};`;

for (const [engine, threads] of [
  ['engine-st', 1],
  ['engine-mt', 1],
  ['engine-mt', 2],
  ['engine-st-relaxed', 1],
  ['engine-mt-relaxed', 2],
] as const) {
  test(`${engine}, ${threads} thread(s)`, async ({ page }) => {
    const missing = !existsSync(`web/public/engine/${engine}.wasm`);
    test.skip(
      missing && engine.endsWith('relaxed'),
      'built without relaxed SIMD: that needs npm binaryen, see cmake/wasm.cmake',
    );
    const headers = { 'Cross-Origin-Embedder-Policy': 'require-corp' };
    await page.route('/parity_worker.js', (route) =>
      route.fulfill({ contentType: 'text/javascript', headers, body: script }),
    );
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
      { engine, threads, memory: agreed.memory, tokens: agreed.tokens },
    );
    const simd = engine.endsWith('relaxed') ? 'wasm-relaxed' : 'wasm128';
    expect(result).toEqual({ signature: agreed.signature, digest: agreed.digest, threads, simd });
  });
}
