// What a screen reader hears while it would otherwise hear nothing: the streaming answer itself is not live.
import { useSignalEffect } from '@preact/signals';
import { text } from '../strings';
import { chat } from '../state/app';
import { announcement } from '../state/ui';

const reminderMs = 15_000;

export function Announcer() {
  useSignalEffect(() => {
    const { kind } = chat.activity.value;
    if (kind === 'reading') {
      const { total, again } = chat.activity.peek() as Extract<typeof chat.activity.value, { kind: 'reading' }>;
      if (announcement.peek() === '') announcement.value = again ? text.announce.rereading(total) : text.announce.reading(total);
      return;
    }
    if (kind === 'idle') {
      announcement.value = ending();
      return;
    }
    if (kind !== 'answering') return;
    announcement.value = text.announce.started;
    const timer = setInterval(() => {
      announcement.value = '';
      announcement.value = text.announce.writing;
    }, reminderMs);
    return () => clearInterval(timer);
  });
  return (
    <p class="vh" role="status" aria-live="polite">
      {announcement}
    </p>
  );
}

/** Said when nothing goes on any more. */
function ending(): string {
  const last = chat.conversation.peek().turns.at(-1);
  if (announcement.peek() === '' || !last?.end) return '';
  if (last.end.reason === 'aborted') return text.announce.stopped;
  return text.announce.finished(last.text.split(/\s+/).filter(Boolean).length);
}
