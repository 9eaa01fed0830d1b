// Downloads models into this device's keeping (kept_models.ts). Only for workers.
import { asQuota, type DownloadOptions, download } from './download';
import { fileAddress, filesOfModel, hubFacts } from './hub';
import type { Journal } from './journal';
import { KeptFile } from './kept_file';
import { allKept, blobOf, keyOf, lockOf, modelsFolder } from './kept_models';
import { throwIfAborted } from './model_source';
import { type LoadProgress, StrataError } from './types';

const progressEvery = 100; // ms

/** The files of a model, downloaded as far as they are not here yet. They stay on the device. */
export async function keepModel(
  address: string,
  name: string,
  signal: AbortSignal | undefined,
  onProgress: (progress: LoadProgress) => void,
): Promise<Blob[]> {
  const urls = filesOfModel(fileAddress(address));
  const facts = (await allKept(urls)) ? new Map() : await hubFacts(urls, signal);
  const sum = (values: (number | undefined)[]) =>
    values.some((value) => value === undefined) ? undefined : values.reduce<number>((a, b) => a + b!, 0);
  const sizes = urls.map((url): number | undefined => facts.get(url)?.bytes);
  const done = urls.map(() => 0);
  let reported = Number.NEGATIVE_INFINITY;
  const report = (now = false) => {
    if (!now && performance.now() - reported < progressEvery) return;
    reported = performance.now();
    onProgress({ phase: 'download', loaded: sum(done)!, total: sum(sizes) });
  };
  const blobs: Blob[] = [];
  for (const [i, url] of urls.entries()) {
    const { bytes, sha256 } = facts.get(url) ?? { bytes: undefined, sha256: undefined };
    const onFile = ({ done: now, total }: Journal, force = false) => {
      done[i] = now;
      sizes[i] = total ?? sizes[i];
      report(force);
    };
    const rest = () => sum(sizes.slice(i + 1)) ?? 0;
    blobs.push(
      await keepFile({ url, model: urls[0]!, name }, { expected: { bytes, sha256 }, signal, onFile, rest, onProgress }),
    );
  }
  report(true);
  return blobs;
}

interface FileOptions {
  expected: DownloadOptions['expected'];
  signal: AbortSignal | undefined;
  onFile: (journal: Journal, force?: boolean) => void;
  rest: () => number; // bytes of the model's later files
  onProgress: (progress: LoadProgress) => void;
}

async function keepFile(about: Pick<Journal, 'url' | 'model' | 'name'>, options: FileOptions): Promise<Blob> {
  const { signal, onFile } = options;
  const key = await keyOf(about.url);
  const whole = await blobOf(key);
  if (whole) {
    onFile(whole.journal);
    return whole.blob;
  }
  return withLock(key, options, async () => {
    const arrived = await blobOf(key); // another tab was faster
    if (arrived) return arrived.blob;
    let file: KeptFile | undefined;
    try {
      file = await openFile(key, about);
      const { entry } = file;
      await download(about.url, file, {
        name: about.name,
        expected: options.expected,
        signal,
        reserve: (bytes) => reserve(bytes + options.rest(), about.name),
        onProgress: () => onFile(entry),
      });
      onFile(entry, true);
    } catch (error) {
      throw asQuota(error, about.name, file?.position ?? 0);
    } finally {
      file?.close();
    }
    const kept = await blobOf(key);
    if (!kept) throw new StrataError('internal', `${about.name} was downloaded, and is not there.`);
    return kept.blob;
  });
}

async function openFile(key: string, about: Pick<Journal, 'url' | 'model' | 'name'>): Promise<KeptFile> {
  const folder = await (await modelsFolder(true)).getDirectoryHandle(key, { create: true });
  return KeptFile.open(folder, about);
}

/** While another tab downloads the same file, this one waits: it finds the file whole, or goes on where that one ended. */
async function withLock<T>(key: string, { signal, onProgress }: FileOptions, work: () => Promise<T>): Promise<T> {
  const attempt = await navigator.locks.request(lockOf(key), { ifAvailable: true }, async (lock) =>
    lock ? { value: await work() } : undefined,
  );
  if (attempt) return attempt.value;
  onProgress({ phase: 'waiting', loaded: 0, total: undefined });
  try {
    return await navigator.locks.request(lockOf(key), signal ? { signal } : {}, work);
  } catch (error) {
    throwIfAborted(signal, 'kept');
    throw error;
  }
}

async function reserve(bytes: number, name: string): Promise<void> {
  const { quota, usage = 0 } = await navigator.storage.estimate();
  if (quota === undefined || quota - usage >= bytes) return;
  const megabytes = (n: number) => `${Math.max(0, Math.round(n / 1e6)).toLocaleString('en')} MB`;
  throw new StrataError(
    'quota',
    `${name} needs ${megabytes(bytes)} on this device, and the browser has ${megabytes(quota - usage)} left for this page. Delete a model, or open it without keeping it.`,
  );
}
