// What a screen reader hears while it would otherwise hear nothing: the streaming answer itself is not live.
import { computed, useSignal, useSignalEffect } from '@preact/signals';
import { chat } from '../state/app';
import type { Activity } from '../state/chat';
import { text } from '../strings';

const reminderMs = 15_000;

// Progress changes many times a second; what matters here is only what kind of thing goes on.
const kind = computed(() => chat.activity.value.kind);

export function Announcer() {
  const words = useSignal('');
  const before = useSignal<Activity>({ kind: 'idle' });
  useSignalEffect(() => {
    const now = kind.value;
    const activity = chat.activity.peek();
    words.value = announce(before.peek(), activity);
    before.value = activity;
    if (now !== 'answering') return;
    const timer = setInterval(() => {
      // Said again only if it differs from what was said before.
      words.value = words.peek() === text.announce.writing ? `${text.announce.writing} ` : text.announce.writing;
    }, reminderMs);
    return () => clearInterval(timer);
  });
  return (
    <p class="vh" role="status" aria-live="polite">
      {words}
    </p>
  );
}

/** A short answer may begin and end between two looks: then reading is followed by rest. */
const wasAnswering = (before: Activity) => before.kind === 'answering' || (before.kind === 'reading' && !before.again);

function announce(before: Activity, now: Activity): string {
  if (now.kind === 'reading') return now.again ? text.announce.rereading(now.total) : text.announce.reading(now.total);
  if (now.kind === 'answering') return text.announce.started;
  if (now.kind !== 'idle' || !wasAnswering(before)) return '';
  const last = chat.conversation.peek().turns.at(-1);
  if (!last?.end || last.end.reason === 'aborted') return text.announce.stopped;
  return text.announce.finished(last.text.split(/\s+/).filter(Boolean).length);
}
