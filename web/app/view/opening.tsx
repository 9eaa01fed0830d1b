// A model on its way: which, how far, and a way to call it off.

import { chat } from '../state/app';
import { text } from '../strings';

export function OpeningProgress() {
  const opening = chat.opening.value;
  if (!opening) return null;
  const { name, progress } = opening;
  const { phase } = progress ?? {};
  const moving = progress && (phase === 'download' || phase === 'read') ? progress : undefined;
  const detail = moving ? text.model.downloaded(moving.loaded, moving.total) : text.model.phases[phase ?? 'open'];
  return (
    <div class="opening">
      <p>
        <b>{text.model.opening(name)}</b>
        <span>{detail}</span>
        <button type="button" class="link" onClick={() => chat.cancelOpening()}>
          {text.model.cancel}
        </button>
      </p>
      <progress
        aria-label={text.model.opening(name)}
        max={1}
        value={moving ? (moving.total ? moving.loaded / moving.total : undefined) : phase === 'open' ? 1 : undefined}
      />
    </div>
  );
}
