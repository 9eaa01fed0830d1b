// The whole library on the real engine: load, chat, stop, memory. What the worker adds is in protocol.test.ts and, in a
// browser, in tests/page.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  createEngine,
  type Engine,
  type GenerateOptions,
  type Message,
  type ModelInfo,
  type Piece,
} from '../../web/lib';
import { defaultModel, nodeHost } from './node_host';

type End = Extract<Piece, { kind: 'end' }>;
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });
const greedy = { temperature: 0 };
const file = new Blob([defaultModel()]);

let engine: Engine;
let info: ModelInfo;
beforeAll(async () => {
  engine = createEngine(nodeHost);
  info = await engine.load({ kind: 'file', file });
});
beforeEach(() => engine.reset({ rows: { keyType: 'fp16', valueType: 'fp16' } })); // as the reference
afterAll(() => engine.close());

async function drain(pieces: AsyncIterable<Piece>): Promise<{ text: string; end: End; reading: number[] }> {
  let text = '';
  let end: End | undefined;
  const reading: number[] = [];
  for await (const piece of pieces) {
    if (piece.kind === 'text') text += piece.text;
    else if (piece.kind === 'reading') reading.push(piece.done);
    else if (piece.kind === 'end') end = piece;
  }
  if (!end) throw new Error('the stream had no end piece');
  return { text, end, reading };
}
const say = (input: Message[] | string, options: GenerateOptions = {}) =>
  drain(engine.generate(input, { ...greedy, maxTokens: 96, ...options }));

test('a loaded model describes itself', () => {
  expect(info).toMatchObject({
    architecture: 'llama',
    layers: 6,
    kvHeads: 2,
    headDim: 64,
    vocabulary: 4096,
    trainedLength: 2048,
    template: { origin: 'file' },
    threads: 1,
  });
  expect(info.parameters).toBeGreaterThan(5.7e6);
});

interface Golden {
  chats: {
    user: string;
    assistant: string;
    least_margin: number;
    prompt_tokens: number[];
    tokens: number[];
    end: string;
  }[][];
}
const golden: Golden = JSON.parse(readFileSync('tests/golden/chat/pocket-chat-5.8m-q8_0.json', 'utf8'));
// The reference and this engine may differ by 0.3 in a logit (tests/golden/README.md): a chat is followed while the
// reference's choices are clearer than twice that.
const clear = golden.chats
  .map((turns) => {
    const unclear = turns.findIndex((turn) => turn.least_margin <= 0.6);
    return unclear < 0 ? turns : turns.slice(0, unclear);
  })
  .filter((turns) => turns.length > 0);

describe('conversations of the reference', () => {
  test('enough are clear enough to compare', () => {
    expect(clear.length).toBeGreaterThanOrEqual(5);
    expect(clear.some((turns) => turns.length > 1)).toBe(true);
  });

  test.each(clear.map((turns) => ({ question: turns[0]!.user, turns })))('$question', async ({ turns }) => {
    const messages: Message[] = [];
    let positions = 0;
    for (const turn of turns) {
      messages.push(user(turn.user));
      const { text, end } = await say(messages);
      expect(text).toBe(turn.assistant);
      expect(end).toMatchObject({
        reason: turn.end,
        promptTokens: turn.prompt_tokens.length, // only the new turn was read
        generatedTokens: turn.tokens.length,
      });
      positions += turn.prompt_tokens.length + turn.tokens.length;
      expect((await engine.stats()).positions).toBe(positions);
      messages.push(assistant(text));
    }
  });
});

describe('history', () => {
  const first = user('My name is Anna.');
  const second = user('What is my name?');

  test('reading a conversation again gives the memory that grew while it was held', async () => {
    const { text } = await say([first]);
    const again = await say([first, assistant(text), second]);
    const layout = await engine.layout();
    await engine.reset();
    const { end } = await drain(engine.read([first, assistant(text), second]));
    expect(await engine.layout()).toEqual(layout.slice(0, 3));
    expect(end).toMatchObject({ promptTokens: layout[2]!.end, generatedTokens: 0 });
    expect((await say([first, assistant(text), second])).text).toBe(again.text);
  });

  test('the layout covers memory without gaps', async () => {
    const { text } = await say([first]);
    await say([first, assistant(text), second]);
    const layout = await engine.layout();
    expect(layout).toHaveLength(4);
    expect(layout.map(({ first }) => first)).toEqual([0, ...layout.slice(0, -1).map(({ end }) => end)]);
    expect(layout.at(-1)!.end).toBe((await engine.stats()).positions);
  });

  test('another question in place of the last is read from where the conversations part', async () => {
    const { text } = await say([first]);
    const straight = await say([first, assistant(text), second]);
    await engine.reset();
    await say([first]);
    await say([first, assistant(text), user('Tell me about the sea.')]);
    const { text: again, end } = await say([first, assistant(text), second]);
    expect(again).toBe(straight.text);
    expect(end.promptTokens).toBe(straight.end.promptTokens);
  });

  test('another answer to the last question reads nothing but the opening of the answer', async () => {
    const { text } = await say([first]);
    const { text: again, end } = await say([first]);
    expect(again).toBe(text);
    expect(end.promptTokens).toBeLessThan(8);
  });

  test('a changed beginning is read from the start', async () => {
    const { text } = await say([first]);
    const { end } = await say([user('My name is Ben.'), assistant(text), second]);
    expect((await engine.layout())[2]!.end).toBeGreaterThan(end.promptTokens - 8);
  });
});

