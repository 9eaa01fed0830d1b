// Conversations in IndexedDB. Each turn is a record of its own, so that saving an answer while it streams writes that
// answer and not the whole conversation.
import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import type { Conversation, Summary, Turn } from './conversation';

interface Schema extends DBSchema {
  summaries: { key: string; value: Summary; indexes: { updated: number } };
  turns: { key: [conversation: string, index: number]; value: Turn };
}

export interface Store {
  list(): Promise<Summary[]>; // newest first
  load(id: string): Promise<Conversation | undefined>;
  saveSummary(summary: Summary): Promise<void>;
  saveTurn(id: string, index: number, turn: Turn): Promise<void>;
  /** Forgets the turns from `length` on. */
  cut(id: string, length: number): Promise<void>;
  remove(id: string): Promise<void>;
  /** Ids of the conversations whose title or text contains `words`, whatever the case. */
  search(words: string): Promise<Set<string>>;
}

const turnsOf = (id: string, from = 0) => IDBKeyRange.bound([id, from], [id, Number.POSITIVE_INFINITY]);

export async function openStore(): Promise<Store> {
  const db = await openDB<Schema>('strata', 1, {
    upgrade(fresh) {
      fresh.createObjectStore('summaries', { keyPath: 'id' }).createIndex('updated', 'updated');
      fresh.createObjectStore('turns');
    },
  });
  return new IndexedDbStore(db);
}

class IndexedDbStore implements Store {
  #db: IDBPDatabase<Schema>;

  constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
  }

  async list(): Promise<Summary[]> {
    return (await this.#db.getAllFromIndex('summaries', 'updated')).reverse();
  }

  async load(id: string): Promise<Conversation | undefined> {
    const transaction = this.#db.transaction(['summaries', 'turns']);
    const summary = await transaction.objectStore('summaries').get(id);
    if (!summary) return undefined;
    const { title, created, updated, systemPrompt } = summary;
    return {
      id,
      title,
      created,
      updated,
      systemPrompt,
      turns: await transaction.objectStore('turns').getAll(turnsOf(id)),
    };
  }

  async saveSummary(summary: Summary): Promise<void> {
    await this.#db.put('summaries', summary);
  }

  async saveTurn(id: string, index: number, turn: Turn): Promise<void> {
    await this.#db.put('turns', turn, [id, index]);
  }

  async cut(id: string, length: number): Promise<void> {
    await this.#db.delete('turns', turnsOf(id, length));
  }

  async remove(id: string): Promise<void> {
    const transaction = this.#db.transaction(['summaries', 'turns'], 'readwrite');
    transaction.objectStore('summaries').delete(id);
    transaction.objectStore('turns').delete(turnsOf(id));
    await transaction.done;
  }

  async search(words: string): Promise<Set<string>> {
    const wanted = words.toLowerCase();
    const transaction = this.#db.transaction(['summaries', 'turns']);
    const found = new Set<string>();
    for (const { id, title } of await transaction.objectStore('summaries').getAll()) {
      if (title.toLowerCase().includes(wanted)) found.add(id);
    }
    for await (const { key, value } of transaction.objectStore('turns')) {
      if (!found.has(key[0]) && value.text.toLowerCase().includes(wanted)) found.add(key[0]);
    }
    return found;
  }
}

/** Where the browser keeps nothing (a private window, storage blocked), conversations live as long as the tab. */
export class TabStore implements Store {
  #summaries = new Map<string, Summary>();
  #turns = new Map<string, Turn[]>();

  async list(): Promise<Summary[]> {
    return [...this.#summaries.values()].sort((a, b) => b.updated - a.updated);
  }
  async load(id: string): Promise<Conversation | undefined> {
    const summary = this.#summaries.get(id);
    return summary && { ...summary, turns: [...(this.#turns.get(id) ?? [])] };
  }
  async saveSummary(summary: Summary): Promise<void> {
    this.#summaries.set(summary.id, summary);
  }
  async saveTurn(id: string, index: number, turn: Turn): Promise<void> {
    const turns = this.#turns.get(id) ?? [];
    turns[index] = turn;
    this.#turns.set(id, turns);
  }
  async cut(id: string, length: number): Promise<void> {
    this.#turns.get(id)?.splice(length);
  }
  async remove(id: string): Promise<void> {
    this.#summaries.delete(id);
    this.#turns.delete(id);
  }
  async search(words: string): Promise<Set<string>> {
    const wanted = words.toLowerCase();
    const hits = [...this.#summaries.values()].filter(
      ({ id, title }) =>
        title.toLowerCase().includes(wanted) ||
        this.#turns.get(id)?.some(({ text }) => text.toLowerCase().includes(wanted)),
    );
    return new Set(hits.map(({ id }) => id));
  }
}
