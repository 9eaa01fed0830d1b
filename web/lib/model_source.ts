// Brings a model's bytes from where they are straight into the engine's memory, chunk by chunk: there is never a second
// copy of the file.
import type { NativeEngine } from '../../wasm/engine_module';
import { type LoadProgress, type ModelSource, StrataError } from './types';

/** A source that has answered: its bytes can be read, once. */
export interface OpenSource {
  name: string;
  /** Held from the start: node cancels a body that nobody holds as soon as its Response is garbage. */
  reader: ReadableStreamDefaultReader<Uint8Array>;
  /** As announced; the stream may turn out longer. undefined: not announced, or announced for a compressed form. */
  total: number | undefined;
}

const memoryLimit = 2 ** 32; // bytes that a WebAssembly memory with 32-bit addresses can have
const progressEvery = 50; // ms

export async function openSource(source: ModelSource, signal: AbortSignal | undefined): Promise<OpenSource> {
  if (source.kind === 'file') {
    const { file } = source;
    return { name: source.name ?? 'the file', reader: file.stream().getReader(), total: file.size };
  }
  const response = await ask(source.url, signal);
  if (!response.ok) {
    await response.body?.cancel();
    const code = response.status < 500 ? 'not_found' : 'server';
    throw new StrataError(
      code,
      `The server answered ${response.status} for ${source.url}. ${adviceFor(response.status)}`,
    );
  }
  if (!response.body) throw new StrataError('server', `The server sent nothing for ${source.url}.`);
  const length = response.headers.get('content-encoding') ? null : response.headers.get('content-length');
  return {
    name: source.name ?? source.url,
    reader: response.body.getReader(),
    total: length === null ? undefined : Number(length),
  };
}

async function ask(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetch(url, { signal: signal ?? null });
  } catch {
    throwIfAborted(signal);
    throw new StrataError(
      'network',
      `${url} could not be reached. Either this device is offline, the address is wrong, or the server does not let other pages read it (CORS). A downloaded file can be opened instead.`,
    );
  }
}

function adviceFor(status: number): string {
  if (status === 404 || status === 410) return 'Check the address.';
  if (status === 401 || status === 403) return 'The file needs a login: download it and open the file.';
  return 'Try again later.';
}

/** Writes the whole source into the engine's memory and returns its size. The caller frees the engine on failure. */
export async function readInto(
  engine: NativeEngine,
  source: OpenSource,
  signal: AbortSignal | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<number> {
  if (source.total !== undefined) reserve(engine, source.total, source.total);
  const { reader } = source;
  let loaded = 0;
  let reported = Number.NEGATIVE_INFINITY;
  try {
    for (;;) {
      throwIfAborted(signal);
      const { done, value } = await next(reader, source, loaded, signal);
      if (done) break;
      makeRoom(engine, loaded + value.length);
      engine.bytes().set(value, loaded);
      if (loaded < 4) checkMagic(engine.bytes(), loaded + value.length);
      loaded += value.length;
      if (performance.now() - reported < progressEvery) continue;
      reported = performance.now();
      onProgress({ phase: 'download', loaded, total: totalFor(source, loaded) });
    }
  } finally {
    reader.cancel().catch(() => {}); // no effect on a stream that has ended
  }
  if (source.total !== undefined && loaded < source.total) throw endsEarly(source, loaded);
  onProgress({ phase: 'download', loaded, total: loaded });
  if (engine.bytes().length > loaded) engine.reserve(loaded); // give back what growing ahead took too much
  return loaded;
}

async function next(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  source: OpenSource,
  loaded: number,
  signal: AbortSignal | undefined,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  try {
    return await reader.read();
  } catch {
    throwIfAborted(signal);
    throw endsEarly(source, loaded);
  }
}

function endsEarly(source: OpenSource, loaded: number): StrataError {
  const of = source.total === undefined ? '' : ` of ${source.total.toLocaleString('en')}`;
  return new StrataError(
    'server',
    `${source.name} ended after ${loaded.toLocaleString('en')}${of} bytes. Try again; nothing incomplete was kept.`,
  );
}

// Growing ahead by a quarter keeps the number of growths small when nobody said how long the file is.
function makeRoom(engine: NativeEngine, needed: number): void {
  const room = engine.bytes().length;
  if (needed <= room) return;
  const ahead = Math.min(Math.max(needed, room * 1.25, 16 * 2 ** 20), memoryLimit - 1);
  if (needed < memoryLimit && engine.reserve(ahead)) return;
  reserve(engine, needed, undefined);
}

function reserve(engine: NativeEngine, size: number, total: number | undefined): void {
  if (size < memoryLimit && engine.reserve(size)) return;
  const needs = total === undefined ? `more than ${gigabytes(size)}` : gigabytes(total);
  const has =
    size < memoryLimit
      ? 'this browser did not give that much'
      : `a tab's engine can have at most ${gigabytes(memoryLimit)}`;
  throw new StrataError(
    'out_of_memory',
    `This model needs ${needs} of memory, but ${has}. A smaller model, or one with fewer bits per weight, fits.`,
  );
}

const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(bytes < 2 ** 30 ? 2 : 1)} GB`;

// The first four bytes tell a model from a web page, which spares downloading gigabytes of the wrong thing.
function checkMagic(bytes: Uint8Array, size: number): void {
  if (size >= 4 && new TextDecoder().decode(bytes.slice(0, 4)) !== 'GGUF') {
    throw new StrataError(
      'not_gguf',
      'This is no GGUF file: it does not begin with “GGUF”. Strata reads models in the GGUF format (.gguf).',
    );
  }
}

// A server that announced too little is not believed any more.
function totalFor(source: OpenSource, loaded: number): number | undefined {
  return source.total !== undefined && loaded > source.total ? undefined : source.total;
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new StrataError('aborted', 'Loading was stopped. Nothing of it was kept.');
}
