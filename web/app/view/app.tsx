// The frame: conversations, the conversation, its memory as a strip, its memory in detail.
import { useEffect } from 'preact/hooks';
import { Drawer } from '../memory/drawer';
import { Strip } from '../memory/strip';
import { RememberDialog } from '../remember/dialog';
import { chat, openModels, toggleRail } from '../state/app';
import { dialog, drawerOpen, medium, narrow, railOpen } from '../state/ui';
import { text } from '../strings';
import { Announcer } from './announcer';
import { DropTarget } from './drop';
import { Foot } from './foot';
import { ModelDialog } from './model_dialog';
import { Rail } from './rail';
import { SettingsDialog } from './settings_dialog';
import { listenForShortcuts } from './shortcuts';
import { Talk } from './talk';

export function App() {
  useEffect(listenForShortcuts, []);
  const showsRail = railOpen.value && !(medium.value && !narrow.value && drawerOpen.value);
  return (
    <div class="app">
      {showsRail && <Rail />}
      <main class="chat">
        <Top railOpen={showsRail} />
        <Talk />
        <Foot />
      </main>
      {!narrow.value && <Strip />}
      {drawerOpen.value && <Drawer />}
      {dialog.value === 'settings' && <SettingsDialog />}
      {dialog.value === 'model' && <ModelDialog />}
      {dialog.value === 'remember' && <RememberDialog />}
      <DropTarget />
      <Announcer />
    </div>
  );
}

function Top({ railOpen: open }: { railOpen: boolean }) {
  const { title, turns } = chat.conversation.value;
  const name = chat.model.value?.name ?? text.model.none;
  return (
    <header class="top">
      <button
        type="button"
        class="icon"
        aria-label={text.rail.toggle}
        aria-expanded={open}
        onClick={() => toggleRail(!open)}
      >
        <svg
          viewBox="0 0 16 16"
          width="16"
          height="16"
          fill="none"
          stroke="currentColor"
          stroke-width="1.5"
          aria-hidden="true"
        >
          <path d="M2 3.5h12M2 8h12M2 12.5h8" />
        </svg>
      </button>
      {turns.length > 0 ? <h1>{title}</h1> : <p class="title" />}
      <button
        type="button"
        class="text-btn"
        aria-haspopup="dialog"
        aria-label={text.model.choose(name)}
        onClick={openModels}
      >
        {name}
        <svg
          viewBox="0 0 10 6"
          width="10"
          height="6"
          fill="none"
          stroke="currentColor"
          stroke-width="1.5"
          aria-hidden="true"
        >
          <path d="M1 1l4 4 4-4" />
        </svg>
      </button>
    </header>
  );
}
