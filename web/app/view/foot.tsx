// Under the conversation: the bar (on phones), the composer, and one measured line.
import { useSignal } from '@preact/signals';
import { MemoryBar } from '../memory/strip';
import { chat, readyOffline, update, updateWaiting } from '../state/app';
import { narrow } from '../state/ui';
import { text } from '../strings';
import { Composer } from './composer';

export function Foot() {
  return (
    <div class="foot">
      {narrow.value && <MemoryBar />}
      <Composer />
      <Stats />
      {chat.elsewhere.value && (
        <p class="stats notice" role="status">
          <span>{text.stats.elsewhere}</span>
        </p>
      )}
      {updateWaiting.value && <Update />}
    </div>
  );
}

function Stats() {
  const activity = chat.activity.value;
  const stats = chat.memory.stats.value;
  const model = chat.model.value;
  const template = model?.info.template;
  const restored = chat.restored.value;
  const elapsed = activity.kind === 'reading' ? (performance.now() - activity.since) / 1000 : 0;
  const reading = activity.kind === 'reading' && elapsed > 0.2 ? activity.done / elapsed : 0;
  return (
    <p class="stats">
      {model && <span class="wide">{model.name}</span>}
      {reading > 0 ? (
        <span>{text.stats.reading(reading)}</span>
      ) : (
        chat.tokensPerSecond.value > 0 && <span>{text.stats.speed(chat.tokensPerSecond.value)}</span>
      )}
      {stats && <span data-bytes={stats.bytes}>{text.stats.memory(stats.bytes)}</span>}
      {stats && stats.positions > 0 && <span class="wide">{text.stats.tokens(stats.positions)}</span>}
      {restored && <span>{text.stats.restored(restored.tokens, restored.ms)}</span>}
      {readyOffline.value && <span>{text.stats.readyOffline}</span>}
      {template?.origin === 'fallback' && <span>{text.model.fallbackNote(template.name)}</span>}
    </p>
  );
}

function Update() {
  const hindered = useSignal(false);
  return (
    <p class="stats" role="status">
      <span>
        {text.stats.update}{' '}
        <button
          type="button"
          class="link"
          onClick={async () => {
            hindered.value = !(await update());
          }}
        >
          {text.stats.reload}
        </button>
      </span>
      {hindered.value && <span>{text.stats.otherTab}</span>}
    </p>
  );
}
