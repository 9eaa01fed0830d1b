// What the slider says about a budget, for the model that is shipped and for larger ones.
import { describe, expect, it } from 'vitest';
import {
  budgetAt,
  bytesPerToken,
  noLimit,
  raisedBudget,
  type Shape,
  sliderSteps,
  stepOf,
  tokensWithin,
} from '../../web/app/memory/budget';
import { presets } from '../../web/app/state/settings';

const shapes: [string, Shape, number][] = [
  ['the shipped model', { layers: 6, kvHeads: 2, headDim: 64, windowedLayers: 0, window: 0 }, 2_384_160],
  ['Qwen2.5 0.5B', { layers: 24, kvHeads: 2, headDim: 64, windowedLayers: 0, window: 0 }, 9_600_000],
  ['Llama 3.2 1B', { layers: 16, kvHeads: 8, headDim: 64, windowedLayers: 0, window: 0 }, 25_700_000],
  ['Gemma 3 1B', { layers: 26, kvHeads: 1, headDim: 256, windowedLayers: 22, window: 512 }, 20_600_000],
];

describe.each(shapes)('%s', (_name, shape, least) => {
  const steps = Array.from({ length: sliderSteps + 1 }, (_, step) => step);

  it('begins with the smallest budget and grows to what 100,000 tokens need', () => {
    const budgets = steps.map((step) => budgetAt(shape, least, step));
    expect(budgets[0]).toBeGreaterThanOrEqual(least);
    expect(budgets[0]).toBeLessThan(1.1 * least);
    expect(budgets).toEqual([...budgets].sort((a, b) => a - b));
    const { sharp } = tokensWithin(shape, least, { preset: 'quality', budgetBytes: budgets.at(-1)! });
    expect(sharp).toBeGreaterThan(99_000);
    expect(sharp).toBeLessThan(120_000);
  });

  it('finds the step of a budget again, and has one for no limit', () => {
    for (const step of steps)
      expect(Math.abs(stepOf(shape, least, budgetAt(shape, least, step)) - step)).toBeLessThanOrEqual(3);
    expect(budgetAt(shape, least, noLimit)).toBe(0);
    expect(stepOf(shape, least, 0)).toBe(noLimit);
    expect(stepOf(shape, least, 1)).toBe(0);
    expect(stepOf(shape, least, 1e12)).toBe(sliderSteps);
  });

  it('takes less for each token from preset to preset', () => {
    const sizes = presets.map((preset) => bytesPerToken(shape, preset));
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    const global = shape.layers - shape.windowedLayers;
    expect(sizes[0]).toBe(global * shape.kvHeads * shape.headDim * 2 * 4);
  });

  it('holds at least as much in all as sharply', () => {
    for (const preset of presets) {
      for (const step of steps) {
        const { sharp, all } = tokensWithin(shape, least, { preset, budgetBytes: budgetAt(shape, least, step) });
        expect(all).toBeGreaterThanOrEqual(sharp);
        expect(sharp).toBeGreaterThanOrEqual(192); // the exact window is in every budget
      }
    }
  });
});

it('raises a budget that is full to twice as much, or as far as it takes', () => {
  expect(raisedBudget(4_000_000, 4_100_000)).toBe(8_000_000);
  expect(raisedBudget(1_000_000, 10_000_000)).toBe(13_000_000);
});

it('counts layers with a window for as long as they see a token, and a turn that may be taken back', () => {
  const shape = { layers: 26, kvHeads: 1, headDim: 256, windowedLayers: 22, window: 512 };
  const least = 20_600_000;
  const tile = 64 * 26 * 2 * 256 * 4; // exact, all layers
  const within = (budgetBytes: number) => tokensWithin(shape, least, { preset: 'exact', budgetBytes }).sharp;
  expect(within(least + 15 * tile)).toBe((15 + 3) * 64); // 2 x 9 tiles, less the exact window
  expect(within(least + 16 * tile)).toBe((15 + 26 / 4 + 3 - 0.5) * 64); // from here on 4 layers grow
});
