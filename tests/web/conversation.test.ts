// History is append-only: whatever a template does to the past, only what follows the last kept message is read.
import { describe, expect, test } from 'vitest';
import { type ChatTemplate, chatTemplate } from '../../web/lib/chat_template';
import { commonTurns, continuation, type Turn } from '../../web/lib/conversation';
import type { Message } from '../../web/lib/types';
import { llama2, mistral, qwen, reasoning } from './templates';

const tokens = { special: ['<|im_start|>', '<|im_end|>'], bos: '<s>', eos: '</s>' };
const system: Message = { role: 'system', content: 'Be brief.' };
const hello: Message = { role: 'user', content: 'Hello' };
const answer: Message = { role: 'assistant', content: 'Hi there. ' };
const next: Message = { role: 'user', content: 'Bye\n' };

/** What memory holds after `messages` were read and `reply` was generated. */
function memoryAfter(template: ChatTemplate, messages: Message[], reply: Message): Turn[] {
  const { rendered, ends } = continuation(template, [], messages, true);
  let at = 0;
  const turns = messages.map((message, index): Turn => {
    const turn = { message, text: rendered.text.slice(at, ends[index]), end: ends[index]!, clean: true };
    at = ends[index]!;
    return turn;
  });
  const text = rendered.text.slice(at) + reply.content;
  return [...turns, { message: reply, text, end: at + text.length, clean: true }];
}

function suffix(source: string, messages: Message[], reply: Message, fresh: Message[]): string {
  const template = chatTemplate(source, tokens);
  const { rendered, from } = continuation(
    template,
    memoryAfter(template, messages, reply),
    [...messages, reply, ...fresh],
    true,
  );
  return rendered.text.slice(from);
}

test('only the new turn is read', () => {
  expect(suffix(qwen, [system, hello], answer, [next])).toBe(
    '<|im_end|>\n<|im_start|>user\nBye\n<|im_end|>\n<|im_start|>assistant\n',
  );
});

describe('where the template rewrites the past, the suffix is that of a conversation without past', () => {
  test('trimmed answers', () =>
    expect(suffix(llama2, [system, hello], answer, [next])).toBe(' </s><s>[INST] Bye [/INST]'));
  test('a system prompt that moves', () =>
    expect(suffix(mistral, [system, hello], answer, [next])).toBe('</s>[INST] Bye\n[/INST]'));
  test('dropped reasoning', () => {
    const thought: Message = { role: 'assistant', content: 'hm</think>Hi' };
    expect(suffix(reasoning, [hello], thought, [next])).toBe(
      '<|im_end|>\n<|im_start|>user\nBye\n<|im_end|>\n<|im_start|>assistant\n',
    );
  });
});

test('an answer that the page has trimmed is still the same answer', () => {
  const template = chatTemplate(qwen, tokens);
  const turns = memoryAfter(template, [hello], answer);
  expect(commonTurns(turns, [hello, { ...answer, content: 'Hi there.' }, next])).toBe(2);
  expect(commonTurns(turns, [{ ...hello, content: 'Hello ' }, answer, next])).toBe(0);
});

test('another answer to the same question is read from the end of the question', () => {
  const template = chatTemplate(qwen, tokens);
  const plan = continuation(template, memoryAfter(template, [system, hello], answer), [system, hello], true);
  expect(plan.kept).toBe(2);
  expect(plan.rendered.text.slice(plan.from)).toBe('<|im_end|>\n<|im_start|>assistant\n');
});

test('memory is not cut inside a token', () => {
  const template = chatTemplate(qwen, tokens);
  const turns = memoryAfter(template, [system, hello], answer);
  turns[1]!.clean = false;
  expect(commonTurns(turns, [system, hello])).toBe(1);
  expect(commonTurns(turns, [system, hello, answer, next])).toBe(3);
});

test('the ends of the new messages are found, and never fall', () => {
  const template = chatTemplate(mistral, tokens);
  const { rendered, ends } = continuation(template, [], [system, hello, answer, next], true);
  expect(ends).toEqual([...ends].sort((a, b) => a - b));
  expect(rendered.text.slice(0, ends[3])).toMatch(/Bye$/);
});

test('a template that leaves out the last kept message is an error, not a guess', () => {
  const source = `{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}`;
  expect(() => suffix(source, [hello], answer, [next])).toThrow(expect.objectContaining({ code: 'template' }));
});
