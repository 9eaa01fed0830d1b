// The memory that is shown is the memory that is there: strip, table, plot and footer say the same.
import { expect, type Page, test } from '@playwright/test';
import { answerTo, atRest, longText, message, open, questions, sendButton, valuesPerToken } from './page';

interface Row {
  tier: string;
  tokens: number;
  bits: string;
  bytes: string;
}

async function openDrawer(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Memory', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Memory', level: 2 })).toBeVisible();
}

async function table(page: Page): Promise<{ tiers: Row[]; kept: Row; fp16: Row; fp32: Row }> {
  const rows = await page.locator('.tiers tbody tr, .tiers tfoot tr').evaluateAll((all) =>
    all.map((row) => {
      const [tier, tokens, bits, bytes] = [...row.children].map(
        (cell) => cell.textContent?.replace(/\u00a0/g, ' ').trim() ?? '',
      );
      return { tier: tier!, tokens: Number(tokens!.replace(/,/g, '')), bits: bits!, bytes: bytes! };
    }),
  );
  const [kept, fp16, fp32] = rows.slice(-3);
  return { tiers: rows.slice(0, -3), kept: kept!, fp16: fp16!, fp32: fp32! };
}

/** Lengths of the drawn slices by colour, from the canvas: what a person sees. */
async function slicesOnStrip(page: Page): Promise<{ colour: string; width: number; rows: number }[]> {
  return page.locator('canvas.strip').evaluate((canvas: HTMLCanvasElement) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, width, height);
    const runs: { colour: string; width: number; rows: number }[] = [];
    for (let y = 0; y < height; ++y) {
      const at = (x: number) => 4 * (y * width + x);
      let drawn = 0;
      while (drawn < width && data[at(width - 1 - drawn) + 3]! > 0) ++drawn;
      if (drawn === 0) continue; // the gap between two slices
      const end = at(width - 1);
      const colour = `${data[end]},${data[end + 1]},${data[end + 2]}`;
      const last = runs.at(-1);
      if (last?.colour === colour && last.width === drawn) last.rows += 1;
      else runs.push({ colour, width: drawn, rows: 1 });
    }
    return runs;
  });
}

const decimal = (bytes: number) =>
  bytes < 999_500 ? `${Math.round(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;

test('after the window, older memory is 4-bit: table, strip and footer agree', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(700));
  await openDrawer(page);
  const { tiers, kept, fp16, fp32 } = await table(page);
  expect(tiers.map(({ tier }) => tier)).toEqual(['Exact', '4-bit']);
  expect(tiers[0]!.tokens).toBe(128);
  expect(kept.tokens).toBe(tiers[0]!.tokens + tiers[1]!.tokens);
  expect(fp16.bytes).toBe(decimal(kept.tokens * valuesPerToken * 2));
  expect(fp32.bytes).toBe(decimal(kept.tokens * valuesPerToken * 4));
  await expect(page.locator('.figure')).toContainText(kept.bytes);
  await expect(page.locator('.stats').first()).toContainText(kept.bytes);

  // From the oldest to the newest: narrow slices, then the window as wide as 32 bits.
  const [old, window, ...more] = await slicesOnStrip(page);
  expect(more).toEqual([]);
  expect(old!.width).toBe(12);
  expect(window!.width).toBe(30);
  expect(old!.colour).not.toBe(window!.colour);

  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  await strip.focus();
  await page.keyboard.press('Home');
  await expect(strip).toHaveAttribute('aria-valuetext', /^4-bit, turn 1, tokens 0 to 63, /);
  await page.keyboard.press('End');
  await expect(strip).toHaveAttribute(
    'aria-valuetext',
    new RegExp(`^Exact, turn 1, tokens .* to ${(kept.tokens - 1).toLocaleString('en')}, `),
  );
});

test('the plot is drawn beside the table and reads out what it shows', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(700));
  await openDrawer(page);
  const plot = page.locator('.plot canvas');
  await expect(plot).toBeVisible();
  await page.locator('.plot .u-over').hover();
  await expect(page.locator('.plotfig figcaption')).toContainText(/tokens in .*; plain FP16/);
});

test('changing how memory is kept reads the conversation again', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(900));
  await openDrawer(page);
  const before = await table(page);
  await page.getByLabel('Keys').selectOption('fp16');
  await atRest(page);
  await page.getByLabel('Values').selectOption('q8_0');
  await atRest(page);
  await page.getByLabel('Exact window').selectOption('0');
  await expect(page.getByText(/^Re-reading [\d,]+ of [\d,]+ tokens/)).toBeVisible();
  await atRest(page);
  await expect
    .poll(async () => (await table(page)).tiers.map(({ tier }) => tier))
    .toEqual(['16-bit keys, 8-bit values']);
  expect((await table(page)).kept.tokens).toBe(before.kept.tokens);

  await page.reload(); // the choice is kept
  await expect(sendButton(page)).toBeVisible();
  await atRest(page);
  await openDrawer(page);
  await expect
    .poll(async () => (await table(page)).tiers.map(({ tier }) => tier))
    .toEqual(['16-bit keys, 8-bit values']);
});

test('hovering the strip names a slice, and a click goes there', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await answerTo(page, longText(1500));
  await answerTo(page, 'Hello.');
  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  const box = (await strip.boundingBox())!;
  const canvas = page.locator('canvas.strip');
  const top = await canvas.evaluate((element: HTMLCanvasElement) => {
    const { width, height } = element;
    const { data } = element.getContext('2d')!.getImageData(0, 0, width, height);
    let y = 0;
    while (data[4 * ((y + 1) * width - 1) + 3] === 0) ++y;
    return y;
  });
  await page.mouse.move(box.x + box.width - 5, box.y + top + 2);
  await expect(page.locator('.tip')).toContainText(/4-bit.*turn 1/);
  await page.mouse.down();
  await page.mouse.up();
  await expect(questions(page).first()).toBeInViewport();
});

test('on a phone the strip lies on the composer and opens memory as a sheet', async ({ browser }) => {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const page = await context.newPage();
  await open(page);
  await message(page).fill('My name is Robert.');
  await sendButton(page).tap();
  await expect(page.locator('.turn.ans .text')).not.toBeEmpty();
  await atRest(page);
  await page.getByRole('button', { name: /^Memory, .* Open$/ }).tap();
  const sheet = page.getByRole('dialog', { name: 'Memory' });
  await expect(sheet.locator('.figure')).toContainText('tokens');
  await sheet.getByRole('button', { name: 'Close' }).tap();
  await expect(sheet).toBeHidden();
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  expect(sideways).toBe(false);
  await context.close();
});
