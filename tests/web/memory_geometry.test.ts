// Where the slices of the strip lie: swept over lengths of the strip, of the conversation, and of the exact window.
import { describe, expect, it } from 'vitest';
import {
  layoutStrip,
  pixelOf,
  type StripInput,
  type StripLayout,
  sliceAtPixel,
  stripTicks,
} from '../../web/app/memory/strip_geometry';

const cell = 64;

function input(part: Partial<StripInput> & { cells: number[] }): StripInput {
  return { length: 736, pixel: 1, positions: part.cells.length * cell, pending: 0, unit: 8, ...part };
}

const conversation = (old: number, exact = 2) => [...Array<number>(old).fill(4), ...Array<number>(exact).fill(32)];

function expectWhole({ slices, length }: StripLayout): void {
  for (const [i, slice] of slices.entries()) {
    expect(Number.isInteger(slice.at) && Number.isInteger(slice.length)).toBe(true);
    expect(slice.length).toBeGreaterThan(0);
    const next = slices[i + 1];
    expect(slice.at + slice.length).toBe(next ? next.at : length);
    if (next) expect(slice.end).toBe(next.first);
  }
}

describe('the strip', () => {
  it('fills whole device pixels down to "now", and leaves out no token, whatever its size', () => {
    for (const pixel of [1, 2, 3]) {
      for (const length of [320, 736, 1001]) {
        for (const old of [0, 1, 2, 3, 7, 40, 91, 92, 93, 200, 500, 1600, 5000]) {
          const cells = conversation(old);
          const layout = layoutStrip(input({ cells, length: length * pixel, pixel }));
          expectWhole(layout);
          expect(layout.slices[0]!.at).toBeGreaterThanOrEqual(0);
          expect(layout.slices[0]!.first).toBe(0);
          expect(layout.slices.at(-1)!.end).toBe(cells.length * cell);
        }
      }
    }
  });

  it('shows the first tokens above the first cell, which begins behind them', () => {
    for (const old of [1, 40, 500, 5000]) {
      const layout = layoutStrip(input({ cells: conversation(old), sinks: { positions: 4, bits: 32 } }));
      expectWhole(layout);
      expect(layout.slices[0]).toMatchObject({ first: 0, end: 4, bits: 32, length: 3 });
      expect(layout.slices[0]!.at).toBeGreaterThanOrEqual(0);
      expect(layout.slices[1]).toMatchObject({ first: 4, bits: 4 });
    }
  });

  it('does not move what is in it while it fits', () => {
    const heights = [3, 10, 40, 80].map((old) => layoutStrip(input({ cells: conversation(old) })).slices.slice(-5));
    for (const slices of heights) {
      expect(slices.map(({ at, length }) => [at, length])).toEqual(heights[0]!.map(({ at, length }) => [at, length]));
    }
  });

  it('gives the exact window 8 CSS pixels a slice, however long the conversation', () => {
    for (const pixel of [1, 2]) {
      for (const old of [5, 500, 5000]) {
        const { slices } = layoutStrip(input({ cells: conversation(old, 3), length: 736 * pixel, pixel }));
        expect(slices.slice(-3).map(({ length, bits }) => [length, bits])).toEqual(Array(3).fill([8 * pixel, 32]));
        expect(slices.at(-4)!.bits).toBe(4);
      }
    }
  });

  it('takes the greatest pitch that fits, at most 8 CSS pixels', () => {
    for (let old = 1; old <= 360; ++old) {
      const { pitch, group } = layoutStrip(input({ cells: conversation(old) }));
      const room = 736 - 2 * 8;
      expect(group).toBe(1);
      expect(pitch).toBe(Math.min(8, Math.floor(room / old)));
    }
  });

  it('joins cells in twos, fours, eights when slices would be shorter than 2 CSS pixels', () => {
    const group = (old: number, pixel = 1) =>
      layoutStrip(input({ cells: conversation(old), length: 736 * pixel, pixel })).group;
    expect([360, 361, 720, 721, 1440, 1441].map((old) => group(old))).toEqual([1, 2, 2, 4, 4, 8]);
    expect([360, 361].map((old) => group(old, 2))).toEqual([1, 2]);
  });

  it('draws 100,000 tokens on 736 pixels in groups of 8, as the design says', () => {
    const cells = conversation(1560, 3);
    const layout = layoutStrip(input({ cells, positions: 99_990 }));
    expect([layout.group, layout.pitch]).toEqual([8, 3]);
  });

  it('draws a group as its highest tier, so that nothing sharp vanishes', () => {
    for (let sharp = 0; sharp < 1000; sharp += 37) {
      const cells = conversation(1000);
      cells[sharp] = 16;
      const { slices } = layoutStrip(input({ cells }));
      expect(slices.find(({ end }) => sharp * cell < end)!.bits).toBe(16);
    }
  });

  it('ends at the last token of a cell that is still filling', () => {
    expect(layoutStrip(input({ cells: conversation(3), positions: 300 })).slices.at(-1)!.end).toBe(300);
  });

  it('is empty for an empty memory', () => {
    expect(layoutStrip(input({ cells: [] })).slices).toEqual([]);
  });
});

