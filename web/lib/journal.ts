// What is written beside a kept file: how far it has come.
export const slotBytes = 8192; // the journal has two slots, written in turn: a write that is cut off leaves the other one

/** What the journal says. Also what the list of kept models is made of. */
export interface Journal {
  turn: number; // the larger one of two is right
  url: string;
  model: string; // address of the model's first file
  name: string;
  done: number; // bytes that are safely written
  total: number | undefined;
  etag: string | undefined;
  sha256: string | undefined; // of the whole file; once it is complete
  hash: string; // state of the incremental hash, base64
  complete: boolean;
  updated: number; // when
}

export const dataName = 'data';
export const journalName = 'journal';

/** The newest entry that can be read; undefined for a file that has none. */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  const entries = [0, 1].flatMap((slot): Journal[] => {
    const text = new TextDecoder().decode(bytes.subarray(slot * slotBytes, (slot + 1) * slotBytes));
    try {
      const entry = JSON.parse(text.slice(0, text.indexOf('\n'))) as Journal;
      return Number.isSafeInteger(entry.done) && typeof entry.url === 'string' ? [entry] : [];
    } catch {
      return [];
    }
  });
  return entries.sort((a, b) => b.turn - a.turn)[0];
}
