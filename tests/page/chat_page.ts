// What the specs about hosts and networks do with the page: talk to it, and look which engine answers.
import { expect, type Page } from '@playwright/test';

/** Asks something and waits for a complete answer. */
export async function ask(page: Page, question: string): Promise<void> {
  const answers = page.locator('li.ans');
  const before = await answers.count();
  await page.getByRole('textbox', { name: 'Message' }).fill(question);
  await page.keyboard.press('Enter');
  await expect(answers).toHaveCount(before + 1);
  await expect(answers.last()).toHaveAttribute('aria-busy', 'false');
  await expect(answers.last()).toContainText(/\w/);
}

/** The glue files that the engine's worker has imported: engine-mt.mjs or engine-st.mjs. */
export async function engineInUse(page: Page): Promise<string[]> {
  const worker = page.workers().find((each) => /worker-.*\.js/.test(each.url()));
  if (!worker) return [];
  const names = await worker.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  return names.flatMap((name) => /engine-\w+\.mjs/.exec(name)?.[0] ?? []);
}
