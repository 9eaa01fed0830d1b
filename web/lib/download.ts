// Brings a file from an address into a kept file, whatever the connection does: it goes on where it was with a Range
// request, and by skipping what is there where a server knows no ranges. Every failure ends in a StrataError with its
// cause; what has arrived stays, unless it is known to be wrong.
import { isSha256 } from './hub';
import type { KeptFile } from './kept_file';
import { isMagic, notGguf, throwIfAborted, unreachable, unwilling } from './model_source';
import { StrataError } from './types';

const mostFailures = 4; // in a row, without a byte in between
const stallMs = 30_000; // without a byte: the connection counts as lost
const firstWaitMs = 400; // before trying again; doubled each time

/** A connection that ended: worth another try. */
class Dropped extends Error {
  constructor(readonly reason: StrataError) {
    super(reason.message);
  }
}

export interface Expected {
  bytes: number | undefined;
  sha256: string | undefined;
}

export interface DownloadOptions {
  name: string;
  expected: Expected; // what the hub says, where it says something
  signal: AbortSignal | undefined;
  /** Called once the size is known, before anything is written. Throws where there is no room. */
  reserve: (total: number) => Promise<void>;
  onProgress: () => void;
}

/** Returns when the file is complete and, where its hash is known, right. */
export async function download(url: string, file: KeptFile, options: DownloadOptions): Promise<void> {
  const { signal, expected } = options;
  let failures = 0;
  let sha256 = expected.sha256;
  while (file.entry.total === undefined || file.position < file.entry.total) {
    const before = file.position;
    try {
      sha256 = (await attempt(url, file, options)) ?? sha256;
      break;
    } catch (error) {
      saveIfPossible(file);
      throwIfAborted(signal, 'kept');
      if (!(error instanceof Dropped)) throw error;
      failures = file.position > before ? 1 : failures + 1;
      if (failures >= mostFailures) throw error.reason;
      await wait(firstWaitMs * 2 ** (failures - 1), signal);
    }
  }
  verify(file, options.name, sha256);
  file.complete();
}

function saveIfPossible(file: KeptFile): void {
  try {
    file.save();
  } catch {
    // the disk is full: the journal says how far it was before
  }
}

/** One request. Returns the hash that the server announces, if it does. */
async function attempt(url: string, file: KeptFile, options: DownloadOptions): Promise<string | undefined> {
  const { signal, name, expected, reserve, onProgress } = options;
  const from = file.position;
  const stop = new AbortController(); // ends this request alone: stopped, stalled, or not needed any more
  const abort = () => stop.abort();
  signal?.addEventListener('abort', abort);
  try {
    const response = await ask(url, file, stop.signal, options);
    const { total, etag, ranged } = contentOf(response, from);
    if (total !== undefined && expected.bytes !== undefined && total !== expected.bytes)
      throw wrongLength(name, total, expected.bytes);
    if (changed(file, total, etag)) {
      file.restart(); // another file than the one that was begun
      if (ranged)
        throw new Dropped(new StrataError('server', `${name} changes while it is downloaded. Try again later.`));
    }
    file.describe({ total: total ?? expected.bytes, etag });
    const { total: size } = file.entry;
    if (size !== undefined) await reserve(size - file.position);
    let skip = ranged ? 0 : file.position;
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await next(reader, stop, name, file);
      if (done) break;
      const fresh = value.subarray(Math.min(skip, value.length));
      skip -= value.length - fresh.length;
      if (fresh.length === 0) continue;
      if (size !== undefined && file.position + fresh.length > size) {
        file.restart();
        throw new StrataError(
          'server',
          `${name} is longer than the ${count(size)} bytes that the server announced. Nothing of it was kept.`,
        );
      }
      file.write(fresh);
      if (file.position - fresh.length < 4 && file.position >= 4 && !isMagic(file.start(4))) {
        file.restart();
        throw notGguf();
      }
      onProgress();
    }
    if (size !== undefined && file.position < size) throw new Dropped(lost(name, file));
    if (file.position === 0) throw new StrataError('server', `The server sent nothing for ${name}.`);
    const announced = response.headers.get('x-linked-etag')?.replace(/^W\/|"/g, '');
    return isSha256(announced) ? announced : undefined;
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort();
  }
}

