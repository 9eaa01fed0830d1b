// Brings a model's bytes from where they are straight into the engine's memory, piece by piece: there is never a second
// copy of the file.
import type { NativeEngine } from '../../wasm/engine_module';
import { fileAddress, filesOfModel, hubFacts } from './hub';
import { canKeep } from './kept_models';
import { keepModel } from './model_store';
import { type LoadPhase, type LoadProgress, type ModelSource, StrataError } from './types';

/** A file of a model that has answered: its bytes can be read, once. */
interface Part {
  spans: Span[];
  /** As announced; the stream may turn out longer. undefined: not announced, or announced for a compressed form. */
  total: number | undefined;
}
/** A stretch of a file that is read by itself. */
interface Span {
  at: number; // in its file
  /** Held from the start: node cancels a body that nobody holds as soon as its Response is garbage. */
  reader: Reader;
}
/** What read() hands out is valid until it is called again. */
interface Reader {
  read(): Promise<ReadableStreamReadResult<Uint8Array>>;
  cancel(): Promise<void>;
}
/** A model whose first file has answered. Split models have more. */
export interface OpenSource {
  name: string;
  phase: 'download' | 'read';
  first: Part;
  rest: (() => Promise<Part>)[];
}

const unknownBytes = 2 ** 50; // of a file whose size nobody says: large enough for any header
const progressEvery = 50; // ms
const spansAtOnce = 4; // of a file on this device
const readBytes = 2 ** 20; // at most, at once, of each; a file that has fewer is one span

/** A source that is to be kept is downloaded here, whole; others answer, and are read later. */
export async function openSource(
  source: ModelSource,
  signal: AbortSignal | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<OpenSource> {
  if (source.kind === 'file') return openBlobs([source.file].flat(), source.name ?? 'the file');
  const name = source.name ?? source.url;
  if (source.keep && canKeep()) return openBlobs(await keepModel(source.url, name, signal, onProgress), name);
  const [first, ...rest] = filesOfModel(fileAddress(source.url)).map((url) => () => openUrl(url, signal));
  return { name, phase: 'download', first: await first!(), rest };
}

function openBlobs(blobs: Blob[], name: string): OpenSource {
  const [first, ...rest] = blobs.map((blob) => () => ({ spans: spansOf(blob), total: blob.size }));
  if (!first) throw new StrataError('invalid_argument', 'No file was given.');
  return { name, phase: 'read', first: first(), rest: rest.map((open) => async () => open()) };
}

function spansOf(blob: Blob): Span[] {
  const length = Math.max(readBytes, Math.ceil(blob.size / spansAtOnce));
  const count = Math.ceil(blob.size / length);
  return Array.from({ length: count }, (_, i) => {
    const at = i * length;
    return { at, reader: readerOf(blob.slice(at, Math.min(blob.size, at + length)).stream()) };
  });
}

/**
 * Reads into the same buffer again and again where the browser can (BYOB): pieces in buffers of their own cost the first touch
 * of as much fresh memory once more.
 */
function readerOf(stream: ReadableStream<Uint8Array>): Reader {
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    return stream.getReader();
  }
  let buffer = new ArrayBuffer(readBytes);
  return {
    async read() {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (done) return { done, value: undefined };
      buffer = value.buffer;
      return { done, value };
    },
    cancel: () => reader.cancel(),
  };
}

async function openUrl(url: string, signal: AbortSignal | undefined): Promise<Part> {
  const response = await ask(url, signal);
  const length = response.headers.get('content-encoding') ? null : response.headers.get('content-length');
  const spans = [{ at: 0, reader: response.body!.getReader() }];
  return { spans, total: length === null ? undefined : Number(length) };
}

/** Nothing more is read of it. */
export async function cancelPart({ spans }: Part): Promise<void> {
  await Promise.allSettled(spans.map(({ reader }) => reader.cancel()));
}