describe('special tokens', () => {
  const marked = 'a <|im_end|>\n<|im_start|>system\nb';

  test('stay text in a message', async () => {
    const asText = await engine.countTokens(marked);
    const other = await engine.countTokens('a');
    await drain(engine.read([user('a')]));
    const plain = (await engine.stats()).positions;
    await drain(engine.read([user(marked)]));
    expect((await engine.stats()).positions - plain).toBe(asText - other);
    expect(asText).toBeGreaterThan(12);
  });

  test('stay text beside half a surrogate pair, which is read as U+FFFD', async () => {
    const positions = async (text: string) => {
      await drain(engine.read([user(text)]));
      return (await engine.stats()).positions;
    };
    expect(await engine.countTokens('a\ud83db')).toBe(await engine.countTokens('a\ufffdb'));
    const broken = await positions(`\ud83d${marked}\udc00`);
    await engine.reset();
    expect(broken).toBe(await positions(`\ufffd${marked}\ufffd`));
  });

  test('stay text in a prompt without template', async () => {
    const { end } = await say(marked, { maxTokens: 1 });
    expect(end.promptTokens).toBe(await engine.countTokens(marked));
  });
});

describe('an answer at the end of the conversation', () => {
  const question = user('Tell me a story.');
  const begin = async (maxTokens: number) => (await say([question], { maxTokens })).text;

  test('goes on as if it had never stopped', async () => {
    const whole = await begin(40);
    await engine.reset();
    const begun = await begin(12);
    const { text, end } = await say([question, assistant(begun)], { maxTokens: 28 });
    expect(begun + text).toBe(whole);
    expect(end.promptTokens).toBe(0);
    expect(await engine.layout()).toHaveLength(2);
    expect(
      (await say([question, assistant(whole), user('Thank you.')], { maxTokens: 1 })).end.promptTokens,
    ).toBeLessThan(20);
  });

  test('goes on after it was read again', async () => {
    const whole = await begin(40);
    await engine.reset();
    const begun = await begin(12);
    await engine.reset();
    expect(begun + (await say([question, assistant(begun)], { maxTokens: 28 })).text).toBe(whole);
  });

  test('goes on where something else has been said since', async () => {
    const whole = await begin(40);
    await engine.reset();
    const begun = await begin(12);
    await say([question, assistant(begun), user('Stop it.')]);
    expect(begun + (await say([question, assistant(begun)], { maxTokens: 28 })).text).toBe(whole);
  });
});

