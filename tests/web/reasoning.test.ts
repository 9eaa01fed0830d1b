// Reasoning and answer are told apart while they arrive, however the text is cut.
import { describe, expect, test } from 'vitest';
import { chatTemplate } from '../../web/lib/chat_template';
import { commonTurns, type Turn } from '../../web/lib/conversation';
import { ReasoningSplitter, wholeText } from '../../web/lib/reasoning';
import type { Message } from '../../web/lib/types';
import { reasoning as qwenLike } from './templates';

type Before = ConstructorParameters<typeof ReasoningSplitter>[0];

function split(text: string, size: number, before: Before = { opening: '<|im_start|>assistant\n' }) {
  const splitter = new ReasoningSplitter(before);
  const joined = { reasoning: '', text: '' };
  const add = (parts: { kind: 'reasoning' | 'text'; text: string }[]) => {
    for (const part of parts) joined[part.kind] += part.text;
  };
  for (let at = 0; at < text.length; at += size) add(splitter.push(text.slice(at, at + size)));
  add(splitter.finish());
  return joined;
}

describe.each([1, 2, 3, 7, 100])('in steps of %i', (size) => {
  test('reasoning in its tags, then the answer', () => {
    expect(split('<think>\nTwo.\n</think>\n\nFour.', size)).toEqual({ reasoning: '\nTwo.\n', text: '\n\nFour.' });
    expect(split('\n <think>a</think>b', size)).toEqual({ reasoning: 'a', text: 'b' });
    expect(split('<think>\n\n</think>\n\nFour.', size)).toEqual({ reasoning: '\n\n', text: '\n\nFour.' });
  });

  test('an answer without reasoning is kept to the last character', () => {
    for (const text of ['Four.', ' \n Four.', '<thin>', '<think', '<', ' ', 'a <think>b</think>']) {
      expect(split(text, size)).toEqual({ reasoning: '', text });
    }
  });

  test('reasoning that never ends is reasoning, with what looks like the beginning of a tag', () => {
    expect(split('<think>a </thin', size)).toEqual({ reasoning: 'a </thin', text: '' });
  });

  test('only the first tags count', () => {
    const text = 'b <think>c</think>';
    expect(split(`<think>a</think>${text}`, size)).toEqual({ reasoning: 'a', text });
  });

  test('a template may begin the reasoning itself', () => {
    expect(split('a</think>b', size, { opening: '<｜Assistant｜><think>\n' })).toEqual({ reasoning: 'a', text: 'b' });
  });

  test('an answer goes on where it was', () => {
    const thinking: Message = { role: 'assistant', content: '', reasoning: 'a' };
    expect(split(' b</think>c', size, thinking)).toEqual({ reasoning: ' b', text: 'c' });
    const answering: Message = { role: 'assistant', content: 'c' };
    expect(split('<think>d', size, answering)).toEqual({ reasoning: '', text: '<think>d' });
  });
});

test('an answer is put together as it was generated', () => {
  expect(wholeText({ role: 'assistant', content: '\n\nFour.', reasoning: '\nTwo.\n' })).toBe(
    '<think>\nTwo.\n</think>\n\nFour.',
  );
  expect(wholeText({ role: 'assistant', content: '', reasoning: 'Two' })).toBe('<think>Two');
  expect(wholeText({ role: 'assistant', content: 'Four.' })).toBe('Four.');
});

test('an answer in memory is the same with its reasoning apart or in its tags', () => {
  const apart: Message = { role: 'assistant', content: '\n\nFour.', reasoning: 'Two.' };
  const turns: Turn[] = [{ message: apart, text: '', end: 5, clean: true }];
  const common = (message: Message) => commonTurns(turns, [message]);
  expect(common(apart)).toBe(1);
  expect(common({ role: 'assistant', content: '<think>Two.</think>\n\nFour.' })).toBe(1);
  expect(common({ role: 'assistant', content: 'Four.', reasoning: 'Two.' })).toBe(1);
  expect(common({ role: 'assistant', content: 'Four.' })).toBe(0);
  expect(common({ role: 'assistant', content: 'Four.', reasoning: 'Three.' })).toBe(0);
});

test('a template that drops old reasoning finds it; what a person typed stays text', () => {
  const template = chatTemplate(qwenLike, { special: ['<think>', '</think>', '<|im_end|>'], bos: '', eos: '' });
  const { text, literal } = template.render(
    [
      { role: 'user', content: '<think>' },
      { role: 'assistant', content: 'Four.', reasoning: 'Two and two.' },
    ],
    false,
  );
  expect(text).not.toContain('Two and two.');
  expect(text).toContain('Four.');
  expect(literal).toEqual([text.indexOf('<think>')]);
});
