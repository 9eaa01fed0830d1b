// A model in which a layer sees a window only, through the library: what it says about itself, what its memory takes, and
// that one can go back to before the window.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Message, ModelInfo, Piece } from '../../web/lib';
import { homes } from './homes';

const file = new Blob([readFileSync('tests/fixtures/gemma2-mini-q4_0.gguf')]); // two layers, the first sees 40 tokens

describe.each(homes)('%s', (_home, makeEngine) => {
  let engine: Engine;
  let info: ModelInfo;
  beforeAll(async () => {
    Object.assign(globalThis, { location: { href: 'http://localhost/' } }); // a worker's engine is told where it is
    engine = makeEngine();
    info = await engine.load({ kind: 'file', file });
  });
  afterAll(() => engine.close());

  async function drain(
    pieces: AsyncIterable<Piece>,
    stopAt?: AbortController,
  ): Promise<{ text: string; read: number }> {
    let text = '';
    let read = 0;
    for await (const piece of pieces) {
      if (piece.kind === 'text') text += piece.text;
      if (piece.kind === 'reading') read = piece.total;
      if (piece.kind === 'reading' && piece.done > piece.total / 2) stopAt?.abort();
    }
    return { text, read };
  }
  const user = (content: string): Message => ({ role: 'user', content });
  const assistant = (content: string): Message => ({ role: 'assistant', content });
  const answer = (messages: Message[]) => drain(engine.generate(messages, { temperature: 0, maxTokens: 24 }));

  test('says how many of its layers see how much, in memory and in its plan', async () => {
    expect(info).toMatchObject({ layers: 2, windowedLayers: 1, window: 40 });
    const { presets } = await engine.plan({ kind: 'file', file });
    const { bytesPerToken, windowedBytes } = presets.quality!;
    expect(windowedBytes).toBeGreaterThan(64 * 30);
    expect(windowedBytes).toBeLessThan(256 * bytesPerToken);
  });

  test('the layer with the window does not grow', async () => {
    await engine.reset({ preset: 'quality' });
    const held: number[] = [];
    for (const tokens of [640, 1280]) {
      await drain(engine.generate('ab'.repeat(320), { maxTokens: 1, temperature: 0 }));
      const stats = await engine.stats();
      expect(stats.positions).toBeGreaterThanOrEqual(tokens);
      expect(stats.windowedBytes).toBeLessThan(stats.bytes / 2);
      expect(stats.bytesFp16).toBe((stats.positions + 40) * 2 * 32 * 2);
      held.push(stats.windowedBytes);
    }
    expect(held[1]).toBeLessThan(1.5 * held[0]!);
  });

  test('an early answer can be asked for again: what it takes is read anew, with progress', async () => {
    const early = [user('abc '.repeat(60)), assistant('bad cab'), user('feed a bag '.repeat(20))];
    const late = [...early, assistant('gab'), user('dab '.repeat(100)), assistant('fed'), user('cafe')];
    await engine.reset({ preset: 'quality' });
    const first = await answer(early);
    await engine.reset({ preset: 'quality' });
    await answer(late);
    const again = await answer(early);
    expect(again.text).toBe(first.text);
    expect(again.read).toBeGreaterThan(first.read - 1);
    expect((await engine.layout()).length).toBe(4);
    // Stopped in the middle, it goes on from there.
    await answer(late);
    const stop = new AbortController();
    await drain(engine.generate(early, { temperature: 0, maxTokens: 24, signal: stop.signal }), stop);
    expect((await engine.layout()).length).toBeLessThan(3);
    const rest = await answer(early);
    expect(rest.text).toBe(first.text);
    expect(rest.read).toBeLessThan(first.read);
  });

  test('another answer to a long message begins at once', async () => {
    const talk = [user('feed a bag '.repeat(150))];
    await engine.reset({ preset: 'quality' });
    const ask = () => drain(engine.generate(talk, { temperature: 2, seed: 3, maxTokens: 300 }));
    expect((await ask()).read).toBeGreaterThan(1500);
    const again = await ask(); // this tokenizer begins every text that it is given with a space, so the opening too
    expect(again.read).toBeLessThan(40);
    expect(await ask()).toEqual(again);
  });
});
