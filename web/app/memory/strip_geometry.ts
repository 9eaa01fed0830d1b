// Where the slices of a memory strip lie. Whole device pixels only, so that nothing is blurred; anchored at "now", so that
// the strip grows at its old end and does not re-flow while it fits. Pure, so that tests can sweep it.
import { cellTokens, type Run, windowCells } from './tiers';

export interface StripInput {
  length: number; // of the canvas along the strip, in device pixels
  pixel: number; // device pixels per CSS pixel, rounded
  cells: number[]; // drawn bits, oldest first
  positions: number; // tokens in memory
  sinks?: Run | undefined; // the first tokens, where they are finer than the first cell
  pending: number; // tokens that wait to be read
  unit: number; // the longest slice, in CSS pixels
}

export interface Slice {
  at: number; // from the oldest end of the canvas, in device pixels
  length: number; // to the next slice
  first: number; // tokens [first, end)
  end: number;
  bits: number;
  pending: boolean; // waits to be read
}

export interface StripLayout {
  slices: Slice[]; // oldest first
  length: number;
  pitch: number; // of the slices before the window
  group: number; // cells per slice
}

const leastPitch = 2; // CSS pixels; from 3 on, one of them is a gap
const sinkLength = 3; // CSS pixels: too few tokens to be seen at their length

export function layoutStrip({ length, pixel, cells, positions, sinks, pending, unit }: StripInput): StripLayout {
  const window = windowCells(cells);
  const lens = unit * pixel; // cells of the exact window keep their length, or they would vanish in a long conversation
  const waiting = pendingSlices(pending, positions, length / 2, pixel, unit);
  const sinkRoom = sinks ? sinkLength * pixel : 0;
  const room = Math.max(0, length - sinkRoom - window * lens - waiting.reduce((sum, slice) => sum + slice.length, 0));
  const old = cells.length - window;
  const group = groupSize(old, room, leastPitch * pixel);
  const count = Math.ceil(old / group);
  const pitch = count === 0 ? lens : Math.max(1, Math.min(lens, Math.floor(room / count)));

  const slices: Slice[] = [];
  for (let i = 0; i < count; ++i) {
    const part = cells.slice(i * group, Math.min(old, (i + 1) * group));
    slices.push(kept(i * group, part.length, Math.max(...part), pitch)); // the highest: nothing sharp may vanish
  }
  for (let i = old; i < cells.length; ++i) slices.push(kept(i, 1, cells[i]!, lens));
  const last = slices.at(-1);
  if (last) last.end = positions;
  if (sinks && slices[0]) {
    slices[0].first = sinks.positions;
    slices.unshift({ at: 0, length: sinkRoom, first: 0, end: sinks.positions, bits: sinks.bits, pending: false });
  }
  slices.push(...waiting);

  let at = length - slices.reduce((sum, slice) => sum + slice.length, 0);
  for (const slice of slices) {
    slice.at = at;
    at += slice.length;
  }
  return { slices, length, pitch, group };
}

function kept(cell: number, cells: number, bits: number, length: number): Slice {
  return { at: 0, length, first: cell * cellTokens, end: (cell + cells) * cellTokens, bits, pending: false };
}

/** Cells join in groups of 2, 4, 8 … when slices would get shorter than they can be told apart. */
function groupSize(cells: number, room: number, least: number): number {
  let group = 1;
  while (Math.ceil(cells / group) > 1 && Math.floor(room / Math.ceil(cells / group)) < least) group *= 2;
  return group;
}

function pendingSlices(tokens: number, positions: number, room: number, pixel: number, unit: number): Slice[] {
  const cells = Math.ceil(tokens / cellTokens);
  const length = Math.min(unit, 5) * pixel;
  const group = groupSize(cells, room, length);
  return Array.from({ length: Math.ceil(cells / group) }, (_, i) => {
    const first = positions + i * group * cellTokens;
    return {
      at: 0,
      length,
      first,
      end: Math.min(positions + tokens, first + group * cellTokens),
      bits: 32,
      pending: true,
    };
  });
}

/** Device pixels from the oldest end to the place of a token. */
export function pixelOf({ slices, length }: StripLayout, token: number): number {
  const slice = slices.find(({ end }) => token < end);
  if (!slice) return length;
  const share = (token - slice.first) / (slice.end - slice.first);
  return slice.at + Math.max(0, share) * slice.length;
}

export function sliceAtPixel({ slices }: StripLayout, pixel: number): Slice | undefined {
  return slices.find(({ at, length }) => pixel >= at && pixel < at + length);
}

export interface Tick {
  at: number; // CSS pixels from the oldest end
  label: string;
}

const tickDistance = 32; // CSS pixels

/** Labels beside the strip: the first turn, "now", and as many round numbers as fit between them. Both ends win. */
export function stripTicks(turnStarts: number[], at: (token: number) => number, length: number, now: string): Tick[] {
  const ticks: Tick[] = [{ at: length - 8, label: now }];
  const turns = turnStarts.length;
  const add = (turn: number) => {
    const place = at(turnStarts[turn - 1]!);
    if (ticks.every((tick) => Math.abs(tick.at - place) >= tickDistance))
      ticks.push({ at: place, label: String(turn) });
  };
  if (turns === 0) return ticks;
  add(1);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((n) => (turns / n) * tickDistance <= length) ?? 1000;
  for (let turn = Math.floor(turns / step) * step; turn > 1; turn -= step) add(turn);
  return ticks;
}
