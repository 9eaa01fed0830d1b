// What a conversation in memory looks like from outside, and what is to be read to continue it.
// History is append-only: what is in memory is never rendered again. Only the text after the last message that stays is
// taken from the template, even where the template would now write the past differently.
import type { ChatTemplate, Rendered } from './chat_template';
import { wholeText } from './reasoning';
import { type Message, type SavedTurn, StrataError } from './types';

/** A message in memory. Its tokens begin where those of the turn before end, and include what the template wrote before it. */
export type Turn = SavedTurn;

/** What to read: `rendered.text` from `from` on, for the messages after the first `kept` ones. */
export interface Continuation {
  kept: number;
  rendered: Rendered;
  from: number;
  /** Where each new message ends in `rendered.text`: never falling. */
  ends: number[];
}

/** How many of the turns can stay in memory when the conversation is to be `messages`. */
export function commonTurns(turns: Turn[], messages: Message[]): number {
  let common = 0;
  while (common < turns.length && common < messages.length && same(turns[common]!.message, messages[common]!)) ++common;
  if (common === turns.length) return common; // nothing is cut off
  while (common > 0 && !turns[common - 1]!.clean) --common;
  return common;
}

// Pages trim what they show, and may hold reasoning in its tags; an answer is still the same answer.
function same(a: Message, b: Message): boolean {
  if (a.role !== b.role) return false;
  if (a.role !== 'assistant') return a.content === b.content;
  if (wholeText(a).trim() === wholeText(b).trim()) return true;
  return a.content.trim() === b.content.trim() && (a.reasoning ?? '').trim() === (b.reasoning ?? '').trim();
}

/** What brings memory from `turns` to `messages`, and with `answer` to the point where the model answers. */
export function continuation(
  template: ChatTemplate,
  turns: Turn[],
  messages: Message[],
  answer: boolean,
): Continuation {
  const kept = commonTurns(turns, messages);
  const rendered = template.render(messages, answer);
  if (kept === 0) return { kept, rendered, from: 0, ends: rising(rendered, 0, 0) };
  const from = rendered.ends[kept - 1];
  const past = turns.slice(0, kept).map((turn) => turn.text);
  if (from !== undefined && rendered.text.slice(0, from) === past.join('')) {
    return { kept, rendered, from, ends: rising(rendered, kept, from) };
  }
  return { kept, ...afterLast(template, messages.slice(kept - 1), answer) };
}

// The template writes the past differently from what is in memory (it drops old reasoning, say, or moves the system
// prompt). What it writes after a message is taken from a conversation that holds nothing before that message.
function afterLast(template: ChatTemplate, lastAndNew: Message[], answer: boolean) {
  const opening: Message[] = lastAndNew[0]!.role === 'assistant' ? [{ role: 'user', content: 'Hello' }] : [];
  const rendered = template.render([...opening, ...lastAndNew], answer);
  const from = rendered.ends[opening.length];
  if (from === undefined) {
    throw new StrataError(
      'template',
      'The chat template of this model leaves out the message before the new one, so the conversation cannot be continued.',
    );
  }
  return { rendered, from, ends: rising(rendered, opening.length + 1, from) };
}

// A message that the template leaves out, or moves before an earlier one, takes no room of its own.
function rising(rendered: Rendered, first: number, from: number): number[] {
  let last = from;
  return rendered.ends.slice(first).map((end) => {
    last = Math.max(last, end ?? last);
    return last;
  });
}
