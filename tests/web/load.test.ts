// Loading: from a file or a server that may do anything, and what is said about files that are no model for us.
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NativeEngine } from '../../wasm/engine_module';
import { createEngine, type Engine, type LoadProgress, StrataError } from '../../web/lib';
import { fileAddress, filesOfModel, repositoryOf } from '../../web/lib/hub';
import { openSource, readInto } from '../../web/lib/model_source';
import { splitGguf, withGap } from '../tools/split_gguf.mjs';
import { defaultModel, instantiate, nodeHost } from './node_host';

const model = defaultModel();
let engine: Engine;
let server: Server | undefined;
beforeEach(() => {
  engine = createEngine(nodeHost);
});
afterEach(async () => {
  await engine.close();
  server?.closeAllConnections();
  server?.close();
});

async function serve(answer: RequestListener): Promise<{ kind: 'url'; url: string }> {
  const listening = createServer(answer);
  server = listening;
  await new Promise<void>((ready) => listening.listen(0, '127.0.0.1', ready));
  return { kind: 'url', url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}/model.gguf` };
}
const fileOf = (bytes: Uint8Array) => ({ kind: 'file' as const, file: new Blob([new Uint8Array(bytes)]) });

async function failure(loading: Promise<unknown>): Promise<StrataError> {
  const error: unknown = await loading.then(
    () => new Error('it loaded'),
    (reason) => reason,
  );
  if (!(error instanceof StrataError)) throw error;
  await expect(engine.stats()).rejects.toMatchObject({ code: 'not_loaded' }); // nothing half-loaded stays
  return error;
}

describe('a server', () => {
  test('that says how long the file is: progress ends at the total, then the model is opened', async () => {
    const source = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': model.length }).end(model);
    });
    const progress: LoadProgress[] = [];
    const info = await engine.load(source, { onProgress: (step) => progress.push(step) });
    expect(info.vocabulary).toBe(4096);
    expect(progress[0]).toMatchObject({ phase: 'download', total: model.length });
    expect(progress.at(-2)).toEqual({ phase: 'download', loaded: model.length, total: model.length });
    expect(progress.at(-1)).toEqual({ phase: 'open', loaded: model.length, total: model.length });
    const loaded = progress.map((step) => step.loaded);
    expect(loaded).toEqual([...loaded].sort((a, b) => a - b));
  });

  test('that does not say', async () => {
    const source = await serve((_request, response) => {
      for (let at = 0; at < model.length; at += 1_000_000) response.write(model.subarray(at, at + 1_000_000));
      response.end();
    });
    const progress: LoadProgress[] = [];
    await engine.load(source, { onProgress: (step) => progress.push(step) });
    expect(progress[0]!.total).toBeUndefined();
    expect((await engine.stats()).heapBytes).toBeLessThan(64 * 2 ** 20);
  });

  test('that compresses: the announced length is not that of the file', async () => {
    const source = await serve((_request, response) => {
      const body = gzipSync(model, { level: 1 });
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
    });
    expect((await engine.load(source)).vocabulary).toBe(4096);
  });

  test('that announces less than it sends', async () => {
    // No HTTP client lets this through; a service worker or an extension can.
    const response = new Response(model, { headers: { 'content-length': '1000' } });
    const original = globalThis.fetch;
    globalThis.fetch = async () => response;
    try {
      expect((await engine.load({ kind: 'url', url: 'http://host/model.gguf' })).vocabulary).toBe(4096);
    } finally {
      globalThis.fetch = original;
    }
  });

  test('that breaks off', async () => {
    const source = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': model.length });
      response.write(model.subarray(0, 2_000_000), () => response.destroy());
    });
    expect(await failure(engine.load(source))).toMatchObject({
      code: 'server',
      message: expect.stringContaining('ended after'),
    });
  });

  test('that ends early without an error', async () => {
    const response = new Response(model.subarray(0, 2_000_000), {
      headers: { 'content-length': String(model.length) },
    });
    const original = globalThis.fetch;
    globalThis.fetch = async () => response;
    try {
      expect(await failure(engine.load({ kind: 'url', url: 'http://host/model.gguf' }))).toMatchObject({
        code: 'server',
        message: expect.stringContaining('2,000,000 of 6,273,216'),
      });
    } finally {
      globalThis.fetch = original;
    }
  });

  test.each([
    [404, 'not_found'],
    [403, 'not_found'],
    [500, 'server'],
  ])('that answers %i', async (status, code) => {
    const source = await serve((_request, response) => {
      response.writeHead(status).end('no');
    });
    expect(await failure(engine.load(source))).toMatchObject({
      code,
      message: expect.stringContaining(String(status)),
    });
  });

  test('that is not there', async () => {
    const source = await serve(() => {});
    await new Promise((closed) => server!.close(closed));
    expect(await failure(engine.load(source))).toMatchObject({
      code: 'network',
      message: expect.stringContaining('CORS'),
    });
  });

  test('that sends a web page: known after the first bytes', async () => {
    let sent = 0;
    const source = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 2 ** 30 });
      const more = () => {
        while (!response.destroyed && response.write('<html>'.repeat(10_000))) sent += 60_000;
      };
      response.on('drain', more);
      more();
    });
    expect((await failure(engine.load(source))).code).toBe('not_gguf');
    expect(sent).toBeLessThan(64 * 2 ** 20);
  });
});

test('a load can be stopped, and another one started at once', async () => {
  const source = await serve((_request, response) => {
    response.writeHead(200, { 'content-length': model.length });
    response.write(model.subarray(0, 1_000_000)); // and never the rest
  });
  const controller = new AbortController();
  const stopped = engine.load(source, { signal: controller.signal, onProgress: () => controller.abort() });
  const other = engine.load(fileOf(model));
  await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  expect((await other).vocabulary).toBe(4096);
});

test('a load that was stopped before it began', async () => {
  expect((await failure(engine.load(fileOf(model), { signal: AbortSignal.abort() }))).code).toBe('aborted');
});

test('an address that does not answer leaves the model that is there', async () => {
  await engine.load(fileOf(model));
  const source = await serve((_request, response) => {
    response.writeHead(404).end();
  });
  await expect(engine.load(source)).rejects.toMatchObject({ code: 'not_found' });
  expect((await engine.stats()).positions).toBe(0);
});

describe('a file', () => {
  /** The model with the first occurrence of one text, at or after another, replaced by one of the same length. */
  function changed(after: string, from: string, to: string): Uint8Array {
    const bytes = Buffer.from(model);
    const at = bytes.indexOf(from, bytes.indexOf(after) + after.length);
    if (at < 0 || from.length !== to.length) throw new Error(`no ${from} after ${after}`);
    bytes.write(to, at);
    return bytes;
  }

  function withTensorType(type: number): Uint8Array {
    const bytes = Buffer.from(model);
    const name = 'blk.0.attn_q.weight';
    const at = bytes.indexOf(name) + name.length;
    bytes.writeUInt32LE(type, at + 4 + 8 * bytes.readUInt32LE(at)); // behind the number of dimensions and the dimensions
    return bytes;
  }

  test.each([
    ['empty', new Uint8Array(), 'not_gguf', 'GGUF'],
    ['of another kind', Buffer.from('PK\x03\x04 not a model, but long enough to be one'), 'not_gguf', 'GGUF'],
    ['cut off in its header', model.subarray(0, 1000), 'corrupt_file', 'not downloaded completely'],
    ['cut off in its weights', model.subarray(0, model.length - 1000), 'corrupt_file', 'not downloaded completely'],
    ['of an unknown architecture', changed('general.architecture', 'llama', 'lambs'), 'unsupported_arch', 'lambs'],
    [
      'with an unknown pre-tokenizer',
      changed('tokenizer.ggml.pre', 'smollm', 'smallm'),
      'unsupported_tokenizer',
      'smallm',
    ],
    ['with an unknown tensor type', withTensorType(19), 'unsupported_type', 'blk.0.attn_q.weight'],
  ])('%s', async (_what, bytes, code, word) => {
    const error = await failure(engine.load(fileOf(bytes)));
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(word);
  });

  test('larger than any tab can hold: said before a byte is read', async () => {
    let cancelled = 0;
    const cancel = () => {
      ++cancelled;
    };
    const pull = () => Promise.reject(new Error('was read'));
    const stream = () => new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
    const huge = { size: 6e9, slice: () => ({ stream }) } as unknown as Blob;
    expect(await failure(engine.load({ kind: 'file', file: huge }))).toMatchObject({
      code: 'out_of_memory',
      message: expect.stringMatching(/6\.00 GB.*4\.22 GB/),
    });
    expect(cancelled).toBe(4); // every place in which it would have been read
  });

  test('that leaves no room for a conversation: refused, and a smaller one loads', async () => {
    let tabBytes = model.length + 2e6;
    const narrow = createEngine({
      maxThreads: async () => 1,
      async instantiate() {
        const module = await instantiate();
        module.Engine.prototype.tabBytes = () => tabBytes;
        return module;
      },
    });
    await expect(narrow.load(fileOf(model))).rejects.toMatchObject({
      code: 'out_of_memory',
      message: expect.stringMatching(/needs 0\.02 GB.* at most 0\.00 GB.*smaller model/),
    });
    tabBytes = model.length + 20e6;
    expect((await narrow.load(fileOf(model))).vocabulary).toBe(4096);
    await narrow.close();
  });

  test('that disappears while it is read', async () => {
    const stream = () =>
      new ReadableStream({ pull: () => Promise.reject(new DOMException('gone', 'NotReadableError')) });
    const gone = { size: 1000, slice: () => ({ stream }) } as unknown as Blob;
    expect((await failure(engine.load({ kind: 'file', file: gone }))).code).toBe('server');
  });

  test('without a chat template gets a named fallback', async (context) => {
    const path = '../shared/data/models/stories260K-f32.gguf';
    if (!existsSync(path)) return context.skip(`${path} is not here`);
    const memory = { rows: { keyType: 'fp16' } } as const; // its heads are too small for tiles
    const info = await engine.load(fileOf(readFileSync(path)), { memory });
    expect(info.template).toMatchObject({ origin: 'fallback', name: expect.stringContaining('User:') });
    for await (const piece of engine.generate([{ role: 'user', content: 'Hi' }], { maxTokens: 5 })) {
      if (piece.kind === 'end') expect(piece.promptTokens).toBeGreaterThan(5);
    }
  });
});

describe('a file that is read in several places at once', () => {
  const size = 6 * 2 ** 20 + 5;
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 997) bytes[at] = at / 997;
  bytes.set(model.subarray(0, 4)); // the magic, so that it is read on

  /** Reads a file into a memory that stands for the engine's, and returns what is there, and what was told. */
  async function readAll(...files: Blob[]): Promise<{ memory: Uint8Array; sizes: number[]; told: number[] }> {
    let memory = new Uint8Array();
    const reserve = (count: number) => {
      const grown = new Uint8Array(count);
      grown.set(memory.subarray(0, count));
      memory = grown;
      return true;
    };
    const native = { reserve, bytes: () => memory, tabBytes: () => 2 ** 30 } as unknown as NativeEngine;
    const told: number[] = [];
    const source = await openSource({ kind: 'file', file: files }, undefined, () => {});
    const sizes = await readInto(native, source, undefined, ({ loaded }) => told.push(loaded));
    return { memory, sizes, told };
  }

  /** As in a browser whose files know no readers that bring a buffer. */
  function withoutBuffers(file: Blob): Blob {
    const slice = file.slice.bind(file);
    file.slice = (begin, end) => {
      const part = slice(begin, end);
      const whole = part.stream.bind(part);
      part.stream = () => whole().pipeThrough(new TransformStream());
      return part;
    };
    return file;
  }

  test.each([
    ['with buffers of ours', (file: Blob) => file],
    ['with those of the browser', withoutBuffers],
  ])('arrives whole, %s', async (_how, as) => {
    const { memory, sizes, told } = await readAll(as(new Blob([bytes])), as(new Blob([bytes.subarray(0, 1000)])));
    expect(sizes).toEqual([size, 1000]);
    expect(Buffer.compare(memory.subarray(0, size), bytes)).toBe(0);
    expect(Buffer.compare(memory.subarray(size), bytes.subarray(0, 1000))).toBe(0);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(size + 1000);
  });

  test('empty', async () => {
    expect(await readAll(new Blob([]))).toMatchObject({ sizes: [0], told: [0] });
  });

  test('that can no longer be read in the middle', async () => {
    const file = new Blob([bytes]);
    const slice = file.slice.bind(file);
    let outerLeft = 2; // the first and the last part, which are read before the others fail
    let outerRead = () => {};
    const once = new Promise<void>((resolve) => {
      outerRead = resolve;
    });
    const gone = () => once.then(() => Promise.reject(new DOMException('gone', 'NotReadableError')));
    const flush = () => {
      if (--outerLeft === 0) setTimeout(outerRead);
    };
    file.slice = (begin = 0, end) => {
      const part = slice(begin, end);
      const whole = part.stream.bind(part);
      const isOuter = begin === 0 || end === size;
      part.stream = () =>
        isOuter ? whole().pipeThrough(new TransformStream({ flush })) : new ReadableStream({ pull: gone });
      return part;
    };
    const error = await failure(engine.load({ kind: 'file', file }));
    expect(error).toMatchObject({
      code: 'server',
      message: expect.stringContaining('ended after 3,145,729 of 6,291,461'),
    });
  });
});

test('an engine that traps says so, and can be loaded again', async () => {
  let trap = false;
  const fragile = createEngine({
    maxThreads: async () => 1,
    async instantiate() {
      const module = await instantiate();
      const { step } = module.Engine.prototype;
      module.Engine.prototype.step = function () {
        if (trap) throw new WebAssembly.RuntimeError('unreachable');
        return step.call(this);
      };
      return module;
    },
  });
  const first = async () => {
    for await (const piece of fragile.generate('Once upon a time', { maxTokens: 2 }))
      if (piece.kind === 'end') return piece;
  };
  await fragile.load(fileOf(model));
  trap = true;
  await expect(first()).rejects.toMatchObject({ code: 'worker_died' });
  await expect(fragile.stats()).rejects.toMatchObject({ code: 'not_loaded' });
  trap = false;
  await fragile.load(fileOf(model));
  expect(await first()).toMatchObject({ reason: 'max_tokens' });
  await fragile.close();
});

describe('a split model', () => {
  const parts = splitGguf(model, 3);
  const blobs = parts.map((part) => new Blob([new Uint8Array(part)]));
  const answer = async () => {
    let text = '';
    for await (const piece of engine.generate('My name is', { temperature: 0, maxTokens: 24 }))
      if (piece.kind === 'text') text += piece.text;
    return text;
  };

  test('is one model, from files or from the address of its first file', async () => {
    await engine.load(fileOf(model));
    const whole = await answer();
    const info = await engine.load({ kind: 'file', file: blobs });
    expect(info.parameters).toBeGreaterThan(5.7e6);
    expect(await answer()).toBe(whole);
    const source = await serve(({ url }, response) => {
      const part = parts[Number(/-0000(\d)-of-00003/.exec(url ?? '')?.[1]) - 1];
      response.writeHead(part ? 200 : 404, { 'content-length': part?.length ?? 0 }).end(part);
    });
    await engine.load({ kind: 'url', url: source.url.replace('model', 'model-00001-of-00003') });
    expect(await answer()).toBe(whole);
  });

  test('needs all its files, in order, and says so', async () => {
    const swapped = await failure(engine.load({ kind: 'file', file: [blobs[1]!, blobs[0]!, blobs[2]!] }));
    expect(swapped).toMatchObject({ code: 'corrupt_file', message: expect.stringContaining('all of them are needed') });
    const alone = await failure(engine.load({ kind: 'file', file: blobs[0]! }));
    expect(alone).toMatchObject({ code: 'corrupt_file', message: expect.stringContaining('in 3 files') });
    const source = await serve(({ url }, response) => {
      const missing = !url?.includes('00001-of');
      response.writeHead(missing ? 404 : 200).end(missing ? '' : parts[0]);
    });
    const gone = await failure(engine.load({ kind: 'url', url: source.url.replace('model', 'm-00001-of-00003') }));
    expect(gone.code).toBe('not_found');
  });
});

describe('a plan', () => {
  const ranges: RequestListener = ({ headers }, response) => {
    const to = Number(/^bytes=0-(\d+)$/.exec(headers.range ?? '')?.[1]) + 1;
    response.writeHead(206, { 'content-range': `bytes 0-${to - 1}/${model.length}` }).end(model.subarray(0, to));
  };

  test('says before a download what the model turns out to take', async () => {
    const plan = await engine.plan(await serve(ranges));
    const info = await engine.load(fileOf(model));
    expect(plan).toMatchObject({
      architecture: 'llama',
      parameters: info.parameters,
      weightTypes: info.weightTypes,
      trainedLength: 2048,
      weightBytes: model.length,
      runs: true,
    });
    expect(plan.presets.quality!.bytesPerToken).toBeCloseTo(818, 0);
    expect(plan.presets.quality!.windowedBytes).toBe(0);
    expect(plan.presets.max!.tokens).toBeGreaterThan(plan.presets.quality!.tokens);
    await engine.plan(fileOf(model)); // the model in use goes on
    expect((await engine.stats()).positions).toBe(0);
  });

  test('of a server that knows no ranges, or no lengths, is made all the same', async () => {
    const all = await engine.plan(await serve((_, response) => response.writeHead(200).end(model)));
    expect(all.weightBytes).toBeGreaterThan(0.9 * model.length); // from the tensors: nobody said the length
    expect(all.runs).toBe(true);
  });

  test('of a large model says whether it fits, with its conversation', async () => {
    const planOf = (size: number) => {
      const { file } = withGap(model, 32 * Math.floor((size - model.length) / 32));
      const large = { size, slice: () => new Blob([new Uint8Array(file)]) };
      return engine.plan({ kind: 'file', file: large as unknown as Blob });
    };
    const plan = await planOf(3.4e9);
    expect(plan).toMatchObject({ weightBytes: 3.4e9, runs: true });
    const { tokens, bytesPerToken } = plan.presets.exact!;
    expect(tokens * bytesPerToken).toBeLessThan(plan.tabBytes - 3.4e9);
    const most = plan.tabBytes - plan.workingBytes - plan.windowBytes;
    expect((await planOf(most - 1)).runs).toBe(true);
    expect((await planOf(most)).runs).toBe(false);
  });

  test('names what is wrong', async () => {
    const page = await engine.plan(await serve((_, response) => response.end('<html>'))).catch((error) => error);
    expect(page).toMatchObject({ code: 'not_gguf' });
    const short = new Uint8Array(model.subarray(0, 100_000));
    const cut = await engine.plan(fileOf(short)).catch((error) => error);
    expect(cut).toMatchObject({ code: 'corrupt_file' });
    const gone = await engine.plan(await serve((_, response) => response.writeHead(404).end())).catch((error) => error);
    expect(gone).toMatchObject({ code: 'not_found' });
  });
});

describe('addresses', () => {
  test('of split models are all their files', () => {
    expect(filesOfModel('https://x/a-00001-of-00002.gguf?download=true')).toEqual([
      'https://x/a-00001-of-00002.gguf?download=true',
      'https://x/a-00002-of-00002.gguf?download=true',
    ]);
    expect(filesOfModel('https://x/a-00002-of-00002.gguf')).toEqual(['https://x/a-00002-of-00002.gguf']);
    expect(filesOfModel('https://x/a.gguf')).toEqual(['https://x/a.gguf']);
  });

  test('of the hub are files or repositories', () => {
    expect(fileAddress('https://huggingface.co/o/r/blob/main/a.gguf')).toBe(
      'https://huggingface.co/o/r/resolve/main/a.gguf',
    );
    expect(repositoryOf('https://huggingface.co/owner/name-1.5')).toBe('owner/name-1.5');
    expect(repositoryOf('https://huggingface.co/owner/name/tree/main')).toBe('owner/name');
    expect(repositoryOf('owner/name')).toBe('owner/name');
    for (const other of ['https://example.org/a.gguf', 'https://example.org/owner/name', 'owner', 'owner/a.gguf'])
      expect(repositoryOf(other)).toBeUndefined();
  });
});
