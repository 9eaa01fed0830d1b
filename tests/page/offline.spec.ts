// After one visit the page starts and chats without network, says so only when it is true, and is never swapped while
// it runs.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, type Page, test } from '@playwright/test';
import type { ServiceWorkerCall } from '../../web/sw/messages';
import { engineInUse } from './engine_in_use';
import { answerTo } from './page';
import { isolating, type PlainServer, servePlain } from './plain_server';

let plain: PlainServer;
test.beforeEach(async () => {
  plain = await servePlain('dist');
});
test.afterEach(() => plain.stop().catch(() => {})); // some tests have stopped it already

const readyOffline = (page: Page) => page.getByText('ready offline');

async function visit(page: Page): Promise<void> {
  await page.goto(plain.url);
  await page.waitForFunction(() => self.crossOriginIsolated);
  await expect(readyOffline(page)).toBeVisible();
}

/** What the service worker, or the one that waits, replies. */
function replyOf(page: Page, which: 'active' | 'waiting', call: ServiceWorkerCall): Promise<boolean> {
  return page.evaluate(
    async ({ which, call }) => {
      const registration = await navigator.serviceWorker.ready;
      const { port1, port2 } = new MessageChannel();
      const reply = new Promise<boolean>((resolve) => {
        port1.onmessage = ({ data }) => resolve(data);
      });
      registration[which]!.postMessage(call, [port2]);
      return reply;
    },
    { which, call },
  );
}

const updateWaits = (page: Page) => page.evaluate(async () => (await navigator.serviceWorker.ready).waiting !== null);

async function fetchUpdate(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await (await navigator.serviceWorker.ready).update();
  });
  await expect.poll(() => updateWaits(page)).toBe(true);
}

test('the page and the embedded model work with the network off', async ({ page, context }) => {
  await visit(page);
  await plain.stop();
  await context.setOffline(true);
  await page.reload();
  await answerTo(page, 'What colour is the sky?');
  expect(await engineInUse(page)).toEqual(['engine-mt.mjs']);
  await expect(readyOffline(page)).toBeVisible();

  const other = await context.newPage();
  await other.goto(`${plain.url}?from=somewhere`);
  await answerTo(other, 'How many days are in a week?');
});

test('on a host with headers one visit is enough too, and has all that it fetches later', async ({
  page,
  context,
  baseURL,
}) => {
  await page.goto('/');
  await expect(readyOffline(page)).toBeVisible();
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await context.route(`${baseURL}/**`, (route) => route.abort());
  await context.setOffline(true);
  await page.getByRole('button', { name: /^Memory/ }).click();
  await expect(page.locator('.plot canvas')).toBeVisible(); // whose code comes with the first look
  await page.reload();
  await answerTo(page, 'What colour is the sky?');
});

test('a browser that refuses the memory that threads share: one thread, also without network', async ({
  page,
  context,
}) => {
  plain.headers = isolating;
  plain.change = (path, body) =>
    /engine-mt.*\.mjs$/.test(path)
      ? Buffer.from(`export default () => Promise.reject(new RangeError('Out of memory'));`)
      : body;
  await visit(page);
  await answerTo(page, 'What colour is the sky?');
  expect(await engineInUse(page)).toEqual(['engine-mt.mjs', 'engine-st.mjs']);
  await plain.stop();
  await context.setOffline(true);
  await page.reload();
  await answerTo(page, 'How many days are in a week?');
});

test('without the model it is not ready offline, and does not say so', async ({ page }) => {
  plain.change = (path, body) => (path.endsWith('.gguf') ? undefined : body);
  await page.goto(plain.url);
  await page.waitForFunction(() => self.crossOriginIsolated);
  await expect(page.getByText('404').first()).toBeVisible();
  expect(await replyOf(page, 'active', { name: 'keep', threads: true })).toBe(false);
  await expect(readyOffline(page)).toHaveCount(0);
});

/** The next version of the page: another title, and so another entry in the service worker's list. */
function publishUpdate(): void {
  plain.change = (path, body) => {
    if (path === '/index.html') return Buffer.from(body.toString().replace('<title>Strata', '<title>Strata 2'));
    if (path !== '/sw.js') return body;
    const updated = body
      .toString()
      .replace(/"revision":"\w+","url":"index.html"/, '"revision":"next","url":"index.html"');
    if (updated === body.toString()) throw new Error('index.html is not in the list of the service worker');
    return Buffer.from(updated);
  };
}

test('an update waits until it is asked for', async ({ page }) => {
  await visit(page);
  publishUpdate();
  await fetchUpdate(page);
  await answerTo(page, 'What colour is the sky?');
  await page.reload();
  await expect(page).toHaveTitle('Strata'); // still the old one, although the new one is there

  expect(await replyOf(page, 'waiting', { name: 'takeOver' })).toBe(true);
  // As applyUpdate(): what the old version is still serving keeps it, at most until one reload.
  await expect
    .poll(() => updateWaits(page), { timeout: 5000 })
    .toBe(false)
    .catch(() => {});
  await page.reload();
  await expect(page).toHaveTitle('Strata 2');
  expect(await replyOf(page, 'active', { name: 'isKept', threads: true })).toBe(true); // the model stayed
});

test('an update does not take over while another tab is open', async ({ page, context }) => {
  await visit(page);
  const other = await context.newPage();
  await other.goto(plain.url);
  publishUpdate();
  await fetchUpdate(page);
  expect(await replyOf(page, 'waiting', { name: 'takeOver' })).toBe(false);
});

test('the app can be installed', async ({ page, context }) => {
  await visit(page);
  const session = await context.newCDPSession(page);
  const { errors } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
});

test('one first visit downloads at most 425 KB, without the model', async ({ page }) => {
  await visit(page);
  const kept = await page.evaluate(async () => {
    const names = (await caches.keys()).filter((name) => name.includes('precache'));
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map(({ url }) => new URL(url).pathname);
  });
  expect(kept).toContain('/index.html');
  const sizes = [...kept, '/sw.js'].map((path) => gzipSync(readFileSync(`dist${path}`)).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  expect(total).toBeLessThan(425_000);
});