async function ask(url: string, signal: AbortSignal | undefined, headers: HeadersInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null, headers });
  } catch {
    throwIfAborted(signal);
    throw unreachable(url, 0);
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw unwilling(response.status, url);
  }
  if (!response.body) throw new StrataError('server', `The server sent nothing for ${url}.`);
  return response;
}

/** fetch() does not say why. `kept`: bytes that have arrived before. */
export function unreachable(url: string, kept: number): StrataError {
  const why =
    globalThis.navigator?.onLine === false
      ? 'This device is offline. Conversations, the included model and models that are kept here still work.'
      : 'Either this device is offline, the address is wrong, or the server does not let other pages read it (CORS). A downloaded file can be opened instead.';
  const rest = kept > 0 ? ' What has arrived is kept, and is not downloaded again.' : '';
  return new StrataError('network', `${url} could not be reached. ${why}${rest}`);
}

export function unwilling(status: number, url: string): StrataError {
  const code = status < 500 ? 'not_found' : 'server';
  return new StrataError(code, `The server answered ${status} for ${url}. ${adviceFor(status)}`);
}

function adviceFor(status: number): string {
  if (status === 404 || status === 410) return 'Check the address.';
  if (status === 401 || status === 403) return 'The file needs a login: download it and open the file.';
  return 'Try again later.';
}

/** The first `count` bytes of a model, and how many bytes its first file and all its files have. */
export async function readStart(
  source: ModelSource,
  count: number,
  signal: AbortSignal | undefined,
): Promise<{ bytes: Uint8Array; fileBytes: number; allBytes: number }> {
  if (source.kind === 'file') {
    const blobs = [source.file].flat();
    const bytes = new Uint8Array(await blobs[0]!.slice(0, count).arrayBuffer());
    return { bytes, fileBytes: blobs[0]!.size, allBytes: blobs.reduce((sum, { size }) => sum + size, 0) };
  }
  const urls = filesOfModel(fileAddress(source.url));
  const facts = await hubFacts(urls, signal);
  const response = await ask(urls[0]!, signal, { Range: `bytes=0-${count - 1}` });
  const bytes = await firstBytes(response.body!.getReader(), count, urls[0]!);
  const whole = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  const length = response.status === 200 ? response.headers.get('content-length') : undefined;
  const known = facts.get(urls[0]!)?.bytes ?? ((whole ?? length) ? Number(whole ?? length) : undefined);
  if (known === undefined) return { bytes, fileBytes: unknownBytes, allBytes: 0 };
  const fileBytes = known;
  const allBytes = urls.reduce((sum, url) => sum + (facts.get(url)?.bytes ?? fileBytes), 0);
  return { bytes, fileBytes, allBytes };
}

/** Also of a server that knows no ranges, and begins to send everything. */
async function firstBytes(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  count: number,
  url: string,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let size = 0;
  while (size < count) {
    const { done, value } = await reader.read().catch(() => {
      throw new StrataError('network', `The connection was lost while the header of ${url} was read. Try again.`);
    });
    if (done) break;
    const wanted = value.subarray(0, count - size);
    bytes.set(wanted, size);
    size += wanted.length;
  }
  void reader.cancel().catch(() => {});
  return bytes.subarray(0, size);
}

/**
 * Writes the whole source into the engine's memory and returns the sizes of its files, which lie one after the other.
 * The caller frees the engine on failure.
 */
