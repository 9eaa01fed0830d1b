// What a person does with the page, as functions for the specs.
import { expect, type Locator, type Page } from '@playwright/test';
import { defaults, type Settings } from '../../web/app/state/settings';

/** Chosen before the page opens. Greedy, so that answers can be compared. */
export const greedy: Partial<Settings> = { sampling: { ...defaults.sampling, temperature: 0, seed: 1 } };

/** Text without end: so hot that the end of an answer is hardly ever drawn. */
export const endless: Partial<Settings> = {
  sampling: { ...defaults.sampling, temperature: 2, topK: 0, minP: 0, maxTokens: 8000, seed: 1 },
};

/** Opens the page and waits until the included model answers. Settings are given to the first visit only. */
export async function openPage(page: Page, settings: Partial<Settings> = greedy, path = './'): Promise<void> {
  await page.addInitScript((chosen) => {
    localStorage.getItem('strata.settings') ?? localStorage.setItem('strata.settings', chosen);
  }, JSON.stringify(settings));
  await page.goto(path);
  await modelIsOpen(page);
}

export async function modelIsOpen(page: Page, name = 'Pocket Chat 5.8M'): Promise<void> {
  await expect(page.getByRole('button', { name: `Model: ${name}` })).toBeVisible();
}

export const composer = (page: Page): Locator => page.getByLabel('Message', { exact: true });
export const stopButton = (page: Page): Locator => page.getByRole('button', { name: 'Stop' });
export const sendButton = (page: Page): Locator => page.getByRole('button', { name: 'Send' });
export const questions = (page: Page): Locator => page.locator('.turn.you .said');
export const answers = (page: Page): Locator => page.locator('.turn.ans .text');

export async function say(page: Page, words: string): Promise<void> {
  await composer(page).fill(words);
  await composer(page).press('Enter');
}

/** Says something and returns the whole answer. */
export async function ask(page: Page, words: string): Promise<string> {
  const before = await answers(page).count();
  await say(page, words);
  await expect(answers(page)).toHaveCount(before + 1);
  await isIdle(page);
  return answers(page).last().innerText();
}

export async function isIdle(page: Page): Promise<void> {
  await expect(sendButton(page)).toBeVisible();
  await expect(page.locator('.turn[aria-busy="true"]')).toHaveCount(0);
}

/** Tokens in memory, as the line under the composer says. */
export async function tokensInMemory(page: Page): Promise<number> {
  const line = await page.locator('.stats').first().innerText();
  const found = /([\d,]+)\s+tokens(?!\/)/.exec(line);
  return found ? Number(found[1]!.replaceAll(',', '')) : 0;
}
