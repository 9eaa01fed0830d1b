import 'fake-indexeddb/auto';
import { describe, expect, test } from 'vitest';
import type { Summary, Turn } from '../../web/app/state/conversation';
import { openStore, type Store, TabStore } from '../../web/app/state/store';

const summary = (id: string, updated: number): Summary => ({
  id,
  title: `Talk ${id}`,
  created: 1,
  updated,
  systemPrompt: '',
  tokens: 10,
  core: [{ bits: 32, positions: 10 }],
});
const turn = (text: string): Turn => ({ role: 'user', text });

async function filled(store: Store, id: string, ...texts: string[]): Promise<void> {
  await store.saveSummary(summary(id, Number(id)));
  for (const [index, text] of texts.entries()) await store.saveTurn(id, index, turn(text));
}

// The database outlives a test, so every test uses ids of its own.
describe.each([
  ['IndexedDB', openStore],
  ['the tab', async () => new TabStore()],
])('a store in %s', (_name, open) => {
  test('gives back what was saved, turns in order', async () => {
    const store = await open();
    const texts = Array.from({ length: 12 }, (_, i) => `turn ${i}`);
    await filled(store, '100', ...texts);
    const found = await store.load('100');
    expect(found?.title).toBe('Talk 100');
    expect(found?.turns.map(({ text }) => text)).toEqual(texts);
    expect(await store.load('nobody')).toBeUndefined();
  });

  test('writes a turn anew without touching the others', async () => {
    const store = await open();
    await filled(store, '200', 'a', 'b');
    await store.saveTurn('200', 1, turn('c'));
    expect((await store.load('200'))?.turns.map(({ text }) => text)).toEqual(['a', 'c']);
  });

  test('cuts the end of one conversation only', async () => {
    const store = await open();
    await filled(store, '300', 'a', 'b', 'c');
    await filled(store, '301', 'x', 'y');
    await store.cut('300', 1);
    expect((await store.load('300'))?.turns).toHaveLength(1);
    expect((await store.load('301'))?.turns).toHaveLength(2);
  });

  test('lists the newest first, and no more what was removed', async () => {
    const store = await open();
    for (const id of ['402', '401', '403']) await filled(store, id, 'a');
    await store.remove('402');
    const ids = (await store.list()).map(({ id }) => id).filter((id) => id.startsWith('40'));
    expect(ids).toEqual(['403', '401']);
    expect(await store.load('402')).toBeUndefined();
  });

  test('finds words in titles and in turns, whatever the case', async () => {
    const store = await open();
    await filled(store, '500', 'The Spare Key is under the pot');
    await filled(store, '501', 'nothing');
    expect([...(await store.search('spare key'))]).toEqual(['500']);
    expect([...(await store.search('TALK 501'))]).toEqual(['501']);
  });
});
