import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['tests/web/**/*.test.{ts,tsx}'], testTimeout: 30_000 },
});
