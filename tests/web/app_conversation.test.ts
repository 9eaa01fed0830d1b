import { describe, expect, test } from 'vitest';
import {
  closeInterrupted,
  emptyConversation,
  exchangeNumbers,
  lastUserTurn,
  messageIndex,
  type Turn,
  titleFrom,
  toMessages,
} from '../../web/app/state/conversation';

const user = (text: string): Turn => ({ role: 'user', text });
const answer = (text: string): Turn => ({
  role: 'assistant',
  text,
  end: { reason: 'end_of_turn', firstTokenMs: 90, tokensPerSecond: 12 },
});

describe('what the engine is given', () => {
  test('turns become messages, in order', () => {
    const turns = [user('Hi'), answer('Hello.')];
    expect(toMessages({ systemPrompt: '', turns })).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
    ]);
  });

  test('a system prompt comes first and shifts the turns; a blank one is none', () => {
    const turns = [user('Hi')];
    expect(toMessages({ systemPrompt: 'Be brief.', turns })[0]).toEqual({ role: 'system', content: 'Be brief.' });
    expect(messageIndex({ systemPrompt: 'Be brief.' }, 0)).toBe(1);
    expect(toMessages({ systemPrompt: ' \n', turns })).toHaveLength(1);
    expect(messageIndex({ systemPrompt: ' \n' }, 0)).toBe(0);
  });
});

describe('titles', () => {
  test('a short message is its own title, on one line', () => {
    expect(titleFrom('  Water the\n north bed ')).toBe('Water the north bed');
  });

  test('a long one is cut at a word', () => {
    const title = titleFrom('Please explain to me how the watering schedule of the north bed came about');
    expect(title).toBe('Please explain to me how the watering schedule…');
  });

  test('a long word without spaces is cut all the same', () => {
    expect(titleFrom('a'.repeat(200))).toBe(`${'a'.repeat(48)}…`);
  });
});

describe('turns', () => {
  test('a question and its answer bear the same number', () => {
    expect(exchangeNumbers([user('a'), answer('b'), user('c'), answer('d'), user('e')])).toEqual([1, 1, 2, 2, 3]);
  });

  test('the last question is found behind its answer', () => {
    expect(lastUserTurn([user('a'), answer('b'), user('c'), answer('d')])).toBe(2);
    expect(lastUserTurn([])).toBe(-1);
  });

  test('a new conversation is empty and has an id of its own', () => {
    const [a, b] = [emptyConversation('x'), emptyConversation('x')];
    expect(a.turns).toEqual([]);
    expect(a.systemPrompt).toBe('x');
    expect(a.id).not.toBe(b.id);
  });
});

describe('an answer that never ended', () => {
  const half: Turn = { role: 'assistant', text: 'The pump gives' };

  test('is kept and marked', () => {
    const closed = closeInterrupted([user('Well?'), half]);
    expect(closed[1]).toMatchObject({ text: 'The pump gives', end: { reason: 'interrupted' } });
  });

  test('goes if it has no word', () => {
    expect(closeInterrupted([user('Well?'), { ...half, text: '' }])).toEqual([user('Well?')]);
  });

  test('is told from one that ended', () => {
    const turns = [user('Well?'), answer('11 litres.')];
    expect(closeInterrupted(turns)).toBe(turns);
  });
});
