// The engine behind a worker: what a page uses, so that it never freezes.
import { Caller } from './protocol';
import {
  type Engine,
  type GenerateOptions,
  type GuardOptions,
  type GuardReport,
  type LoadOptions,
  type MemoryOptions,
  type MemoryStats,
  type Message,
  type ModelInfo,
  type ModelPlan,
  type ModelSource,
  type Piece,
  type Snapshot,
  StrataError,
  type TieredMemory,
} from './types';

export interface WorkerEngineOptions {
  /** URL of the folder with the engine's .mjs and .wasm files. Default: `engine/` beside the page. */
  engineFolder?: string;
  /** For tests: something else than a new worker. */
  spawn?: () => Worker;
}

/** The worker starts with the first load(), and again with the next one if it has died. */
export function createWorkerEngine(options: WorkerEngineOptions = {}): Engine {
  return new WorkerEngine(options);
}

const newWorker = () => new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'strata-engine' });

class WorkerEngine implements Engine {
  #folder: string;
  #spawn: () => Worker;
  #worker: Worker | undefined;
  #caller: Caller | undefined;
  #died: StrataError | undefined;

  constructor({ engineFolder, spawn }: WorkerEngineOptions) {
    this.#folder = new URL(engineFolder ?? 'engine/', location.href).href;
    this.#spawn = spawn ?? newWorker;
  }

  async load(source: ModelSource, { onProgress, signal, ...options }: LoadOptions = {}): Promise<ModelInfo> {
    const caller = this.#caller ?? this.#start();
    return caller.call('load', { source: absolute(source), ...options }, { onPart: onProgress, signal });
  }

  async plan(source: ModelSource, { signal }: { signal?: AbortSignal } = {}): Promise<ModelPlan> {
    return (this.#caller ?? this.#start()).call('plan', { source: absolute(source) }, { signal });
  }

  async *generate(input: Message[] | string, { signal, ...options }: GenerateOptions = {}): AsyncGenerator<Piece> {
    yield* this.#need().stream('generate', { input, options }, signal);
  }

  async *read(messages: Message[], options: { signal?: AbortSignal } = {}): AsyncGenerator<Piece> {
    yield* this.#need().stream('read', { messages }, options.signal);
  }

  async reset(memory?: MemoryOptions): Promise<void> {
    await this.#need().call('reset', { memory });
  }

  async setMemory(memory: TieredMemory): Promise<void> {
    await this.#need().call('setMemory', memory);
  }

  async save(): Promise<Snapshot> {
    return this.#need().call('save', undefined);
  }

  async restore(snapshot: Snapshot): Promise<void> {
    await this.#need().call('restore', { snapshot });
  }

  async guard({ onProgress, signal, ...options }: GuardOptions = {}): Promise<GuardReport> {
    return this.#need().call('guard', options, { onPart: onProgress, signal });
  }

  async stats(): Promise<MemoryStats> {
    return this.#need().call('stats', undefined);
  }

  async layout(): Promise<{ first: number; end: number }[]> {
    return this.#need().call('layout', undefined);
  }

  async countTokens(text: string): Promise<number> {
    return this.#need().call('countTokens', { text });
  }

  async close(): Promise<void> {
    this.#end(new StrataError('not_loaded', 'The engine was closed.'));
  }

  #start(): Caller {
    const worker = this.#spawn();
    const caller = new Caller(worker);
    const die = (event: Event) => {
      if (worker !== this.#worker) return;
      const why = event instanceof ErrorEvent && event.message ? ` (${event.message})` : '';
      this.#end(
        new StrataError(
          'worker_died',
          `The engine's worker stopped${why}. The conversation is kept; load the model again to go on.`,
        ),
      );
    };
    worker.addEventListener('error', die);
    worker.addEventListener('messageerror', die);
    this.#worker = worker;
    this.#caller = caller;
    this.#died = undefined;
    caller.call('start', { engineFolder: this.#folder }).catch(() => {}); // the call that follows tells
    return caller;
  }

  #end(reason: StrataError): void {
    const caller = this.#caller;
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#caller = undefined;
    this.#died = reason;
    caller?.fail(reason);
  }

  #need(): Caller {
    if (this.#caller) return this.#caller;
    throw this.#died ?? new StrataError('not_loaded', 'No model is loaded. Call load() first.');
  }
}

// A worker resolves addresses against its own script; a person means the page.
function absolute(source: ModelSource): ModelSource {
  if (source.kind !== 'url' || !URL.canParse(source.url, location.href)) return source;
  return { ...source, url: new URL(source.url, location.href).href };
}
