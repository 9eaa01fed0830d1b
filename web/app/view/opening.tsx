// A model on its way: which, how far, and a way to call it off.

import { chat } from '../state/app';
import { text } from '../strings';

export function OpeningProgress() {
  const opening = chat.opening.value;
  if (!opening) return null;
  const { name, progress } = opening;
  const downloading = progress?.phase === 'download';
  const detail = downloading ? text.model.downloaded(progress.loaded, progress.total) : text.model.preparing;
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
        value={downloading ? (progress.total ? progress.loaded / progress.total : undefined) : progress ? 1 : undefined}
      />
    </div>
  );
}
