import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { webHost } from '../../web/lib/wasm_host';

vi.mock('../../web/lib/relaxed_simd', () => ({ relaxedSimdWorks: () => false }));

let folder: string;
const url = () => `${pathToFileURL(folder).href}/`;
/** The glue of an engine, by what creates its module. */
const glue = (engine: string, create: string) =>
  writeFileSync(join(folder, `${engine}.mjs`), `export default ${create};`);
const never = 'new Promise(() => {})';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'strata-host-'));
  vi.stubGlobal('self', { crossOriginIsolated: true });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  rmSync(folder, { recursive: true });
});

/** Lets time pass until the promise is settled. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  promise.catch(() => {}).finally(() => (settled = true));
  while (!settled) {
    await new Promise(setImmediate);
    await vi.advanceTimersByTimeAsync(1000);
  }
  return promise;
}

test('an engine whose threads never come up gives way to the one of one thread', async () => {
  glue('engine-mt', `() => ${never}`);
  glue('engine-st', '() => Promise.resolve({ buildCommit: () => "alone" })');
  const module = await inTime(webHost(url()).instantiate(4));
  expect(module.buildCommit()).toBe('alone');
});

test('where that one does not start either, the error names what failed first', async () => {
  glue('engine-mt', `() => ${never}`);
  await expect(inTime(webHost(url()).instantiate(4))).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/engine-mt\.mjs: Error: it made no progress for 60 s/),
  });
});

test('an engine that takes minutes, but goes on, is waited for', async () => {
  glue(
    'engine-mt',
    `async (options) => {
      for (let left = 5; left >= 0; --left) {
        await new Promise((done) => setTimeout(done, 50_000));
        options.monitorRunDependencies(left);
      }
      return { buildCommit: () => 'many' };
    }`,
  );
  const module = await inTime(webHost(url()).instantiate(4));
  expect(module.buildCommit()).toBe('many');
});
