// What a budget means for a model: the scale of the slider, and how many tokens fit. From the model's shape and from the
// smallest budget that the engine reports; pure, so that tests can sweep it.
import type { MemoryPreset, ModelInfo } from '../../lib';

export type Shape = Pick<ModelInfo, 'layers' | 'kvHeads' | 'headDim'>;

const tilePositions = 64;
const exactTiles = 3; // the window, which every budget holds
const talkTokens = 100_000; // what the largest budget holds at `quality`: a long novel

/** For each value of older tokens, while there is room. */
export const presetBits: Record<MemoryPreset, number> = { exact: 32, quality: 4, balanced: 3, max: 2 };
const coarsest = presetBits.max;

/** Bytes of 64 tokens, keys and values: the codes; a scale for each row, the mean and what it needs (engine/formats/tile.h). */
function tileBytes({ layers, kvHeads, headDim }: Shape, bits: number): number {
  const codes = (tilePositions / 8) * bits * headDim;
  const header = bits === 32 ? 0 : tilePositions + headDim + 4;
  return 2 * layers * kvHeads * (codes + header);
}

/** Of a token that has left the exact window, while there is room. */
export const bytesPerToken = (shape: Shape, preset: MemoryPreset): number =>
  tileBytes(shape, presetBits[preset]) / tilePositions;

/** How many tokens a budget holds if all that can be have `bits` bits. */
function tokensAt(shape: Shape, least: number, budget: number, bits: number): number {
  const sealed = Math.max(0, Math.floor((budget - least) / tileBytes(shape, bits)));
  return (sealed + exactTiles) * tilePositions;
}

/** `sharp`: while nothing is coarser than the preset says. `all`: until the budget is full. */
export function tokensWithin(
  shape: Shape,
  least: number,
  { preset, budgetBytes }: { preset: MemoryPreset; budgetBytes: number },
) {
  return {
    sharp: tokensAt(shape, least, budgetBytes, presetBits[preset]),
    all: tokensAt(shape, least, budgetBytes, coarsest),
  };
}

// ---- the slider: equal steps are equal factors, and the last one is no limit

export const sliderSteps = 60;
export const noLimit = sliderSteps + 1;

const largest = (shape: Shape, least: number) =>
  least + (talkTokens / tilePositions) * tileBytes(shape, presetBits.quality);

/** Two digits are enough for a wish. Never less than it was. */
function rounded(bytes: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(bytes)) - 1);
  return Math.ceil(bytes / unit) * unit;
}

export function budgetAt(shape: Shape, least: number, step: number): number {
  if (step >= noLimit) return 0;
  return rounded(least * (largest(shape, least) / least) ** (step / sliderSteps));
}

/** The step nearest to a budget, which may lie between steps or beyond them. */
export function stepOf(shape: Shape, least: number, budget: number): number {
  if (budget === 0) return noLimit;
  const share = Math.log(budget / least) / Math.log(largest(shape, least) / least);
  return Math.max(0, Math.min(sliderSteps, Math.round(share * sliderSteps)));
}

/** The budget to offer when one is full: twice as much, and in any case room to go on. */
export const raisedBudget = (budget: number, needed: number): number => rounded(Math.max(2 * budget, 1.25 * needed));
