// Draws a strip, standing or lying, on a canvas. The ground line is the right edge, or the lower edge of a lying strip.
import type { StripLayout } from './strip_geometry';
import { colourOf, type Level, levelOf, levels } from './tiers';

export interface StripStyle {
  flat: boolean; // lying down
  step: number; // CSS pixels of width for each doubling of bits
}

export interface StripColours {
  tiers: Record<Level, string>;
  waiting: string;
  forced: boolean; // the person chose the colours: patterns tell the levels apart
}

export function stripColours(): StripColours {
  const forced = matchMedia('(forced-colors: active)').matches;
  const style = getComputedStyle(document.documentElement);
  const token = (name: string) => (forced ? 'CanvasText' : style.getPropertyValue(name).trim());
  const tiers = Object.fromEntries(levels.map((level) => [level, token(colourOf(level))])) as Record<Level, string>;
  return { tiers, waiting: token('--edge'), forced };
}

/** Makes the canvas as large as its box in device pixels, and says how large that is. */
export function fitCanvas(canvas: HTMLCanvasElement): { width: number; height: number; pixel: number } {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * ratio);
  const height = Math.round(canvas.clientHeight * ratio);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  return { width, height, pixel: Math.max(1, Math.round(ratio)) };
}

export function paintStrip(
  canvas: HTMLCanvasElement,
  layout: StripLayout,
  style: StripStyle,
  colours: StripColours,
): void {
  const context = canvas.getContext('2d');
  if (!context) return; // no canvas in this browser: the table says the same
  const ratio = devicePixelRatio || 1;
  const pixel = Math.max(1, Math.round(ratio));
  const across = style.flat ? canvas.height : canvas.width;
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const { at, length, bits, pending } of layout.slices) {
    const width = Math.min(across, Math.max(pixel, Math.round(style.step * ratio * Math.log2(Math.max(1, bits)))));
    const gap = length >= 3 * pixel ? pixel : 0;
    const box: Box = style.flat ? [at, across - width, length - gap, width] : [across - width, at, width, length - gap];
    const level = levelOf(bits);
    if (bits === 0) {
      context.fillStyle = colours.waiting; // deleted: a line on the ground
      context.fillRect(...box);
    } else if (pending) outline(context, box, colours.waiting, pixel, []);
    else if (colours.forced && level < 16) outline(context, box, colours.tiers[level], pixel, dashes(level, pixel));
    else {
      context.fillStyle = colours.tiers[level];
      context.fillRect(...box);
    }
  }
}

type Box = [x: number, y: number, width: number, height: number];

function outline(
  context: CanvasRenderingContext2D,
  [x, y, w, h]: Box,
  colour: string,
  pixel: number,
  dash: number[],
): void {
  context.strokeStyle = colour;
  context.lineWidth = pixel;
  context.setLineDash(dash);
  context.strokeRect(x + pixel / 2, y + pixel / 2, Math.max(0, w - pixel), Math.max(0, h - pixel));
}

function dashes(level: Level, pixel: number): number[] {
  if (level >= 4) return [];
  return level >= 3 ? [3 * pixel, 2 * pixel] : [pixel, 2 * pixel];
}
