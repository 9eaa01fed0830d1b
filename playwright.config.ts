import { existsSync } from 'node:fs';
import { defineConfig, devices } from '@playwright/test';

// CHROMIUM: path of a browser; else the system's; else the one that `npx playwright install chromium` downloaded.
const system = '/usr/bin/chromium';
const executablePath = process.env.CHROMIUM ?? (existsSync(system) ? system : undefined);
const asRoot = process.getuid?.() === 0; // in a container: Chromium's sandbox refuses to run as root
const port = Number(process.env.PORT ?? 4199);

export default defineConfig({
  testDir: 'tests/page',
  workers: 1, // the engine uses all cores
  retries: process.env.CI ? 1 : 0, // a shared machine stalls now and then; a test that needed it is reported as flaky
  timeout: 120_000,
  expect: { timeout: 20_000 },
  reporter: [['list'], ['json', { outputFile: 'build/reports/page.json' }]],
  outputDir: 'test-results',
  use: {
    ...devices['Desktop Chrome'],
    baseURL: `http://127.0.0.1:${port}`,
    launchOptions: { executablePath, args: asRoot ? ['--no-sandbox'] : [] },
  },
  webServer: {
    command: `npx vite preview --host 127.0.0.1 --port ${port} --strictPort`,
    url: `http://127.0.0.1:${port}`,
    reuseExistingServer: false,
  },
});
