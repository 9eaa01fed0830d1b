// kernel_speed, compiled for the browser, run in a tab.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { serve } from './bench_server.mjs';

const folder = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const presetOf = (isolated) => (isolated ? 'wasm-mt' : 'wasm');
const nameOf = (relaxed) => `kernel_speed${relaxed ? '-relaxed' : ''}.mjs`;

/** Whether CMake has built it: threads need a page of their own kind, and a module of their own. */
export const kernelsBuilt = (isolated, relaxed = false) =>
  existsSync(folder(`build/${presetOf(isolated)}/${nameOf(relaxed)}`));

/**
 * The lines that it prints, as objects, also one by one to `onLine`.
 * @param {import('@playwright/test').Browser} browser
 * @param {{ isolated: boolean, relaxed: boolean, args: string[], onLine?: (line: object) => void }} options
 */
export async function kernelLines(browser, { isolated, relaxed, args, onLine = () => {} }) {
  const site = await serve(
    { '/': folder('tests/bench/kernels'), '/built/': folder(`build/${presetOf(isolated)}`) },
    isolated,
  );
  const page = await browser.newPage();
  const lines = [];
  try {
    page.setDefaultTimeout(0);
    await page.exposeFunction('onLine', (text) => {
      lines.push(JSON.parse(text));
      onLine(lines.at(-1));
    });
    await page.goto(`${site.url}page.html`);
    const job = { glue: `${site.url}built/${nameOf(relaxed)}`, args };
    await page.evaluate(
      (job) =>
        new Promise((resolve, reject) => {
          const worker = new Worker('/worker.mjs', { type: 'module' });
          worker.onerror = (event) => reject(new Error(`the kernels stopped: ${event.message}`));
          worker.onmessage = ({ data }) => (data.ended ? resolve(undefined) : window.onLine(data.line));
          worker.postMessage(job);
        }),
      job,
    );
    return lines;
  } finally {
    await page.close();
    site.close();
  }
}
