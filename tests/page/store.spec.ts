// Models that this device keeps, against a server that behaves as badly as servers and networks do, in a real browser.
import { readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';
import { splitGguf } from '../tools/split_gguf.mjs';
import { answerTo, expectModel, modelFile, modelName, open } from './page';
import { serveUnkindly, type UnkindServer } from './unkind_server';

const model = readFileSync(modelFile);
const half = model.length >> 1;
let server: UnkindServer;
test.beforeEach(async () => {
  server = await serveUnkindly({ '/far/away.gguf': model });
});
test.afterEach(() => server.stop());

const dialog = (page: Page) => page.getByRole('dialog', { name: 'Model' });
const fault = (page: Page) => page.getByRole('alert');
/** Bytes of the newest request that have left the server. */
const sent = () => server.requests.at(-1)?.sent ?? 0;
const downloads = () => server.requests.filter(({ sent }) => sent > 0);

async function openModels(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Model: / }).click();
}

/** Looks at the address and waits for what the page says of it. */
async function look(page: Page, path = '/far/away.gguf'): Promise<void> {
  await openModels(page);
  await dialog(page)
    .getByRole('textbox', { name: 'Or paste the address' })
    .fill(server.url + path);
  await dialog(page).getByRole('button', { name: 'Open', exact: true }).click();
}

async function startDownload(page: Page): Promise<void> {
  const button = dialog(page).getByRole('button', { name: /^Download/ });
  await expect(button).toBeVisible();
  server.requests = []; // of the look before it
  await button.click();
}

/** Downloads with the server in `mood` from then on. */
async function download(page: Page, mood: UnkindServer['mood'] = {}): Promise<void> {
  await look(page);
  await expect(dialog(page).getByRole('button', { name: /^Download/ })).toBeVisible();
  server.mood = mood;
  await startDownload(page);
}

/** Bytes in the browser's own file system, of all kept files. */
const keptBytes = (page: Page) =>
  page.evaluate(async () => {
    let bytes = 0;
    try {
      const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('strata-models');
      for await (const folder of models.values())
        bytes += (await (await (folder as FileSystemDirectoryHandle).getFileHandle('data')).getFile()).size;
    } catch {
      // nothing was kept
    }
    return bytes;
  });

test('what a model needs is said before it is downloaded, and it is kept once it is', async ({ page, context }) => {
  await open(page);
  await look(page);
  await expect(dialog(page)).toContainText('It runs here, with room for about');
  await expect(dialog(page)).toContainText('llama, 5.8M');
  await expect(dialog(page)).toContainText(/Memory at 4.bits/);
  expect(server.requests.reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(4.5 * 2 ** 20);
  await startDownload(page);
  await expectModel(page, 'away');
  expect(await answerTo(page, 'My name is Robert.')).not.toBe('');

  server.requests = [];
  await page.reload();
  await expectModel(page, 'away');
  expect(downloads()).toHaveLength(0);
  await expect(page.getByText('ready offline')).toBeVisible();
  await context.setOffline(true);
  await page.reload();
  await expectModel(page, 'away');
  await context.setOffline(false);

  await openModels(page);
  const row = dialog(page).getByRole('listitem').filter({ hasText: 'away' });
  await expect(row).toContainText('works offline');
  await row.getByRole('button', { name: 'Delete away' }).click();
  await row.getByRole('button', { name: /^Delete/ }).click();
  await expect(row).toHaveCount(0);
  expect(await keptBytes(page)).toBe(0);
});

test('a connection that breaks again and again is taken up where it broke', async ({ page }) => {
  await open(page);
  await download(page, { dropAfter: 1_500_000, hash: true });
  await expectModel(page, 'away');
  const from = server.requests.map((request) => request.from);
  expect(from.length).toBeGreaterThan(3);
  expect([...from].sort((a, b) => a - b)).toEqual(from);
  expect(downloads().reduce((sum, { sent }) => sum + sent, 0)).toBeLessThan(1.3 * model.length);
});

test('a server that knows no ranges is read again from the start, and what is there is skipped', async ({ page }) => {
  await open(page);
  await download(page, { ranges: false, dropAfter: half });
  await expect.poll(() => server.requests.length).toBeGreaterThan(1);
  server.mood = { ranges: false, hash: true };
  await expectModel(page, 'away');
});

test('a server that promises more than it has: the part is kept, and taken up once it has', async ({ page }) => {
  await open(page);
  await download(page, { announce: model.length, end: half });
  await expect(fault(page)).toContainText('The model could not be downloaded.', { timeout: 40_000 });
  await expect(fault(page)).toContainText(/connection was lost at [\d,]+ of [\d,]+ bytes/);
  await expect(fault(page)).toContainText(`${modelName} is still here`);
  expect(await keptBytes(page)).toBeGreaterThan(half - 100_000);
  server.mood = { hash: true };
  server.requests = [];
  await fault(page).getByRole('button', { name: 'Try again' }).click();
  await expectModel(page, 'away');
  expect(downloads()[0]!.from).toBeGreaterThan(half - 100_000);
});

test('a file that ends early and pretends to be whole is refused, and not kept', async ({ page }) => {
  await open(page);
  await download(page, { end: half });
  await expect(fault(page)).toContainText('This model file is damaged.');
  await expectModel(page, modelName);
  expect(await keptBytes(page)).toBe(0);
});

test('one wrong bit is noticed, nothing of it is kept, and it can be downloaded again', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await download(page, { flip: half, hash: true });
  await expect(fault(page)).toContainText('The model did not arrive intact.');
  await expect(fault(page)).toContainText('SHA-256');
  expect(await keptBytes(page)).toBe(0);
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
  server.mood = { hash: true };
  await look(page);
  await startDownload(page);
  await expectModel(page, 'away');
});

