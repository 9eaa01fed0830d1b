// Draws the app's icons from the mark (web/public/icons/mark.svg) with a headless Chromium.
//   node scripts/make_icons.mjs        run by hand after the mark has changed; the PNG files are committed
import { readFileSync } from 'node:fs';
import { chromium } from '@playwright/test';
import { chromiumPath } from './tools.mjs';

const folder = 'web/public/icons';
const ground = '#101318'; // --bg, dark
const mark = readFileSync(`${folder}/mark.svg`, 'utf8');

// `share` of the square is covered by the mark. Maskable icons lose everything outside a circle of 80 %.
const icons = [
  { file: 'icon-192.png', size: 192, share: 0.62, radius: 0.18 },
  { file: 'icon-512.png', size: 512, share: 0.62, radius: 0.18 },
  { file: 'icon-maskable-512.png', size: 512, share: 0.5, radius: 0 },
  { file: 'apple-touch-icon.png', size: 180, share: 0.6, radius: 0 }, // iOS rounds the corners itself
];

const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });
const page = await browser.newPage({ colorScheme: 'dark' });
for (const { file, size, share, radius } of icons) {
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(`<style>
    body { margin: 0; background: transparent }
    div { width: ${size}px; height: ${size}px; border-radius: ${radius * size}px; background: ${ground}; display: grid; place-items: center }
    svg { width: ${share * size}px }
  </style><div>${mark}</div>`);
  await page.screenshot({ path: `${folder}/${file}`, omitBackground: true });
}
await browser.close();
