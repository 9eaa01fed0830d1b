// From messages to the text that a model was trained on: renders the Jinja template of the model's file, and keeps what
// people typed apart from what the template wrote.
import { Template } from '@huggingface/jinja';
import { type Message, StrataError } from './types';

/** A rendered conversation. All positions count UTF-16 units of `text`. */
export interface Rendered {
  text: string;
  /** Characters at which no special token may begin or pass: they come from a message that looks like one. */
  literal: number[];
  /** Where the content of each message ends; undefined where the template leaves the message out. */
  ends: (number | undefined)[];
}

export interface ChatTemplate {
  origin: 'file' | 'fallback';
  name: string;
  /** Texts that end an answer, for templates whose end of turn is no token. */
  stop: string[];
  /** `answer`: end with what makes the model answer. */
  render(messages: Message[], answer: boolean): Rendered;
}

/** What a template may know of the tokenizer. */
export interface TemplateTokens {
  special: string[]; // texts that the tokenizer would take for special tokens
  bos: string;
  eos: string;
}

const chatMl = `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`;

const plain = `{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}

{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`;

/** The file's own template, or else a named fallback that the vocabulary allows. */
export function chatTemplate(source: string | undefined, tokens: TemplateTokens): ChatTemplate {
  const own = source === undefined ? undefined : parse(source);
  if (own) return { origin: 'file', name: "the model's own", stop: [], render: renderer(own, source!, tokens) };
  const why = source === undefined ? '' : ' (the template in the file cannot be read)';
  const hasChatMl = ['<|im_start|>', '<|im_end|>'].every((text) => tokens.special.includes(text));
  const [name, fallback, stop] = hasChatMl
    ? ['ChatML', chatMl, []]
    : ['plain “User:”, “Assistant:”', plain, ['\nUser:']];
  return { origin: 'fallback', name: name + why, stop, render: renderer(new Template(fallback), fallback, tokens) };
}

function parse(source: string): Template | undefined {
  try {
    return new Template(source);
  } catch {
    return undefined;
  }
}

// How contents are told apart: before rendering, marks that occur nowhere else are put into them. A guard after the
// first character of everything that looks like a special token, so that neither the template nor the tokenizer can take
// it for one; and at the end of each content its number between two fences. Afterwards the marks are taken out again.
function renderer(template: Template, source: string, tokens: TemplateTokens) {
  const lookalike = startsOf(tokens.special);
  return (messages: Message[], answer: boolean): Rendered => {
    const [guard, fence] = unusedCharacters([source, ...messages.map((message) => message.content)]);
    const marked = messages.map(({ role, content }, index) => {
      // White space at the end may be trimmed by the template, so it stays outside; but an answer is kept as it was made.
      const end = role === 'assistant' ? content.length : content.trimEnd().length;
      const guarded = content.slice(0, end).replace(lookalike, `$1${guard}`);
      return { role, content: `${guarded}${fence}${index}${fence}${content.slice(end)}` };
    });
    return unmark(run(template, marked, answer, tokens), guard, fence, messages.length);
  };
}

function run(template: Template, messages: Message[], answer: boolean, tokens: TemplateTokens): string {
  try {
    return template.render({
      messages,
      add_generation_prompt: answer,
      bos_token: tokens.bos,
      eos_token: tokens.eos,
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StrataError('template', `The chat template of this model refuses the conversation: ${reason}`);
  }
}

function unmark(marked: string, guard: string, fence: string, count: number): Rendered {
  const literal: number[] = [];
  const ends = new Array<number | undefined>(count).fill(undefined);
  let text = '';
  let at = 0;
  for (const mark of marked.matchAll(new RegExp(`${guard}|${fence}(\\d+)${fence}`, 'gu'))) {
    text += marked.slice(at, mark.index);
    at = mark.index + mark[0].length;
    if (mark[1] === undefined) literal.push(text.length - lastCharacter(text).length);
    else ends[Number(mark[1])] = text.length;
  }
  return { text: text + marked.slice(at), literal, ends };
}

const lastCharacter = (text: string) => /[\s\S]$/u.exec(text)?.[0] ?? '';

/** Finds the first character of every occurrence of one of the texts, overlapping ones too. */
function startsOf(texts: string[]): RegExp {
  const alternatives = texts.filter((text) => text !== '').map((text) => text.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&'));
  const any = alternatives.length ? `(?=${alternatives.join('|')})` : '(?!)';
  return new RegExp(`${any}([\\s\\S])`, 'gu');
}

/** Two characters of the private-use areas that none of the texts contains. */
function unusedCharacters(texts: string[]): [string, string] {
  const found: string[] = [];
  for (let code = 0xe000; code <= 0x10fffd; code += code === 0xf8ff ? 0xf0000 - 0xf8ff : 1) {
    const character = String.fromCodePoint(code);
    if (!texts.some((text) => text.includes(character))) found.push(character);
    if (found.length === 2) return [found[0]!, found[1]!];
  }
  throw new StrataError(
    'template',
    'The conversation uses every private-use character of Unicode; none is left to mark it with.',
  );
}
