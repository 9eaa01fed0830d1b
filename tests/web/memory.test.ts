// The tiered memory through the library, on the real engine, in both of its homes: presets, budget, taking back, snapshots.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Engine, type MemoryStats, type Message, type Piece, type Snapshot, StrataError } from '../../web/lib';
import { homes } from './homes';
import { defaultModel } from './node_host';

const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const file = new Blob([defaultModel()]);
/** Every sentence another one, so that taking back to the wrong place would show. */
const long = (sentences: number) =>
  Array.from({ length: sentences }, (_, i) => `On day ${i + 1} the ship lay in harbour ${i % 7} and waited.`).join(' ');
const page = user(`Read this: ${long(60)}`); // about 1,200 tokens

describe.each(homes)('%s', (_home, makeEngine) => {
  let engine: Engine;
  beforeAll(async () => {
    Object.assign(globalThis, { location: { href: 'http://localhost/' } }); // a worker's engine is told where it is
    engine = makeEngine();
    await engine.load({ kind: 'file', file });
  });
  beforeEach(() => engine.reset({ preset: 'quality' }));
  afterAll(() => engine.close());

  async function drain(pieces: AsyncIterable<Piece>): Promise<string> {
    let text = '';
    for await (const piece of pieces) if (piece.kind === 'text') text += piece.text;
    return text;
  }
  const answer = (messages: Message[], maxTokens = 48) =>
    drain(engine.generate(messages, { temperature: 0, maxTokens }));
  const failure = (doing: Promise<unknown>) =>
    doing.then(
      () => new Error('it went well'),
      (error: unknown) => error,
    );
  const names = ({ tiers }: MemoryStats) => tiers.map(({ name }) => name);
  const leastBudget = async () => (await engine.stats()).leastBudgetBytes;

  function expectWhole({ tiers, positions, bytes, keptBytes, spareBytes }: MemoryStats): void {
    let next = 0;
    for (const tier of tiers) {
      expect(tier.first).toBe(next);
      next += tier.positions;
    }
    expect(next).toBe(positions);
    expect(tiers.reduce((sum, tier) => sum + tier.bytes, keptBytes + spareBytes)).toBe(bytes);
  }

  describe('the guard', () => {
    test('the shipped model needs none, and the conversation is not touched', async () => {
      await drain(engine.read([page]));
      const before = await engine.stats();
      const shares: number[] = [];
      const report = await engine.guard({ preset: 'max', onProgress: (share) => shares.push(share) });
      expect(report).toMatchObject({ preset: 'max', outcome: 'checked', guardedLayers: [] });
      expect(report.kldWithout).toBeGreaterThan(0);
      expect(report.kldWithout).toBeLessThan(0.01);
      expect(shares.at(-1)).toBe(1);
      expect(await engine.stats()).toMatchObject({ positions: before.positions, bytes: before.bytes });
    });

    test('lets everybody else go first, and goes on afterwards', async () => {
      const order: string[] = [];
      const guarded = engine.guard().then(({ outcome }) => order.push(outcome));
      await answer([user('Hello.')]);
      order.push('answered');
      await guarded;
      expect(order).toEqual(['answered', 'checked']);
    });

    test('costs no more than it may: what cannot fit is given up as soon as that shows', async () => {
      const shares: number[] = [];
      const report = await engine.guard({ maxMs: 1, onProgress: (share) => shares.push(share) });
      expect(report).toMatchObject({ outcome: 'too_slow', guardedLayers: [], kldWithout: undefined });
      expect(shares.at(-1)).toBeLessThan(0.3);
    });

    test('can be stopped, and begun again', async () => {
      const stop = new AbortController();
      const stopped = failure(engine.guard({ onProgress: () => stop.abort(), signal: stop.signal }));
      expect(await stopped).toMatchObject({ code: 'aborted' });
      expect((await engine.guard()).outcome).toBe('checked');
    });

    test('guarded layers keep their older keys at 8 bits', async () => {
      await engine.reset({ preset: 'max', guardedLayers: [0, 3] });
      await drain(engine.read([page]));
      const { tiers } = await engine.stats();
      const sealed = tiers.find(({ name }) => name === 'K2V2')!;
      expect(sealed.keyBits).toBeGreaterThan(sealed.valueBits);
      expect(await failure(engine.reset({ guardedLayers: [3, 0] }))).toMatchObject({ code: 'invalid_argument' });
      expect(await failure(engine.reset({ guardedLayers: [6] }))).toMatchObject({ code: 'invalid_argument' });
    });
  });

  describe('presets and budget', () => {
    test('quality is the default, and has no budget', async () => {
      const fresh = makeEngine();
      await fresh.load({ kind: 'file', file });
      expect(await fresh.stats()).toMatchObject({ policy: expect.stringContaining('quality'), budgetBytes: 0 });
      await fresh.close();
    });

    test('older memory is sealed at the bits of the preset; the first tokens and the window are exact', async () => {
      for (const [preset, tier] of [
        ['exact', 'exact'],
        ['quality', 'K4V4'],
        ['balanced', 'K3V3'],
        ['max', 'K2V2'],
      ] as const) {
        await engine.reset({ preset });
        await drain(engine.read([page]));
        const stats = await engine.stats();
        expectWhole(stats);
        expect(new Set(names(stats))).toEqual(new Set(['exact', tier]));
        if (preset !== 'exact') expect(stats.tiers[0]).toMatchObject({ name: 'exact', positions: 4 });
      }
    });

    test('another preset takes effect at once and keeps the conversation', async () => {
      await drain(engine.read([page]));
      const before = await engine.stats();
      await engine.setMemory({ preset: 'balanced', budgetBytes: 0 });
      const after = await engine.stats();
      expect(names(after)).toEqual(['exact', 'K3V3', 'exact']);
      expect(after.positions).toBe(before.positions);
      expect(after.bytes).toBeLessThan(before.bytes);
      expectWhole(after);
      await engine.setMemory({ preset: 'quality', budgetBytes: 0 });
      expect(names(await engine.stats())).toEqual(['exact', 'K3V3', 'exact']); // finer never
    });

    test('a budget makes the oldest coarser and is kept', async () => {
      await drain(engine.read([page]));
      const budgetBytes = (await leastBudget()) + 600_000;
      await engine.setMemory({ preset: 'quality', budgetBytes });
      const stats = await engine.stats();
      expect(stats.budgetBytes).toBe(budgetBytes);
      expect(stats.bytes).toBeLessThanOrEqual(budgetBytes);
      expectWhole(stats);
      const ladder = ['K2V2', 'K3V2', 'K3V3', 'K4V3', 'K4V4'];
      const sealed = names(stats).slice(1, -1);
      expect(sealed.length).toBeGreaterThan(1);
      expect(sealed).toEqual(ladder.filter((name) => sealed.includes(name))); // the older, the coarser
    });

    test('memory can change in the middle of an answer', async () => {
      const tiers: string[][] = [];
      for await (const piece of engine.generate([page], { temperature: 0, maxTokens: 12 })) {
        if (piece.kind !== 'text') continue;
        if (tiers.length === 0) await engine.setMemory({ preset: 'max', budgetBytes: 0 });
        tiers.push(names(await engine.stats()));
      }
      expect(tiers.at(-1)).toEqual(['exact', 'K2V2', 'exact']);
    });

    test('what is set is kept for the next conversation', async () => {
      const budgetBytes = (await leastBudget()) + 1_000_000;
      await engine.setMemory({ preset: 'balanced', budgetBytes });
      await engine.reset();
      expect(await engine.stats()).toMatchObject({ policy: expect.stringContaining('balanced'), budgetBytes });
    });

    test('what makes no sense is refused, and nothing changes', async () => {
      const policy = (await engine.stats()).policy;
      const wrong = [
        { preset: 'sharp' as 'max', budgetBytes: 0 },
        { preset: 'max', budgetBytes: 1000 },
        { preset: 'max', budgetBytes: -1 },
        { preset: 'max', budgetBytes: Number.NaN },
        { preset: 'max', budgetBytes: 2.5 },
      ] as const;
      for (const memory of wrong) {
        await expect(engine.setMemory(memory)).rejects.toMatchObject({ code: 'invalid_argument' });
        expect((await engine.stats()).policy).toBe(policy);
      }
    });

    test('a memory of rows has neither', async () => {
      await engine.reset({ rows: { keyType: 'q8_0' } });
      await expect(engine.setMemory({ preset: 'max', budgetBytes: 0 })).rejects.toMatchObject({
        code: 'invalid_argument',
      });
      await expect(engine.save()).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });

  describe('a budget that is full', () => {
    test('stops reading with the bytes that are needed; with more it goes on, and nothing is lost', async () => {
      await engine.reset({ preset: 'quality', budgetBytes: await leastBudget() });
      const full = await failure(drain(engine.read([page])));
      expect(full).toBeInstanceOf(StrataError);
      expect(full).toMatchObject({ code: 'budget_full' });
      const { neededBytes } = full as StrataError;
      const stats = await engine.stats();
      expect(stats.positions).toBe(192); // the window
      expect(stats.bytes).toBeLessThanOrEqual(stats.budgetBytes);
      expect(neededBytes).toBeGreaterThan(stats.budgetBytes);

      await engine.setMemory({ preset: 'quality', budgetBytes: neededBytes! });
      expect(await failure(drain(engine.read([page])))).toMatchObject({ code: 'budget_full' });
      expect((await engine.stats()).positions).toBe(256); // what was needed is what was asked for
      await engine.setMemory({ preset: 'quality', budgetBytes: 0 });
      await drain(engine.read([page]));
      expect((await engine.layout()).at(-1)!.end).toBe((await engine.stats()).positions);
    });

    test('pauses an answer, which goes on where it was', async () => {
      const asked = [user(`Read this: ${long(4)}`), assistant('Thank you.'), user('Tell me a story.')];
      const whole = await answer(asked, 300);
      expect((await engine.stats()).positions).toBeGreaterThan(200);
      await engine.reset({ preset: 'quality', budgetBytes: await leastBudget() });
      let begun = '';
      const pausing = (async () => {
        for await (const piece of engine.generate(asked, { temperature: 0, maxTokens: 300 }))
          if (piece.kind === 'text') begun += piece.text;
      })();
      expect(await failure(pausing)).toMatchObject({ code: 'budget_full' });
      expect((await engine.stats()).positions).toBe(192);
      expect(whole.startsWith(begun)).toBe(true);
      expect(await engine.layout()).toHaveLength(4);
      await engine.setMemory({ preset: 'quality', budgetBytes: 0 });
      expect(begun + (await answer([...asked, assistant(begun)], 300))).toBe(whole);
    });

    test('a smaller budget than the conversation fits is refused', async () => {
      await drain(engine.read([page]));
      const before = await engine.stats();
      const refused = await failure(engine.setMemory({ preset: 'max', budgetBytes: before.leastBudgetBytes }));
      expect(refused).toMatchObject({ code: 'budget_full' });
      expect(await engine.stats()).toEqual(before);
      const { neededBytes } = refused as StrataError;
      await engine.setMemory({ preset: 'max', budgetBytes: neededBytes! });
      expect((await engine.stats()).bytes).toBeLessThanOrEqual(neededBytes!);
    });
  });

  describe('taking the last turn back', () => {
    const talk = [page, assistant('Thank you, I have read it.'), user('Write a page like an old novel.')];

    test('another answer is the same answer', async () => {
      const first = await answer(talk, 300);
      expect(first.length).toBeGreaterThan(400);
      expect(await answer(talk, 300)).toBe(first);
      expect((await engine.stats()).thawedPositions).toBe(0);
    });

    test('also after it was read again from its text', async () => {
      await drain(engine.read([...talk, assistant('Once upon a time')]));
      const first = await answer(talk, 300);
      await engine.reset();
      expect(await answer(talk, 300)).toBe(first);
    });

    test('another question in its place is answered as if it had been the first', async () => {
      const other = [...talk.slice(0, 2), user('What is the sun?')];
      const straight = await answer(other);
      await engine.reset();
      await answer(talk, 300);
      expect(await answer(other)).toBe(straight);
      expect((await engine.stats()).thawedPositions).toBe(0);
    });

    test('a long question too', async () => {
      const first = await answer([page]);
      expect(await answer([page])).toBe(first);
      expect(await answer([user('Hello.')])).not.toBe(first);
      expect(await answer([page])).toBe(first);
    });
  });

  describe('another answer to a long message', () => {
    const asked = user(`${long(35)} Write a page like an old novel.`); // about 570 tokens
    const talk = [user('My name is Robert.'), assistant('I will remember that.'), asked];
    type Reading = Extract<Piece, { kind: 'reading' }>;
    /** The answer, and all that was reported of reading; stops reading once so much has been read. */
    async function ask(messages: Message[], maxTokens = 260, stopAt = Number.POSITIVE_INFINITY) {
      const controller = new AbortController();
      const sampling = { temperature: 3, topK: 0, seed: 1, maxTokens, signal: controller.signal }; // it does not end soon
      const reading: Reading[] = [];
      let text = '';
      let reason = '';
      for await (const piece of engine.generate(messages, sampling)) {
        if (piece.kind === 'text') text += piece.text;
        else if (piece.kind === 'reading') reading.push(piece);
        else if (piece.kind === 'end') reason = piece.reason;
        if (piece.kind === 'reading' && piece.done >= stopAt) controller.abort();
      }
      return { text, reading, reason, total: reading.at(-1)?.total ?? 0 };
    }

    test('begins at once, also after the answer went on, and after it was read from its text', async () => {
      const first = await ask(talk);
      expect(first.total).toBeGreaterThan(500);
      expect((await engine.stats()).positions - (await engine.layout())[2]!.end).toBeGreaterThan(200);
      const again = await ask(talk);
      expect(again.text).toBe(first.text);
      expect(again.total).toBeLessThan(8);

      const begun = await ask(talk, 100);
      expect(begun.text + (await ask([...talk, assistant(begun.text)], 160)).text).toBe(first.text);
      const third = await ask(talk);
      expect(third.text).toBe(first.text);
      expect(third.total).toBeLessThan(8);

      await engine.reset();
      await drain(engine.read([...talk, assistant(first.text)]));
      const fourth = await ask(talk);
      expect(fourth.text).toBe(first.text);
      expect(fourth.total).toBeLessThan(8);
      expect((await engine.stats()).thawedPositions).toBe(0);
    });

    test('is read again under a budget: with progress, and it can be stopped', async () => {
      await engine.reset({ preset: 'quality', budgetBytes: 20_000_000 }); // nothing has to become coarser
      const first = await ask(talk);
      const again = await ask(talk);
      expect(again.text).toBe(first.text);
      expect(again.total).toBeGreaterThan(500);
      expect(again.reading.length).toBeGreaterThan(8);
      expect(again.reading.map(({ done }) => done)).toEqual(
        again.reading.map(({ done }) => done).sort((a, b) => a - b),
      );

      const stopped = await ask(talk, 260, again.total / 2);
      expect(stopped).toMatchObject({ text: '', reason: 'aborted' });
      expect(await engine.layout()).toHaveLength(2); // the message is not in memory as a whole
      const positions = (await engine.stats()).positions;
      expect(positions).toBeGreaterThan(again.total / 2);
      expect(positions).toBeLessThan(again.total);
      const fourth = await ask(talk);
      expect(fourth.text).toBe(first.text);
      expect(await engine.layout()).toHaveLength(4);
      expect((await engine.stats()).thawedPositions).toBe(0);
      // What follows is what would have followed the first time.
      const next = [...talk, assistant(first.text), user('Thank you.')];
      const followed = await ask(next, 20);
      await engine.reset();
      expect((await ask(talk)).text).toBe(first.text);
      expect((await ask(next, 20)).text).toBe(followed.text);
    });

    test('that the budget stops from being read again costs nothing else', async () => {
      await engine.reset({ preset: 'quality', budgetBytes: 20_000_000 });
      await ask(talk);
      const { bytes } = await engine.stats();
      const reading = (async () => {
        for await (const piece of engine.generate(talk, { temperature: 0, maxTokens: 20 })) {
          if (piece.kind !== 'reading' || piece.done === 0) continue;
          const { positions, leastBudgetBytes } = await engine.stats();
          if (positions > 200) await engine.setMemory({ preset: 'max', budgetBytes: leastBudgetBytes + 50_000 });
        }
      })();
      expect(await failure(reading)).toMatchObject({ code: 'budget_full' });
      expect((await engine.stats()).bytes).toBeLessThan(bytes);
      expect(await engine.layout()).toHaveLength(2);
      await engine.setMemory({ preset: 'quality', budgetBytes: 0 });
      expect((await ask(talk, 20)).text).not.toBe('');
      expect(await engine.layout()).toHaveLength(4);
    });
  });

  describe('snapshots', () => {
    const talk = [user('My name is Robert.'), assistant('I will remember that.'), page];
    let saved: Snapshot;
    let next: string;
    beforeAll(async () => {
      await engine.reset({ preset: 'balanced' });
      await drain(engine.read(talk));
      saved = await engine.save();
      next = await answer(talk, 80);
    });

    test('go on with the same words, without reading anything again', async () => {
      await answer([user('Something else.')]);
      await engine.restore(saved);
      expect(await engine.stats()).toMatchObject({ policy: expect.stringContaining('balanced'), thawedPositions: 0 });
      const pieces: Piece[] = [];
      let text = '';
      for await (const piece of engine.generate(talk, { temperature: 0, maxTokens: 80 })) {
        pieces.push(piece);
        if (piece.kind === 'text') text += piece.text;
      }
      expect(text).toBe(next);
      expect(pieces.at(-1)).toMatchObject({ kind: 'end', promptTokens: expect.any(Number) });
      const { promptTokens } = pieces.at(-1) as Extract<Piece, { kind: 'end' }>;
      expect(promptTokens).toBeLessThan(8);
    });

    test('are plain data that survives storage, and another engine goes on from it', async () => {
      const other = makeEngine();
      await other.load({ kind: 'file', file });
      await other.restore(structuredClone(saved));
      expect(await other.layout()).toHaveLength(3);
      expect(await drain(other.generate(talk, { temperature: 0, maxTokens: 80 }))).toBe(next);
      await other.close();
    });

    test('the last turn can still be taken back', async () => {
      await engine.restore(saved);
      await answer(talk, 80);
      expect(await answer(talk, 80)).toBe(next);
    });

    const damage: [string, (saved: Snapshot) => unknown, string][] = [
      ['nothing', () => undefined, 'corrupt_file'],
      ['no bytes', () => ({ ...saved, memory: new Uint8Array() }), 'corrupt_file'],
      ['other bytes', () => ({ ...saved, memory: new Uint8Array(100_000).fill(7) }), 'corrupt_file'],
      [
        'bytes of a model',
        () => ({ ...saved, memory: new Uint8Array(defaultModel().subarray(0, 1e6)) }),
        'corrupt_file',
      ],
      ['half of it', () => ({ ...saved, memory: saved.memory.slice(0, saved.memory.length / 2) }), 'corrupt_file'],
      ['one byte more', () => ({ ...saved, memory: new Uint8Array([...saved.memory, 0]) }), 'corrupt_file'],
      ['one bit turned', () => ({ ...saved, memory: turned(saved.memory, 123_456) }), 'corrupt_file'],
      ['another version', () => ({ ...saved, memory: turned(saved.memory, 8) }), 'corrupt_file'],
      ['a string for the bytes', () => ({ ...saved, memory: 'STRATAKV' }), 'corrupt_file'],
      ['no turns', () => ({ memory: saved.memory }), 'corrupt_file'],
      ['a turn without a message', () => ({ ...saved, turns: [{ text: '', end: 3, clean: true }] }), 'corrupt_file'],
      ['a turn that ends before it begins', () => ({ ...saved, turns: ends(saved, [9, 3, 20]) }), 'corrupt_file'],
      ['a turn that ends nowhere', () => ({ ...saved, turns: ends(saved, [1, 2, Number.NaN]) }), 'corrupt_file'],
    ];

    test.each(damage)('%s: refused, and memory stays as it was', async (_what, damaged, code) => {
      const hello = [user('Hello!')];
      await answer(hello);
      const before = await engine.stats();
      expect(await failure(engine.restore(damaged(saved) as Snapshot))).toMatchObject({
        code,
        message: expect.stringMatching(/snapshot/i),
      });
      const { heapBytes: _, ...after } = await engine.stats();
      expect(before).toMatchObject(after);
      expect(await engine.layout()).toHaveLength(2);
    });

    test('turns beyond the memory are left out', async () => {
      await engine.restore({ ...saved, turns: ends(saved, [5, 1e6, 2e6]) });
      expect(await engine.layout()).toEqual([{ first: 0, end: 5 }]);
    });
  });

  test('a memory that pretends to delete does not know what is beyond', async () => {
    const talk = [
      user("My dog's name is Biscuit."),
      assistant('I will remember that.'),
      user(`Read this: ${long(12)}`),
      assistant('Thank you.'),
      user("What is my dog's name?"),
    ];
    expect(await answer(talk)).toContain('Biscuit');
    await engine.reset({ preset: 'quality', forgetBeyond: 128 });
    expect(await answer(talk)).not.toContain('Biscuit');
  });
});

function turned(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 1;
  return copy;
}

const ends = ({ turns }: Snapshot, positions: number[]) =>
  turns.map((turn, index) => ({ ...turn, end: positions[index]! }));