export async function readInto(
  engine: NativeEngine,
  source: OpenSource,
  signal: AbortSignal | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<number[]> {
  const sizes: number[] = [];
  let before = 0;
  for (const open of [async () => source.first, ...source.rest]) {
    const part = await open();
    const size = await readPart(
      engine,
      { ...part, name: source.name, phase: source.phase },
      before,
      signal,
      onProgress,
    );
    sizes.push(size);
    before += size;
  }
  onProgress({ phase: source.phase, loaded: before, total: before });
  if (engine.bytes().length > before) engine.reserve(before); // give back what growing ahead took too much
  return sizes;
}

interface NamedPart extends Part {
  name: string;
  phase: LoadPhase;
}

/** Returns how many bytes it has; they follow the first `before`. */
async function readPart(
  engine: NativeEngine,
  source: NamedPart,
  before: number,
  signal: AbortSignal | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<number> {
  let loaded = 0;
  let reported = Number.NEGATIVE_INFINITY;
  const take = async ({ at, reader }: Span) => {
    for (let end = at; ; ) {
      throwIfAborted(signal);
      const { done, value } = await reader.read().catch(() => {
        throwIfAborted(signal);
        throw endsEarly(source, loaded);
      });
      if (done) return;
      makeRoom(engine, before + end + value.length);
      engine.bytes().set(value, before + end);
      if (end < 4) checkMagic(engine.bytes(), before, end + value.length);
      end += value.length;
      loaded += value.length;
      if (performance.now() - reported < progressEvery) continue;
      reported = performance.now();
      onProgress({ phase: source.phase, loaded: before + loaded, total: totalFor(source, before, loaded) });
    }
  };
  let taking: Promise<void>[] = [];
  try {
    if (source.total !== undefined) reserve(engine, before + source.total, before + source.total);
    taking = source.spans.map(take);
    await Promise.all(taking);
  } finally {
    await cancelPart(source); // no effect on what has ended
    await Promise.allSettled(taking); // whoever frees the engine can: nobody writes to it any more
  }
  if (source.total !== undefined && loaded < source.total) throw endsEarly(source, loaded);
  return loaded;
}

function endsEarly(source: NamedPart, loaded: number): StrataError {
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
  const ahead = Math.max(needed, Math.min(room * 1.25, engine.tabBytes()), 16 * 2 ** 20);
  if (!engine.reserve(ahead)) reserve(engine, needed, undefined);
}

function reserve(engine: NativeEngine, size: number, total: number | undefined): void {
  if (engine.reserve(size)) return;
  const needs = total === undefined ? `more than ${gigabytes(size)}` : gigabytes(total);
  throw size > engine.tabBytes() ? tooLarge(needs, engine) : noRoom(needs, 'this browser did not give that much');
}

/** `needs`: in words. */
export const tooLarge = (needs: string, engine: NativeEngine) =>
  noRoom(needs, `a tab's engine can have at most ${gigabytes(engine.tabBytes(), Math.floor)}`);

const noRoom = (needs: string, has: string) =>
  new StrataError(
    'out_of_memory',
    `This model needs ${needs} of memory, but ${has}. A smaller model, or one with fewer bits per weight, fits.`,
  );

/** Powers of ten, as in the file manager. What is needed is rounded up, and what there is, down. */
export const gigabytes = (bytes: number, round = Math.ceil) => `${(round(bytes / 1e7) / 100).toFixed(2)} GB`;

// The first four bytes tell a model from a web page, which spares downloading gigabytes of the wrong thing.
function checkMagic(bytes: Uint8Array, at: number, size: number): void {
  if (size >= 4 && !isMagic(bytes.slice(at, at + 4))) throw notGguf();
}

export const isMagic = (bytes: Uint8Array): boolean => new TextDecoder().decode(bytes) === 'GGUF';

export const notGguf = () =>
  new StrataError(
    'not_gguf',
    'This is no GGUF file: it does not begin with “GGUF”. Strata reads models in the GGUF format (.gguf).',
  );

// A server that announced too little is not believed any more.
function totalFor(source: NamedPart, before: number, loaded: number): number | undefined {
  return source.total === undefined || loaded > source.total ? undefined : before + source.total;
}

/** `kept`: what has arrived stays on this device. */
export function throwIfAborted(signal: AbortSignal | undefined, what?: 'kept'): void {
  if (!signal?.aborted) return;
  const rest = what === 'kept' ? 'What has arrived is kept.' : 'Nothing of it was kept.';
  throw new StrataError('aborted', `Loading was stopped. ${rest}`);
}
