// What the strip knows besides its slices: where turns lie in memory, and what a stretch of memory is called.
import type { MemoryStats, MemoryTier, ModelInfo } from '../../lib';
import { type Conversation, exchangeNumbers, messageIndex } from '../state/conversation';
import type { Range } from '../state/memory_watch';
import { tierAt, tierLabel } from './tiers';

type Talk = Pick<Conversation, 'systemPrompt' | 'turns'>;

/** Tokens [first, end) of a turn. One that is being read or written goes on to the end of memory. */
export function rangeOfTurn(talk: Talk, ranges: Range[], positions: number, turn: number): Range {
  const known = ranges[messageIndex(talk, turn)];
  return known ?? { first: ranges.at(-1)?.end ?? 0, end: positions };
}

/** The turn that a token belongs to; the first one for the system prompt. */
export function turnOfToken(talk: Talk, ranges: Range[], token: number): number {
  const message = ranges.findIndex(({ end }) => token < end);
  const turn = (message < 0 ? ranges.length : message) - messageIndex(talk, 0);
  return Math.max(0, Math.min(talk.turns.length - 1, turn));
}

/** First token of each exchange that is in memory. */
export function exchangeStarts(talk: Talk, ranges: Range[]): number[] {
  const starts: number[] = [];
  talk.turns.forEach(({ role }, turn) => {
    const range = ranges[messageIndex(talk, turn)];
    if (role === 'user' && range) starts.push(range.first);
  });
  return starts;
}

export function exchangeOfTurn(talk: Talk, turn: number): number {
  return exchangeNumbers(talk.turns)[turn] ?? 1;
}

/** Bytes of the tokens [first, end), by their share of each tier. */
export function bytesOf(tiers: MemoryTier[], first: number, end: number): number {
  return tiers.reduce((sum, tier) => {
    const shared = Math.min(end, tier.first + tier.positions) - Math.max(first, tier.first);
    return shared > 0 ? sum + (tier.bytes * shared) / tier.positions : sum;
  }, 0);
}

/** How many layers still see the tokens before `end`: fewer than all, once they have left the window that some have. */
export function layersThatSee(
  { layers, windowedLayers, window }: Pick<ModelInfo, 'layers' | 'windowedLayers' | 'window'>,
  positions: number,
  end: number,
): number {
  return windowedLayers > 0 && end <= positions - window ? layers - windowedLayers : layers;
}

export interface Stretch {
  tier: string;
  turn: number; // as people count
  first: number;
  last: number;
  bytes: number;
}

export function describeStretch(talk: Talk, stats: MemoryStats, ranges: Range[], first: number, end: number): Stretch {
  const newest = tierAt(stats.tiers, end - 1);
  return {
    tier: newest ? tierLabel(newest) : '',
    turn: exchangeOfTurn(talk, turnOfToken(talk, ranges, first)),
    first,
    last: end - 1,
    bytes: bytesOf(stats.tiers, first, end),
  };
}
