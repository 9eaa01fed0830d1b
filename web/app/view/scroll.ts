// Keeps the newest words in view while they are written, and lets go the moment the reader moves away. Scroll events are
// told apart by where this class itself has put the page, not by timers.
const repinWithin = 60; // CSS pixels from the end
const jumpBeyond = 200;
const driftMost = 3;
const touchMost = 10;

export class ScrollKeeper {
  readonly element: HTMLElement;
  #pinned = true;
  #expected = 0;
  #touchY = 0;
  #onAway: (away: boolean) => void;

  constructor(element: HTMLElement, onAway: (away: boolean) => void) {
    this.element = element;
    this.#onAway = onAway;
    element.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    element.addEventListener('wheel', (event) => this.#letGoIf(event.deltaY < 0), { passive: true });
    element.addEventListener(
      'touchstart',
      ({ touches }) => {
        this.#touchY = touches[0]?.clientY ?? 0;
      },
      { passive: true },
    );
    element.addEventListener(
      'touchmove',
      ({ touches }) => this.#letGoIf((touches[0]?.clientY ?? 0) - this.#touchY > touchMost),
      {
        passive: true,
      },
    );
  }

  /** Call when the content has grown. */
  follow(): void {
    if (this.#pinned && !this.#selecting()) this.#put(this.element.scrollHeight);
    this.#tellAway();
  }

  toEnd(): void {
    this.#pinned = true;
    this.#put(this.element.scrollHeight);
    this.#tellAway();
  }

  letGo(): void {
    this.#pinned = false;
  }

  #put(top: number): void {
    this.element.scrollTop = top;
    this.#expected = this.element.scrollTop;
  }

  #letGoIf(away: boolean): void {
    if (away && this.element.scrollHeight > this.element.clientHeight) this.#pinned = false;
  }

  #scrolled(): void {
    const { scrollTop } = this.element;
    if (this.#toEnd() <= repinWithin && scrollTop >= this.#expected) this.#pinned = true;
    else if (scrollTop < this.#expected - driftMost && this.#toEnd() > repinWithin) this.#pinned = false;
    this.#expected = scrollTop;
    this.#tellAway();
  }

  #toEnd(): number {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight;
  }

  #tellAway(): void {
    this.#onAway(!this.#pinned && this.#toEnd() > jumpBeyond);
  }

  #selecting(): boolean {
    const selection = getSelection();
    return !!selection && !selection.isCollapsed && this.element.contains(selection.anchorNode);
  }
}

/** The children of `list` that are in view of `element`, by bisection: [first, last]. */
export function childrenInView(element: HTMLElement, list: Element, count: number): readonly [number, number] {
  const { top, bottom } = element.getBoundingClientRect();
  const first = firstWhere(count, (i) => list.children[i]!.getBoundingClientRect().bottom > top);
  const after = firstWhere(count, (i) => list.children[i]!.getBoundingClientRect().top >= bottom);
  const last = Math.max(0, count - 1);
  return [Math.min(first, last), Math.max(0, Math.min(after - 1, last))];
}

function firstWhere(count: number, holds: (i: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
