// A conversation as it is shown and saved. Plain values and pure functions; nothing here knows the engine or the page.
import type { Message, StopReason } from '../../lib';

/**
 * How an answer came to its end. `interrupted`: the tab or the engine went away while it was written. `budget_full`: it
 * waits for more memory.
 */
export interface AnswerEnd {
  reason: StopReason | 'interrupted' | 'budget_full';
  firstTokenMs: number;
  tokensPerSecond: number;
}

export interface Turn {
  role: 'user' | 'assistant';
  text: string;
  reasoning?: string; // what the model thought before it answered
  end?: AnswerEnd; // of an answer; missing while it is written
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  systemPrompt: string;
  turns: Turn[];
}

/** What the list of conversations shows, without their text. */
export interface Summary {
  id: string;
  title: string;
  created: number;
  updated: number;
  systemPrompt: string;
  tokens: number;
  core: { bits: number; positions: number }[]; // its memory when it was last seen, oldest first
}

export function emptyConversation(systemPrompt: string): Conversation {
  const now = Date.now();
  return { id: crypto.randomUUID(), title: '', created: now, updated: now, systemPrompt, turns: [] };
}

/** What the engine is given. The system prompt is a message only if there is one. */
export function toMessages({ systemPrompt, turns }: Pick<Conversation, 'systemPrompt' | 'turns'>): Message[] {
  const system: Message[] = systemPrompt.trim() ? [{ role: 'system', content: systemPrompt }] : [];
  return [...system, ...turns.map(toMessage)];
}

const toMessage = ({ role, text, reasoning }: Turn): Message =>
  reasoning === undefined ? { role, content: text } : { role, content: text, reasoning };

/** Index of the message of turn `index` in what toMessages() returns. */
export function messageIndex(conversation: Pick<Conversation, 'systemPrompt'>, index: number): number {
  return index + (conversation.systemPrompt.trim() ? 1 : 0);
}

const titleLength = 48;

/** The first words of the first message, cut at a word. */
export function titleFrom(text: string): string {
  const line = text.trim().replace(/\s+/g, ' ');
  if (line.length <= titleLength) return line;
  const cut = line.slice(0, titleLength + 1);
  const space = cut.lastIndexOf(' ');
  return `${cut.slice(0, space > titleLength / 2 ? space : titleLength).trimEnd()}…`;
}

/** People count exchanges: a question and its answer bear the same number. */
export function exchangeNumbers(turns: Turn[]): number[] {
  let number = 0;
  return turns.map(({ role }) => (role === 'user' ? ++number : Math.max(1, number)));
}

export function lastUserTurn(turns: Turn[]): number {
  return turns.map(({ role }) => role).lastIndexOf('user');
}

/** An answer that has no end was being written when the tab or the engine went away. */
export function closeInterrupted(turns: Turn[]): Turn[] {
  const last = turns.at(-1);
  if (last?.role !== 'assistant' || last.end) return turns;
  if (last.text === '' && !last.reasoning) return turns.slice(0, -1);
  return [...turns.slice(0, -1), { ...last, end: { reason: 'interrupted', firstTokenMs: 0, tokensPerSecond: 0 } }];
}