async function ask(url: string, file: KeptFile, signal: AbortSignal, options: DownloadOptions): Promise<Response> {
  const from = file.position;
  let response: Response;
  try {
    response = await fetch(url, { headers: from > 0 ? { Range: `bytes=${from}-` } : {}, signal, cache: 'no-store' });
  } catch {
    throwIfAborted(options.signal, 'kept');
    if (from === 0) throw unreachable(url, 0);
    throw new Dropped(navigator.onLine ? lost(options.name, file) : unreachable(url, from));
  }
  if (response.ok && response.body) return response;
  void response.body?.cancel();
  const refused = unwilling(response.status, url);
  if (response.status === 416 && from > 0) {
    file.restart(); // the server has fewer bytes than are here: another file
    throw new Dropped(refused);
  }
  throw response.status >= 500 ? new Dropped(refused) : refused;
}

/** Headers that a server of another origin does not expose are simply not known. */
function contentOf({ status, headers }: Response, from: number) {
  const ranged = status === 206;
  const length = headers.get('content-encoding') ? null : headers.get('content-length');
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  const whole = range?.[2] && range[2] !== '*' ? Number(range[2]) : undefined;
  const total = whole ?? (length === null ? undefined : Number(length) + (ranged ? from : 0));
  return { ranged, total, etag: headers.get('etag') ?? undefined };
}

/** Whether what the server has now is another file than the one that was begun. */
function changed({ position, entry }: KeptFile, total: number | undefined, etag: string | undefined): boolean {
  if (position === 0) return false;
  const differs = <T>(a: T | undefined, b: T | undefined) => a !== undefined && b !== undefined && a !== b;
  return differs(entry.total, total) || differs(entry.etag, etag);
}

async function next(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  stop: AbortController,
  name: string,
  file: KeptFile,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  const stalled = setTimeout(() => stop.abort(), stallMs);
  try {
    return await reader.read();
  } catch {
    throw new Dropped(lost(name, file));
  } finally {
    clearTimeout(stalled);
  }
}

function verify(file: KeptFile, name: string, expected: string | undefined): void {
  const actual = file.digest();
  if (expected === undefined || actual === expected) return;
  file.restart();
  throw new StrataError(
    'hash_mismatch',
    `${name} did not arrive as it was published: its SHA-256 begins with ${actual.slice(0, 12)}, where ${expected.slice(0, 12)} was expected. Nothing of it was kept.`,
  );
}

const lost = (name: string, { position, entry }: KeptFile) =>
  new StrataError(
    'network',
    `The connection was lost at ${count(position)}${entry.total ? ` of ${count(entry.total)}` : ''} bytes of ${name}. What has arrived is kept, and is not downloaded again.`,
  );

const wrongLength = (name: string, announced: number, expected: number) =>
  new StrataError(
    'server',
    `The server announces ${count(announced)} bytes for ${name}, but the hub lists ${count(expected)}. Try again later.`,
  );

/** A full disk may show wherever the file or its journal is opened, written or completed. */
export function asQuota(error: unknown, name: string, position: number): unknown {
  if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) return error;
  return new StrataError(
    'quota',
    `This browser has no more room for ${name}: it stopped at ${count(position)} bytes, which are kept. Delete a model, or open it without keeping it.`,
  );
}

async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((done) => {
    setTimeout(done, ms);
    signal?.addEventListener('abort', () => done(), { once: true });
  });
  throwIfAborted(signal, 'kept');
}

const count = (n: number) => n.toLocaleString('en');
