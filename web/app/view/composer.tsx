// Where one writes. It is never disabled: typing while an answer is written is allowed. Stop takes Send's place.
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { chat } from '../state/app';
import { lastUserTurn } from '../state/conversation';
import { composerRequest, editing, touch } from '../state/ui';
import { text } from '../strings';

export function Composer() {
  const box = useRef<HTMLTextAreaElement>(null);
  const words = useSignal('');
  const busy = chat.activity.value.kind !== 'idle';

  useEffect(() => {
    if (!touch.value) box.current!.focus(); // on a phone the keyboard would cover the page
  }, []);
  useSignalEffect(() => {
    if (composerRequest.value > 0) box.current!.focus();
  });
  useSignalEffect(() => {
    if (editing.value) words.value = editing.value.text;
  });
  // Another conversation: what was being edited belongs to the one before.
  const { id } = chat.conversation.value;
  useEffect(() => {
    editing.value = undefined;
  }, [id]);

  const send = () => {
    const said = words.value.trim();
    if (!said) return;
    const from = editing.value?.turn;
    editing.value = undefined;
    words.value = '';
    box.current!.focus();
    void chat.send(said, from);
  };
  const cancelEdit = () => {
    editing.value = undefined;
    words.value = '';
    box.current!.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // While an input method composes, Enter chooses a word. Safari says so by the key code alone.
    const composing = event.isComposing || event.keyCode === 229;
    if (composing) return;
    if (event.key === 'Enter' && !event.shiftKey && !touch.value) {
      event.preventDefault();
      if (!answering()) send();
    } else if (event.key === 'Escape' && editing.value && !busy) {
      event.stopPropagation();
      cancelEdit();
    } else if (event.key === 'ArrowUp' && words.value === '' && !editing.value) {
      const { turns } = chat.conversation.value;
      const turn = lastUserTurn(turns);
      if (turn < 0 || busy) return;
      event.preventDefault();
      editing.value = { turn, text: turns[turn]!.text };
    }
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        if (!answering()) send();
      }}
    >
      {editing.value && (
        <p class="editing">
          {text.chat.editing}
          <button type="button" class="link" onClick={cancelEdit}>
            {text.chat.cancelEdit}
          </button>
        </p>
      )}
      <label class="vh" for="say">
        {text.chat.message}
      </label>
      <textarea
        ref={box}
        id="say"
        rows={1}
        dir="auto"
        placeholder={text.chat.placeholder}
        value={words}
        onInput={({ currentTarget }) => {
          words.value = currentTarget.value;
        }}
        onKeyDown={onKeyDown}
      />
      {busy ? (
        <button type="button" class="btn stop" onClick={() => void chat.stop()}>
          {text.chat.stop} <kbd>{text.chat.stopKey}</kbd>
        </button>
      ) : (
        <button type="submit" class="btn">
          {text.chat.send}
        </button>
      )}
    </form>
  );
}

/** While memory is only re-read, a new message may be sent: it goes on from there. */
function answering(): boolean {
  const activity = chat.activity.peek();
  return (
    activity.kind === 'answering' || activity.kind === 'waiting' || (activity.kind === 'reading' && !activity.again)
  );
}
