// Vocabularies of our own, for tokenizers whose models' vocabularies cannot be part of the repository. They are trained
// on the generated texts without regard to words, so that their merges cross every border that a pre-tokenizer draws:
// a border in another place shows in the tokens.
import { Buffer } from 'node:buffer';
import { generatedText } from '../../golden/tokenizer/generated_texts.mjs';

const trainingTexts = 250;
const textOffset = 100_000; // others than those that are compared
const merges = 1200;

/** Joins the most frequent pair of neighbours, again and again; never to a reserved text. Of equals, what sorts first. */
function train(words, count, reserved) {
  const made = [];
  const known = new Set([...words.flat(), ...reserved]);
  for (let round = 0; round < count; round++) {
    const pairs = new Map();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
      }
    }
    let best;
    for (const [pair, n] of pairs) {
      if (n < 2 || known.has(pair.replace(' ', ''))) continue;
      if (!best || n > best[1] || (n === best[1] && pair < best[0])) best = [pair, n];
    }
    if (!best) break;
    made.push(best[0]);
    known.add(best[0].replace(' ', ''));
    const [left, right] = best[0].split(' ');
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
      }
    }
  }
  return made;
}

const texts = () => Array.from({ length: trainingTexts }, (_, i) => generatedText(textOffset + i));

// GPT-2's characters for bytes.
const standsForItself = (byte) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
const characterOf = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(standsForItself(byte) ? byte : next++));
})();
export const byteCharacters = characterOf;
export const toByteLevel = (text) => [...Buffer.from(text)].map((byte) => characterOf[byte]);

/** `merges`, best first, and `words`: tokens that no merge makes, for tokenizers that prefer whole words. */
export function trainByteLevel(reserved) {
  const made = train(texts().map(toByteLevel), merges, reserved);
  const known = new Set([...characterOf, ...made.map((merge) => merge.replace(' ', ''))]);
  const words = ['Hello', ' world', ' the', 'camelCaseWord', '123', ' MIR', '\n\n', 'https', '世界', ' don'].map(
    (word) => toByteLevel(word).join(''),
  );
  return { merges: made, words: words.filter((word) => !known.has(word)) };
}

/**
 * Pieces, the best first. None has a "<" or ">": llama.cpp merges what a person typed to the control token of the same text
 * where the pieces in between are tokens; our engine never does.
 */
export function trainSentencePiece(reserved) {
  const words = texts().map((text) => [...text.replaceAll(' ', '▁')].filter((c) => !/\p{Surrogate}/u.test(c)));
  const frequency = new Map();
  for (const character of words.flat()) frequency.set(character, (frequency.get(character) ?? 0) + 1);
  const common = [...frequency].filter(([, n]) => n > 3).map(([character]) => character);
  const made = train(
    words.map((word) => word.filter((character) => !/[<>]/.test(character) && frequency.get(character) > 3)),
    merges / 2,
    reserved,
  );
  return { pieces: [...made.map((merge) => merge.replace(' ', '')), ...common.sort()] };
}
