// Models that this device keeps, in the browser's private file system (OPFS): a folder for each file, with its data and its
// journal. One tab writes a file at a time (a Web Lock); any number read it. Writing: model_store.ts.
import { fileAddress, filesOfModel } from './hub';
import { dataName, type Journal, journalName, parseJournal } from './journal';
import { StrataError } from './types';

const folderName = 'strata-models';

/** A model as it is kept: whole, or as far as it has come. */
export interface KeptModel {
  url: string;
  name: string;
  bytes: number; // that are here
  total: number | undefined; // of what has been begun
  files: number; // of the model
  complete: boolean;
  sha256: string | undefined; // of a model in one file
  updated: number; // when, in ms
}

export const lockOf = (key: string) => `strata.model.${key}`;

export async function modelsFolder(create: boolean): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(folderName, { create });
}

export async function keyOf(url: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return Array.from(new Uint8Array(digest).subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Whether this browser can keep models: a secure page that may use storage. */
export const canKeep = (): boolean =>
  typeof globalThis.navigator?.storage?.getDirectory === 'function' && navigator.locks !== undefined;

export async function keptModels(): Promise<KeptModel[]> {
  const journals: Journal[] = [];
  try {
    for await (const handle of (await modelsFolder(false)).values()) {
      const journal = handle.kind === 'directory' && (await readJournal(handle as FileSystemDirectoryHandle));
      if (journal) journals.push(journal);
    }
  } catch {
    return []; // nothing was ever kept, or storage is blocked
  }
  const byModel = new Map<string, Journal[]>();
  for (const journal of journals) byModel.set(journal.model, [...(byModel.get(journal.model) ?? []), journal]);
  return [...byModel].map(([url, files]) => kept(url, files)).sort((a, b) => b.updated - a.updated);
}

function kept(url: string, files: Journal[]): KeptModel {
  const total = files.every((file) => file.total !== undefined)
    ? files.reduce((sum, file) => sum + file.total!, 0)
    : undefined;
  const count = filesOfModel(url).length;
  return {
    url,
    name: files[0]!.name,
    bytes: files.reduce((sum, { done }) => sum + done, 0),
    total: files.length === count ? total : undefined,
    files: count,
    complete: files.length === count && files.every(({ complete }) => complete),
    sha256: count === 1 ? files[0]!.sha256 : undefined,
    updated: Math.max(...files.map(({ updated }) => updated)),
  };
}

/** Deletes a model, or what there is of it. `busy`: some tab is downloading it. */
export async function removeModel(url: string): Promise<void> {
  for (const file of filesOfModel(fileAddress(url))) {
    const key = await keyOf(file);
    await navigator.locks.request(lockOf(key), { ifAvailable: true }, async (lock) => {
      if (!lock)
        throw new StrataError(
          'busy',
          'This model is being downloaded in another tab. Stop that first, or wait for its end.',
        );
      await remove(key);
    });
  }
}

async function remove(key: string): Promise<void> {
  try {
    await (await modelsFolder(false)).removeEntry(key, { recursive: true });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
  }
}

async function readJournal(folder: FileSystemDirectoryHandle): Promise<Journal | undefined> {
  try {
    const file = await (await folder.getFileHandle(journalName)).getFile();
    return parseJournal(new Uint8Array(await file.arrayBuffer()));
  } catch {
    return undefined; // it has not been begun, or is being written at this moment
  }
}

export async function blobOf(key: string): Promise<{ blob: Blob; journal: Journal } | undefined> {
  try {
    const folder = await (await modelsFolder(false)).getDirectoryHandle(key);
    const journal = await readJournal(folder);
    if (!journal?.complete) return undefined;
    const blob = await (await folder.getFileHandle(dataName)).getFile();
    return blob.size === journal.done ? { blob, journal } : undefined;
  } catch {
    return undefined;
  }
}

export async function allKept(urls: string[]): Promise<boolean> {
  for (const url of urls) if (!(await blobOf(await keyOf(url)))) return false;
  return true;
}

/** Whether a model is here and whole. */
export const isKept = (url: string): Promise<boolean> => allKept(filesOfModel(fileAddress(url)));
