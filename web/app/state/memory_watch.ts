// Follows what the engine says about its memory, often enough to look live and seldom enough to cost nothing.
import { signal } from '@preact/signals';
import type { Engine, MemoryStats } from '../../lib';
import { addSample, type Sample, sampleOf } from '../memory/samples';

const leastMs = 100; // between two looks

export interface Range {
  first: number;
  end: number;
}

export class MemoryWatch {
  readonly stats = signal<MemoryStats | undefined>(undefined);
  /** Where each message lies, in the order of the conversation. */
  readonly ranges = signal<Range[]>([]);
  readonly samples = signal<Sample[]>([]);
  #looking = false;
  #lastLook = 0;

  /** Looks, unless it has just looked. */
  touch(engine: Engine): void {
    if (!this.#looking && performance.now() - this.#lastLook >= leastMs) void this.look(engine);
  }

  async look(engine: Engine): Promise<void> {
    this.#looking = true;
    this.#lastLook = performance.now();
    try {
      const [stats, ranges] = await Promise.all([engine.stats(), engine.layout()]);
      this.stats.value = stats;
      this.ranges.value = ranges;
      if (stats.positions > 0) this.samples.value = addSample(this.samples.value, sampleOf(stats));
    } catch {
      // The engine is gone; whoever waits for its answer says so.
    } finally {
      this.#looking = false;
    }
  }

  clear(): void {
    this.stats.value = undefined;
    this.ranges.value = [];
    this.samples.value = [];
  }
}
