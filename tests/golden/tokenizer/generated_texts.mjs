// The texts that golden vectors of generated texts are made of: the same here and in tests/engine/generated_texts.h.
import { readFileSync } from 'node:fs';

export const textsPerBlock = 20;
export const blocks = 250;

/** A 32-bit xorshift generator (Marsaglia 2003). */
class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
    for (let i = 0; i < 8; i++) this.below(2);
  }

  /** 0 to limit - 1. */
  below(limit) {
    let x = this.#state;
    x = (x ^ (x << 13)) >>> 0;
    x = (x ^ (x >>> 17)) >>> 0;
    x = (x ^ (x << 5)) >>> 0;
    this.#state = x;
    return x % limit;
  }
}

const escapes = { n: '\n', t: '\t', r: '\r', s: ' ', '\\': '\\' };
const unescape = (line) =>
  line.replace(/\\(?:u\{([0-9a-f]+)\}|(.))/g, (_, hex, letter) =>
    hex ? String.fromCodePoint(Number.parseInt(hex, 16)) : escapes[letter],
  );

function readParts() {
  const lines = readFileSync(new URL('fragments.txt', import.meta.url), 'utf8').split('\n');
  return lines
    .filter((line) => line !== '' && !line.startsWith('# '))
    .map((line) => {
      const range = /^@([0-9a-f]+)-([0-9a-f]+)$/.exec(line)?.slice(1);
      return range ? { range: range.map((hex) => Number.parseInt(hex, 16)) } : { text: unescape(line) };
    });
}

const parts = readParts();

/** Text `index` of 5,000. */
export function generatedText(index) {
  const random = new Random(index + 1);
  const count = 1 + random.below(12);
  let text = '';
  for (let i = 0; i < count; i++) {
    const part = parts[random.below(parts.length)];
    const times = random.below(8) === 0 ? 2 + random.below(4) : 1;
    for (let n = 0; n < times; n++) {
      if (part.text !== undefined) text += part.text;
      else text += String.fromCodePoint(part.range[0] + random.below(part.range[1] - part.range[0] + 1));
    }
  }
  return text;
}

/** A hash (FNV-1a, 32 bits) for each of the first blocks of texts, of the ids from `encode` and an end mark for each text. */
export function digests(encode, count) {
  const result = [];
  for (let block = 0; block < count; block++) {
    let hash = 0x811c9dc5;
    const add = (id) => {
      for (const shift of [0, 8, 16, 24]) hash = Math.imul(hash ^ ((id >>> shift) & 0xff), 0x01000193) >>> 0;
    };
    for (let i = 0; i < textsPerBlock; i++) {
      for (const id of encode(generatedText(block * textsPerBlock + i))) add(id);
      add(0xffffffff);
    }
    result.push(hash.toString(16).padStart(8, '0'));
  }
  return result;
}
