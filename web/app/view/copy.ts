// Copying to the clipboard, and the button that says whether it worked.
import { text } from '../strings';

const shownMs = 1600;

export async function copyText(words: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return false; // not allowed here
  }
}

/** A plain DOM button, for places that are not rendered by Preact. */
export function copyButton(words: () => string): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = text.chat.copy;
  button.addEventListener('click', async () => {
    button.textContent = (await copyText(words())) ? text.chat.copied : text.chat.copyFailed;
    setTimeout(() => {
      button.textContent = text.chat.copy;
    }, shownMs);
  });
  return button;
}
