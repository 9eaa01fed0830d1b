// Models that could be opened: those that this device keeps, a short list, and whatever an address or a repository holds.
// Before anything is downloaded, its header says what it needs.
import { signal } from '@preact/signals';
import {
  canKeep,
  createWorkerEngine,
  type HubModel,
  type KeptModel,
  keptModels,
  type ModelPlan,
  modelsOfRepository,
  removeModel,
  repositoryOf,
} from '../../lib';
import { explain, type Fault } from './fault';
import { nameOf } from './model_name';

export interface Suggestion {
  name: string;
  url: string;
  bytes: number; // about: the plan says it exactly
  licence: string;
}

const hub = (repository: string, file: string) => `https://huggingface.co/${repository}/resolve/main/${file}`;

/** Small, good for their size, and free to use as their licences say. Sizes as listed by the hub in 2026. */
export const suggestions: readonly Suggestion[] = [
  {
    name: 'SmolLM2 135M',
    url: hub('bartowski/SmolLM2-135M-Instruct-GGUF', 'SmolLM2-135M-Instruct-Q8_0.gguf'),
    bytes: 145e6,
    licence: 'Apache 2.0',
  },
  {
    name: 'Gemma 3 270M',
    url: hub('ggml-org/gemma-3-270m-it-GGUF', 'gemma-3-270m-it-Q8_0.gguf'),
    bytes: 292e6,
    licence: 'Gemma terms of use',
  },
  {
    name: 'SmolLM2 360M',
    url: hub('HuggingFaceTB/SmolLM2-360M-Instruct-GGUF', 'smollm2-360m-instruct-q8_0.gguf'),
    bytes: 386e6,
    licence: 'Apache 2.0',
  },
  {
    name: 'Qwen2.5 0.5B',
    url: hub('Qwen/Qwen2.5-0.5B-Instruct-GGUF', 'qwen2.5-0.5b-instruct-q4_k_m.gguf'),
    bytes: 491_400_032,
    licence: 'Apache 2.0',
  },
  {
    name: 'Qwen3 0.6B',
    url: hub('Qwen/Qwen3-0.6B-GGUF', 'Qwen3-0.6B-Q8_0.gguf'),
    bytes: 639_446_688,
    licence: 'Apache 2.0',
  },
  {
    name: 'Qwen2.5 1.5B',
    url: hub('Qwen/Qwen2.5-1.5B-Instruct-GGUF', 'qwen2.5-1.5b-instruct-q4_k_m.gguf'),
    bytes: 1_117_320_736,
    licence: 'Apache 2.0',
  },
  {
    name: 'Llama 3.2 1B',
    url: hub('bartowski/Llama-3.2-1B-Instruct-GGUF', 'Llama-3.2-1B-Instruct-Q8_0.gguf'),
    bytes: 1_321e6,
    licence: 'Llama 3.2 Community',
  },
];

/** What is being looked at before it is downloaded. */
export type Looking =
  | { kind: 'asking'; address: string }
  | { kind: 'plan'; address: string; plan: ModelPlan }
  | { kind: 'repository'; address: string; models: HubModel[] }
  | { kind: 'fault'; address: string; fault: Fault };

export const kept = signal<KeptModel[]>([]);
export const looking = signal<Looking | undefined>(undefined);
/** Whether the browser has promised to keep what is stored, and how many bytes are free. */
export const storage = signal<{ persisted: boolean; free: number } | undefined>(undefined);
export const removeFault = signal<Fault | undefined>(undefined);

export async function refreshKept(): Promise<void> {
  if (!canKeep()) return;
  const [models, persisted, estimate] = await Promise.all([
    keptModels(),
    navigator.storage.persisted(),
    navigator.storage.estimate(),
  ]);
  kept.value = models;
  storage.value = { persisted, free: Math.max(0, (estimate.quota ?? 0) - (estimate.usage ?? 0)) };
}

/** Asks the browser not to remove models when it runs short of space. Some ask the person, some decide by themselves. */
export async function askToPersist(): Promise<void> {
  if (canKeep()) await navigator.storage.persist().catch(() => false);
}

let latest: AbortController | undefined;

export async function look(address: string): Promise<void> {
  latest?.abort();
  const stop = new AbortController();
  latest = stop;
  const show = (next: Looking) => {
    if (latest === stop) looking.value = next;
  };
  show({ kind: 'asking', address });
  try {
    const repository = repositoryOf(address);
    if (repository) {
      const models = await modelsOfRepository(repository, stop.signal);
      if (models.length !== 1) return show({ kind: 'repository', address, models });
      return await look(models[0]!.url);
    }
    show({ kind: 'plan', address, plan: await planOf(address, stop.signal) });
  } catch (error) {
    show({ kind: 'fault', address, fault: explain(error, { doing: 'opening' }) });
  }
}

async function planOf(url: string, signal: AbortSignal): Promise<ModelPlan> {
  const engine = createWorkerEngine(); // the one in use may be answering
  try {
    return await engine.plan({ kind: 'url', url, name: nameOf(url) }, { signal });
  } finally {
    void engine.close();
  }
}

export function stopLooking(): void {
  latest?.abort();
  latest = undefined;
  looking.value = undefined;
}

export async function remove(url: string): Promise<void> {
  removeFault.value = undefined;
  try {
    await removeModel(url);
  } catch (error) {
    removeFault.value = explain(error, { doing: 'opening' });
  }
  await refreshKept();
}
