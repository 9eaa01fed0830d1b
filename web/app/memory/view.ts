// What the page hands to the memory views: signals to read and two things a person can ask for.
import type { Signal } from '@preact/signals';
import type { MemoryOptions, MemoryStats } from '../../lib';
import { drawnBits } from './tiers';

/** Where a question and its answer lie in memory: token positions [first, end). */
export interface TurnSpan {
  turn: number;
  first: number;
  end: number;
}

/** What memory took at one length of the conversation. Tiers of one name are added up; coarsest first. */
export interface MemorySample {
  positions: number;
  bytesFp16: number;
  tiers: { name: string; bits: number; bytes: number }[];
}

export interface MemoryView {
  stats: Signal<MemoryStats | null>;
  samples: Signal<MemorySample[]>; // in order of positions
  turns: Signal<TurnSpan[]>;
  trainedLength: Signal<number>; // tokens; 0 while no model is open
  settings: Signal<MemoryOptions>;
  open: Signal<boolean>; // whether the drawer is
  onGoTo(turn: number): void;
  onSettings(options: MemoryOptions): void;
}

export function sampleOf({ positions, bytesFp16, tiers }: MemoryStats): MemorySample {
  const byName = new Map<string, { name: string; bits: number; bytes: number }>();
  for (const tier of tiers) {
    const { name, bytes } = tier;
    byName.set(name, { name, bits: drawnBits(tier), bytes: bytes + (byName.get(name)?.bytes ?? 0) });
  }
  return { positions, bytesFp16, tiers: [...byName.values()].sort((a, b) => a.bits - b.bits) };
}

/** The turn that a token belongs to. What lies before the first turn (a system prompt) counts to it. */
export function turnAt(turns: TurnSpan[], position: number): number | undefined {
  return (turns.find(({ end }) => position < end) ?? turns.at(-1))?.turn;
}
