// The browser in which benchmarks run.
import { loadavg } from 'node:os';
import { chromium } from '@playwright/test';
import { chromiumPath } from '../../scripts/tools.mjs';

export const quietLoad = 0.3; // above it, numbers are not to be quoted

/** Headless, without GPU. Says which one it is, and how busy the machine was. */
export async function launchBrowser() {
  const load = loadavg()[0];
  const asRoot = process.getuid?.() === 0;
  const browser = await chromium.launch({
    executablePath: chromiumPath(),
    args: ['--disable-gpu', ...(asRoot ? ['--no-sandbox'] : [])],
  });
  const verdict = load > quietLoad ? ': too high for numbers to quote' : '';
  console.error(`Chromium ${browser.version()}, load average ${load.toFixed(2)}${verdict}`);
  return browser;
}
