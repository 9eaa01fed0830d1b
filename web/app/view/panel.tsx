// A sheet with a title and a way out: settings and models.
import type { ComponentChildren } from 'preact';
import { text } from '../strings';
import { Sheet } from './sheet';

interface PanelProps {
  id: string; // of the title
  title: string;
  wide?: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function Panel({ id, title, wide = false, onClose, children }: PanelProps) {
  return (
    <Sheet class={wide ? 'panel wide' : 'panel'} labelledBy={id} onClose={onClose}>
      <header>
        <h2 id={id} tabIndex={-1} autofocus>
          {title}
        </h2>
        <button type="button" class="text-btn" onClick={onClose}>
          {text.settings.done}
        </button>
      </header>
      <div class="panel-body">{children}</div>
    </Sheet>
  );
}
