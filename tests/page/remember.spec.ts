// “Do you still remember?”: the real model, the same words, once with our memory and once with one that deletes.
import { expect, type Page, test, type Worker } from '@playwright/test';
import { answerTo, message, open, questions } from './page';

const dialog = (page: Page) => page.getByRole('dialog', { name: 'Do you still remember?' });
const lane = (page: Page, name: string) => dialog(page).getByRole('region', { name });
const begin = (page: Page) => page.getByRole('button', { name: 'Do you still remember?' }).first().click();
const patient = { timeout: 60_000 };

test('the fact is remembered beside a memory that deletes, and the conversation is not touched', async ({ page }) => {
  await open(page);
  await answerTo(page, 'My name is Robert.');
  await begin(page);
  const [keeps, deletes] = [lane(page, 'Strata'), lane(page, 'Sliding window')];
  await expect(keeps.locator('.verdict')).toHaveText(/^Remembered\s*All [\d,]+ tokens, [\d.]+\sMB$/, patient);
  await expect(keeps.locator('.reply')).toContainText('Biscuit');
  await expect(deletes.locator('.verdict')).toHaveText(/^Forgotten\s*132 of [\d,]+ tokens, [\d.]+\sKB$/, patient);
  await expect(deletes.locator('.reply')).not.toBeEmpty();
  await expect(deletes.locator('.reply')).not.toContainText('Biscuit');
  const tokens = async (side: typeof keeps) =>
    Number(/([\d,]+) tokens/.exec(await side.locator('.verdict').innerText())![1]!.replace(/,/g, ''));
  expect(await tokens(keeps)).toBeGreaterThan(600); // far beyond the window
  expect(Math.abs((await tokens(deletes)) - (await tokens(keeps)))).toBeLessThan(30); // but for the answer itself

  await dialog(page).getByRole('button', { name: 'Done' }).click();
  await expect(dialog(page)).toBeHidden();
  await expect(questions(page)).toHaveText(['My name is Robert.']);
  expect(await answerTo(page, 'What is my name?')).toContain('Robert');
});

test('a name of one’s own is planted', async ({ page }) => {
  await open(page);
  await begin(page);
  const again = dialog(page).getByRole('button', { name: 'Run again' });
  await expect(again).toBeVisible(patient);
  await dialog(page).getByRole('textbox', { name: 'What is the dog called?' }).fill('Pepper');
  await page.keyboard.press('Enter');
  await expect(lane(page, 'Strata')).toContainText("My dog's name is Pepper.");
  await expect(lane(page, 'Strata').locator('.reply')).toContainText('Pepper', patient);
  await expect(again).toBeVisible(patient);
  await expect(lane(page, 'Sliding window').locator('.reply')).not.toContainText('Pepper');
});

test('it can be closed while it runs; its engine ends with it', async ({ page }) => {
  await open(page);
  const isEngine = (worker: Worker) => /\/worker-[^/]*\.js/.test(worker.url());
  const started = page.waitForEvent('worker', isEngine); // events: asked for in turn, a short run could be missed
  await begin(page);
  const ended = (await started).waitForEvent('close');
  await page.keyboard.press('Escape');
  await expect(dialog(page)).toBeHidden();
  await ended;
  expect(page.workers().filter(isEngine)).toHaveLength(1);
  await expect(message(page)).toBeVisible();
});
