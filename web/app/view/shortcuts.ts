// Keys that work everywhere. In a dialog they rest: it has its own.
import { chat, newConversation, toggleDrawer, toggleRail } from '../state/app';
import { dialog, searching } from '../state/ui';

export function listenForShortcuts(): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (dialog.value || event.isComposing) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (key === 'escape' && !event.defaultPrevented) {
      if (chat.activity.value.kind !== 'idle') void chat.stop();
      return;
    }
    if (!command || event.altKey) return;
    if (event.shiftKey && key === 'o') void newConversation();
    else if (event.shiftKey && key === 'm') toggleDrawer();
    else if (!event.shiftKey && key === 'b') toggleRail();
    else if (!event.shiftKey && key === 'k') {
      toggleRail(true);
      searching.value = true;
    } else return;
    event.preventDefault();
  };
  addEventListener('keydown', onKey);
  return () => removeEventListener('keydown', onKey);
}
