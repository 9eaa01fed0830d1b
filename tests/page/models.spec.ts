// Opening models, and what is said when that fails. The one in use goes on.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, type Page, test } from '@playwright/test';
import { answerTo, expectModel, longText, message, modelFile, modelName, octets, open, openFiles } from './page';

async function openAddress(page: Page, url: string): Promise<void> {
  await page.getByRole('button', { name: /^Model: / }).click();
  const dialog = page.getByRole('dialog', { name: 'Model' });
  await dialog.getByRole('textbox', { name: 'Or paste the address' }).fill(url);
  await dialog.getByRole('button', { name: 'Open', exact: true }).click();
}

/** What the page says of an address that it could not look at, in the dialog. */
const refusal = (page: Page) => page.getByRole('dialog', { name: 'Model' }).getByRole('alert');

test('a file of one’s own replaces the model, and the conversation is read by it', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await openFiles(page, { name: 'mine.gguf', mimeType: octets, buffer: readFileSync(modelFile) });
  await expectModel(page, 'mine');
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
});

test('a file dropped anywhere opens', async ({ page }) => {
  await open(page);
  const transfer = await page.evaluateHandle(async (path) => {
    const bytes = await (await fetch(path)).blob();
    const data = new DataTransfer();
    data.items.add(new File([bytes], 'dropped.gguf'));
    return data;
  }, 'models/pocket-chat-5.8m-q8_0.gguf');
  await page.dispatchEvent('main', 'dragenter', { dataTransfer: transfer });
  await expect(page.getByText('Drop to open')).toBeVisible();
  await page.dispatchEvent('main', 'drop', { dataTransfer: transfer });
  await expect(page.getByText('Drop to open')).toBeHidden();
  await expectModel(page, 'dropped');
  expect(await answerTo(page, 'My name is Robert.')).not.toBe('');
});

const broken: [string, () => Buffer, RegExp][] = [
  [
    'a file that is no model',
    () => Buffer.from('Dear diary, today I learned nothing.'),
    /not a model that Strata can read/,
  ],
  ['a model file that ends early', () => readFileSync(modelFile).subarray(0, 100_000), /damaged/],
  ['an empty file', () => Buffer.alloc(0), /not a model|damaged/],
];
for (const [what, bytes, says] of broken) {
  test(`${what} is refused, and the model in use goes on`, async ({ page }) => {
    await open(page);
    await answerTo(page, 'My name is Robert.');
    await openFiles(page, { name: 'wrong.gguf', mimeType: octets, buffer: bytes() });
    const fault = page.getByRole('alert');
    await expect(fault).toContainText(says);
    await expect(fault).toContainText(`${modelName} is still here`);
    await expectModel(page, modelName);
    expect(await answerTo(page, 'What is my name?')).toContain('Robert');
    await expect(fault).toBeHidden();
  });
}

test('an address with nothing behind it is named, and the conversation stays', async ({ page }) => {
  const { server, url } = await serve({ 'Access-Control-Allow-Origin': '*' }, 404);
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await openAddress(page, `${url}/missing.gguf`);
  const fault = refusal(page);
  await expect(fault).toContainText('There is no model at this address.');
  await expect(fault).toContainText('404');
  await fault.getByRole('button', { name: 'Choose another file' }).click();
  await expect(fault).toBeHidden();
  await expect(page.getByRole('dialog', { name: 'Model' })).toBeVisible();
  await page.keyboard.press('Escape');
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
  server.close();
});

test('an address that other pages may not read is explained', async ({ page }) => {
  const { server, url } = await serve({}, 200);
  await open(page);
  await openAddress(page, `${url}/model.gguf`);
  const fault = refusal(page);
  await expect(fault).toContainText('could not be downloaded');
  await expect(fault).toContainText('CORS');
  await expect(fault.getByRole('button', { name: 'Try again' })).toBeVisible();
  await expectModel(page, modelName);
  server.close();
});

test('a model from an address opens, and again after a reload', async ({ page }) => {
  const { server, url } = await serve({ 'Access-Control-Allow-Origin': '*' }, 200);
  await open(page);
  await openAddress(page, `${url}/far/away.gguf`);
  await page.getByRole('button', { name: /^Download/ }).click();
  await expectModel(page, 'away');
  await page.reload();
  await expectModel(page, 'away');
  expect(await answerTo(page, 'My name is Robert.')).not.toBe('');
  server.close();
});

test('without its model the page still shows the conversation, and a way to get the model', async ({ browser }) => {
  const context = await browser.newContext({ serviceWorkers: 'block' });
  const page = await context.newPage();
  let blocked = true;
  await context.route('**/models/*.gguf', (route) => (blocked ? route.abort() : route.continue()));
  await page.goto('/');
  const fault = page.getByRole('alert');
  await expect(fault).toContainText('could not be downloaded');
  blocked = false;
  await fault.getByRole('button', { name: 'Try again' }).click();
  await expectModel(page, modelName);
});

test('a message may be sent while the model is still on its way', async ({ page, context }) => {
  let release = () => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await context.route('**/models/*.gguf', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto('/');
  await message(page).fill(`${longText(20)} My name is Robert.`);
  await message(page).press('Enter');
  await expect(page.getByText(`Opening ${modelName}`)).toBeVisible();
  release();
  await expect(page.locator('.turn.ans .text')).not.toBeEmpty();
});

async function serve(headers: Record<string, string>, status: number): Promise<{ server: Server; url: string }> {
  const model = readFileSync(modelFile);
  const server = createServer((_, response) => {
    response.writeHead(status, { 'Content-Type': octets, ...headers });
    response.end(status === 200 ? model : 'nothing here');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}
