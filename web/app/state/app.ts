// The one chat of this page, and what the page as a whole can do with it.
import { effect, signal } from '@preact/signals';
import { createWorkerEngine } from '../../lib';
import { applyUpdate, keepForOffline, onUpdateWaiting } from '../offline';
import { text } from '../strings';
import { Chat } from './chat';
import { nameOf } from './model_name';
import { askToPersist, look, stopLooking } from './models';
import { change, type ModelChoice, settings } from './settings';
import { openSnapshots } from './snapshots';
import { openStore, type Store, TabStore } from './store';
import { dialog, focusComposer, narrow, railOpen, toggleDrawer, toggleRail, touch } from './ui';

export const includedModel = {
  kind: 'url',
  url: 'models/pocket-chat-5.8m-q8_0.gguf',
  name: text.model.included,
} as const;
const lastConversation = 'strata.conversation';

/** Whether this browser keeps conversations at all. */
export const keepsConversations = signal(true);
export const readyOffline = signal(false);
export const updateWaiting = signal(false);

async function store(): Promise<Store> {
  try {
    return await openStore();
  } catch {
    keepsConversations.value = false;
    return new TabStore();
  }
}

export const chat = new Chat(createWorkerEngine, await store(), await openSnapshots().catch(() => undefined));

const idleMs = 2000; // before the model's memory is checked
const checkMs = { computer: 30_000, phone: 8_000 }; // the most that this may compute, once for a model and preset

/** Checks how the model bears a compressed memory once nobody has wanted anything for a while. */
function checkWhenIdle(): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    clearTimeout(timer);
    void [settings.value.memory.preset, chat.guard.checking.value]; // another preset may have been chosen meanwhile
    if (!chat.model.value || chat.opening.value || chat.activity.value.kind !== 'idle') return;
    timer = setTimeout(() => {
      if (!document.hidden) void chat.checkCompression(touch.value ? checkMs.phone : checkMs.computer);
    }, idleMs);
  });
}

/** Opens the page: the model and the last conversation come at the same time, then the conversation is read. */
export async function start(): Promise<void> {
  const model = openChoice(settings.value.model);
  await chat.restore(remembered());
  chat.conversation.subscribe(({ id }) => remember(id));
  addEventListener('pagehide', () => chat.saveNow());
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) chat.saveNow();
    else void chat.refreshList();
  });
  checkWhenIdle();
  await model;
  void onUpdateWaiting(() => {
    updateWaiting.value = true;
  });
  readyOffline.value = await keepForOffline((chat.model.value?.info.threads ?? 0) > 1);
}

function openChoice(choice: ModelChoice): Promise<void> {
  if (choice.kind === 'included') return chat.open(includedModel, includedModel.name);
  const name = nameOf(choice.url);
  return chat.open({ kind: 'url', url: choice.url, name, keep: true }, name);
}

export async function openIncluded(): Promise<void> {
  dialog.value = undefined;
  change({ model: { kind: 'included' } });
  await chat.open(includedModel, includedModel.name);
}

/** One file, or all files of a split model in any order. */
export async function openFiles(files: File[]): Promise<void> {
  dialog.value = undefined;
  const sorted = [...files].sort((a, b) => a.name.localeCompare(b.name, 'en'));
  const { name } = sorted[0]!;
  await chat.open({ kind: 'file', file: sorted, name }, nameOf(name));
}

/** Shows what an address or a repository holds, and what it needs, before anything is downloaded. */
export function lookAt(address: string): void {
  dialog.value = 'model';
  void look(address);
}

/** `keep`: on this device, so that it is there the next time. */
export async function openUrl(url: string, keep = true): Promise<void> {
  dialog.value = undefined;
  stopLooking();
  if (keep) void askToPersist();
  const name = nameOf(url);
  await chat.open({ kind: 'url', url, name, keep }, name);
  if (chat.model.value?.source.kind === 'url' && chat.model.value.source.url === url)
    change({ model: { kind: 'url', url } });
}

export async function newConversation(): Promise<void> {
  closeRailSheet();
  await chat.newConversation();
  focusComposer();
}

export async function openConversation(id: string): Promise<void> {
  closeRailSheet();
  focusComposer();
  await chat.openConversation(id);
}

function closeRailSheet(): void {
  if (narrow.value) railOpen.value = false;
}

/** Takes a new version of the page into use. False: another tab still uses the old one. */
export async function update(): Promise<boolean> {
  await chat.stop();
  return applyUpdate();
}

export const openSettings = () => {
  dialog.value = 'settings';
};
export const openModels = () => {
  dialog.value = 'model';
};
export const openRemember = () => {
  closeRailSheet();
  dialog.value = 'remember';
};
export { toggleDrawer, toggleRail };

function remembered(): string | undefined {
  try {
    return localStorage.getItem(lastConversation) ?? undefined;
  } catch {
    return undefined;
  }
}

function remember(id: string): void {
  try {
    localStorage.setItem(lastConversation, id);
  } catch {
    // storage is blocked: the page will open on an empty conversation
  }
}
