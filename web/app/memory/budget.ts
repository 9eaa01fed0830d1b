// What a budget means for a model: the scale of the slider, and how many tokens fit. From the model's shape and from the
// smallest budget that the engine reports; pure, so that tests can sweep it.
import type { MemoryPreset, ModelInfo } from '../../lib';

export type Shape = Pick<ModelInfo, 'layers' | 'kvHeads' | 'headDim' | 'windowedLayers' | 'window'>;

const tilePositions = 64;
const exactTiles = 3; // the window, which every budget holds
const talkTokens = 100_000; // what the largest budget holds at `quality`: a long novel

/** For each value of older tokens, while there is room. */
export const presetBits: Record<MemoryPreset, number> = { exact: 32, quality: 4, balanced: 3, max: 2 };
const coarsest = presetBits.max;

/**
 * Bytes of 64 tokens, keys and values: the codes; a scale for each row, the mean and what it needs (engine/formats/tile.h).
 * `global`: in layers that see everything.
 */
function tileBytes({ layers, kvHeads, headDim, windowedLayers }: Shape, bits: number) {
  const codes = (tilePositions / 8) * bits * headDim;
  const header = bits === 32 ? 0 : tilePositions + headDim + 4;
  const layer = 2 * kvHeads * (codes + header);
  return { global: (layers - windowedLayers) * layer, windowed: windowedLayers * layer };
}

/** Compressed tiles of layers with a window that a budget counts: those that they see, and that the last turn saw. */
function windowedTiles({ windowedLayers, window }: Shape): number {
  const seen = Math.ceil((window - 1) / tilePositions) + 1;
  return windowedLayers === 0 ? 0 : seen - exactTiles + Math.max(seen, exactTiles);
}

/** Of a token that every layer sees no more exactly, while there is room: what it takes for good. */
export const bytesPerToken = (shape: Shape, preset: MemoryPreset): number =>
  tileBytes(shape, presetBits[preset]).global / tilePositions;

/** How many tokens a budget holds if all that can be have `bits` bits. */
function tokensAt(shape: Shape, least: number, budget: number, bits: number): number {
  const { global, windowed } = tileBytes(shape, bits);
  const room = Math.max(0, budget - least);
  const held = windowedTiles(shape);
  const early = room / (global + windowed);
  const sealed = early <= held ? early : (room - held * windowed) / Math.max(1, global);
  return (Math.floor(sealed) + exactTiles) * tilePositions;
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

function largest(shape: Shape, least: number): number {
  const { global, windowed } = tileBytes(shape, presetBits.quality);
  return least + (talkTokens / tilePositions) * global + windowedTiles(shape) * windowed;
}

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
