// What the page's tests share: opening it, talking, and putting conversations into its storage. The engine and the model
// are the real ones; nothing here is simulated.
import { expect, type Page } from '@playwright/test';
import type { Turn } from '../../web/app/state/conversation';
import { defaults, type Settings, samplingRanges } from '../../web/app/state/settings';

export const modelFile = 'web/public/models/pocket-chat-5.8m-q8_0.gguf';
export const modelName = 'Pocket Chat 5.8M';
/** A cache of the included model takes 6 layers x 2 heads x 64 x (key and value): so many values for a token. */
export const valuesPerToken = 6 * 2 * 64 * 2;

/** The likeliest word each time, so that a test always sees the same answer. */
export const steady: Partial<Settings> = { sampling: { ...defaults.sampling, temperature: 0 } };

/** Asked for this, at temperature 0, the included model sings until it is stopped. */
export const endless = 'Repeat after me: la la la la la la la la la la la la';
export const unending: Partial<Settings> = {
  sampling: { ...defaults.sampling, temperature: 0, maxTokens: samplingRanges.maxTokens.max },
};

/** Chooses settings before the page starts; those of a person who has chosen already stay. */
export async function choose(page: Page, settings: Partial<Settings>): Promise<void> {
  await page.addInitScript(
    (json) => {
      if (!localStorage.getItem('strata.settings')) localStorage.setItem('strata.settings', json);
    },
    JSON.stringify({ ...steady, ...settings }),
  );
}

/** Opens the page and waits until the model answers. */
export async function open(page: Page, settings: Partial<Settings> = {}): Promise<void> {
  await choose(page, settings);
  await page.goto('/');
  await expectModel(page, modelName);
}

export async function expectModel(page: Page, name: string): Promise<void> {
  await expect(page.getByRole('button', { name: `Model: ${name}. Choose another` })).toBeVisible();
}

export const octets = 'application/octet-stream';

export async function openFiles(page: Page, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await page.getByRole('button', { name: /^Model: / }).click();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('dialog').getByRole('button', { name: 'Open a .gguf file' }).click();
  await (await chooser).setFiles(file);
}

export const message = (page: Page) => page.getByRole('textbox', { name: 'Message' });
export const sendButton = (page: Page) => page.getByRole('button', { name: 'Send', exact: true });
export const stopButton = (page: Page) => page.getByRole('button', { name: /^Stop/ });
export const answers = (page: Page) => page.locator('.turn.ans .text');
export const questions = (page: Page) => page.locator('.turn.you .said');

export async function ask(page: Page, words: string): Promise<void> {
  await message(page).fill(words);
  await message(page).press('Enter');
}

/** Asks, waits for the whole answer, and returns it. */
export async function answerTo(page: Page, words: string): Promise<string> {
  const before = await answers(page).count();
  await ask(page, words);
  await expect(answers(page)).toHaveCount(before + 1);
  await atRest(page);
  await expect(answers(page).last()).not.toBeEmpty();
  return answers(page).last().innerText();
}

/**
 * Looks at every frame of the page from its next opening on: what is shown for a few tenths of a second is over before
 * Playwright asks again. Returns what tells whether an element with such a text has been visible.
 */
export async function watchFor(page: Page, selector: string, pattern: RegExp): Promise<() => Promise<boolean>> {
  await page.addInitScript(
    ({ selector, source }) => {
      const pattern = new RegExp(source);
      const look = () => {
        for (const element of document.querySelectorAll(selector))
          if (pattern.test(element.textContent ?? '') && element.checkVisibility({ visibilityProperty: true }))
            document.documentElement.dataset.seen = source;
        requestAnimationFrame(look);
      };
      look();
    },
    { selector, source: pattern.source },
  );
  return () => page.evaluate((source) => document.documentElement.dataset.seen === source, pattern.source);
}

export async function atRest(page: Page): Promise<void> {
  await expect(sendButton(page)).toBeVisible({ timeout: 60_000 });
}

/** Enough words for about `tokens` tokens. They say nothing, and take the model some seconds to read. */
export function longText(tokens: number): string {
  const sentence = 'The old man walked slowly along the river, and nobody asked him where he was going. ';
  return sentence.repeat(Math.ceil(tokens / 19)).trim();
}

/** Puts a conversation into the page's storage, as an earlier visit would have left it, and makes it the last one. */
export async function plant(page: Page, turns: Turn[], title = 'Planted'): Promise<void> {
  await page.evaluate(
    async ({ turns, title }) => {
      const opened = indexedDB.open('strata');
      const db = await new Promise<IDBDatabase>((done, failed) => {
        opened.onsuccess = () => done(opened.result);
        opened.onerror = () => failed(opened.error);
      });
      const transaction = db.transaction(['summaries', 'turns'], 'readwrite');
      const now = Date.now();
      const summary = { id: 'planted', title, created: now, updated: now, systemPrompt: '', tokens: 0, core: [] };
      transaction.objectStore('summaries').put(summary);
      turns.forEach((turn, index) => {
        transaction.objectStore('turns').put(turn, ['planted', index]);
      });
      await new Promise<void>((done, failed) => {
        transaction.oncomplete = () => done();
        transaction.onerror = () => failed(transaction.error);
      });
      db.close();
      localStorage.setItem('strata.conversation', 'planted');
    },
    { turns, title },
  );
}

export const said = (text: string): Turn => ({ role: 'user', text });
export const answered = (text: string): Turn => ({
  role: 'assistant',
  text,
  end: { reason: 'end_of_turn', firstTokenMs: 50, tokensPerSecond: 100 },
});
