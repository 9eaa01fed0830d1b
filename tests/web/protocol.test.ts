// What crosses the worker, over a real MessageChannel.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { answerCalls, Caller, type Handlers } from '../../web/lib/protocol';
import { type Piece, StrataError } from '../../web/lib/types';

const text = (positions: number): Piece => ({ kind: 'text', text: `${positions} `, positions });
const unexpected = () => Promise.reject(new Error('not part of this test'));
const handlers: Handlers = {
  start: unexpected,
  load: unexpected,
  plan: unexpected,
  generate: unexpected,
  read: unexpected,
  reset: unexpected,
  setMemory: unexpected,
  save: unexpected,
  restore: unexpected,
  guard: unexpected,
  stats: unexpected,
  layout: unexpected,
  countTokens: async ({ text }) => text.length,
};

let channel: MessageChannel;
beforeEach(() => {
  channel = new MessageChannel();
  channel.port1.start();
  channel.port2.start();
});
afterEach(() => {
  channel.port1.close();
  channel.port2.close();
});

function connect(changed: Partial<Handlers> = {}): Caller {
  answerCalls(channel.port2, { ...handlers, ...changed });
  return new Caller(channel.port1);
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const part of stream) all.push(part);
  return all;
}

test('replies find their calls, whatever the order', async () => {
  const caller = connect();
  const lengths = await Promise.all(['a', 'bb', 'ccc'].map((text) => caller.call('countTokens', { text })));
  expect(lengths).toEqual([1, 2, 3]);
});

test('errors come back typed, those that nobody expected too', async () => {
  const caller = connect({ stats: () => Promise.reject(new StrataError('not_loaded', 'No model')) });
  const typed = await caller.call('stats', undefined).catch((error: unknown) => error);
  expect(typed).toBeInstanceOf(StrataError);
  expect(typed).toMatchObject({ code: 'not_loaded', message: 'No model' });
  await expect(caller.call('layout', undefined)).rejects.toMatchObject({ code: 'internal' });
});

test('a stream yields every part in order, then what went wrong', async () => {
  const caller = connect({
    async generate(_ask, { part }) {
      part(text(1));
      part(text(2));
      throw new StrataError('out_of_memory', 'full');
    },
  });
  const seen: Piece[] = [];
  const reading = (async () => {
    for await (const piece of caller.stream('generate', { input: 'x', options: {} })) seen.push(piece);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'out_of_memory' });
  expect(seen).toEqual([text(1), text(2)]);
});

/** Goes on until its signal is aborted, as an answer does. */
function endless() {
  const stopped = vi.fn();
  const generate: Handlers['generate'] = async (_ask, { part, signal }) => {
    for (let n = 1; !signal.aborted; ++n) {
      part(text(n));
      await new Promise((resolve) => setTimeout(resolve));
    }
    stopped();
    part({ kind: 'end', reason: 'aborted', promptTokens: 0, generatedTokens: 0, firstTokenMs: 0, tokensPerSecond: 0 });
    return undefined;
  };
  return { stopped, generate };
}

test('leaving the loop stops the other side', async () => {
  const { stopped, generate } = endless();
  const caller = connect({ generate });
  for await (const piece of caller.stream('generate', { input: 'x', options: {} })) {
    if (piece.kind === 'text' && piece.positions === 3) break;
  }
  await vi.waitFor(() => expect(stopped).toHaveBeenCalled());
});

test('aborting stops the other side, and its last words still arrive', async () => {
  const { stopped, generate } = endless();
  const caller = connect({ generate });
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 20);
  const pieces = await collect(caller.stream('generate', { input: 'x', options: {} }, controller.signal));
  expect(stopped).toHaveBeenCalled();
  expect(pieces.at(-1)).toMatchObject({ kind: 'end', reason: 'aborted' });
});

test('a signal that was aborted before the call stops it too', async () => {
  const { generate } = endless();
  const caller = connect({ generate });
  const pieces = await collect(caller.stream('generate', { input: 'x', options: {} }, AbortSignal.abort()));
  expect(pieces.at(-1)).toMatchObject({ kind: 'end', reason: 'aborted' });
});

test('when the other side dies, everything that waits is rejected', async () => {
  const { generate } = endless();
  const caller = connect({ generate, stats: () => new Promise(() => {}) });
  const waiting = caller.call('stats', undefined);
  const stream = collect(caller.stream('generate', { input: 'x', options: {} }));
  setTimeout(() => caller.fail(new StrataError('worker_died', 'gone')), 10);
  await expect(waiting).rejects.toMatchObject({ code: 'worker_died' });
  await expect(stream).rejects.toMatchObject({ code: 'worker_died' });
  channel.port1.postMessage({ id: 2, abort: true }); // lets the other side end too
});
