// The words of an answer. They are there at once as plain text; near the view they become formatted text. While an answer
// is written, its words go straight to the DOM, once a frame, without any component being drawn again.
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { MarkdownView } from '../markdown/view';
import { chat } from '../state/app';

let markdown: Promise<typeof import('../markdown/view')> | undefined;
/** Fetches what formats answers, before the first one needs it. */
export function loadMarkdown() {
  markdown ??= import('../markdown/view').catch((error: unknown) => {
    markdown = undefined; // the next answer tries again; until then words stay plain
    throw error;
  });
  return markdown;
}

// One observer for all answers. Root margins apply to the scrolling ancestor only if it is the root.
let observer: IntersectionObserver | undefined;
const waiting = new WeakMap<Element, () => void>();

export function observeWithin(root: Element): () => void {
  observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) waiting.get(target)?.();
    },
    { root, rootMargin: '1200px 0px' },
  );
  return () => {
    observer?.disconnect();
    observer = undefined;
  };
}

export function AnswerText({ words: said, live }: { words: string; live: boolean }) {
  const words = said.trimStart(); // what follows reasoning begins with empty lines
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<MarkdownView>(undefined);

  // Preact owns no child of this element: what is in it is put there by hand.
  useEffect(() => {
    const element = host.current!;
    if (live) return writeLive(element, view);
    if (view.current) {
      view.current.show(words, false);
      return;
    }
    element.textContent = words;
    element.classList.add('plain');
    const format = () => {
      observer?.unobserve(element);
      loadMarkdown().then(
        ({ MarkdownView }) => {
          view.current = takeOver(element, MarkdownView);
          view.current.show(words, false);
        },
        () => {}, // not to be had: plain words are still the answer
      );
    };
    waiting.set(element, format);
    observer?.observe(element);
    return () => observer?.unobserve(element);
  }, [words, live]);

  return <div ref={host} class="text" />;
}

/** From plain to formatted words. */
function takeOver(element: HTMLElement, Made: typeof MarkdownView): MarkdownView {
  element.classList.remove('plain');
  element.textContent = '';
  return new Made(element);
}

function writeLive(element: HTMLElement, view: { current: MarkdownView | undefined }): () => void {
  let frame = 0;
  let made: typeof MarkdownView | undefined;
  const write = () => {
    frame = 0;
    const words = chat.live.peek().trimStart();
    if (made) {
      view.current ??= takeOver(element, made);
      view.current.show(words, true);
    } else {
      element.classList.add('plain');
      element.textContent = words;
    }
  };
  loadMarkdown().then(
    ({ MarkdownView }) => {
      made = MarkdownView;
    },
    () => {},
  );
  const stop = effect(() => {
    void chat.live.value;
    frame ||= requestAnimationFrame(write);
  });
  return () => {
    stop();
    cancelAnimationFrame(frame);
  };
}
