// One downloaded file in the browser's private file system, and its journal: how far it has come, and the state of its
// SHA-256. What is written after the last entry of the journal is written again after a crash. Only for workers, and only
// for whoever holds the file's lock (model_store.ts).
import { createSHA256, type IHasher } from 'hash-wasm';
import { dataName, type Journal, journalName, parseJournal, slotBytes } from './journal';

const journalEvery = 4 * 2 ** 20; // bytes of data: what a crash can cost

/** What of FileSystemSyncAccessHandle is used: the types of a page do not know it, and the library is checked with both. */
interface SyncAccess {
  read(into: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}
type SyncFile = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccess> };

export class KeptFile {
  #data: SyncAccess;
  #journal: SyncAccess;
  #hasher: IHasher;
  #entry: Journal;
  #journaled: number;

  private constructor(data: SyncAccess, journal: SyncAccess, hasher: IHasher, entry: Journal) {
    [this.#data, this.#journal, this.#hasher, this.#entry] = [data, journal, hasher, entry];
    this.#journaled = entry.done;
  }

  static async open(
    folder: FileSystemDirectoryHandle,
    about: Pick<Journal, 'url' | 'model' | 'name'>,
  ): Promise<KeptFile> {
    const handle = async (name: string) =>
      ((await folder.getFileHandle(name, { create: true })) as SyncFile).createSyncAccessHandle();
    const journal = await handle(journalName);
    let data: SyncAccess | undefined;
    try {
      if (journal.getSize() < 2 * slotBytes) journal.truncate(2 * slotBytes); // so that a full disk does not stop it
      data = await handle(dataName);
      const bytes = new Uint8Array(2 * slotBytes);
      journal.read(bytes, { at: 0 });
      const found = parseJournal(bytes);
      const usable = found?.url === about.url && data.getSize() >= found.done;
      const fresh = { turn: found?.turn ?? 0, done: 0, total: undefined, etag: undefined, sha256: undefined };
      const entry = usable ? found : { ...about, ...fresh, hash: '', complete: false, updated: 0 };
      const hasher = await createSHA256();
      hasher.init();
      if (entry.done > 0 && !entry.complete) hasher.load(fromBase64(entry.hash));
      return new KeptFile(data, journal, hasher, entry);
    } catch (error) {
      data?.close();
      journal.close();
      throw error;
    }
  }

  get position(): number {
    return this.#entry.done;
  }
  get entry(): Readonly<Journal> {
    return this.#entry;
  }

  /** What the server says of the file it sends. */
  describe({ total, etag }: Pick<Journal, 'total' | 'etag'>): void {
    Object.assign(this.#entry, { total: total ?? this.#entry.total, etag: etag ?? this.#entry.etag });
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      const written = this.#data.write(rest, { at: this.#entry.done + at });
      // A full disk is no exception in Chromium: it returns a negative number as if it were an unsigned one.
      if (!(written > 0 && written <= rest.length))
        throw new DOMException('Nothing more was written.', 'QuotaExceededError');
      at += written;
    }
    this.#hasher.update(bytes);
    this.#entry.done += bytes.length;
    if (this.#entry.done - this.#journaled >= journalEvery) this.save();
  }

  /** The first bytes, at most `count`. */
  start(count: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(count, this.#entry.done));
    this.#data.read(bytes, { at: 0 });
    return bytes;
  }

  /** Begins again. */
  restart(): void {
    this.#hasher.init();
    Object.assign(this.#entry, { done: 0, total: undefined, etag: undefined, sha256: undefined, complete: false });
    this.#data.truncate(0);
    this.save();
  }

  /** The SHA-256 of everything. Nothing can be written any more. */
  digest(): string {
    this.#entry.sha256 = this.#hasher.digest('hex');
    return this.#entry.sha256;
  }

  complete(): void {
    this.#data.truncate(this.#entry.done); // a longer attempt may have been here before
    this.#entry.complete = true;
    this.save();
  }

  save(): void {
    const { complete, done } = this.#entry;
    this.#data.flush();
    const hash = complete || done === 0 ? '' : toBase64(this.#hasher.save());
    Object.assign(this.#entry, { hash, turn: this.#entry.turn + 1, updated: Date.now() });
    const text = new TextEncoder().encode(`${JSON.stringify(this.#entry)}\n`);
    this.#journal.write(text, { at: (this.#entry.turn % 2) * slotBytes });
    this.#journal.flush();
    this.#journaled = done;
  }

  close(): void {
    this.#data.close();
    this.#journal.close();
  }
}

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
