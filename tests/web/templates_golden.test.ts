// Every family's template against Jinja for Python: see tests/golden/templates/README.md.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { chatTemplate } from '../../web/lib/chat_template';
import type { Message } from '../../web/lib/types';

const golden = (name: string) => readFileSync(new URL(`../golden/templates/${name}`, import.meta.url), 'utf8');
const conversations = JSON.parse(golden('conversations.json')) as Record<string, Message[]>;
interface Family {
  bos: string;
  eos: string;
  conversations: Record<string, { text: string }>;
}
const { templates } = JSON.parse(golden('rendered.json')) as { templates: Record<string, Family> };
const cases = Object.entries(templates).flatMap(([family, { conversations: rendered }]) =>
  Object.keys(rendered).map((conversation) => ({ family, conversation })),
);

beforeEach(() => void vi.useFakeTimers({ now: new Date(2026, 0, 5, 12) }));
afterEach(() => void vi.useRealTimers());

test('there are families, and none refuses anything', () => {
  expect(Object.keys(templates).length).toBeGreaterThan(20);
  expect(cases.length).toBe(Object.keys(templates).length * Object.keys(conversations).length);
});

test('every template says where it is from, and docs/models.md has its numbers', () => {
  const sources = JSON.parse(golden('sources.json')) as Record<string, unknown>;
  expect(Object.keys(sources).sort()).toEqual(Object.keys(templates).sort());
  const document = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  const n = Object.keys(conversations).length;
  for (const name of Object.keys(templates))
    expect(document).toMatch(new RegExp(`\n\\| \`${name}\`.* ${n} of ${n} \\|`));
});

describe.each(cases)('$family: $conversation', ({ family, conversation }) => {
  const { bos, eos, conversations: rendered } = templates[family]!;
  const special = [bos, eos, '<|im_start|>', '<|im_end|>', '<|end|>', '<think>', '</think>', '[INST]'];
  const template = chatTemplate(golden(`${family}.jinja`), { special, bos, eos });

  test('is rendered as by the reference', () => {
    expect(template.origin).toBe('file');
    const result = template.render(conversations[conversation]!, true);
    expect(result.text).toBe(rendered[conversation]!.text);
  });
});
