// What a person has chosen, kept in localStorage. Every value is checked when it is read back: an older version, or a
// person, may have written something else.
import { effect, signal } from '@preact/signals';
import type { GenerateOptions, MemoryPreset, TieredMemory } from '../../lib';

export type Theme = 'system' | 'light' | 'dark';
export type Sampling = Required<
  Pick<GenerateOptions, 'temperature' | 'topP' | 'topK' | 'minP' | 'repeatPenalty' | 'maxTokens'>
> & { seed: number | null }; // null: another one each time

/** The model to open with the page. A file of the person's own cannot be opened again without asking. */
export type ModelChoice = { kind: 'included' } | { kind: 'url'; url: string };

export interface Settings {
  theme: Theme;
  systemPrompt: string;
  sampling: Sampling;
  memory: TieredMemory; // as wished: a model may need more, see keepAs() in chat.ts
  model: ModelChoice;
}

export const presets: readonly MemoryPreset[] = ['exact', 'quality', 'balanced', 'max'];

/** The bounds of the sampling fields; they are checked here and shown in the sheet. */
export const samplingRanges = {
  temperature: { min: 0, max: 2, step: 0.05 },
  topP: { min: 0.05, max: 1, step: 0.05 },
  topK: { min: 0, max: 1000, step: 1 },
  minP: { min: 0, max: 1, step: 0.01 },
  repeatPenalty: { min: 1, max: 2, step: 0.05 },
  maxTokens: { min: 1, max: 8192, step: 1 },
} as const;
export type SamplingField = keyof typeof samplingRanges;

export const defaults: Settings = {
  theme: 'system',
  systemPrompt: '',
  // Cool and unpunished: a repetition penalty would punish the included model for repeating what it was told.
  sampling: { temperature: 0.3, topP: 1, topK: 40, minP: 0.05, repeatPenalty: 1, maxTokens: 512, seed: null },
  memory: { preset: 'quality', budgetBytes: 0 },
  model: { kind: 'included' },
};

const key = 'strata.settings';

export function parseSettings(saved: unknown): Settings {
  const s = fields(saved);
  const sampling = fields(s.sampling);
  const memory = fields(s.memory);
  const model = fields(s.model);
  const seed = sampling.seed;
  return {
    theme: oneOf(s.theme, ['system', 'light', 'dark'], defaults.theme),
    systemPrompt: typeof s.systemPrompt === 'string' ? s.systemPrompt : defaults.systemPrompt,
    sampling: {
      ...(Object.fromEntries(
        Object.keys(samplingRanges).map((name) => [name, samplingValue(name as SamplingField, sampling[name])]),
      ) as Record<SamplingField, number>),
      seed: typeof seed === 'number' && Number.isInteger(seed) && seed >= 0 ? seed : null,
    },
    // Earlier versions kept formats of rows here; they had no budget.
    memory: {
      preset: oneOf(memory.preset, presets, defaults.memory.preset),
      budgetBytes: isBytes(memory.budgetBytes) ? memory.budgetBytes : defaults.memory.budgetBytes,
    },
    model:
      model.kind === 'url' && typeof model.url === 'string' ? { kind: 'url', url: model.url } : { kind: 'included' },
  };
}

export function samplingValue(name: SamplingField, value: unknown): number {
  const { min, max } = samplingRanges[name];
  return typeof value === 'number' && value >= min && value <= max ? value : defaults.sampling[name];
}

const isBytes = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const fields = (value: unknown) =>
  (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
function oneOf<T>(value: unknown, allowed: readonly T[], otherwise: T): T {
  return allowed.includes(value as T) ? (value as T) : otherwise;
}

function restore(): Settings {
  try {
    return parseSettings(JSON.parse(localStorage.getItem(key) ?? '{}'));
  } catch {
    return defaults; // storage is blocked, or holds no JSON
  }
}

export const settings = signal<Settings>(restore());

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
}

/** Keeps what is chosen, and shows the chosen theme. */
export function watchSettings(): void {
  effect(() => {
    const { theme } = settings.value;
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
      localStorage.setItem(key, JSON.stringify(settings.value));
    } catch {
      // Storage is blocked or full: the choice holds as long as the tab.
    }
  });
}
