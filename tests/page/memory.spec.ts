// The memory that is shown is the memory that is there: strip, table, plot and footer say the same.
import { readFileSync } from 'node:fs';
import { expect, type Page, test } from '@playwright/test';
import {
  answers,
  answerTo,
  ask,
  atRest,
  expectModel,
  longText,
  message,
  octets,
  open,
  openFiles,
  questions,
  sendButton,
  valuesPerToken,
} from './page';

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
  const rows = await page.locator('.tiers :is(tbody, tfoot) tr:not(.aside)').evaluateAll((all) =>
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

const tierNames = async (page: Page) => (await table(page)).tiers.map(({ tier }) => tier);

function inBytes(shown: string): number {
  const [, number, unit] = /^([\d.]+)\s(B|KB|MB)$/.exec(shown.trim())!;
  return Number(number) * { B: 1, KB: 1e3, MB: 1e6 }[unit as 'B' | 'KB' | 'MB'];
}

const decimal = (bytes: number) =>
  bytes < 999_500 ? `${Math.round(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;

test('after the window, older memory is 4-bit: table, strip and footer agree', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(700));
  await openDrawer(page);
  const { tiers, kept, fp16, fp32 } = await table(page);
  expect(tiers.map(({ tier }) => tier)).toEqual(['Exact', '4-bit', 'Start']);
  expect(tiers[0]!.tokens).toBeGreaterThan(128); // the newest tile and the two before it
  expect(tiers[0]!.tokens).toBeLessThanOrEqual(192);
  expect(tiers[2]!.tokens).toBe(4);
  expect(kept.tokens).toBe(tiers.reduce((sum, { tokens }) => sum + tokens, 0));
  expect(fp16.bytes).toBe(decimal(kept.tokens * valuesPerToken * 2));
  expect(fp32.bytes).toBe(decimal(kept.tokens * valuesPerToken * 4));
  await expect(page.locator('.figure')).toContainText(kept.bytes);
  await expect(page.locator('.stats').first()).toContainText(kept.bytes);

  // From the oldest to the newest: a thin line for the first words, narrow slices, the window as wide as 32 bits.
  const [first, old, window, ...more] = await slicesOnStrip(page);
  expect(more).toEqual([]);
  expect([first!.width, old!.width, window!.width]).toEqual([30, 12, 30]);
  expect(first!.rows).toBeLessThan(4);
  expect(first!.colour).toBe(window!.colour);
  expect(old!.colour).not.toBe(window!.colour);

  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  await strip.focus();
  await page.keyboard.press('Home');
  await expect(strip).toHaveAttribute('aria-valuetext', /^Exact, turn 1, tokens 0 to 3, /);
  await page.keyboard.press('ArrowDown');
  await expect(strip).toHaveAttribute('aria-valuetext', /^4-bit, turn 1, tokens 4 to 63, /);
  await page.keyboard.press('End');
  await expect(strip).toHaveAttribute(
    'aria-valuetext',
    new RegExp(`^Exact, turn 1, tokens .* to ${(kept.tokens - 1).toLocaleString('en')}, `),
  );
});

test('of a model with a window in some layers, the drawer says what these take and the strip what they no longer see', async ({
  page,
}) => {
  const buffer = readFileSync('tests/fixtures/gemma2-mini-q4_0.gguf'); // two layers, the first sees 40 tokens
  await open(page);
  await openFiles(page, { name: 'windowed.gguf', mimeType: octets, buffer });
  await expectModel(page, 'windowed');
  await answerTo(page, 'abcdefg '.repeat(40));
  await openDrawer(page);
  const note = page.locator('.figure .note', { hasText: '1 of 2 layers see only the last 40 tokens: ' });
  const shown = inBytes((await note.textContent())!.replace(/^.*: |\.$/g, '').replace(/\u00a0/g, ' '));
  expect(shown).toBeGreaterThan(0);
  expect(shown).toBeLessThan(inBytes((await table(page)).kept.bytes));
  const strip = page.getByRole('slider', { name: 'Position in this conversation' });
  await strip.focus();
  await page.keyboard.press('Home');
  await expect(strip).toHaveAttribute('aria-valuetext', /seen by 1 of 2 layers$/);
  await page.keyboard.press('End');
  await expect(strip).not.toHaveAttribute('aria-valuetext', /seen by/);
  await expect(page.locator('.ticks .windowed')).toHaveCount(1);
});

test('the bytes in the table add up to what is in memory', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(700));
  await answerTo(page, 'Hello.');
  await openDrawer(page);
  const sizes = await page
    .locator('.tiers tbody tr')
    .evaluateAll((all) => all.map((row) => row.lastElementChild!.textContent!));
  const sum = sizes.map(inBytes).reduce((total, size) => total + size, 0);
  expect(sum / inBytes((await table(page)).kept.bytes)).toBeCloseTo(1, 1);
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

test('another preset takes effect at once, is not read again, and is kept', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(900));
  await openDrawer(page);
  const before = await table(page);
  await expect(page.getByRole('radio', { name: 'Quality' })).toBeChecked();
  await page.getByRole('radio', { name: 'Smallest' }).check();
  await expect.poll(() => tierNames(page)).toEqual(['Exact', '2-bit', 'Start']);
  const after = await table(page);
  expect(after.kept.tokens).toBe(before.kept.tokens);
  expect(inBytes(after.kept.bytes)).toBeLessThan(inBytes(before.kept.bytes));
  await expect(page.getByText(/^Re-reading/)).toHaveCount(0);
  await expect(page.locator('.presets .note')).toContainText('2\u00a0bits for each older value');

  // More bits make nothing sharper; reading again does.
  await page.getByRole('radio', { name: 'Quality' }).check();
  await page.getByRole('button', { name: 'Read it again' }).click();
  await atRest(page);
  await expect.poll(() => tierNames(page)).toEqual(['Exact', '4-bit', 'Start']);
  await expect(page.getByRole('button', { name: 'Read it again' })).toHaveCount(0);

  await page.getByRole('radio', { name: 'Balanced' }).check();
  await page.reload();
  await atRest(page);
  await openDrawer(page);
  await expect.poll(() => tierNames(page)).toEqual(['Exact', '3-bit', 'Start']);
});

test('the budget slider packs memory while it moves, by keyboard, and says what fits', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(1800));
  await openDrawer(page);
  const slider = page.getByRole('slider', { name: 'Memory may use' });
  await expect(slider).toHaveAttribute('aria-valuetext', 'No limit');
  const before = await table(page);
  await slider.focus();
  // Home is too little for so much; from there on, the oldest are coarser than those after them.
  await slider.fill('6');
  await expect(slider).toHaveAttribute('aria-valuetext', /^[\d.]+\sMB, room for about [\d,]+ tokens$/);
  await expect.poll(async () => new Set(await tierNames(page)).size).toBeGreaterThan(3);
  const { tiers, kept } = await table(page);
  expect(kept.tokens).toBe(before.kept.tokens);
  const output = page.locator('.budget output');
  expect(inBytes(kept.bytes)).toBeLessThanOrEqual(inBytes(await output.innerText()));
  const bits = tiers.slice(0, -1).map((row) => Number.parseFloat(row.bits));
  expect(bits).toEqual([...bits].sort((a, b) => b - a)); // newest first
  const colours = new Set((await slicesOnStrip(page)).map(({ colour }) => colour));
  expect(colours.size).toBe(new Set(tiers.map((row) => row.bits)).size);

  await page.keyboard.press('End');
  await expect(output).toHaveText('No limit');
  await page.keyboard.press('ArrowLeft');
  await expect(output).toHaveText(/MB$/);
});

test('a budget below what the conversation needs becomes what it needs', async ({ page }) => {
  await open(page);
  await answerTo(page, longText(1800));
  await openDrawer(page);
  await page.getByRole('slider', { name: 'Memory may use' }).focus();
  await page.keyboard.press('Home');
  await expect(page.getByText(/This conversation needs at least/)).toBeVisible();
  await expect.poll(() => tierNames(page)).toEqual(['Exact', '2-bit', 'Start']);
  await expect(page.locator('.fault')).toHaveCount(0);
});

test('when the budget is full the conversation says so calmly, and goes on with more', async ({ page }) => {
  await open(page, { memory: { preset: 'quality', budgetBytes: 1 } }); // becomes the least there is
  await ask(page, longText(700));
  const notice = page.locator('.fault');
  await expect(notice).toContainText('The memory budget is full.');
  await expect(notice).toContainText(/need 2\.\d\sMB/);
  await expect(notice).toHaveAttribute('role', 'status');
  await expect(page.getByRole('alert')).toHaveCount(0);
  await expect(questions(page)).toHaveCount(1);
  await notice.getByRole('button', { name: /^Raise it to [\d.]+\sMB and go on$/ }).click();
  await expect(notice).toBeHidden();
  await expect(answers(page)).not.toBeEmpty();
  await atRest(page);
});

test('an answer for which the budget is full pauses, and is continued where it was', async ({ page }) => {
  await open(page, { memory: { preset: 'quality', budgetBytes: 1 } });
  await ask(page, 'Read me something.');
  await expect(page.locator('.fault')).toContainText('The memory budget is full.');
  const acts = page.locator('.turn.ans.last .acts');
  await expect(acts).toContainText('Paused: the memory budget is full');
  const begun = (await answers(page).innerText()).trim();
  expect(begun.length).toBeGreaterThan(200);
  await page.getByRole('button', { name: /^Raise it/ }).click();
  await expect(acts).toContainText(/First word .*tokens\/s/);
  await atRest(page);
  const whole = (await answers(page).innerText()).trim();
  expect(whole.length).toBeGreaterThan(begun.length);
  expect(whole.startsWith(begun)).toBe(true);
  await expect(questions(page)).toHaveCount(1);
});

test('an answer that was stopped can be continued', async ({ page }) => {
  await open(page);
  await ask(page, 'Read me something.');
  await expect(answers(page)).not.toBeEmpty();
  await page.keyboard.press('Escape');
  await expect(page.locator('.turn.ans.last .acts')).toContainText('Stopped');
  const begun = (await answers(page).innerText()).trim();
  await page.getByRole('button', { name: 'Continue' }).click();
  await atRest(page);
  const whole = (await answers(page).innerText()).trim();
  expect(whole.length).toBeGreaterThan(begun.length);
  await expect(answers(page)).toHaveCount(1);
});

test('settings of earlier versions become the default', async ({ page }) => {
  const memory = { keyType: 'turbo_kv_4b', valueType: 'fp16', keyWindow: 64, valueWindow: 0 };
  await open(page, { memory } as never);
  await answerTo(page, longText(300));
  await openDrawer(page);
  await expect(page.getByRole('radio', { name: 'Quality' })).toBeChecked();
  expect(await tierNames(page)).toEqual(['Exact', '4-bit', 'Start']);
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
  await expect(page.locator('.tip')).toContainText(/Exact.*turn 1/); // the first words
  await page.mouse.move(box.x + box.width - 5, box.y + top + 8);
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

test('once nobody wants anything, the page checks how the model bears compression, and says what it found', async ({
  page,
}) => {
  await open(page);
  await page.getByRole('button', { name: 'Memory', exact: true }).click();
  const drawer = page.getByRole('complementary', { name: 'Memory', exact: true });
  await expect(drawer).toContainText('All layers of this model hold well at 4\u00a0bits.', { timeout: 40_000 });
  await drawer.getByRole('radio', { name: 'Smallest' }).check();
  await expect(drawer).toContainText('All layers of this model hold well at 2\u00a0bits.', { timeout: 40_000 });
  await page.reload();
  await page.getByRole('button', { name: 'Memory', exact: true }).click();
  await expect(drawer).toContainText('hold well at 2\u00a0bits.', { timeout: 1500 }); // it was kept
});
