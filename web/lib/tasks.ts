// When things run: one after the other, and never so long that a message has to wait.

/** Lets messages that have arrived be handled first. setTimeout would cost 4 ms each time. */
export function pause(): Promise<void> {
  return new Promise((resume) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resume();
    };
    port2.postMessage(undefined);
  });
}

/** Lets one in at a time, in the order of asking. */
export class Turnstile {
  #last: Promise<void> = Promise.resolve();
  #inside = 0; // or waiting

  /** Resolves when everybody before has left. Call what it returns to leave. */
  async enter(): Promise<() => void> {
    const before = this.#last;
    let left = () => {};
    this.#last = new Promise((done) => {
      left = done;
    });
    this.#inside += 1;
    await before;
    return () => {
      this.#inside -= 1;
      left();
    };
  }

  /** Resolves when nobody is inside or waiting. Whoever asks does not enter. */
  async idle(): Promise<void> {
    while (this.#inside > 0) await this.#last;
  }
}
