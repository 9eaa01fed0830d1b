// The memory of conversations as it was when the tab last saw it, so that a reload reads nothing again. A convenience and
// never the only copy: the text of a conversation is in the store, and whatever is wrong here, it is read again. That is
// why this is a database of its own, and why nothing here is an error for anybody.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { Snapshot } from '../../lib';

export const largestSnapshot = 256e6; // bytes of one
const roomForAll = 512e6;

/** What must be the same for a snapshot to be of use. */
export interface SnapshotOf {
  id: string; // of the conversation
  model: string; // ModelInfo.identity
  guardedLayers: number[];
}

export interface SnapshotStore {
  save(of: SnapshotOf, snapshot: Snapshot): Promise<void>;
  load(of: SnapshotOf): Promise<Snapshot | undefined>;
  remove(id: string): Promise<void>;
}

interface Entry {
  id: string;
  fits: string; // model and guarded layers
  bytes: number;
  used: number; // when
}

interface Schema extends DBSchema {
  entries: { key: string; value: Entry };
  snapshots: { key: string; value: Snapshot };
}

const fitsOf = ({ model, guardedLayers }: SnapshotOf) => `${model} ${guardedLayers.join(',')}`;

export async function openSnapshots(): Promise<SnapshotStore> {
  const db = await openDB<Schema>('strata-memory', 1, {
    upgrade(fresh) {
      fresh.createObjectStore('entries', { keyPath: 'id' });
      fresh.createObjectStore('snapshots');
    },
  });
  return new IndexedDbSnapshots(db);
}

class IndexedDbSnapshots implements SnapshotStore {
  #db: IDBPDatabase<Schema>;

  constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
  }

  /** Makes room first: those that were not used for the longest time go. All or nothing, also when the tab is killed. */
  async save(of: SnapshotOf, snapshot: Snapshot): Promise<void> {
    const bytes = snapshot.memory.length;
    if (bytes > largestSnapshot) return this.remove(of.id);
    const transaction = this.#db.transaction(['entries', 'snapshots'], 'readwrite');
    const [entries, snapshots] = [transaction.objectStore('entries'), transaction.objectStore('snapshots')];
    const others = (await entries.getAll()).filter(({ id }) => id !== of.id).sort((a, b) => b.used - a.used);
    let total = bytes;
    for (const other of others) {
      total += other.bytes;
      if (total <= roomForAll) continue;
      entries.delete(other.id);
      snapshots.delete(other.id);
    }
    entries.put({ id: of.id, fits: fitsOf(of), bytes, used: Date.now() });
    snapshots.put(snapshot, of.id);
    await transaction.done;
  }

  async load(of: SnapshotOf): Promise<Snapshot | undefined> {
    const entry = await this.#db.get('entries', of.id);
    if (!entry) return undefined;
    if (entry.fits !== fitsOf(of)) return undefined; // it may be again, with the model of then
    await this.#db.put('entries', { ...entry, used: Date.now() });
    return this.#db.get('snapshots', of.id);
  }

  async remove(id: string): Promise<void> {
    const transaction = this.#db.transaction(['entries', 'snapshots'], 'readwrite');
    transaction.objectStore('entries').delete(id);
    transaction.objectStore('snapshots').delete(id);
    await transaction.done;
  }
}
