// axe finds nothing serious: light and dark, wide and narrow, with everything open that can be opened.
import AxeBuilder from '@axe-core/playwright';
import { expect, type Page, test } from '@playwright/test';
import { answerTo, longText, message, open, sendButton } from './page';

async function expectNothingSerious(page: Page, where: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${where}: ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  expect(serious).toEqual([]);
}

const sizes = { wide: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [size, viewport] of Object.entries(sizes)) {
    test(`nothing serious: ${colorScheme}, ${size}`, async ({ browser }) => {
      const phone = size === 'phone';
      const context = await browser.newContext({
        viewport,
        colorScheme,
        reducedMotion: 'reduce',
        hasTouch: phone,
        isMobile: phone,
      });
      const page = await context.newPage();
      await open(page);
      await expectNothingSerious(page, 'start');
      await message(page).fill('My name is Robert.');
      await sendButton(page).click();
      await expect(page.getByRole('button', { name: 'Redo' })).toBeVisible();
      await expectNothingSerious(page, 'conversation');
      await page.getByRole('button', { name: /^Memory/ }).click();
      await expect(page.locator('.plot canvas')).toBeVisible();
      await expectNothingSerious(page, 'memory');
      await page.getByRole('button', { name: 'Close' }).click();
      if (phone) {
        await page.getByRole('button', { name: /^Conversations/ }).click();
        await expectNothingSerious(page, 'rail');
      }
      await page.getByRole('button', { name: 'Do you still remember?' }).click();
      const remember = page.getByRole('dialog', { name: 'Do you still remember?' });
      await expect(remember.getByText('Forgotten')).toBeVisible({ timeout: 60_000 });
      await expectNothingSerious(page, 'remember');
      await remember.getByRole('button', { name: 'Done' }).click();
      if (phone) await page.getByRole('button', { name: /^Conversations/ }).click();
      await page.getByRole('button', { name: 'Settings' }).click();
      await expectNothingSerious(page, 'settings');
      await page.getByRole('button', { name: 'Choose…' }).click();
      await expect(page.getByRole('dialog', { name: 'Model' })).toBeVisible();
      await expectNothingSerious(page, 'model');
      await context.close();
    });
  }
}

test('a screen reader is told what goes on, and turns are a list with headings', async ({ page }) => {
  await open(page);
  await page.evaluate(() => {
    const heard: string[] = [];
    Object.assign(window, { heard });
    const region = document.querySelector('[role=status][aria-live=polite]')!;
    new MutationObserver(() => heard.push(region.textContent ?? '')).observe(region, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await answerTo(page, longText(300));
  const heard = () => page.evaluate(() => (window as unknown as { heard: string[] }).heard.join('; '));
  await expect.poll(heard).toMatch(/Reading [\d,]+ tokens.*Answer finished, \d+ words?/);
  await expect(page.getByRole('heading', { name: 'You, turn 1', level: 2 })).toBeAttached();
  await expect(page.getByRole('heading', { name: 'Answer, turn 1', level: 2 })).toBeAttached();
});

test('the theme can be chosen, and is still chosen after a reload', async ({ page }) => {
  await page.emulateMedia({ colorScheme: 'light' });
  await open(page);
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Dark' }).check();
  const dark = await background();
  expect(dark).not.toBe(light);
  await page.reload();
  await expect.poll(background).toBe(dark);
});
