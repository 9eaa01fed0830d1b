// All conversations of this device: find, open, rename, delete.
import { useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import {
  chat,
  keepsConversations,
  newConversation,
  openConversation,
  openRemember,
  openSettings,
  readyOffline,
} from '../state/app';
import type { Summary } from '../state/conversation';
import { narrow, searching, toggleRail } from '../state/ui';
import { text } from '../strings';
import { Core } from './core';
import { Mark } from './mark';
import { Sheet } from './sheet';

const searchPause = 150; // ms without typing

export function Rail() {
  const content = (
    <>
      <div class="brand">
        <Mark />
        {text.product}
        {narrow.value && (
          <button type="button" class="text-btn" onClick={() => toggleRail(false)}>
            {text.rail.close}
          </button>
        )}
      </div>
      <button type="button" class="line-btn" onClick={() => void newConversation()}>
        <span>{text.rail.newConversation}</span>
        <kbd>{text.rail.newKeys}</kbd>
      </button>
      <Conversations />
      <div class="rail-foot">
        <button type="button" class="line-btn" onClick={openRemember}>
          {text.remember.title}
        </button>
        <button type="button" class="line-btn" onClick={openSettings}>
          {text.rail.settings}
        </button>
        <p>{footLine()}</p>
      </div>
    </>
  );
  if (narrow.value) {
    return (
      <Sheet class="rail sheet-left" label={text.rail.label} onClose={() => toggleRail(false)}>
        {content}
      </Sheet>
    );
  }
  return (
    <aside class="rail" aria-label={text.rail.label}>
      {content}
    </aside>
  );
}

function footLine(): string {
  if (!keepsConversations.value) return text.rail.notKept;
  return readyOffline.value ? text.rail.offline : text.rail.private;
}

function Conversations() {
  const words = useSignal('');
  const found = useSignal<Set<string> | undefined>(undefined);
  const deleting = useSignal<Summary | undefined>(undefined);

  useSignalEffect(() => {
    const wanted = words.value.trim();
    if (!wanted) {
      found.value = undefined;
      return;
    }
    let overtaken = false;
    const timer = setTimeout(async () => {
      const ids = await chat.search(wanted);
      if (!overtaken) found.value = ids;
    }, searchPause);
    return () => {
      overtaken = true;
      clearTimeout(timer);
    };
  });

  const all = chat.summaries.value;
  const midnight = new Date().setHours(0, 0, 0, 0);
  const groups: [string, Summary[]][] = found.value
    ? [[text.rail.found, all.filter(({ id }) => found.value!.has(id))]]
    : [
        [text.rail.today, all.filter(({ updated }) => updated >= midnight)],
        [text.rail.earlier, all.filter(({ updated }) => updated < midnight)],
      ];
  return (
    <>
      {searching.value ? (
        <SearchField
          words={words.value}
          onInput={(typed) => {
            words.value = typed;
          }}
          onEnd={() => {
            words.value = '';
            searching.value = false;
          }}
        />
      ) : (
        <button
          type="button"
          class="line-btn"
          onClick={() => {
            searching.value = true;
          }}
        >
          <span>{text.rail.search}</span>
          <kbd>{text.rail.searchKeys}</kbd>
        </button>
      )}
      {found.value?.size === 0 && <p class="note">{text.rail.nothingFound}</p>}
      {groups.map(
        ([label, entries]) =>
          entries.length > 0 && (
            <section key={label} aria-label={label}>
              <h2 class="label">{label}</h2>
              <ul class="chats" role="list">
                {entries.map((entry) => (
                  <Entry
                    key={entry.id}
                    entry={entry}
                    onDelete={() => {
                      deleting.value = entry;
                    }}
                  />
                ))}
              </ul>
            </section>
          ),
      )}
      {deleting.value && (
        <Deleting
          entry={deleting.value}
          onEnd={() => {
            deleting.value = undefined;
          }}
        />
      )}
    </>
  );
}

function SearchField({
  words,
  onInput,
  onEnd,
}: {
  words: string;
  onInput: (typed: string) => void;
  onEnd: () => void;
}) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current!.focus(), []);
  return (
    <div class="search">
      <input
        ref={field}
        type="search"
        aria-label={text.rail.searchLabel}
        placeholder={text.rail.search}
        value={words}
        onInput={({ currentTarget: { value } }) => onInput(value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation();
          onEnd();
        }}
      />
      <button type="button" class="text-btn" aria-label={text.rail.endSearch} onClick={onEnd}>
        {text.rail.close}
      </button>
    </div>
  );
}

function Entry({ entry, onDelete }: { entry: Summary; onDelete: () => void }) {
  const renaming = useSignal(false);
  const title = entry.title || text.rail.untitled;
  const current = entry.id === chat.conversation.value.id;
  if (renaming.value) {
    return (
      <li>
        <Renaming
          title={entry.title}
          onEnd={(renamed) => {
            renaming.value = false;
            if (renamed !== undefined) void chat.rename(entry.id, renamed);
          }}
        />
      </li>
    );
  }
  return (
    <li>
      <button
        type="button"
        class="chat-link"
        aria-current={current ? 'page' : undefined}
        onClick={() => void openConversation(entry.id)}
      >
        <span>{title}</span>
        <Core runs={entry.core} unit={2} step={1.6} class="core" />
        <small>{text.rail.tokens(entry.tokens)}</small>
      </button>
      <div class="chat-acts">
        <button
          type="button"
          aria-label={text.rail.renameOf(title)}
          onClick={() => {
            renaming.value = true;
          }}
        >
          {text.rail.rename}
        </button>
        <button type="button" aria-label={text.rail.deleteOf(title)} onClick={onDelete}>
          {text.rail.delete}
        </button>
      </div>
    </li>
  );
}

function Renaming({ title, onEnd }: { title: string; onEnd: (renamed?: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current!.select(), []);
  return (
    <form
      class="renaming"
      onSubmit={(event) => {
        event.preventDefault();
        onEnd(field.current!.value);
      }}
    >
      <input
        ref={field}
        type="text"
        aria-label={text.rail.newTitle}
        defaultValue={title}
        onBlur={({ currentTarget: { value } }) => onEnd(value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation();
          onEnd();
        }}
      />
    </form>
  );
}

function Deleting({ entry, onEnd }: { entry: Summary; onEnd: () => void }) {
  return (
    <Sheet class="question" labelledBy="deleting" onClose={onEnd}>
      <h2 id="deleting">{text.deleting.title(entry.title || text.rail.untitled)}</h2>
      <p>{text.deleting.consequence}</p>
      <div class="answers">
        <button type="button" class="btn" onClick={onEnd}>
          {text.deleting.no}
        </button>
        <button
          type="button"
          class="btn danger"
          onClick={() => {
            onEnd();
            void chat.remove(entry.id);
          }}
        >
          {text.deleting.yes}
        </button>
      </div>
    </Sheet>
  );
}
