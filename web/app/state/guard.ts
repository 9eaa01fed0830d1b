// What this device has found out about how models bear a compressed memory (the engine's guard), kept in localStorage by
// model and preset. Checked when it is read back, as anybody may have written it.
import { signal } from '@preact/signals';
import type { Engine, GuardReport, MemoryPreset } from '../../lib';

const key = 'strata.guard';
const mostKept = 60;

type Kept = Record<string, GuardReport>; // by nameOf(), the oldest first

const nameOf = (identity: string, preset: MemoryPreset) => `${identity} ${preset}`;

export class GuardWatch {
  /** Of the model and preset that were asked about last. */
  readonly report = signal<GuardReport | undefined>(undefined);
  readonly checking = signal(false);
  #kept: Kept = restore();
  #failed = new Set<string>(); // in this tab; not worth trying again
  #abort: AbortController | undefined;

  /** What is known; and shows it. */
  look(identity: string, preset: MemoryPreset): GuardReport | undefined {
    this.report.value = preset === 'exact' ? undefined : this.#kept[nameOf(identity, preset)];
    return this.report.value;
  }

  layers(identity: string, preset: MemoryPreset): number[] {
    return this.look(identity, preset)?.guardedLayers ?? [];
  }

  /** Finds out, unless it is known or under way. What was too slow is tried again with the next visit. */
  async check(engine: Engine, identity: string, preset: MemoryPreset, maxMs: number): Promise<GuardReport | undefined> {
    const name = nameOf(identity, preset);
    if (preset === 'exact' || this.checking.value || this.#failed.has(name) || this.look(identity, preset))
      return undefined;
    const abort = new AbortController();
    this.#abort = abort;
    this.checking.value = true;
    try {
      const report = await engine.guard({ preset, maxMs, signal: abort.signal });
      if (abort.signal.aborted) return undefined;
      if (report.outcome === 'too_slow') this.#failed.add(name);
      else this.#keep(name, report);
      this.report.value = report;
      return report;
    } catch {
      if (!abort.signal.aborted) this.#failed.add(name); // no room for it: the memory is as it would be without
      return undefined;
    } finally {
      if (this.#abort === abort) this.checking.value = false;
    }
  }

  /** The engine is going away. */
  stop(): void {
    this.#abort?.abort();
    this.#abort = undefined;
    this.checking.value = false;
    this.report.value = undefined;
  }

  #keep(name: string, report: GuardReport): void {
    const { [name]: _, ...others } = this.#kept;
    this.#kept = Object.fromEntries([...Object.entries(others), [name, report] as const].slice(-mostKept));
    try {
      localStorage.setItem(key, JSON.stringify(this.#kept));
    } catch {
      // storage is blocked: it is found out again next time
    }
  }
}

function restore(): Kept {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? '{}') as Record<string, unknown>;
    return Object.fromEntries(
      Object.entries(kept).filter((entry): entry is [string, GuardReport] => isReport(entry[1])),
    );
  } catch {
    return {};
  }
}

function isReport(value: unknown): value is GuardReport {
  const { outcome, guardedLayers } = (value ?? {}) as Partial<GuardReport>;
  const ascending = (layers: unknown[]) =>
    layers.every((layer, i) => Number.isInteger(layer) && (layer as number) > ((layers[i - 1] as number) ?? -1));
  return (
    (outcome === 'checked' || outcome === 'unsearched') && Array.isArray(guardedLayers) && ascending(guardedLayers)
  );
}
