import type { Page } from '@playwright/test';

/** The glue files that the engine's worker has imported: engine-mt.mjs (threads) or engine-st.mjs, with or without relaxed SIMD. */
export async function engineInUse(page: Page): Promise<string[]> {
  const worker = page.workers().find((each) => /worker-.*\.js/.test(each.url()));
  if (!worker) return [];
  const names = await worker.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  return names.flatMap((name) => /engine-\w+(-relaxed)?\.mjs/.exec(name)?.[0].replace('-relaxed', '') ?? []);
}
