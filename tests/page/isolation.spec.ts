// Threads need a cross-origin isolated page: with a host that sends the headers, and with one that does not.
import { expect, type Page, test } from '@playwright/test';
import { engineInUse } from './engine_in_use';
import { answerTo } from './page';
import { type PlainServer, servePlain } from './plain_server';

let plain: PlainServer;
test.beforeEach(async () => {
  plain = await servePlain('dist');
});
test.afterEach(() => plain.stop());

function countLoads(page: Page): () => number {
  let loads = 0;
  page.on('load', () => ++loads);
  return () => loads;
}

test('a host that sends the headers: threads at once, and nothing breaks the security policy', async ({ page }) => {
  const loads = countLoads(page);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto('/');
  await answerTo(page, 'What colour is the sky?');
  expect(await page.evaluate(() => self.crossOriginIsolated)).toBe(true);
  expect(await engineInUse(page)).toEqual(['engine-mt.mjs']);
  expect(loads()).toBe(1);
  expect(complaints).toEqual([]);
});

test('a plain host: the service worker isolates the page, with one reload', async ({ page }) => {
  const loads = countLoads(page);
  await page.goto(plain.url);
  await page.waitForFunction(() => self.crossOriginIsolated);
  await answerTo(page, 'What colour is the sky?');
  expect(await engineInUse(page)).toEqual(['engine-mt.mjs']);
  expect(loads()).toBe(2);
  await page.reload();
  await answerTo(page, 'How many days are in a week?');
  expect(loads()).toBe(3);
});

test('a plain host and a service worker that cannot be fetched: one thread, no reload', async ({ page }) => {
  plain.change = (path, body) => (path === '/sw.js' ? undefined : body);
  const loads = countLoads(page);
  await page.goto(plain.url);
  await answerTo(page, 'What colour is the sky?');
  expect(await page.evaluate(() => self.crossOriginIsolated)).toBe(false);
  expect(await engineInUse(page)).toEqual(['engine-st.mjs']);
  expect(loads()).toBe(1);
});

test('a plain host and a service worker that adds no headers: one reload, never a loop', async ({ page }) => {
  const bare = `self.addEventListener('install', () => self.skipWaiting());
    self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));`;
  plain.change = (path, body) => (path === '/sw.js' ? Buffer.from(bare) : body);
  const loads = countLoads(page);
  await page.goto(plain.url);
  await expect.poll(loads).toBe(2);
  await answerTo(page, 'What colour is the sky?');
  expect(await engineInUse(page)).toEqual(['engine-st.mjs']);
  expect(loads()).toBe(2);
});

test.describe('a browser without service workers', () => {
  test.use({ serviceWorkers: 'block' });
  test('a plain host: one thread', async ({ page }) => {
    await page.goto(plain.url);
    await answerTo(page, 'What colour is the sky?');
    expect(await engineInUse(page)).toEqual(['engine-st.mjs']);
  });
});
