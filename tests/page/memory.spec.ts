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
  const { tiers: rows, kept, fp16, fp32 } = await table(page);
  const tiers = rows.slice(0, 3); // then come bytes for no token of their own
  expect(tiers.map(({ tier }) => tier)).toEqual(['Exact', '4-bit', 'First words']);
  expect(tiers[0]!.tokens).toBeGreaterThanOrEqual(129);
  expect(tiers[0]!.tokens).toBeLessThanOrEqual(192);
  expect(tiers[2]!.tokens).toBe(4);
  expect(kept.tokens).toBe(tiers.reduce((sum, { tokens }) => sum + tokens, 0));
  expect(fp16.bytes).toBe(decimal(kept.tokens * valuesPerToken * 2));
  expect(fp32.bytes).toBe(decimal(kept.tokens * valuesPerToken * 4));
  await expect(page.locator('.figure')).toContainText(kept.bytes);
  await expect(page.locator('.stats').first()).toContainText(kept.bytes);

  // From the oldest to the newest: a thin line for the first words, narrow slices, the window as wide as 32 bits.
  const [sinks, old, window, ...more] = await slicesOnStrip(page);
  expect(more).toEqual([]);
  expect(sinks!.width).toBe(30);
  expect(sinks!.rows).toBeLessThan(window!.rows);
  expect(old!.width).toBe(12);
  expect(window!.width).toBe(30);
  expect(old!.colour).not.toBe(window!.colour);

  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  await strip.focus();
  await page.keyboard.press('Home');
  await expect(strip).toHaveAttribute('aria-valuetext', /turn 1, tokens 0 to /);
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

test('a coarser preset takes effect at once, and is kept', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(900));
  await openDrawer(page);
  const before = await table(page);
  await page.getByRole('radio', { name: 'Smallest' }).check({ force: true });
  await expect.poll(async () => (await table(page)).tiers[1]?.tier).toBe('2-bit');
  const after = await table(page);
  expect(after.kept.tokens).toBe(before.kept.tokens);
  await expect(page.locator('.figure')).toContainText(after.kept.bytes);

  await page.reload();
  await expect(sendButton(page)).toBeVisible();
  await atRest(page);
  await openDrawer(page);
  await expect.poll(async () => (await table(page)).tiers[1]?.tier).toBe('2-bit');
});

test('a budget makes the oldest memory coarser, and is kept', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(6000));
  await openDrawer(page);
  const slider = page.getByRole('slider', { name: 'Memory may use' });
  await expect(slider).toHaveAttribute('aria-valuetext', 'No limit');
  const budget = () => page.locator('.budget output').innerText();
  const coarse = async () => (await table(page)).tiers.some(({ tier }) => /^[23]/.test(tier));
  await slider.focus();
  for (let step = 0; step < 100 && !(await coarse()); ++step) {
    await page.keyboard.press('ArrowLeft');
    if (step % 5 === 0) await page.waitForTimeout(400); // moves settle, then memory follows
  }
  expect(await coarse()).toBe(true);
  const { kept } = await table(page);
  const megabytes = (words: string) => Number.parseFloat(words) * (words.includes('KB') ? 1e-3 : 1);
  expect(megabytes(kept.bytes)).toBeLessThanOrEqual(megabytes(await budget()) + 0.05);
});

test('“Do you still remember?”: the side that compresses does, the one that deletes does not', async ({ page }) => {
  await open(page);
  await page.getByRole('button', { name: 'Do you still remember?' }).first().click();
  const [keeps, deletes] = [page.locator('.lane').nth(0), page.locator('.lane').nth(1)];
  await expect(keeps.locator('.verdict')).toContainText('Remembered', { timeout: 60_000 });
  await expect(deletes.locator('.verdict')).toContainText('Forgotten', { timeout: 60_000 });
  await expect(keeps.locator('.reply')).toContainText('Biscuit');
  await expect(deletes.locator('.reply')).not.toContainText('Biscuit');
  await expect(keeps.locator('.verdict')).toContainText(/All [\d,]+ tokens/);
  await expect(deletes.locator('.verdict')).toContainText(/132 of [\d,]+ tokens/);
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
  await expect(page.locator('.tip')).toContainText(/turn 1/);
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
