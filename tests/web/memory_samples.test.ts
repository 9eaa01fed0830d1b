// What the plot shows and what the strip says about a stretch of memory.
import { describe, expect, it } from 'vitest';
import { plotData } from '../../web/app/memory/plot';
import { addSample, aside, plottedTiers, type Sample, sampleOf } from '../../web/app/memory/samples';
import {
  bytesOf,
  describeStretch,
  exchangeStarts,
  layersThatSee,
  rangeOfTurn,
  turnOfToken,
} from '../../web/app/memory/strip_model';
import type { MemoryStats, MemoryTier } from '../../web/lib';

const exactBytes = 400;
const coarseBytes = 60;

/** The newest 128 tokens exact, all before them at 4.5 bits. */
function stats(positions: number): MemoryStats {
  const coarse = Math.max(0, positions - 128);
  const tier = (name: string, first: number, count: number, bits: number, each: number): MemoryTier => ({
    name,
    first,
    positions: count,
    keyBits: bits,
    valueBits: bits,
    bytes: count * each,
  });
  const tiers = [tier('hq4_0', 0, coarse, 4.5, coarseBytes), tier('fp32', coarse, positions - coarse, 32, exactBytes)];
  return {
    policy: '',
    positions,
    bytes: tiers.reduce((sum, { bytes }) => sum + bytes, 0),
    bytesFp16: positions * 200,
    bytesFp32: positions * 400,
    tiers: tiers.filter((each) => each.positions > 0),
    budgetBytes: 0,
    leastBudgetBytes: 0,
    keptBytes: 0,
    spareBytes: 0,
    thawedPositions: 0,
    windowedBytes: 0,
    heapBytes: 0,
  };
}

const grown = (...lengths: number[]) =>
  lengths.reduce<Sample[]>((samples, n) => addSample(samples, sampleOf(stats(n))), []);

describe('samples', () => {
  it('keep every byte that the engine reports', () => {
    for (const positions of [1, 128, 129, 5000]) {
      const { tiers, bytes } = sampleOf(stats(positions));
      expect([...tiers.values()].reduce((sum, tier) => sum + tier.bytes, 0)).toBe(bytes);
    }
  });

  it('keep what is there for no token of its own as well, on top of all tiers', () => {
    const { bytes } = stats(5000);
    const sample = sampleOf({ ...stats(5000), bytes: bytes + 50, keptBytes: 40, spareBytes: 10 });
    expect([...sample.tiers.values()].reduce((sum, tier) => sum + tier.bytes, 0)).toBe(sample.bytes);
    expect(plottedTiers([sample]).at(-1)!.bits).toBe(aside);
  });

  it('drop what came after the place where memory was cut back', () => {
    expect(grown(100, 200, 300, 150).map(({ positions }) => positions)).toEqual([100, 150]);
  });

  it('take the newest look at one length', () => {
    expect(grown(100, 200, 200).map(({ positions }) => positions)).toEqual([100, 200]);
  });

  it('stay bounded and in order in an endless conversation, with the newest last', () => {
    const lengths = Array.from({ length: 6000 }, (_, i) => i + 1);
    const samples = grown(...lengths);
    expect(samples.length).toBeLessThanOrEqual(1200);
    expect(samples.at(-1)!.positions).toBe(6000);
    expect(samples.every(({ positions }, i) => i === 0 || positions > samples[i - 1]!.positions)).toBe(true);
  });
});

describe('the plot', () => {
  const samples = grown(64, 128, 256, 1024);
  const names = plottedTiers(samples).map(({ label }) => label);

  it('has the coarsest tier at the bottom and the exact one on top', () => {
    expect(names).toEqual(['4-bit', 'exact']);
    const [, exactTop, coarseTop] = plotData(samples, names);
    expect(coarseTop).toEqual([0, 0, 0, 128 * coarseBytes, 896 * coarseBytes]);
    expect(exactTop).toEqual([0, ...samples.map(({ bytes }) => bytes)]);
  });

  it('begins at nothing, and ends with the line of plain FP16', () => {
    const data = plotData(samples, names);
    expect(data[0]).toEqual([0, 64, 128, 256, 1024]);
    expect(data.at(-1)).toEqual([0, 64 * 200, 128 * 200, 256 * 200, 1024 * 200]);
  });
});

describe('a stretch of memory', () => {
  const talk = {
    systemPrompt: 'Be brief.',
    turns: [
      { role: 'user' as const, text: 'a' },
      { role: 'assistant' as const, text: 'b' },
      { role: 'user' as const, text: 'c' },
      { role: 'assistant' as const, text: 'd' },
    ],
  };
  const ranges = [
    { first: 0, end: 10 },
    { first: 10, end: 40 },
    { first: 40, end: 200 },
    { first: 200, end: 220 },
  ];

  it('takes its share of each tier it reaches into, and all stretches together take everything', () => {
    const { tiers, bytes } = stats(1000);
    expect(bytesOf(tiers, 868, 878)).toBe(4 * coarseBytes + 6 * exactBytes);
    let sum = 0;
    for (let first = 0; first < 1000; first += 64) sum += bytesOf(tiers, first, Math.min(1000, first + 64));
    expect(sum).toBeCloseTo(bytes, 6);
  });

  it('is described by its newest tier and the exchange it begins in', () => {
    expect(describeStretch(talk, stats(256), ranges, 192, 256)).toEqual({
      tier: 'Exact',
      turn: 1,
      first: 192,
      last: 255,
      bytes: 64 * exactBytes,
    });
    expect(describeStretch(talk, stats(256), ranges, 0, 64)).toMatchObject({
      tier: '4-bit',
      turn: 1,
      first: 0,
      last: 63,
    });
  });

  it('is called after its newest token where a border between tiers runs through it', () => {
    expect(describeStretch(talk, stats(256), ranges, 100, 160).tier).toBe('Exact');
  });

  it('belongs to the first turn where only the system prompt is, and to the newest past the last known message', () => {
    expect([0, 9, 10, 39, 40, 200, 219, 220, 9999].map((token) => turnOfToken(talk, ranges, token))).toEqual([
      0, 0, 0, 0, 1, 2, 2, 3, 3,
    ]);
  });

  it('begins each exchange at its question, as far as it is in memory', () => {
    expect(exchangeStarts(talk, ranges)).toEqual([10, 200]);
    expect(exchangeStarts({ ...talk, systemPrompt: '' }, ranges)).toEqual([0, 40]);
    expect(exchangeStarts(talk, ranges.slice(0, 2))).toEqual([10]);
  });

  it('goes on to the end of memory for a turn that is being written', () => {
    expect(rangeOfTurn(talk, ranges, 256, 3)).toEqual({ first: 220, end: 256 });
    expect(rangeOfTurn(talk, ranges, 256, 2)).toEqual({ first: 200, end: 220 });
  });
});

describe('layers with a window', () => {
  const gemma = { layers: 26, windowedLayers: 22, window: 512 };

  it('see nothing of a stretch that lies wholly before the window', () => {
    expect(layersThatSee(gemma, 2000, 1488)).toBe(4);
    expect(layersThatSee(gemma, 2000, 1489)).toBe(26);
    expect(layersThatSee(gemma, 400, 64)).toBe(26);
    expect(layersThatSee({ layers: 26, windowedLayers: 0, window: 0 }, 2000, 1)).toBe(26);
  });
});
