// A complete byte-level BPE whose merges only extend words to the right: (Ġ,a) (Ġa,b) (Ġab,c), where Ġ is the space. So
// every " abc" is one token, and what has no merges is spelled in bytes.

/** The printable character of each byte, in the order of GPT-2's vocabulary. */
function byteAlphabet() {
  const printable = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte < 173) || byte > 173;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const others = bytes.filter((byte) => !printable(byte)).map((_, i) => String.fromCodePoint(256 + i));
  return [...bytes.filter(printable).map((byte) => String.fromCodePoint(byte)), ...others];
}

/** All bytes, then one, two, three and more letters behind a space, until there are `size` tokens. */
function wordPieces(size) {
  const tokens = byteAlphabet();
  const merges = [];
  for (let level = ['\u0120'], next = []; tokens.length < size; level = next, next = []) {
    for (const piece of level) {
      for (const letter of 'abcdefghijklmnopqrstuvwxyz'.slice(0, size - tokens.length)) {
        merges.push(`${piece} ${letter}`);
        tokens.push(piece + letter);
        next.push(piece + letter);
      }
    }
  }
  return { tokens, merges };
}

const numbered = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}${i}|>`);
const normal = 1;
const control = 3;

// What the two families put beside the words: where control tokens lie, which ones end a turn, how a chat is spelled.
const families = {
  smollm: {
    special: ['<|endoftext|>', '<|im_start|>', '<|im_end|>', ...numbered('<|reserved_', 14)],
    specialFirst: true,
    ids: (first) => ({ bos: first + 1, eos: first + 2 }),
    addBos: false,
    template:
      "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
      '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}',
  },
  'llama-bpe': {
    special: [
      '<|begin_of_text|>',
      '<|end_of_text|>',
      '<|start_header_id|>',
      '<|end_header_id|>',
      '<|eot_id|>',
      ...numbered('<|reserved_special_token_', 251),
    ],
    specialFirst: false,
    ids: (first) => ({ bos: first, eos: first + 4 }),
    addBos: true,
    template:
      "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n" +
      "{{ m['content'] }}<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
  },
};

/** The metadata of a vocabulary of `size` tokens, with the pre-tokenizer of that name. */
export function vocabularyMetadata(size, family) {
  const { special, specialFirst, ids, addBos, template } = families[family];
  const { tokens: words, merges } = wordPieces(size - special.length);
  const types = (list, type) => new Array(list.length).fill(type);
  const firstSpecial = specialFirst ? 0 : words.length;
  const { bos, eos } = ids(firstSpecial);
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': family,
    'tokenizer.ggml.tokens': specialFirst ? [...special, ...words] : [...words, ...special],
    'tokenizer.ggml.token_type': Int32Array.from(
      specialFirst
        ? [...types(special, control), ...types(words, normal)]
        : [...types(words, normal), ...types(special, control)],
    ),
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': bos,
    'tokenizer.ggml.eos_token_id': eos,
    'tokenizer.ggml.add_bos_token': addBos,
    'tokenizer.chat_template': template,
  };
}
