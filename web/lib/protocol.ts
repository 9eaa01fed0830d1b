// What crosses the worker. One interface lists the calls; requests, replies, handlers and the caller derive from it.
import {
  type ErrorCode,
  type GenerateOptions,
  type GuardReport,
  type LoadProgress,
  type MemoryOptions,
  type MemoryPreset,
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

/** `ask` goes there, `reply` comes back at the end, any number of `part`s may come before it. */
export interface Calls {
  start: { ask: { engineFolder: string }; part: never; reply: undefined };
  load: {
    ask: { source: ModelSource; memory?: MemoryOptions; threads?: number };
    part: LoadProgress;
    reply: ModelInfo;
  };
  plan: { ask: { source: ModelSource }; part: never; reply: ModelPlan };
  generate: {
    ask: { input: Message[] | string; options: Omit<GenerateOptions, 'signal'> };
    part: Piece;
    reply: undefined;
  };
  read: { ask: { messages: Message[] }; part: Piece; reply: undefined };
  reset: { ask: { memory?: MemoryOptions }; part: never; reply: undefined };
  setMemory: { ask: TieredMemory; part: never; reply: undefined };
  save: { ask: undefined; part: never; reply: Snapshot };
  restore: { ask: { snapshot: Snapshot }; part: never; reply: undefined };
  guard: { ask: { preset?: MemoryPreset; maxMs?: number }; part: number; reply: GuardReport };
  stats: { ask: undefined; part: never; reply: MemoryStats };
  layout: { ask: undefined; part: never; reply: { first: number; end: number }[] };
  countTokens: { ask: { text: string }; part: never; reply: number };
}
export type CallName = keyof Calls;

type Request =
  | { [N in CallName]: { id: number; name: N; ask: Calls[N]['ask'] } }[CallName]
  | { id: number; abort: true };
type Reply =
  | { [N in CallName]: { id: number; part: Calls[N]['part'] } | { id: number; reply: Calls[N]['reply'] } }[CallName]
  | {
      id: number;
      error: { code: ErrorCode; message: string };
    };

/** The side that does the work. A signal is aborted when the caller has lost interest. */
export type Handlers = {
  [N in CallName]: (
    ask: Calls[N]['ask'],
    context: { part: (part: Calls[N]['part']) => void; signal: AbortSignal },
  ) => Promise<Calls[N]['reply']>;
};

/** A worker, the inside of a worker, or one end of a MessageChannel. */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
}

export function answerCalls(port: Port, handlers: Handlers): void {
  const running = new Map<number, AbortController>();

  async function answer<N extends CallName>(id: number, name: N, ask: Calls[N]['ask']): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const send = (reply: Reply) => port.postMessage(reply);
    try {
      const part = (part: Calls[N]['part']) => send({ id, part } as Reply);
      const reply = await handlers[name](ask, { part, signal: controller.signal });
      port.postMessage({ id, reply } as Reply, transferable(reply));
    } catch (error) {
      const { code, message } = error instanceof StrataError ? error : new StrataError('internal', String(error));
      send({ id, error: { code, message } });
    } finally {
      running.delete(id);
    }
  }

  port.addEventListener('message', ({ data }: MessageEvent<Request>) => {
    if ('abort' in data) running.get(data.id)?.abort();
    else void answer(data.id, data.name, data.ask);
  });
}

/** A snapshot may be hundreds of megabytes: it moves, and is not copied. */
function transferable(reply: Calls[CallName]['reply']): Transferable[] {
  return typeof reply === 'object' && 'memory' in reply ? [reply.memory.buffer as ArrayBuffer] : [];
}

interface Pending {
  part: (part: unknown) => void;
  resolve: (reply: unknown) => void;
  reject: (error: StrataError) => void;
}

/** The side that asks. */
export class Caller {
  #port: Port;
  #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(port: Port) {
    this.#port = port;
    port.addEventListener('message', ({ data }: MessageEvent<Reply>) => {
      const pending = this.#pending.get(data.id);
      if (!pending) return;
      if ('part' in data) return pending.part(data.part);
      this.#pending.delete(data.id);
      if ('error' in data) pending.reject(new StrataError(data.error.code, data.error.message));
      else pending.resolve(data.reply);
    });
  }

  call<N extends CallName>(
    name: N,
    ask: Calls[N]['ask'],
    { onPart, signal }: { onPart?: (part: Calls[N]['part']) => void; signal?: AbortSignal } = {},
  ): Promise<Calls[N]['reply']> {
    const id = ++this.#lastId;
    const abort = () => this.#port.postMessage({ id, abort: true } satisfies Request);
    const reply = new Promise<Calls[N]['reply']>((resolve, reject) => {
      const part = (onPart ?? (() => {})) as Pending['part'];
      this.#pending.set(id, { part, resolve: resolve as Pending['resolve'], reject });
    });
    this.#port.postMessage({ id, name, ask });
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    return reply.finally(() => signal?.removeEventListener('abort', abort));
  }

  /** The parts of a call as they come. Leaving the loop, or aborting, stops the other side. */
  async *stream<N extends CallName>(
    name: N,
    ask: Calls[N]['ask'],
    signal?: AbortSignal,
  ): AsyncGenerator<Calls[N]['part']> {
    const stop = new AbortController();
    const abort = () => stop.abort();
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort);
    const parts: Calls[N]['part'][] = [];
    let ended = false;
    let wake = () => {};
    const onPart = (part: Calls[N]['part']) => {
      parts.push(part);
      wake();
    };
    const end = () => {
      ended = true;
      wake();
    };
    const reply = this.call(name, ask, { onPart, signal: stop.signal });
    reply.then(end, end);
    try {
      while (!ended || parts.length > 0) {
        if (parts.length > 0) yield parts.shift()!;
        else
          await new Promise<void>((woken) => {
            wake = woken;
          });
      }
      await reply; // throws what the other side threw
    } finally {
      signal?.removeEventListener('abort', abort);
      if (!ended) stop.abort();
    }
  }

  /** Rejects everything that is waiting: the other side is gone. */
  fail(error: StrataError): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }
}
