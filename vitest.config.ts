import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['tests/web/**/*.test.{ts,tsx}', 'tests/bench/*.test.mjs'], testTimeout: 30_000 },
});
