// What the template wrote and what people typed stay apart, and marks never change what a template writes.
import { Template } from '@huggingface/jinja';
import { describe, expect, test } from 'vitest';
import { chatTemplate } from '../../web/lib/chat_template';
import type { Message } from '../../web/lib/types';
import { llama2, llama3, mistral, qwen } from './templates';

const special = ['<|im_start|>', '<|im_end|>', '</s>', '§'];
const tokens = { special, bos: '<s>', eos: '</s>' };
const conversation: Message[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: '  What is 2 + 2?\n' },
  { role: 'assistant', content: 'Four.' },
  { role: 'user', content: 'And 3 + 3? 👍' },
];

describe.each(Object.entries({ qwen, llama2, llama3, mistral }))('%s', (_name, source) => {
  test('is rendered as without marks', () => {
    const plain = new Template(source).render({
      messages: conversation,
      add_generation_prompt: true,
      bos_token: '<s>',
      eos_token: '</s>',
    });
    expect(chatTemplate(source, tokens).render(conversation, true).text).toBe(plain);
  });

  test('tells where each message ends', () => {
    const { text, ends } = chatTemplate(source, tokens).render(conversation, true);
    for (const [index, { content }] of conversation.entries()) {
      expect(text.slice(0, ends[index]).endsWith(content.trim())).toBe(true);
    }
  });
});

test('what looks like a special token in a message is marked at its first character, overlaps too', () => {
  const content = 'a <|im_end|> b <<|im_start|> § 👍</s>';
  const { text, literal } = chatTemplate(qwen, tokens).render([{ role: 'user', content }], true);
  const start = text.indexOf(content);
  expect(start).toBeGreaterThan(0);
  expect(literal).toEqual(
    ['<|im_end|>', '<|im_start|>', '§', '</s>'].map((lookalike) => text.indexOf(lookalike, start)),
  );
});

test('a template cannot act on what looks like a special token in a message', () => {
  const source = `{% for m in messages %}{{ m.content.split('</s>')[-1] }}{% endfor %}`;
  expect(chatTemplate(source, tokens).render([{ role: 'user', content: 'x</s>y' }], false).text).toBe('x</s>y');
});

test('messages may hold private-use characters', () => {
  const content = '\ue000 \ue001 <|im_end|>';
  const { text } = chatTemplate(qwen, tokens).render([{ role: 'user', content }], false);
  expect(text).toContain(content);
});

test('a file without a template gets ChatML when its vocabulary has the tokens, else a plain form with a stop text', () => {
  const chatml = chatTemplate(undefined, tokens);
  expect(chatml).toMatchObject({ origin: 'fallback', name: 'ChatML', stop: [] });
  expect(chatml.render([{ role: 'user', content: 'Hi' }], true).text).toBe(
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
  );
  const plain = chatTemplate(undefined, { ...tokens, special: [] });
  expect(plain).toMatchObject({ origin: 'fallback', stop: ['\nUser:'] });
  expect(plain.render([{ role: 'user', content: 'Hi' }], true).text).toBe('User: Hi\n\nAssistant:');
});

test('a template that cannot be read is replaced, and its name says so', () => {
  expect(chatTemplate('{% for %}', tokens)).toMatchObject({
    origin: 'fallback',
    name: expect.stringContaining('cannot be read'),
  });
});

test('what a template refuses becomes a typed error with its reason', () => {
  const source = `{{ raise_exception('roles must alternate') }}`;
  expect(() => chatTemplate(source, tokens).render(conversation, true)).toThrow(
    expect.objectContaining({ code: 'template', message: expect.stringContaining('roles must alternate') }),
  );
});

const said = (messages: Message[], source: string) => chatTemplate(source, tokens).render(messages, true);
const user = (content: string): Message => ({ role: 'user', content });

test('where the system role is refused or left out, the system prompt comes before the first words of the person', () => {
  const system: Message = { role: 'system', content: ' Be brief. ' };
  const refuses = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}[{{ m.role }}:{{ m.content }}]{% endfor %}`;
  const leavesOut = `{% for m in messages %}{% if m.role != 'system' %}[{{ m.role }}:{{ m.content }}]{% endif %}{% endfor %}`;
  for (const source of [refuses, leavesOut]) {
    const { text, ends } = said([system, user('Hi'), { role: 'assistant', content: 'Ho' }, user('Hm')], source);
    expect(text).toBe('[user:Be brief.\n\nHi][assistant:Ho][user:Hm]');
    expect(ends.map((end) => text.slice(0, end))).toEqual([
      '[user:Be brief.',
      '[user:Be brief.\n\nHi',
      '[user:Be brief.\n\nHi][assistant:Ho',
      '[user:Be brief.\n\nHi][assistant:Ho][user:Hm',
    ]);
  }
});

test('where turns must alternate, neighbours of the same role are joined', () => {
  const source = `{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}[{{ m.content }}]{% endfor %}`;
  const { text, ends } = said([user('a '), user('b'), { role: 'assistant', content: 'c' }], source);
  expect(text).toBe('[a\n\nb][c]');
  expect(ends).toEqual([2, 5, 8]);
});

test('the reason that is given for a refusal is the first, and says that nothing is lost', () => {
  const source = `{{ raise_exception('reason ' + messages[0].role) }}`;
  const messages: Message[] = [{ role: 'system', content: 's' }, user('u')];
  expect(() => said(messages, source)).toThrow(/reason system.*Nothing is lost/);
});

test('what a template may ask for and nobody gives is harmless', () => {
  const source = `{% if tools %}tools{% endif %}{% if tools is not none %}tools{% endif %}{% if documents %}documents{% endif %}{% if enable_thinking is defined %}thinking{% endif %}{% if nobody.knows is defined %}x{% endif %}{{ messages[0].tool_calls }}{{ strftime_now('%Y') | length }}`;
  expect(said([user('Hi')], source).text).toBe('4');
});

test('without a template, the vocabulary decides which one is used', () => {
  const named = (special: string[]) => chatTemplate(undefined, { ...tokens, special });
  const cases: [string[], string, string][] = [
    [['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'], 'Llama 3', '<|eot_id|>'],
    [['<start_of_turn>', '<end_of_turn>'], 'Gemma', '<start_of_turn>model\n'],
    [['<|start_of_role|>', '<|end_of_role|>', '<|end_of_text|>'], 'Granite', '<|end_of_role|>Hi'],
    [['<｜User｜>', '<｜Assistant｜>'], 'DeepSeek', 'S<｜User｜>Hi<｜Assistant｜>'],
    [['<|user|>', '<|assistant|>', '<|end|>'], 'Phi-3', '<|user|>\nHi<|end|>\n<|assistant|>\n'],
    [['[INST]', '[/INST]'], 'Mistral', '[INST] S\n\nHi[/INST]'],
  ];
  for (const [special, name, part] of cases) {
    const template = named(special);
    expect(template).toMatchObject({ origin: 'fallback', name, stop: [] });
    expect(template.render([{ role: 'system', content: 'S' }, user('Hi')], true).text).toContain(part);
  }
});
