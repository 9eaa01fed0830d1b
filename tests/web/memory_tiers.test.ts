// How tiers are named, coloured and cut into cells, from what the engine reports about them.
import { describe, expect, it } from 'vitest';
import {
  cellBits,
  drawnBits,
  levelOf,
  mainTier,
  tierAt,
  tierLabel,
  tierMark,
  windowCells,
} from '../../web/app/memory/tiers';
import type { MemoryTier } from '../../web/lib';

function tier(first: number, positions: number, keyBits: number, valueBits = keyBits): MemoryTier {
  return {
    name: `${keyBits}/${valueBits}`,
    first,
    positions,
    keyBits,
    valueBits,
    bytes: positions * (keyBits + valueBits),
  };
}

describe('levels', () => {
  it.each([
    [32, 32],
    [24, 32],
    [20, 16],
    [16, 16],
    [12, 16],
    [10, 8],
    [8, 8],
    [6, 8],
    [5, 4],
    [4, 4],
    [3, 3],
    [2, 2],
  ])('draws %d bits in the colour of %d', (bits, level) => {
    expect(levelOf(bits)).toBe(level);
  });

  it('leaves out what a format spends on scales', () => {
    expect(drawnBits({ keyBits: 4.5, valueBits: 4.5 })).toBe(4);
    expect(drawnBits({ keyBits: 8.5, valueBits: 8.5 })).toBe(8);
    expect(drawnBits({ keyBits: 3.5, valueBits: 3.5 })).toBe(3);
  });

  it('takes the mean where keys and values differ', () => {
    expect(drawnBits({ keyBits: 4.5, valueBits: 16 })).toBe(10);
    expect(drawnBits({ keyBits: 32, valueBits: 4.5 })).toBe(18);
  });
});

describe('names', () => {
  it('calls full precision exact, and others by their bits', () => {
    expect(tierLabel(tier(0, 1, 32))).toBe('Exact');
    expect(tierLabel(tier(0, 1, 16))).toBe('FP16');
    expect(tierLabel(tier(0, 1, 4.5))).toBe('4-bit');
  });

  it('names both where keys and values differ', () => {
    expect(tierLabel(tier(0, 1, 4.5, 16))).toBe('4-bit keys, 16-bit values');
    expect(tierMark(tier(0, 1, 4.5, 16))).toBe('4/16-bit');
  });
});

describe('cells', () => {
  it('covers every token once, the last cell being partly filled', () => {
    for (let positions = 1; positions < 400; ++positions) {
      expect(cellBits([tier(0, positions, 32)])).toHaveLength(Math.ceil(positions / 64));
    }
  });

  it('draws a cell that two tiers share as the higher one, whichever is older', () => {
    expect(cellBits([tier(0, 100, 4.5), tier(100, 28, 32)])).toEqual([4, 32]);
    expect(cellBits([tier(0, 70, 32), tier(70, 58, 4.5)])).toEqual([32, 32]);
  });

  it('leaves no hole for any border between two tiers', () => {
    for (let border = 0; border <= 256; ++border) {
      const cells = cellBits([tier(0, border, 4.5), tier(border, 256 - border, 32)]);
      const coarse = Math.floor(border / 64);
      expect(cells).toEqual([...Array(coarse).fill(4), ...Array(4 - coarse).fill(32)]);
    }
  });

  it('has none for an empty memory', () => {
    expect(cellBits([])).toEqual([]);
    expect(cellBits([tier(0, 0, 32)])).toEqual([]);
  });
});

describe('the exact window', () => {
  it('is the run of newest cells that are better than those before', () => {
    expect(windowCells([4, 4, 32, 32])).toBe(2);
    expect(windowCells([4, 10, 32])).toBe(1);
  });

  it('is nothing where all cells are alike, older ones are better, or there are none', () => {
    expect(windowCells([32, 32])).toBe(0);
    expect(windowCells([32, 4])).toBe(0);
    expect(windowCells([])).toBe(0);
  });
});

describe('looking tiers up', () => {
  const tiers = [tier(0, 100, 4.5), tier(100, 50, 32)];

  it('finds the tier of a token, and none past the end', () => {
    expect(tierAt(tiers, 0)).toBe(tiers[0]);
    expect(tierAt(tiers, 99)).toBe(tiers[0]);
    expect(tierAt(tiers, 100)).toBe(tiers[1]);
    expect(tierAt(tiers, 150)).toBeUndefined();
  });

  it('finds the tier that most of a stretch lies in, the older one on a tie', () => {
    expect(mainTier(tiers, 60, 110)).toBe(tiers[0]);
    expect(mainTier(tiers, 90, 150)).toBe(tiers[1]);
    expect(mainTier(tiers, 80, 120)).toBe(tiers[0]);
    expect(mainTier(tiers, 150, 160)).toBeUndefined();
  });
});
