// The models of this device: open them, go on with one that has not arrived whole, delete them.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { KeptModel } from '../../lib';
import { chat, includedModel, openIncluded, openUrl } from '../state/app';
import { kept, refreshKept, remove, removeFault, storage } from '../state/models';
import { text } from '../strings';

export function KeptModels() {
  useEffect(() => void refreshKept(), []);
  const used = chat.model.value?.source;
  const words = text.model;
  if (used === includedModel && kept.value.length === 0) return null;
  return (
    <section>
      <h3>{words.onThisDevice}</h3>
      <ul class="rows">
        {used !== includedModel && (
          <li class="row">
            <span>
              {words.included}
              <small>{words.includedFacts}</small>
            </span>
            <button type="button" class="btn" onClick={() => void openIncluded()}>
              {words.useIncluded(words.included)}
            </button>
          </li>
        )}
        {kept.value.map((model) => (
          <Kept key={model.url} model={model} inUse={used?.kind === 'url' && used.url === model.url} />
        ))}
      </ul>
      {removeFault.value && (
        <p class="note" role="alert">
          {removeFault.value.title} {removeFault.value.cause}
        </p>
      )}
      {kept.value.length > 0 && storage.value && (
        <p class="note">
          {storage.value.persisted ? words.persisted : words.notPersisted} {words.free(storage.value.free)}
        </p>
      )}
    </section>
  );
}

function Kept({ model, inUse }: { model: KeptModel; inUse: boolean }) {
  const asked = useSignal(false);
  const { name, url, bytes, total, complete } = model;
  const words = text.model;
  return (
    <li class="row">
      <span>
        {name}
        <small>{complete ? words.keptSize(bytes) : words.keptPart(bytes, total)}</small>
      </span>
      <span class="choices">
        {asked.value ? (
          <>
            <button type="button" class="btn" onClick={() => void remove(url)}>
              {words.deleteYes(bytes)}
            </button>
            <button
              type="button"
              class="text-btn"
              onClick={() => {
                asked.value = false;
              }}
            >
              {words.deleteNo}
            </button>
          </>
        ) : (
          <>
            <button
              type="button"
              class="text-btn"
              aria-label={words.deleteOf(name)}
              onClick={() => {
                asked.value = true;
              }}
            >
              {words.delete}
            </button>
            {inUse ? (
              <small>{words.inUse}</small>
            ) : (
              <button type="button" class="btn" onClick={() => void openUrl(url)}>
                {complete ? words.use : words.goOn}
              </button>
            )}
          </>
        )}
      </span>
    </li>
  );
}
