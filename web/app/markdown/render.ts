// One block of markdown as safe DOM. A model's answer is not trusted: HTML in it is shown as text, and what the parser
// makes goes through DOMPurify. Nothing is loaded from the network: images become links.
import DOMPurify from 'dompurify';
import { Marked } from 'marked';
import remend from 'remend';
import { text } from '../strings';
import { copyButton } from '../view/copy';

const escapeHtml = (s: string) =>
  s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

const parser = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text: source }) => escapeHtml(source),
    image: ({ href, text: label }) => `<a href="${escapeHtml(href)}">${escapeHtml(label || href)}</a>`,
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    heading({ tokens, depth }) {
      const level = Math.min(6, depth + 2); // below the heading of the answer
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
  },
});

const words = (list: string) => list.split(' ');
const allowed = {
  ALLOWED_TAGS: words('p br strong em del code pre ul ol li blockquote h3 h4 h5 h6 hr table thead tbody tr th td a'),
  ALLOWED_ATTR: ['href', 'class', 'start', 'align'],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true as const,
};

/** `growing`: more text may follow, so half-written marks are completed for now. */
export function renderBlock(source: string, growing: boolean): DocumentFragment {
  const html = parser.parse(growing ? remend(source, { linkMode: 'text-only' }) : source, { async: false });
  const fragment = DOMPurify.sanitize(html, allowed);
  for (const link of fragment.querySelectorAll('a')) secureLink(link);
  for (const pre of fragment.querySelectorAll('pre')) pre.replaceWith(codeFigure(pre));
  for (const table of fragment.querySelectorAll('table')) table.replaceWith(scroller(table));
  return fragment;
}

function secureLink(link: HTMLAnchorElement): void {
  if (!link.hasAttribute('href')) {
    link.replaceWith(...link.childNodes); // an address that is not allowed: only its words stay
    return;
  }
  link.target = '_blank';
  link.rel = 'noopener noreferrer';
}

function codeFigure(pre: HTMLPreElement): HTMLElement {
  const language = /language-([\w+#.-]+)/.exec(pre.querySelector('code')?.className ?? '')?.[1];
  const caption = document.createElement('figcaption');
  const name = document.createElement('span');
  name.textContent = language ?? text.chat.code;
  caption.append(
    name,
    copyButton(() => pre.textContent ?? ''),
  );
  const figure = document.createElement('figure');
  figure.className = 'code';
  const copy = pre.cloneNode(true) as HTMLPreElement;
  makeScrollable(copy, language ? text.chat.codeIn(language) : text.chat.code);
  figure.append(caption, copy);
  return figure;
}

function scroller(table: HTMLTableElement): HTMLElement {
  const box = document.createElement('div');
  box.className = 'table';
  makeScrollable(box, text.chat.table);
  box.append(table.cloneNode(true));
  return box;
}

// What scrolls sideways must be reachable by keyboard.
function makeScrollable(element: HTMLElement, label: string): void {
  element.tabIndex = 0;
  element.setAttribute('role', 'region');
  element.setAttribute('aria-label', label);
}
