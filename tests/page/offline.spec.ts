// After one visit the page starts and chats without network, says so only when it is true, and is never swapped while
// it runs.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, type Page, test } from '@playwright/test';
import { ask, engineInUse } from './chat_page';
import { type PlainServer, servePlain } from './plain_server';

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

test('the page and the embedded model work with the network off', async ({ page, context }) => {
  await visit(page);
  await plain.stop();
  await context.setOffline(true);
  await page.reload();
  await ask(page, 'What colour is the sky?');
  expect(await engineInUse(page)).toEqual(['engine-mt.mjs']);
  await expect(readyOffline(page)).toBeVisible();

  const other = await context.newPage();
  await other.goto(`${plain.url}?from=somewhere`);
  await ask(other, 'How many days are in a week?');
});

test('on a host with headers one visit is enough too', async ({ page, context, baseURL }) => {
  await page.goto('/');
  await expect(readyOffline(page)).toBeVisible();
  await context.route(`${baseURL}/**`, (route) => route.abort());
  await context.setOffline(true);
  await page.reload();
  await ask(page, 'What colour is the sky?');
});

test('without the model it is not ready offline, and does not say so', async ({ page }) => {
  plain.change = (path, body) => (path.endsWith('.gguf') ? undefined : body);
  await page.goto(plain.url);
  await page.waitForFunction(() => self.crossOriginIsolated);
  await expect(page.getByText('404').first()).toBeVisible();
  const kept = await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    const { port1, port2 } = new MessageChannel();
    const reply = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    active!.postMessage({ name: 'keep', isolated: true }, [port2]);
    return reply;
  });
  expect(kept).toBe(false);
  await expect(readyOffline(page)).toHaveCount(0);
});

/** The next version of the page: another title, and so another entry in the service worker's list. */
function publishUpdate(): void {
  plain.change = (path, body) => {
    if (path === '/index.html') return Buffer.from(body.toString().replace('<title>Strata', '<title>Strata 2'));
    if (path !== '/sw.js') return body;
    const updated = body.toString().replace(/(revision:"|"revision":")[0-9a-f]{32}("[^{}]*index\.html)/, '$1new$2');
    const found =
      updated === body.toString()
        ? body.toString().replace(/(index\.html"[^{}]*revision"?:")[0-9a-f]{32}/, '$1new')
        : updated;
    if (found === body.toString()) throw new Error('index.html is not in the list of the service worker');
    return Buffer.from(found);
  };
}

test('an update waits until it is asked for', async ({ page }) => {
  await visit(page);
  publishUpdate();
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
  });
  await page.waitForFunction(async () => (await navigator.serviceWorker.ready).waiting !== null);
  await ask(page, 'What colour is the sky?');
  await page.reload();
  await expect(page).toHaveTitle('Strata'); // still the old one, although the new one is there

  const reply = await page.evaluate(async () => {
    const { waiting } = await navigator.serviceWorker.ready;
    const changed = new Promise((done) => navigator.serviceWorker.addEventListener('controllerchange', done));
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    waiting!.postMessage({ name: 'takeOver' }, [port2]);
    const tookOver = await answer;
    await changed;
    return tookOver;
  });
  expect(reply).toBe(true);
  await page.reload();
  await expect(page).toHaveTitle('Strata 2');
  await expect(readyOffline(page)).toBeVisible(); // the model was not downloaded again, and is still kept
});

test('an update does not take over while another tab is open', async ({ page, context }) => {
  await visit(page);
  const other = await context.newPage();
  await other.goto(plain.url);
  publishUpdate();
  const reply = await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    while (!registration.waiting) await new Promise((resolve) => setTimeout(resolve, 50));
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data);
    });
    registration.waiting.postMessage({ name: 'takeOver' }, [port2]);
    return answer;
  });
  expect(reply).toBe(false);
});

test('the app can be installed', async ({ page, context }) => {
  await visit(page);
  const session = await context.newCDPSession(page);
  const { errors } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
});

test('one first visit downloads at most 400 KB, without the model', async ({ page }) => {
  await visit(page);
  const kept = await page.evaluate(async () => {
    const names = (await caches.keys()).filter((name) => name.includes('precache'));
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map(({ url }) => new URL(url).pathname);
  });
  expect(kept).toContain('/index.html');
  const sizes = [...kept, '/sw.js'].map((path) => gzipSync(readFileSync(`dist${path}`)).length);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  expect(total).toBeLessThan(400_000);
});
