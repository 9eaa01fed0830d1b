// A conversation is written by one tab at a time. The tab that shows it first holds it (a Web Lock: it ends with the tab,
// however the tab ends); others may read it, and get it when it is let go.
import { signal } from '@preact/signals';

const lockOf = (id: string) => `strata.conversation.${id}`;
const locks = (): LockManager | undefined => globalThis.navigator?.locks; // missing where the page is no secure context

export class Holding {
  /** Whether another tab holds what this one shows. */
  readonly elsewhere = signal(false);
  /** Resolves once that is known. */
  known: Promise<void> = Promise.resolve();
  #letGo = () => {};

  /** In place of what was held before. `gained`: the other tab has let go of it, and may have changed it. */
  hold(id: string, gained: () => void): void {
    this.#letGo();
    const abort = new AbortController();
    const held = new Promise<void>((done) => {
      this.#letGo = () => {
        abort.abort();
        done();
      };
    });
    this.elsewhere.value = false;
    const manager = locks();
    if (!manager) return;
    this.known = new Promise((known) => {
      const hold = (lock: Lock | null) => {
        if (!abort.signal.aborted) this.elsewhere.value = lock === null;
        known();
        if (lock) return held;
        manager
          .request(lockOf(id), { signal: abort.signal }, () => {
            this.elsewhere.value = false;
            gained();
            return held;
          })
          .catch(() => {}); // something else is shown by now
      };
      manager.request(lockOf(id), { ifAvailable: true }, hold).catch(() => known());
    });
  }
}

/** Whether some other tab holds it. */
export async function isHeld(id: string): Promise<boolean> {
  const held = await locks()?.query();
  return held?.held?.some(({ name }) => name === lockOf(id)) ?? false;
}
