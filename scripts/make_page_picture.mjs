// Takes docs/page.png, the picture in README.md, with a real conversation in a headless Chromium. Needs `npm run build`.
//   node scripts/make_page_picture.mjs                 run by hand after the page has changed; the PNG file is committed
//   node scripts/make_page_picture.mjs --all FOLDER    every sheet, wide and narrow, dark and light, to look at
import { mkdirSync } from 'node:fs';
import { chromium } from '@playwright/test';
import { preview } from 'vite';
import { chromiumPath } from './tools.mjs';

const all = process.argv[2] === '--all' ? process.argv[3] : undefined;
const wide = { width: 1280, height: 800 };
const narrow = { width: 390, height: 844 };

const weather = ['calm', 'grey', 'windy', 'bright', 'wet'];
const deeds = ['mended the nets', 'painted the boat', 'sold nine boxes of herring', 'wrote home', 'slept until noon'];
const diary = Array.from(
  { length: 110 },
  (_, i) => `On day ${i + 1} the sea was ${weather[(i * 3) % 5]}, and we ${deeds[(i * 7) % 5]}.`,
).join(' ');
const messages = [
  'My name is Robert and I live in Bergen.',
  `Read this: ${diary}`,
  'What is my name?',
  'Where do I live?',
];
const settings = { memory: { preset: 'quality', budgetBytes: 3_800_000 }, sampling: { temperature: 0 } };

const server = await preview({ preview: { port: 0, host: '127.0.0.1' }, logLevel: 'error' });
const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });

async function talkedTo(colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, hasTouch: viewport === narrow });
  const page = await context.newPage();
  await page.addInitScript((json) => localStorage.setItem('strata.settings', json), JSON.stringify(settings));
  await page.goto(server.resolvedUrls.local[0]);
  for (const [i, words] of messages.entries()) {
    await page.getByRole('textbox', { name: 'Message' }).fill(words);
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.locator('.turn.ans .text').nth(i).waitFor({ timeout: 120_000 });
    await page.getByRole('button', { name: 'Send', exact: true }).waitFor({ timeout: 120_000 });
  }
  await page.getByText('ready offline').waitFor();
  return page;
}

async function openDrawer(page, narrowly) {
  await page.getByRole('button', { name: narrowly ? /^Memory, / : 'Memory', exact: !narrowly }).click();
  await page.getByText(/^All layers of this model/).waitFor({ timeout: 60_000 });
}

async function everySheet(colorScheme, viewport, folder) {
  const shot = (name) =>
    page.screenshot({ path: `${folder}/${name}-${colorScheme}-${viewport.width}.png`, animations: 'disabled' });
  const page = await talkedTo(colorScheme, viewport);
  await shot('talk');
  await openDrawer(page, viewport === narrow);
  await shot('drawer');
  await page.locator('.drawer-body').evaluate((body) => body.scrollTo(0, body.scrollHeight));
  await shot('drawer-end');
  await page.getByRole('button', { name: 'Close', exact: true }).click();
  await page.getByRole('button', { name: /^Model: / }).click();
  await shot('model');
  const address = new URL('models/pocket-chat-5.8m-q8_0.gguf', page.url()).href;
  const dialog = page.getByRole('dialog', { name: 'Model' });
  await dialog.getByRole('textbox').fill(address);
  await dialog.getByRole('button', { name: 'Open', exact: true }).click();
  await dialog.getByRole('button', { name: /^Download/ }).waitFor();
  await shot('plan');
  await dialog.getByRole('button', { name: /^Download/ }).click();
  await page.getByRole('button', { name: /^Model: pocket/ }).waitFor();
  await page.getByRole('button', { name: /^Model: / }).click();
  await dialog.getByText('works offline').first().waitFor();
  await shot('kept');
  await dialog.getByRole('textbox').fill('http://127.0.0.1:9/none.gguf');
  await dialog.getByRole('button', { name: 'Open', exact: true }).click();
  await dialog.getByRole('alert').waitFor();
  await shot('refused');
  await page.context().close();
}

if (all) {
  mkdirSync(all, { recursive: true });
  for (const viewport of [wide, narrow])
    for (const scheme of ['dark', 'light']) await everySheet(scheme, viewport, all);
} else {
  const page = await talkedTo('dark', wide);
  await openDrawer(page, false);
  await page.screenshot({ path: 'docs/page.png', animations: 'disabled' });
}
await browser.close();
await server.close();