for (const [status, says] of [
  [404, /no model at this address.*404.*Check the address/],
  [403, /no model at this address.*403.*needs a login/],
  [500, /did not deliver the model.*500.*Try again later/],
] as const) {
  test(`an answer of ${status} is explained before the download, and during it`, async ({ page }) => {
    await open(page);
    server.mood = { status };
    await look(page);
    await expect(dialog(page).getByRole('alert')).toContainText(says);
    await page.keyboard.press('Escape');
    server.mood = {};
    await download(page, { status });
    await expect(fault(page)).toContainText(says, { timeout: 30_000 });
    await expect(fault(page).getByRole('button')).toHaveCount(1);
    await expectModel(page, modelName);
  });
}

test('a server that other pages may not read is explained', async ({ page }) => {
  await open(page);
  server.mood = { cors: false };
  await look(page);
  await expect(dialog(page).getByRole('alert')).toContainText('CORS');
});

test('a model that cannot fit is not begun, and says so in numbers', async ({ page }) => {
  await open(page);
  await download(page, { announce: 2e13 });
  await expect(fault(page)).toContainText('There is not enough room on this device.');
  await expect(fault(page)).toContainText('needs 20,000,000 MB on this device');
  expect(await keptBytes(page)).toBe(0);
});

test('a disk that fills up on the way keeps the part, and the model can be used without keeping it', async ({
  page,
}) => {
  await open(page);
  await expect(page.getByText('ready offline')).toBeVisible(); // what the page itself keeps is there, and counted
  const cdp = await page.context().newCDPSession(page);
  const { origin } = new URL(page.url());
  const { usage } = await page.evaluate(() => navigator.storage.estimate());
  await cdp.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: usage! + 3e6 });
  await download(page);
  await expect(fault(page)).toContainText('There is not enough room on this device.');
  await expect(fault(page)).toContainText('no more room for away');
  await fault(page).getByRole('button', { name: 'Open it without keeping it' }).click();
  await expectModel(page, 'away');
  expect(await keptBytes(page)).toBeGreaterThan(1e6);
  await cdp.send('Storage.overrideQuotaForOrigin', { origin });
  server.requests = [];
  await openModels(page);
  const row = dialog(page).getByRole('listitem').filter({ hasText: 'away' });
  await expect(row).toContainText('so far');
});

test('a download that is stopped keeps its part; it is listed, and goes on', async ({ page }) => {
  await open(page);
  await download(page, { bytesPerSecond: 2_000_000 });
  await expect.poll(() => sent()).toBeGreaterThan(1_000_000);
  await page.getByRole('button', { name: 'Cancel' }).click();
  await expect(page.getByText('Opening away')).toBeHidden();
  await expectModel(page, modelName);
  await openModels(page);
  const row = dialog(page).getByRole('listitem').filter({ hasText: 'away' });
  await expect(row).toContainText(/of 6.3.MB so far/);
  server.requests = [];
  server.mood = { hash: true };
  await row.getByRole('button', { name: 'Go on' }).click();
  await expectModel(page, 'away');
  expect(downloads()[0]!.from).toBeGreaterThan(500_000);
});

