// What the demonstration says about the two memories, from what the engine reports.
import { describe, expect, test } from 'vitest';
import { pages } from '../../web/app/remember/pages';
import { conversationAbout, keptBy } from '../../web/app/remember/run';
import type { MemoryStats, MemoryTier } from '../../web/lib';

function stats(positions: number): MemoryStats {
  const tier = (name: string, first: number, end: number, bits: number): MemoryTier => ({
    name,
    first,
    positions: end - first,
    keyBits: bits,
    valueBits: bits,
    bytes: (end - first) * bits,
  });
  return {
    policy: '',
    positions,
    bytes: 1000,
    bytesFp16: positions * 200,
    bytesFp32: positions * 400,
    tiers: [tier('exact', 0, 4, 32), tier('K4V4', 4, 704, 4.26), tier('exact', 704, positions, 32)],
    budgetBytes: 0,
    leastBudgetBytes: 0,
    keptBytes: 0,
    spareBytes: 0,
    thawedPositions: 0,
    windowedBytes: 0,
    heapBytes: 0,
  };
}

describe('what is kept', () => {
  test('all of it, at the bytes that it takes, where nothing is deleted', () => {
    const kept = keptBy('keeps', stats(850));
    expect(kept).toMatchObject({ tokens: 850, of: 850, bytes: 1000 });
    expect(kept.runs.map(({ bits }) => bits)).toEqual([32, 4, 32]);
  });

  test('the window and the first tokens where the rest is deleted, at what these take in FP16', () => {
    const kept = keptBy('deletes', stats(850));
    expect(kept).toMatchObject({ tokens: 132, of: 850, bytes: 132 * 200 });
    expect(kept.runs.map(({ bits }) => bits)).toEqual([16, 0, 16]);
  });

  test.each([1, 4, 100, 132, 133, 850])('every one of %d tokens is drawn once', (positions) => {
    const { runs, tokens } = keptBy('deletes', stats(positions));
    expect(runs.reduce((sum, run) => sum + run.positions, 0)).toBe(positions);
    expect(runs.every((run) => run.positions >= 0)).toBe(true);
    expect(tokens).toBeLessThanOrEqual(positions);
  });
});

test('the fact is said once, first, and nothing of it is said again before the answer', () => {
  const messages = conversationAbout('Biscuit');
  expect(messages[0]!.content).toContain('Biscuit');
  expect(JSON.stringify(messages.slice(1))).not.toContain('Biscuit');
  expect(pages.join()).not.toMatch(/\bdog\b/i);
  expect(messages.map(({ role }) => role)).toEqual(
    Array.from({ length: messages.length }, (_, i) => (i % 2 === 0 ? 'user' : 'assistant')),
  );
});
