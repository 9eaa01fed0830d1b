// Tiers as they are shown: how wide, in which colour, under which name. Pure functions of what the engine reports.
import type { MemoryTier } from '../../lib';
import { text } from '../strings';

export const cellTokens = 64; // one slice of the strip, while slices fit

/** The levels that have a colour (--tier-32 … --tier-2 in tokens.css): one for each tier of the engine, and of rows. */
export const levels = [32, 16, 8, 4, 3.5, 3, 2.5, 2] as const;
export type Level = (typeof levels)[number];
export const colourOf = (level: Level): string => `--tier-${String(level).replace('.', '-')}`;

type Bits = Pick<MemoryTier, 'keyBits' | 'valueBits'>;

const wholeBits = [32, 16, 8, 4, 3, 2];

/** 4.5 bits, scales included, are called 4 bits. */
function nominal(bits: number): number {
  return wholeBits.find((whole) => whole <= bits + 0.01) ?? 2;
}

/** Keys and values may differ: what is drawn is their mean. */
export const drawnBits = ({ keyBits, valueBits }: Bits): number => (nominal(keyBits) + nominal(valueBits)) / 2;

/** The nearest level, counted in doublings. */
export function levelOf(bits: number): Level {
  const distance = (level: Level) => Math.abs(Math.log2(level) - Math.log2(bits));
  return levels.reduce((best, level) => (distance(level) < distance(best) ? level : best));
}

export function tierLabel({ keyBits, valueBits }: Bits): string {
  const [keys, values] = [nominal(keyBits), nominal(valueBits)];
  return keys === values ? text.tier.level(keys) : text.tier.mixed(keys, values);
}

/** Short enough for the margin of an answer, a table and a plot. */
export function tierMark({ keyBits, valueBits }: Bits): string {
  const [keys, values] = [nominal(keyBits), nominal(valueBits)];
  return keys === values ? text.tier.mark(keys) : text.tier.mixedMark(keys, values);
}

/** A stretch of memory that is drawn alike. 0 bits: it has been deleted, by an engine that does so. */
export interface Run {
  bits: number;
  positions: number;
}

export const runsOf = (tiers: MemoryTier[]): Run[] =>
  tiers.map((tier) => ({ bits: drawnBits(tier), positions: tier.positions }));

/** The very first tokens stay as they are for ever; they are a run of their own once what follows them is coarser. */
export function sinksOf(runs: Run[]): Run | undefined {
  const [first, next] = runs;
  const apart = first && next && first.positions < cellTokens && first.bits > next.bits;
  return apart && first.positions + next.positions >= cellTokens ? first : undefined;
}

/** Bits of every run of `cellTokens` positions. A cell that two runs share is drawn as the higher one, but for the sinks. */
export function cellBits(runs: Run[]): number[] {
  const cells: number[] = [];
  const sinks = sinksOf(runs);
  let first = 0;
  for (const run of runs) {
    const end = first + run.positions;
    for (let cell = Math.floor(first / cellTokens); run !== sinks && cell * cellTokens < end; ++cell) {
      cells[cell] = Math.max(cells[cell] ?? 0, run.bits);
    }
    first = end;
  }
  return cells;
}

/** How many of the newest cells are kept better than those before them: the exact window. */
export function windowCells(cells: number[]): number {
  const newest = cells.at(-1);
  let before = cells.length - 1;
  while (before >= 0 && cells[before] === newest) --before;
  return before < 0 || cells[before]! > newest! ? 0 : cells.length - 1 - before;
}

/** The tier that most of [first, end) lies in; the older one if they share it equally. */
export function mainTier(tiers: MemoryTier[], first: number, end: number): MemoryTier | undefined {
  let most = 0;
  let main: MemoryTier | undefined;
  for (const tier of tiers) {
    const shared = Math.min(end, tier.first + tier.positions) - Math.max(first, tier.first);
    if (shared > most) {
      most = shared;
      main = tier;
    }
  }
  return main;
}

export function tierAt(tiers: MemoryTier[], position: number): MemoryTier | undefined {
  return tiers.find(({ first, positions }) => position >= first && position < first + positions);
}