test('a tab that is killed in mid-download loses at most four megabytes of it', async ({ page, context }) => {
  await open(page);
  await download(page, { bytesPerSecond: 1_500_000 });
  await expect.poll(() => keptBytes(page), { timeout: 30_000, intervals: [50] }).toBeGreaterThan(4.5 * 2 ** 20);
  server.mood = { bytesPerSecond: 20_000 }; // it must not come to its end
  const cdp = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent('crash');
  void cdp.send('Page.crash').catch(() => {});
  await crashed;
  await page.close();
  const next = await context.newPage();
  await open(next);
  server.requests = [];
  server.mood = { hash: true };
  await look(next);
  await startDownload(next);
  await expectModel(next, 'away');
  expect(downloads()[0]!.from).toBeGreaterThanOrEqual(4 * 2 ** 20);
});

test('a second tab waits for the download of the first, and uses it', async ({ page, context }) => {
  await open(page);
  await download(page, { bytesPerSecond: 250_000, hash: true });
  await expect.poll(() => sent()).toBeGreaterThan(500_000);
  const first = server.requests;
  const second = await context.newPage();
  await open(second);
  await look(second);
  await expect(dialog(second).getByRole('button', { name: /^Download/ })).toBeVisible();
  server.requests = [];
  await dialog(second)
    .getByRole('button', { name: /^Download/ })
    .click();
  await expect(second.getByText('Another tab is downloading it')).toBeVisible();
  server.mood = { hash: true };
  await Promise.all([expectModel(page, 'away'), expectModel(second, 'away')]);
  expect(downloads()).toHaveLength(0);
  expect(first.length).toBeGreaterThan(0);
  expect(await answerTo(second, 'My name is Robert.')).not.toBe('');
});

test('a split model is kept as one: downloaded file by file, listed once, deleted whole', async ({ page }) => {
  await server.stop();
  const [a, b] = splitGguf(model, 2);
  server = await serveUnkindly({ '/big-00001-of-00002.gguf': a!, '/big-00002-of-00002.gguf': b! });
  await open(page);
  await look(page, '/big-00001-of-00002.gguf');
  await expect(dialog(page).getByRole('button', { name: /^Download/ })).toBeVisible();
  server.mood = { dropAfter: 1_000_000, hash: true };
  await startDownload(page);
  await expectModel(page, 'big-00001-of-00002');
  expect(await answerTo(page, 'My name is Robert.')).not.toBe('');
  await openModels(page);
  const row = dialog(page).getByRole('listitem').filter({ hasText: 'big' });
  await expect(row).toHaveCount(1);
  await row.getByRole('button', { name: /^Delete/ }).click();
  await row.getByRole('button', { name: /^Delete/ }).click();
  await expect(row).toHaveCount(0);
  expect(await keptBytes(page)).toBe(0);
});

test('offline, an address that is not kept is refused with what still works', async ({ page, context }) => {
  await open(page);
  await context.setOffline(true);
  await look(page);
  await expect(dialog(page).getByRole('alert')).toContainText('models that are kept here still work');
  await context.setOffline(false);
  await dialog(page).getByRole('button', { name: 'Try again' }).click();
  await expect(dialog(page).getByRole('button', { name: /^Download/ })).toBeVisible();
});

test('a repository of the hub is listed, and a model of it is checked against the hub’s hash', async ({
  page,
  context,
}) => {
  const file = 'https://huggingface.co/someone/small-models/resolve/main/tiny.gguf';
  const entry = {
    type: 'file',
    path: 'tiny.gguf',
    size: model.length,
    lfs: { oid: 'a'.repeat(64), size: model.length },
  };
  const other = { type: 'file', path: 'README.md', size: 10 };
  await context.route('https://huggingface.co/api/models/someone/small-models/tree/**', (route) =>
    route.fulfill({
      json: [other, entry, { ...entry, path: 'tiny-2.gguf' }],
      headers: { 'access-control-allow-origin': '*' },
    }),
  );
  await context.route(file, (route) =>
    route.fulfill({
      body: model,
      headers: { 'access-control-allow-origin': '*', 'content-type': 'application/octet-stream' },
    }),
  );
  await open(page);
  await openModels(page);
  await dialog(page).getByRole('textbox', { name: 'Or paste the address' }).fill('someone/small-models');
  await dialog(page).getByRole('button', { name: 'Open', exact: true }).click();
  await expect(dialog(page).getByRole('listitem')).toHaveCount(2);
  await dialog(page).getByRole('listitem').filter({ hasText: 'tiny.gguf' }).getByRole('button').click();
  await startDownload(page);
  await expect(fault(page)).toContainText('The model did not arrive intact.');
});
