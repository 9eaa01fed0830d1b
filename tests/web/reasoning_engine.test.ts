// The library with a model that thinks before it answers: a stand-in for the native engine that says what it is told to.
import { beforeEach, expect, test } from 'vitest';
import type { EngineModule, NativeEngine } from '../../wasm/engine_module';
import { createEngine } from '../../web/lib/engine';
import type { Engine, Message, Piece } from '../../web/lib/types';
import { reasoning as dropsReasoning } from './templates';

const special = ['<think>', '</think>', '<|im_start|>', '<|im_end|>'];
const endOfTurn = -1;

/** Every character is a token. */
class Native {
  static script: string[] = []; // one answer for each time that it is asked
  static read = '';
  static template = dropsReasoning;
  #memory: number[] = [];
  #coming: number[] = [];

  tabBytes = () => 2 ** 30;
  reserve() {
    return true;
  }
  #bytes = new Uint8Array(16);
  bytes() {
    return this.#bytes;
  }
  open() {}
  openSession() {
    this.#memory = [];
  }
  info() {
    return {};
  }
  simd = () => 'none';
  threads = () => 1;
  bos = () => -1;
  eos = () => -1;
  wantsBos = () => false;
  chatTemplate = () => Native.template;
  specialTexts = () => special;
  encode = (text: string) => [...text].map((character) => character.codePointAt(0)!);
  decode = (ids: number[]) => String.fromCodePoint(...ids);
  position = () => this.#memory.length;
  beginTurn() {}
  beginAnswer() {}
  startFor = (position: number) => position;
  tokens = (first: number, end: number) => this.#memory.slice(first, end);
  appendSome(ids: number[]) {
    Native.read += String.fromCodePoint(...ids);
    this.#memory.push(...ids);
    return ids.length;
  }
  truncate(length: number) {
    this.#memory.length = length;
  }
  start() {
    this.#coming = this.encode(Native.script.shift() ?? '');
  }
  step() {
    const token = this.#coming.shift() ?? endOfTurn;
    if (token === endOfTurn) return { token, text: '', stop: 'end_of_turn' };
    this.#memory.push(token);
    return { token, text: String.fromCodePoint(token), stop: 'none' };
  }
  delete() {}
}

const module = { Engine: Native as unknown as new () => NativeEngine } as unknown as EngineModule;
const file = new Blob([new Uint8Array([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]);
let engine: Engine;

beforeEach(async () => {
  Native.read = '';
  Native.template = dropsReasoning;
  engine = createEngine({ maxThreads: async () => 1, instantiate: async () => module });
  await engine.load({ kind: 'file', file });
});

async function answer(messages: Message[], most = Number.POSITIVE_INFINITY): Promise<Message> {
  const said = { text: '', reasoning: '' };
  let pieces = 0;
  for await (const piece of engine.generate(messages) as AsyncIterable<Piece>) {
    if (piece.kind !== 'text' && piece.kind !== 'reasoning') continue;
    said[piece.kind] += piece.text;
    if (++pieces >= most) break;
  }
  const { text: content, reasoning } = said;
  return { role: 'assistant', content, ...(reasoning !== '' && { reasoning }) };
}
const user = (content: string): Message => ({ role: 'user', content });

test('reasoning is reported apart, and stays in memory as it was, although the template drops it', async () => {
  Native.script = ['<think>\nTwo.\n</think>\n\nFour.', 'Six.'];
  const first = await answer([user('2 + 2?')]);
  expect(first).toEqual({ role: 'assistant', content: '\n\nFour.', reasoning: '\nTwo.\n' });
  Native.read = '';
  await answer([user('2 + 2?'), first, user('3 + 3?')]);
  expect(Native.read).toBe('<|im_end|>\n<|im_start|>user\n3 + 3?<|im_end|>\n<|im_start|>assistant\n');
});

test('a conversation that is read anew is what the template makes of it', async () => {
  const first: Message = { role: 'assistant', content: '\n\nFour.', reasoning: '\nTwo.\n' };
  Native.script = ['Six.'];
  await answer([user('2 + 2?'), first, user('3 + 3?')]);
  expect(Native.read).toContain('Four.');
  expect(Native.read).not.toContain('Two.');
});

test('an answer that was stopped while it was thought about goes on thinking', async () => {
  Native.script = ['<think>abcdef', 'gh</think>Yes.'];
  const begun = await answer([user('?')], 3);
  expect(begun).toEqual({ role: 'assistant', content: '', reasoning: 'abc' });
  Native.read = '';
  expect(await answer([user('?'), begun])).toEqual({ role: 'assistant', content: 'Yes.', reasoning: 'gh' });
  expect(Native.read).toBe(''); // nothing was read again
});

test('a template that begins the reasoning itself leaves only its end to the model', async () => {
  Native.template = `${dropsReasoning}{% if add_generation_prompt %}<think>\n{% endif %}`;
  await engine.load({ kind: 'file', file });
  Native.script = ['Two.\n</think>Four.'];
  expect(await answer([user('2 + 2?')])).toEqual({ role: 'assistant', content: 'Four.', reasoning: 'Two.\n' });
});

test('text without a template is not looked at', async () => {
  Native.script = ['<think>a</think>b'];
  let text = '';
  for await (const piece of engine.generate('x')) if (piece.kind === 'text') text += piece.text;
  expect(text).toBe('<think>a</think>b');
});
