// What is open and what is seen: state of the page itself, not of the conversation.
import { effect, type Signal, signal } from '@preact/signals';

function media(query: string): Signal<boolean> {
  const list = matchMedia(query);
  const matches = signal(list.matches);
  list.addEventListener('change', () => {
    matches.value = list.matches;
  });
  return matches;
}

export const narrow = media('(max-width: 899px)'); // rail and drawer are sheets, the strip is a bar
export const medium = media('(max-width: 1199px)'); // the drawer takes the place of the rail
export const touch = media('(pointer: coarse)');

/** Anything that changes colours, for those who draw them: read it to follow. */
export const coloursChanged = signal(0);
for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(query).addEventListener('change', () => {
    coloursChanged.value += 1;
  });
}

export const railOpen = signal(!narrow.value);
export const drawerOpen = signal(false);
export const searching = signal(false);
export type Dialog = 'settings' | 'model' | 'remember' | undefined;
export const dialog = signal<Dialog>(undefined);

/** Turns that are at least partly in view: [first, last]. */
export const visibleTurns = signal<readonly [number, number]>([0, 0]);

/** Asks the composer for focus, and the conversation to show a turn. */
export const composerRequest = signal(0);
export const turnRequest = signal<{ turn: number; focus: boolean } | undefined>(undefined);

export const focusComposer = () => {
  composerRequest.value += 1;
};

/** The last message, taken back into the composer. */
export const editing = signal<{ turn: number; text: string } | undefined>(undefined);

export function toggleRail(open = !railOpen.value): void {
  railOpen.value = open;
  if (open && medium.value) drawerOpen.value = false;
}

export function toggleDrawer(open = !drawerOpen.value): void {
  drawerOpen.value = open;
  if (open && narrow.value) railOpen.value = false;
}

// Leaving the narrow layout puts the rail back; entering it closes the sheets.
effect(() => {
  railOpen.value = !narrow.value;
  if (narrow.value) drawerOpen.value = false;
});