describe('tokens that wait to be read', () => {
  it('lie below the window, cover what waits exactly, and take at most half of the strip', () => {
    for (const pending of [1, 64, 65, 1518, 20_000]) {
      const cells = conversation(100);
      const layout = layoutStrip(input({ cells, pending }));
      expectWhole(layout);
      const waiting = layout.slices.filter((slice) => slice.pending);
      expect(waiting[0]!.first).toBe(cells.length * cell);
      expect(waiting.at(-1)!.end).toBe(cells.length * cell + pending);
      expect(waiting.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(368);
      expect(layout.slices.slice(-waiting.length)).toEqual(waiting);
    }
  });
});

describe('from tokens to pixels and back', () => {
  const layout = layoutStrip(input({ cells: conversation(700, 3), positions: 44_990 }));

  it('never runs backwards', () => {
    let before = -1;
    for (let token = 0; token <= 44_990; token += 13) {
      const at = pixelOf(layout, token);
      expect(at).toBeGreaterThanOrEqual(before);
      before = at;
    }
    expect(pixelOf(layout, 44_990)).toBe(736);
  });

  it('finds the slice of every pixel, and its first token there', () => {
    for (let pixel = layout.slices[0]!.at; pixel < 736; ++pixel) {
      const slice = sliceAtPixel(layout, pixel)!;
      expect(pixelOf(layout, slice.first)).toBe(slice.at);
      expect(pixel - slice.at).toBeLessThan(slice.length);
    }
    expect(sliceAtPixel(layout, 736)).toBeUndefined();
  });

  it('finds nothing above the oldest slice', () => {
    const short = layoutStrip(input({ cells: conversation(2) }));
    expect(sliceAtPixel(short, 0)).toBeUndefined();
  });
});

describe('labels', () => {
  const labels = (turns: number, length = 700) =>
    stripTicks(
      Array.from({ length: turns }, (_, i) => i),
      (token) => (token * length) / turns,
      length,
      'now',
    );

  it('are never closer than 32 pixels, for any number of turns', () => {
    for (const length of [100, 320, 700]) {
      for (let turns = 1; turns <= 600; ++turns) {
        const places = labels(turns, length)
          .map(({ at }) => at)
          .sort((a, b) => a - b);
        for (let i = 1; i < places.length; ++i) expect(places[i]! - places[i - 1]!).toBeGreaterThanOrEqual(32);
      }
    }
  });

  it('keep both ends', () => {
    for (const turns of [2, 19, 86, 600]) {
      const names = labels(turns).map(({ label }) => label);
      expect(names).toContain('now');
      expect(names).toContain('1');
    }
  });

  it('have only "now" without turns', () => {
    expect(stripTicks([], () => 0, 700, 'now').map(({ label }) => label)).toEqual(['now']);
  });
});
