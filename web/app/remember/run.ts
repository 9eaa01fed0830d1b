// “Do you still remember?”: the same words read by the same model twice, once with a memory that compresses and once with
// one that deletes, and what each of them answers.
//
// It has an engine of its own, for one model that is always there and small: nothing of the person's conversation is
// touched, and a large model is not loaded a second time. One side after the other: each has all cores.
import { batch, type Signal, signal } from '@preact/signals';
import {
  type Engine,
  type MemoryOptions,
  type MemoryStats,
  type Message,
  type ModelSource,
  StrataError,
} from '../../lib';
import { type Run, runsOf } from '../memory/tiers';
import { text } from '../strings';
import { pages } from './pages';

export const sides = ['keeps', 'deletes'] as const;
export type Side = (typeof sides)[number];

const windowTokens = 128; // of the side that deletes; so many are exact on the other side, at least
const sinkTokens = 4; // engines that delete keep the first few, without which a model stumbles
const longestAnswer = 48; // tokens

const memories: Record<Side, MemoryOptions> = {
  keeps: { preset: 'quality' },
  deletes: { rows: { keyType: 'fp16', valueType: 'fp16' }, forgetBeyond: windowTokens },
};

/** What is in memory at the end. */
export interface Kept {
  tokens: number;
  of: number;
  bytes: number;
  bytesFp16: number; // of all tokens
  runs: Run[];
}

export interface Lane {
  name: string; // of the dog
  reading: { done: number; total: number } | undefined;
  answer: string;
  kept: Kept | undefined; // from the end on
  remembered: boolean;
}

const waiting: Lane = { name: '', reading: undefined, answer: '', kept: undefined, remembered: false };

export class Remembering {
  readonly lanes: Record<Side, Signal<Lane>> = { keeps: signal(waiting), deletes: signal(waiting) };
  readonly running = signal(false);
  readonly failure = signal('');
  #engine: Engine;
  #source: ModelSource;
  #loaded: Promise<unknown> | undefined;
  #closed = new AbortController();

  constructor(engine: Engine, source: ModelSource) {
    this.#engine = engine;
    this.#source = source;
  }

  /** Both sides, with a dog of that name. */
  async run(name: string): Promise<void> {
    batch(() => {
      for (const side of sides) this.lanes[side].value = { ...waiting, name };
      this.failure.value = '';
      this.running.value = true;
    });
    const { signal } = this.#closed;
    try {
      this.#loaded ??= this.#engine.load(this.#source, { signal });
      await this.#loaded;
      for (const side of sides) await this.#ask(side, name);
    } catch (error) {
      this.#loaded = undefined;
      if (!signal.aborted) this.failure.value = error instanceof StrataError ? error.message : String(error);
    } finally {
      this.running.value = false;
    }
  }

  close(): void {
    this.#closed.abort();
    void this.#engine.close();
  }

  async #ask(side: Side, name: string): Promise<void> {
    const lane = this.lanes[side];
    await this.#engine.reset(memories[side]);
    const options = { temperature: 0, maxTokens: longestAnswer, signal: this.#closed.signal };
    for await (const piece of this.#engine.generate(conversationAbout(name), options)) {
      if (piece.kind === 'reading') lane.value = { ...lane.value, reading: piece };
      if (piece.kind === 'text') lane.value = { ...lane.value, answer: lane.value.answer + piece.text };
    }
    const kept = keptBy(side, await this.#engine.stats());
    lane.value = { ...lane.value, kept, remembered: lane.value.answer.toLowerCase().includes(name.toLowerCase()) };
  }
}

/** The answers in between are given, so that both sides read the same words. */
export function conversationAbout(name: string): Message[] {
  const { fact, noted, page, pageRead, question } = text.remember;
  return [
    { role: 'user', content: fact(name) },
    { role: 'assistant', content: noted },
    ...pages.flatMap((words): Message[] => [
      { role: 'user', content: page(words) },
      { role: 'assistant', content: pageRead },
    ]),
    { role: 'user', content: question },
  ];
}

/** The engine only pretends to delete; what a memory that does so would hold is the share of what it still sees. */
export function keptBy(side: Side, { positions, bytes, bytesFp16, tiers }: MemoryStats): Kept {
  if (side === 'keeps') return { tokens: positions, of: positions, bytes, bytesFp16, runs: runsOf(tiers) };
  const tokens = Math.min(positions, windowTokens + sinkTokens);
  const runs: Run[] = [
    { bits: 16, positions: Math.min(positions, sinkTokens) },
    { bits: 0, positions: positions - tokens },
    { bits: 16, positions: Math.max(0, tokens - sinkTokens) },
  ];
  return { tokens, of: positions, bytes: (bytesFp16 * tokens) / Math.max(1, positions), bytesFp16, runs };
}
