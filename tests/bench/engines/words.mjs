const letters = 'abcdefghijklmnopqrstuvwxyz';

/** A text of exactly `count` tokens in the vocabularies of make_model.mjs, where " xyz" is one token. */
export function words(count, from = 0) {
  const word = (i) => {
    const k = (i * 7919) % 17576; // a prime: neighbours differ, and nothing repeats before all words were used
    return ` ${letters[k % 26]}${letters[Math.floor(k / 26) % 26]}${letters[Math.floor(k / 676)]}`;
  };
  return Array.from({ length: count }, (_, i) => word(from + i)).join('');
}

/** Where the words of prompt `index` begin, so that prompts share no beginning. */
export const firstWord = (index) => (index + 1) * 977;