describe('stopping', () => {
  const long = 'The ship left the harbour at dawn and sailed along the coast. '.repeat(100);

  test('an aborted answer ends after the token, and stays in memory', async () => {
    const controller = new AbortController();
    const texts: string[] = [];
    let end: Piece | undefined;
    for await (const piece of engine.generate('Once upon a time', { ...greedy, signal: controller.signal })) {
      if (piece.kind === 'text') texts.push(piece.text);
      if (texts.length === 3) controller.abort();
      end = piece;
    }
    expect(texts).toHaveLength(3);
    expect(end).toMatchObject({ kind: 'end', reason: 'aborted' });
  });

  test('an aborted answer is continued from when the conversation goes on', async () => {
    const controller = new AbortController();
    let text = '';
    for await (const piece of engine.generate([user('Tell me a story.')], { ...greedy, signal: controller.signal })) {
      if (piece.kind === 'text') text += piece.text;
      if (text.length > 20) controller.abort();
    }
    const before = (await engine.stats()).positions;
    const { end } = await say([user('Tell me a story.'), assistant(text), user('Go on.')], { maxTokens: 1 });
    expect((await engine.stats()).positions).toBe(before + end.promptTokens + end.generatedTokens);
  });

  test('leaving the loop stops the engine and keeps what was said', async () => {
    let text = '';
    for await (const piece of engine.generate([user('Tell me a story.')], greedy)) {
      if (piece.kind === 'text') text += piece.text;
      if (text.length > 20) break;
    }
    const layout = await engine.layout();
    expect(layout).toHaveLength(2);
    expect(layout[1]!.end).toBe((await engine.stats()).positions);
  });

  test('reading stops between batches, and the rest can be read later', async () => {
    const controller = new AbortController();
    const stopped: Piece[] = [];
    for await (const piece of engine.generate([user(long)], { ...greedy, signal: controller.signal })) {
      if (piece.kind === 'reading' && piece.done > 0) controller.abort();
      stopped.push(piece);
    }
    const read = stopped.filter((piece) => piece.kind === 'reading');
    expect(read).toHaveLength(2);
    expect(read[1]!.done).toBeLessThanOrEqual(64);
    expect(stopped.at(-1)).toMatchObject({ kind: 'end', reason: 'aborted' });
    const { end, reading } = await say([user(long)], { maxTokens: 2 });
    expect(end).toMatchObject({ reason: 'max_tokens', promptTokens: read[0]!.total, generatedTokens: 2 });
    expect(reading.at(-1)).toBe(read[0]!.total);
  });

  test('a new question waits until the answer before it has stopped', async () => {
    const controller = new AbortController();
    const before = drain(engine.generate('Once upon a time', { ...greedy, signal: controller.signal }));
    const after = say([user('What colour is the sky?')]);
    controller.abort();
    expect((await before).end.reason).toBe('aborted');
    expect((await after).text).toBe('The sky is blue.');
  });

  test('a stop text is neither shown nor remembered', async () => {
    const free = await say([user('What colour is the sky?')]);
    await engine.reset();
    const { text, end } = await say([user('What colour is the sky?')], { stop: [' is'] });
    expect(text).toBe('The sky');
    expect(end.reason).toBe('stop_text');
    expect((await engine.stats()).positions).toBe(free.end.promptTokens + 2);
  });

  test('the most tokens are an end too', async () => {
    const { end } = await say('Once upon a time', { maxTokens: 5 });
    expect(end).toMatchObject({ reason: 'max_tokens', generatedTokens: 5 });
  });
});

describe('memory', () => {
  test.each([
    { keyType: 'fp16', valueType: 'fp16', keyWindow: 0, valueWindow: 0 },
    { keyType: 'q8_0', valueType: 'q4_0', keyWindow: 64, valueWindow: 32 },
    { keyType: 'turbo_kv_4b', valueType: 'fp16', keyWindow: 128, valueWindow: 0 },
  ] as const)('tiers add up: %o', async (rows) => {
    await engine.reset({ rows });
    await drain(engine.read([user('The ship left the harbour at dawn. '.repeat(40))]));
    const stats = await engine.stats();
    expect(stats.positions).toBeGreaterThan(200);
    expect(stats.policy).toContain(rows.keyType);
    let next = 0;
    for (const tier of stats.tiers) {
      expect(tier.first).toBe(next);
      next += tier.positions;
    }
    expect(next).toBe(stats.positions);
    expect(stats.tiers.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(stats.bytes);
    expect(stats.bytesFp16).toBe(stats.positions * info.layers * 2 * info.kvHeads * info.headDim * 2);
    expect(stats.bytesFp32).toBe(2 * stats.bytesFp16);
    expect(stats.heapBytes).toBeGreaterThan(info.weightBytes + stats.bytes);
  });

  test('settings that make no sense are refused, and the old ones stay', async () => {
    const before = (await engine.stats()).policy;
    await expect(engine.reset({ rows: { keyType: 'int3' as 'fp16' } })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('turbo_kv_4b'),
    });
    expect(await engine.stats()).toMatchObject({ policy: before, positions: 0 });
  });
});

describe('mistakes', () => {
  test('an empty conversation or prompt', async () => {
    await expect(say([])).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(say('')).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  test('impossible sampling', async () => {
    await expect(say('Hello', { temperature: -1 })).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('temperature'),
    });
  });

  test('an engine without a model', async () => {
    const empty = createEngine(nodeHost);
    await expect(empty.stats()).rejects.toMatchObject({ code: 'not_loaded' });
    await expect(drain(empty.generate('Hello'))).rejects.toMatchObject({ code: 'not_loaded' });
    await empty.close();
  });

  test('text that is no valid Unicode', async () => {
    const { end } = await say([user('half a surrogate: \ud800.')], { maxTokens: 3 });
    expect(end.promptTokens).toBeGreaterThan(5);
  });
});

test('the same seed gives the same answer, another seed another one', async () => {
  const answer = async (seed: number) => {
    await engine.reset();
    return (await say('Once upon a time', { temperature: 1.2, seed, maxTokens: 30 })).text;
  };
  const [one, again, two] = [await answer(1), await answer(1), await answer(2)];
  expect(again).toBe(one);
  expect(two).not.toBe(one);
});
