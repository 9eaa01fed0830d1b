// Shows an answer while it grows. Finished blocks stand; only the last one is parsed again.
import { splitBlocks } from './blocks';
import { renderBlock } from './render';

export class MarkdownView {
  #root: HTMLElement;
  #frozen = ''; // source of the blocks that stand
  #standing = 0; // their nodes

  constructor(root: HTMLElement) {
    this.#root = root;
  }

  /** `growing`: more text will come, and a caret shows where. */
  show(source: string, growing: boolean): void {
    if (!source.startsWith(this.#frozen)) this.#clear();
    while (this.#root.childNodes.length > this.#standing) this.#root.lastChild!.remove();
    const blocks = splitBlocks(source.slice(this.#frozen.length));
    const last = blocks.pop() ?? '';
    for (const block of blocks) {
      this.#root.append(renderBlock(block, false));
      this.#frozen += block;
    }
    this.#standing = this.#root.childNodes.length;
    this.#root.append(renderBlock(last, growing));
    if (growing) this.#placeCaret();
  }

  #clear(): void {
    this.#root.replaceChildren();
    this.#frozen = '';
    this.#standing = 0;
  }

  /** Behind the last word, inside the block it stands in. */
  #placeCaret(): void {
    const caret = document.createElement('span');
    caret.className = 'caret';
    caret.ariaHidden = 'true';
    const blocks = 'p, li, ul, ol, blockquote, h3, h4, h5, h6, figure, pre, code, .table, table, tbody, tr, td';
    let place = this.#root;
    while (
      place.lastElementChild instanceof HTMLElement &&
      place.lastElementChild.matches(blocks) &&
      !textAfter(place)
    ) {
      place = place.lastElementChild;
    }
    place.append(caret);
  }
}

// Whether words stand behind the last element.
const textAfter = (place: HTMLElement) =>
  place.lastChild !== place.lastElementChild && place.lastChild?.textContent?.trim() !== '';
