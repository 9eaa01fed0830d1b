// Models that think before they answer write their reasoning between tags at the beginning of the answer.
import type { Message } from './types';

const open = '<think>';
const close = '</think>';

/** What a template may look for in an answer. */
export const reasoningTags: readonly string[] = [open, close];

/** An answer as it was generated: reasoning that has not ended leaves no room for anything after it. */
export function wholeText({ content, reasoning }: Message): string {
  if (reasoning === undefined) return content;
  return content === '' ? open + reasoning : open + reasoning + close + content;
}

/** Whether the template has begun the reasoning itself. */
export const beginsReasoning = (opening: string) => opening.trimEnd().endsWith(open);

export interface AnswerPart {
  kind: 'reasoning' | 'text';
  text: string;
}

/** Tells reasoning and answer apart while an answer arrives. The tags belong to neither. */
export class ReasoningSplitter {
  #state: 'before' | 'reasoning' | 'answer';
  #held = ''; // white space before a first tag, and what may be the beginning of a tag

  /** `reasoning`: of an answer that goes on; `content`: what has been said of it. */
  constructor(before: { opening: string } | Message) {
    if ('opening' in before) this.#state = beginsReasoning(before.opening) ? 'reasoning' : 'before';
    else if (before.content !== '') this.#state = 'answer';
    else this.#state = before.reasoning === undefined ? 'before' : 'reasoning';
  }

  push(text: string): AnswerPart[] {
    this.#held += text;
    const parts: AnswerPart[] = [];
    if (this.#state === 'before') this.#begin();
    if (this.#state === 'reasoning') this.#reason(parts);
    if (this.#state === 'answer') this.#say(parts, 'text', this.#held.length);
    return parts;
  }

  /** What is still held back, at the end of the answer. */
  finish(): AnswerPart[] {
    const parts: AnswerPart[] = [];
    this.#say(parts, this.#state === 'reasoning' ? 'reasoning' : 'text', this.#held.length);
    return parts;
  }

  #begin(): void {
    const start = this.#held.trimStart();
    if (start.startsWith(open)) {
      this.#state = 'reasoning';
      this.#held = start.slice(open.length);
    } else if (!open.startsWith(start)) {
      this.#state = 'answer';
    }
  }

  #reason(parts: AnswerPart[]): void {
    const end = this.#held.indexOf(close);
    if (end < 0) {
      this.#say(parts, 'reasoning', this.#held.length - tagBegun(this.#held));
      return;
    }
    this.#say(parts, 'reasoning', end);
    this.#held = this.#held.slice(close.length);
    this.#state = 'answer';
  }

  #say(parts: AnswerPart[], kind: AnswerPart['kind'], length: number): void {
    if (length > 0) parts.push({ kind, text: this.#held.slice(0, length) });
    this.#held = this.#held.slice(length);
  }
}

/** How many characters at the end may be the beginning of the closing tag. */
function tagBegun(text: string): number {
  let length = Math.min(close.length - 1, text.length);
  while (length > 0 && !close.startsWith(text.slice(text.length - length))) --length;
  return length;
}
