/** A seeded stream of random bits (xorshift128, Marsaglia 2003): the same file on every machine. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = Uint32Array.of(seed, 0x9e3779b9, 0x243f6a88, 0xb7e15162);
    for (let i = 0; i < 32; i++) this.word(); // until the seed has reached every bit
  }

  /** @returns {number} 32 random bits */
  word() {
    const s = this.#state;
    let t = s[3];
    t ^= t << 11;
    t ^= t >>> 8;
    s[3] = s[2];
    s[2] = s[1];
    s[1] = s[0];
    s[0] = t ^ s[0] ^ (s[0] >>> 19);
    return s[0];
  }

  /** @returns {number} in [-1, 1) */
  uniform() {
    return this.word() / 2 ** 31 - 1;
  }

  /** @returns {Uint8Array} */
  bytes(n) {
    const words = new Uint32Array(Math.ceil(n / 4));
    for (let i = 0; i < words.length; i++) words[i] = this.word();
    return new Uint8Array(words.buffer, 0, n);
  }
}
