// How tiers are named, coloured and cut into cells, from what the engine reports about them.
import { describe, expect, it } from 'vitest';
import {
  cellBits,
  drawnBits,
  levelOf,
  levels,
  mainTier,
  type Run,
  runsOf,
  sinksOf,
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
    [3.5, 3.5],
    [3, 3],
    [2.5, 2.5],
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

/** What the engine reports for its tiers: bits, and a header for each tile. */
const engineTiers = [
  ['K4V4', 4, 4],
  ['K4V3', 4, 3],
  ['K3V3', 3, 3],
  ['K3V2', 3, 2],
  ['K2V2', 2, 2],
] as const;

describe('the tiers of the engine', () => {
  it('each have a level of their own, from fine to coarse', () => {
    const drawn = engineTiers.map(([, keys, values]) => levelOf(drawnBits(tier(0, 64, keys + 0.26, values + 0.26))));
    expect(drawn).toEqual(levels.slice(levels.indexOf(4)));
  });

  it('are named by their bits', () => {
    const names = engineTiers.map(([, keys, values]) => tierMark(tier(0, 64, keys + 0.26, values + 0.26)));
    expect(names).toEqual(['4-bit', '4/3-bit', '3-bit', '3/2-bit', '2-bit']);
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

const run = (positions: number, bits: number): Run => ({ positions, bits });

describe('cells', () => {
  it('covers every token once, the last cell being partly filled', () => {
    for (let positions = 1; positions < 400; ++positions) {
      expect(cellBits([run(positions, 32)])).toHaveLength(Math.ceil(positions / 64));
    }
  });

  it('draws a cell that two runs share as the higher one, whichever is older', () => {
    expect(cellBits([run(100, 4), run(28, 32)])).toEqual([4, 32]);
    expect(cellBits([run(70, 32), run(58, 4)])).toEqual([32, 32]);
  });

  it('leaves no hole for any border between two runs', () => {
    for (let border = 0; border <= 256; ++border) {
      const cells = cellBits([run(border, 4), run(256 - border, 32)]);
      const coarse = Math.floor(border / 64);
      expect(cells).toEqual([...Array(coarse).fill(4), ...Array(4 - coarse).fill(32)]);
    }
  });

  it('has none for an empty memory', () => {
    expect(cellBits([])).toEqual([]);
    expect(cellBits([run(0, 32)])).toEqual([]);
  });

  it('keeps what was deleted apart from what was not', () => {
    expect(cellBits([run(4, 16), run(188, 0), run(128, 16)])).toEqual([0, 0, 0, 16, 16]);
  });
});

describe('the first tokens', () => {
  const sealed = runsOf([tier(0, 4, 32), tier(4, 60, 3.26), tier(64, 64, 4.26), tier(128, 150, 32)]);

  it('are told from the cell that they lie in', () => {
    expect(sinksOf(sealed)).toEqual(run(4, 32));
    expect(cellBits(sealed)).toEqual([3, 4, 32, 32, 32]);
  });

  it('are nothing of their own while all is exact, or where rows are old', () => {
    expect(sinksOf([run(200, 32)])).toBeUndefined();
    expect(sinksOf([run(100, 4), run(128, 32)])).toBeUndefined();
    expect(sinksOf([])).toBeUndefined();
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
