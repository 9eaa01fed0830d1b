// From messages to the text that a model was trained on: renders the Jinja template of the model's file, and keeps what
// people typed apart from what the template wrote.
import { Template } from '@huggingface/jinja';
import { reasoningTags, wholeText } from './reasoning';
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

/** What stands in for a missing template: the format whose markers the vocabulary has as tokens; the last fits all. */
const fallbacks: { name: string; needs: string[]; stop?: string[]; source: string }[] = [
  {
    name: 'ChatML',
    needs: ['<|im_start|>', '<|im_end|>'],
    source: `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
  },
  {
    name: 'Llama 3',
    needs: ['<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
    source: `{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>

{{ message.content | trim }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>

{% endif %}`,
  },
  {
    name: 'Gemma',
    needs: ['<start_of_turn>', '<end_of_turn>'],
    source: `{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}<start_of_turn>{{ 'model' if message.role == 'assistant' else 'user' }}
{{ message.content | trim }}<end_of_turn>
{% endfor %}{% if add_generation_prompt %}<start_of_turn>model
{% endif %}`,
  },
  {
    name: 'Granite',
    needs: ['<|start_of_role|>', '<|end_of_role|>', '<|end_of_text|>'],
    source: `{% for message in messages %}<|start_of_role|>{{ message.role }}<|end_of_role|>{{ message.content }}<|end_of_text|>
{% endfor %}{% if add_generation_prompt %}<|start_of_role|>assistant<|end_of_role|>{% endif %}`,
  },
  {
    name: 'DeepSeek',
    needs: ['<｜User｜>', '<｜Assistant｜>'],
    source: `{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}<｜User｜>{{ message.content }}{% elif message.role == 'assistant' %}<｜Assistant｜>{{ message.content }}{{ eos_token }}{% else %}{{ message.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<｜Assistant｜>{% endif %}`,
  },
  {
    name: 'Phi-3',
    needs: ['<|user|>', '<|assistant|>', '<|end|>'],
    source: `{% for message in messages %}<|{{ message.role }}|>
{{ message.content }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}`,
  },
  {
    name: 'Mistral',
    needs: ['[INST]', '[/INST]'],
    source: `{{ bos_token }}{% for message in messages %}{% if message.role == 'user' %}[INST] {{ message.content }}[/INST]{% elif message.role == 'assistant' %} {{ message.content }}{{ eos_token }}{% else %}{{ raise_exception('no system role') }}{% endif %}{% endfor %}`,
  },
  {
    name: 'plain “User:”, “Assistant:”',
    needs: [],
    stop: ['\nUser:'],
    source: `{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}

{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}`,
  },
];

/** The file's own template, or else a named fallback that the vocabulary allows. */
export function chatTemplate(source: string | undefined, tokens: TemplateTokens): ChatTemplate {
  const own = source === undefined ? undefined : parse(source);
  if (own) return { origin: 'file', name: "the model's own", stop: [], render: renderer(own, source!, tokens) };
  const why = source === undefined ? '' : ' (the template in the file cannot be read)';
  const fallback = fallbacks.find(({ needs }) => needs.every((text) => tokens.special.includes(text)))!;
  return {
    origin: 'fallback',
    name: fallback.name + why,
    stop: fallback.stop ?? [],
    render: renderer(new Template(fallback.source), fallback.source, tokens),
  };
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
// The tags of an answer's reasoning are not guarded: templates look for them, to leave old reasoning out.
function renderer(template: Template, source: string, tokens: TemplateTokens) {
  const lookalike = startsOf(tokens.special);
  const lookalikeInAnswer = startsOf(tokens.special.filter((text) => !reasoningTags.includes(text)));
  return (messages: Message[], answer: boolean): Rendered => {
    const contents = messages.map(wholeText);
    const [guard, fence] = unusedCharacters([source, ...contents]);
    const marked = messages.map(({ role }, index): MarkedMessage => {
      const content = contents[index]!;
      // White space at the end may be trimmed by the template, so it stays outside; but an answer is kept as it was made.
      const end = role === 'assistant' ? content.length : content.trimEnd().length;
      const special = role === 'assistant' ? lookalikeInAnswer : lookalike;
      const guarded = content.slice(0, end).replace(special, `$1${guard}`);
      return { role, content: `${guarded}${fence}${index}${fence}${content.slice(end)}` };
    });
    const keepsSystem = (text: string) => messages[0]?.role !== 'system' || text.includes(`${fence}0${fence}`);
    return unmark(run(template, marked, answer, tokens, keepsSystem), guard, fence, messages.length);
  };
}

type MarkedMessage = Pick<Message, 'role' | 'content'>;

/**
 * Renders the conversation, or where the template refuses it or leaves the system prompt out, the nearest conversation
 * that it takes: the system prompt before the first words of the person, neighbours of the same role joined.
 */
function run(
  template: Template,
  messages: MarkedMessage[],
  answer: boolean,
  tokens: TemplateTokens,
  keepsSystem: (text: string) => boolean,
): string {
  const merged = systemIntoUser(messages);
  const attempts = [messages, merged, alternating(messages), alternating(merged)];
  let incomplete: string | undefined;
  let refusal: unknown;
  for (const attempt of attempts) {
    try {
      const text = template.render({
        messages: attempt,
        tools: null,
        documents: null,
        add_generation_prompt: answer,
        bos_token: tokens.bos,
        eos_token: tokens.eos,
      });
      if (keepsSystem(text)) return text;
      incomplete ??= text;
    } catch (error) {
      refusal ??= error;
    }
  }
  if (incomplete !== undefined) return incomplete;
  const reason = refusal instanceof Error ? refusal.message : String(refusal);
  throw new StrataError(
    'template',
    `The chat template of this model refuses the conversation: ${reason}. Nothing is lost; a new conversation, or another model, goes on.`,
  );
}

function systemIntoUser(messages: MarkedMessage[]): MarkedMessage[] {
  const [system, user, ...rest] = messages;
  if (system?.role !== 'system' || user?.role !== 'user') return messages;
  return [{ role: 'user', content: `${system.content.trim()}\n\n${user.content}` }, ...rest];
}

function alternating(messages: MarkedMessage[]): MarkedMessage[] {
  const joined: MarkedMessage[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    if (last?.role !== message.role) joined.push(message);
    else joined.splice(-1, 1, { ...last, content: `${last.content.trimEnd()}\n\n${message.content}` });
  }
  return joined;
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
