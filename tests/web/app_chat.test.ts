// The chat against an engine that does as it is told: what is shown, what is saved, and what becomes of failures.
import 'fake-indexeddb/auto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Chat } from '../../web/app/state/chat';
import { defaults, settings } from '../../web/app/state/settings';
import { openSnapshots, type SnapshotStore } from '../../web/app/state/snapshots';
import { TabStore } from '../../web/app/state/store';
import {
  type Engine,
  type GuardReport,
  type MemoryOptions,
  type Message,
  type ModelInfo,
  type ModelPlan,
  type Piece,
  type Snapshot,
  StrataError,
  type TieredMemory,
} from '../../web/lib';

const kept = new Map<string, string>(); // node has no localStorage
vi.stubGlobal('localStorage', {
  getItem: (key: string) => kept.get(key) ?? null,
  setItem: (key: string, value: string) => void kept.set(key, value),
  removeItem: (key: string) => void kept.delete(key),
});

const info: ModelInfo = {
  name: 'Test',
  architecture: 'llama',
  parameters: 1,
  weightBytes: 1,
  weightTypes: 'F32 1',
  trainedLength: 128,
  layers: 1,
  kvHeads: 1,
  headDim: 8,
  windowedLayers: 0,
  window: 0,
  vocabulary: 8,
  identity: 'test',
  template: { origin: 'file', name: 'file' },
  simd: 'scalar',
  threads: 1,
};

const leastBudgetBytes = 1000;
const budgetFull = () =>
  new StrataError('budget_full', `The next 64 tokens need more (${FakeEngine.neededBytes} bytes).`);

/** Answers with `words`, one piece each; waits before `wait`, dies at `die`, has no more memory at `full`. */
class FakeEngine implements Engine {
  static answer: string[] = [];
  static loadFails: StrataError | undefined;
  static generated: Message[][] = [];
  static reads: Message[][] = [];
  static memory: TieredMemory[] = [];
  static neededBytes = 0; // of the conversation
  static incompressible = false;
  static resets: (MemoryOptions | undefined)[] = [];
  static report: GuardReport | undefined; // what guard() finds; undefined: it has no room to look
  static restored: Snapshot[] = [];
  static restoreFails: StrataError | undefined;
  static positions = 1;

  async load(): Promise<ModelInfo> {
    if (FakeEngine.loadFails) throw FakeEngine.loadFails;
    return info;
  }
  async plan(): Promise<ModelPlan> {
    throw new StrataError('internal', 'not part of this test');
  }
  async *generate(input: Message[] | string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Piece> {
    FakeEngine.generated.push(input as Message[]);
    yield { kind: 'reading', done: 3, total: 3 };
    let said = 0;
    for (const word of FakeEngine.answer) {
      if (word === 'full') throw budgetFull();
      if (word === 'die') throw new StrataError('worker_died', 'The worker stopped.');
      if (word === 'wait') await new Promise<void>((go) => signal?.addEventListener('abort', () => go()));
      if (signal?.aborted) break;
      const positions = 3 + ++said;
      if (word.startsWith('think:')) yield { kind: 'reasoning', text: word.slice(6), positions };
      else yield { kind: 'text', text: word, positions };
    }
    const reason = signal?.aborted ? 'aborted' : 'end_of_turn';
    yield { kind: 'end', reason, promptTokens: 3, generatedTokens: said, firstTokenMs: 5, tokensPerSecond: 40 };
  }
  async *read(messages: Message[]): AsyncGenerator<Piece> {
    FakeEngine.reads.push(messages);
    yield { kind: 'reading', done: 1, total: 1 };
  }
  async reset(memory?: MemoryOptions): Promise<void> {
    FakeEngine.resets.push(memory);
  }
  async guard(): Promise<GuardReport> {
    if (!FakeEngine.report) throw new StrataError('out_of_memory', 'No room.');
    return FakeEngine.report;
  }
  async setMemory(memory: TieredMemory): Promise<void> {
    if (FakeEngine.incompressible) throw new StrataError('invalid_argument', 'Heads of 8 values.');
    if (memory.budgetBytes > 0 && memory.budgetBytes < FakeEngine.neededBytes) throw budgetFull();
    FakeEngine.memory.push(memory);
  }
  async save() {
    return { memory: new Uint8Array([7]), turns: [] };
  }
  async restore(snapshot: Snapshot): Promise<void> {
    if (FakeEngine.restoreFails) throw FakeEngine.restoreFails;
    FakeEngine.restored.push(snapshot);
  }
  async stats() {
    const { budgetBytes } = FakeEngine.memory.at(-1) ?? { budgetBytes: 0 };
    const bytes = {
      bytes: 8,
      bytesFp16: 4,
      bytesFp32: 8,
      budgetBytes,
      leastBudgetBytes,
      keptBytes: 0,
      spareBytes: 0,
      windowedBytes: 0,
    };
    return { policy: '', positions: FakeEngine.positions, ...bytes, tiers: [], thawedPositions: 0, heapBytes: 8 };
  }
  async layout() {
    return [];
  }
  async countTokens() {
    return 1;
  }
  async close(): Promise<void> {}
}

const source = { kind: 'url', url: 'm.gguf' } as const;
let store: TabStore;
let chat: Chat;

beforeEach(async () => {
  Object.assign(FakeEngine, {
    answer: ['Hel', 'lo.'],
    loadFails: undefined,
    generated: [],
    reads: [],
    memory: [],
    neededBytes: 0,
    incompressible: false,
    resets: [],
    report: undefined,
    restored: [],
    restoreFails: undefined,
    positions: 1,
  });
  kept.clear();
  settings.value = defaults;
  store = new TabStore();
  chat = new Chat(() => new FakeEngine(), store);
  await chat.open(source, 'Test');
});

const shown = () => chat.conversation.value.turns.map(({ text }) => text);
const saved = async () => (await store.load(chat.conversation.value.id))?.turns.map(({ text }) => text);

describe('talking', () => {
  test('an answer is shown, ended and saved, and the title is what was said first', async () => {
    await chat.send('Hi there');
    expect(shown()).toEqual(['Hi there', 'Hello.']);
    expect(chat.conversation.value.turns[1]!.end).toEqual({
      reason: 'end_of_turn',
      firstTokenMs: 5,
      tokensPerSecond: 40,
    });
    expect(chat.conversation.value.title).toBe('Hi there');
    expect(chat.activity.value.kind).toBe('idle');
    expect(await saved()).toEqual(['Hi there', 'Hello.']);
  });

  test('Stop keeps what was written', async () => {
    FakeEngine.answer = ['Once ', 'wait', 'never'];
    const sent = chat.send('A story');
    await expect.poll(() => chat.live.value).toBe('Once ');
    await chat.stop();
    await sent;
    expect(shown()).toEqual(['A story', 'Once ']);
    expect(chat.conversation.value.turns[1]!.end!.reason).toBe('aborted');
    expect(chat.fault.value).toBeUndefined();
  });

  test('what the model thinks is kept beside its answer, and given back with it', async () => {
    FakeEngine.answer = ['think:Who ', 'think:is it?', '\n\nHello.'];
    await chat.send('Hi');
    const turn = { role: 'assistant', text: '\n\nHello.', reasoning: 'Who is it?' };
    expect(chat.conversation.value.turns[1]).toMatchObject(turn);
    expect((await store.load(chat.conversation.value.id))!.turns[1]).toMatchObject(turn);
    await chat.send('Ho');
    expect(FakeEngine.generated.at(-1)![1]).toEqual({
      role: 'assistant',
      content: '\n\nHello.',
      reasoning: 'Who is it?',
    });
  });

  test('an answer that is stopped while the model thinks goes on thinking', async () => {
    FakeEngine.answer = ['think:Hm', 'wait'];
    const sent = chat.send('Hi');
    await expect.poll(() => chat.liveReasoning.value).toBe('Hm');
    await chat.stop();
    await sent;
    expect(chat.conversation.value.turns[1]).toMatchObject({ text: '', reasoning: 'Hm', end: { reason: 'aborted' } });
    FakeEngine.answer = ['think:m.', 'Yes.'];
    await chat.continueAnswer();
    expect(FakeEngine.generated.at(-1)![1]).toEqual({ role: 'assistant', content: '', reasoning: 'Hm' });
    expect(chat.conversation.value.turns[1]).toMatchObject({ text: 'Yes.', reasoning: 'Hmm.' });
  });

  test('another answer takes the place of the last one', async () => {
    await chat.send('Hi');
    FakeEngine.answer = ['Good day.'];
    await chat.answer();
    expect(shown()).toEqual(['Hi', 'Good day.']);
    expect(FakeEngine.generated.at(-1)).toEqual([{ role: 'user', content: 'Hi' }]);
    expect(await saved()).toEqual(['Hi', 'Good day.']);
  });

  test('an edited message takes its answer with it', async () => {
    await chat.send('Hi');
    await chat.send('How are you?');
    await chat.send('Where are you?', 2);
    expect(shown()).toEqual(['Hi', 'Hello.', 'Where are you?', 'Hello.']);
    expect(await saved()).toEqual(shown());
  });
});

describe('failures', () => {
  test('an engine that dies in mid-answer leaves the words, a cause and a way on', async () => {
    FakeEngine.answer = ['Half', 'die'];
    await chat.send('Hi');
    expect(shown()).toEqual(['Hi', 'Half']);
    expect(chat.conversation.value.turns[1]!.end!.reason).toBe('interrupted');
    expect(chat.fault.value).toMatchObject({ code: 'worker_died', wayOn: 'open again' });
    expect(await saved()).toEqual(['Hi', 'Half']);
  });

  test('opening it again reads the conversation again', async () => {
    FakeEngine.answer = ['Half', 'die'];
    await chat.send('Hi');
    await chat.openAgain();
    await expect.poll(() => FakeEngine.reads.at(-1)?.map(({ content }) => content)).toEqual(['Hi', 'Half']);
    expect(chat.fault.value).toBeUndefined();
  });

  test('a model that cannot be opened leaves the one in use alone', async () => {
    FakeEngine.loadFails = new StrataError('not_gguf', 'It does not begin with GGUF.');
    await chat.open({ kind: 'url', url: 'other' }, 'Other');
    expect(chat.fault.value).toMatchObject({
      code: 'not_gguf',
      cause: 'It does not begin with GGUF.',
      wayOn: 'choose',
    });
    expect(chat.model.value?.name).toBe('Test');
    await chat.send('Hi');
    expect(shown()).toEqual(['Hi', 'Hello.']);
  });

  test('a question that waits for a model that fails stays, and can be asked again', async () => {
    FakeEngine.loadFails = new StrataError('network', 'Offline.');
    const fresh = new Chat(() => new FakeEngine(), new TabStore());
    await Promise.all([fresh.open(source, 'Test'), fresh.send('Hi')]);
    expect(fresh.conversation.value.turns.map(({ text }) => text)).toEqual(['Hi']);
    expect(fresh.fault.value?.wayOn).toBe('open again');
    FakeEngine.loadFails = undefined;
    await fresh.openAgain();
    await fresh.answer();
    expect(fresh.conversation.value.turns.map(({ text }) => text)).toEqual(['Hi', 'Hello.']);
  });

  test('a conversation that cannot be saved is still shown, and saved later', async () => {
    const saveTurn = store.saveTurn.bind(store);
    store.saveTurn = () => Promise.reject(new Error('The disk is full.'));
    await chat.send('Hi');
    expect(shown()).toEqual(['Hi', 'Hello.']);
    expect(chat.fault.value).toMatchObject({ code: 'not_saved', cause: 'The disk is full.', wayOn: 'save' });
    store.saveTurn = saveTurn;
    await chat.saveAll();
    expect(chat.fault.value).toBeUndefined();
    expect(await saved()).toEqual(['Hi', 'Hello.']);
  });
});

describe('memory', () => {
  test('changes without reading anything again, and is remembered', async () => {
    await chat.send('Hi');
    await chat.setMemory({ preset: 'balanced', budgetBytes: 5000 });
    expect(FakeEngine.memory.at(-1)).toEqual({ preset: 'balanced', budgetBytes: 5000 });
    expect(FakeEngine.reads).toEqual([]);
    expect(settings.value.memory).toEqual({ preset: 'balanced', budgetBytes: 5000 });
    expect(chat.memory.stats.value?.budgetBytes).toBe(5000);
  });

  test('is never given less than the model needs', async () => {
    await chat.setMemory({ preset: 'quality', budgetBytes: 10 });
    expect(FakeEngine.memory.at(-1)!.budgetBytes).toBe(leastBudgetBytes);
  });

  test('the next model is given what was wished, too', async () => {
    await chat.setMemory({ preset: 'max', budgetBytes: 5000 });
    FakeEngine.memory = [];
    await chat.open(source, 'Other');
    expect(FakeEngine.memory).toEqual([{ preset: 'max', budgetBytes: 5000 }]);
  });

  test('a model that takes no budget opens without one', async () => {
    settings.value = { ...defaults, memory: { preset: 'max', budgetBytes: 5000 } };
    FakeEngine.incompressible = true;
    await chat.open(source, 'Odd');
    expect(chat.model.value?.name).toBe('Odd');
    expect(chat.fault.value).toBeUndefined();
  });

  test('a budget that the conversation does not fit becomes the least that it fits', async () => {
    FakeEngine.neededBytes = 3000;
    await chat.setMemory({ preset: 'quality', budgetBytes: 2000 });
    expect(FakeEngine.memory.at(-1)!.budgetBytes).toBe(3000);
    expect(settings.value.memory.budgetBytes).toBe(3000);
    expect(chat.neededBytes.value).toBe(3000);
    expect(chat.fault.value).toBeUndefined();
  });

  test('an answer for which it is full pauses, and goes on once it may have more', async () => {
    await chat.setMemory({ preset: 'quality', budgetBytes: 2000 });
    Object.assign(FakeEngine, { answer: ['Half', 'full'], neededBytes: 2100 });
    await chat.send('Hi');
    expect(shown()).toEqual(['Hi', 'Half']);
    expect(chat.conversation.value.turns[1]!.end!.reason).toBe('budget_full');
    expect(chat.fault.value).toMatchObject({ code: 'budget_full', wayOn: 'more memory', neededBytes: 2100 });
    FakeEngine.answer = [' and half.'];
    await chat.goOnWithMore(2100);
    expect(FakeEngine.memory.at(-1)!.budgetBytes).toBe(4000);
    expect(FakeEngine.generated.at(-1)!.at(-1)).toEqual({ role: 'assistant', content: 'Half' });
    expect(shown()).toEqual(['Hi', 'Half and half.']);
    expect(await saved()).toEqual(['Hi', 'Half and half.']);
    expect(chat.fault.value).toBeUndefined();
  });

  test('a question for which it is full is answered once it may have more', async () => {
    await chat.setMemory({ preset: 'quality', budgetBytes: 2000 });
    Object.assign(FakeEngine, { answer: ['full'], neededBytes: 2100 });
    await chat.send('Hi');
    expect(shown()).toEqual(['Hi']);
    FakeEngine.answer = ['Hello.'];
    await chat.goOnWithMore(2100);
    expect(shown()).toEqual(['Hi', 'Hello.']);
  });
});

test('an answer that was stopped can be continued', async () => {
  FakeEngine.answer = ['Once ', 'wait', 'never'];
  const sent = chat.send('A story');
  await expect.poll(() => chat.live.value).toBe('Once ');
  await chat.stop();
  await sent;
  FakeEngine.answer = ['upon a time.'];
  await chat.continueAnswer();
  expect(shown()).toEqual(['A story', 'Once upon a time.']);
  expect(chat.conversation.value.turns[1]!.end!.reason).toBe('end_of_turn');
});

describe('conversations', () => {
  test('one can go back to an earlier one, whose memory is read again', async () => {
    await chat.send('First');
    const { id } = chat.conversation.value;
    await chat.newConversation();
    await chat.send('Second');
    await chat.openConversation(id);
    expect(shown()).toEqual(['First', 'Hello.']);
    expect(FakeEngine.reads.at(-1)!.map(({ content }) => content)).toEqual(['First', 'Hello.']);
  });

  test('deleting the one that is open leaves an empty one', async () => {
    await chat.send('First');
    const { id } = chat.conversation.value;
    await chat.remove(id);
    expect(shown()).toEqual([]);
    expect(await store.load(id)).toBeUndefined();
    expect(chat.summaries.value).toEqual([]);
  });
});

const found = (guardedLayers: number[]): GuardReport => ({
  preset: 'quality',
  outcome: 'checked',
  guardedLayers,
  kldWithout: 0.02,
  kld: 0.004,
});

describe('the guard', () => {
  test('what it finds is what an empty conversation begins with, now and after a reload', async () => {
    FakeEngine.report = found([0, 5]);
    await chat.checkCompression(1000);
    expect(chat.guard.report.value?.guardedLayers).toEqual([0, 5]);
    expect(FakeEngine.resets.at(-1)).toEqual({ preset: 'quality', guardedLayers: [0, 5] });
    const later = new Chat(() => new FakeEngine(), store);
    FakeEngine.resets = [];
    FakeEngine.report = undefined; // it must not have to look again
    await later.open(source, 'Test');
    expect(FakeEngine.resets[0]).toEqual({ preset: 'quality', guardedLayers: [0, 5] });
    expect(later.guard.report.value?.guardedLayers).toEqual([0, 5]);
  });

  test('a conversation that is under way stays as it is, and the next one begins so', async () => {
    await chat.send('Hi');
    FakeEngine.resets = [];
    FakeEngine.report = found([1]);
    await chat.checkCompression(1000);
    expect(FakeEngine.resets).toEqual([]);
    await chat.newConversation();
    expect(FakeEngine.resets[0]).toEqual({ preset: 'quality', guardedLayers: [1] });
  });

  test('without room to look nothing changes, and it does not look again', async () => {
    await chat.checkCompression(1000);
    FakeEngine.report = found([1]);
    await chat.checkCompression(1000);
    expect(chat.guard.report.value).toBeUndefined();
    expect(chat.fault.value).toBeUndefined();
  });

  test('what anybody wrote into storage is not believed', async () => {
    localStorage.setItem('strata.guard', JSON.stringify({ 'test quality': { ...found([]), guardedLayers: [3, 1] } }));
    const later = new Chat(() => new FakeEngine(), store);
    await later.open(source, 'Test');
    expect(later.guard.report.value).toBeUndefined();
  });
});

describe('memory that outlives the tab', () => {
  let snapshots: SnapshotStore;
  let id: string;
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    snapshots = await openSnapshots();
    chat = new Chat(() => new FakeEngine(), store, snapshots);
    await chat.open(source, 'Test');
    await chat.send('Hi');
    await vi.advanceTimersByTimeAsync(2000);
    vi.useRealTimers();
    id = chat.conversation.value.id;
    await vi.waitFor(async () => expect(await snapshots.load(keptFor())).toBeDefined());
  });
  afterEach(() => snapshots.remove(id));
  const keptFor = (model = 'test') => ({ id, model, guardedLayers: [] });

  /** The same conversation in a tab that has just been opened. */
  async function reopened(): Promise<Chat> {
    FakeEngine.positions = 0;
    const later = new Chat(() => new FakeEngine(), store, snapshots);
    await later.restore(id);
    await later.open(source, 'Test');
    await vi.waitFor(() => expect(later.activity.value.kind).toBe('idle'));
    return later;
  }

  test('is restored before the conversation is read, and read() finds what is missing', async () => {
    const later = await reopened();
    await vi.waitFor(() => expect(FakeEngine.restored).toHaveLength(1));
    expect(FakeEngine.restored[0]!.memory).toEqual(new Uint8Array([7]));
    await vi.waitFor(() => expect(FakeEngine.reads.at(-1)).toHaveLength(2));
    expect(later.restored.value).toBeDefined();
    expect(later.fault.value).toBeUndefined();
  });

  test('that cannot be restored is forgotten, and everything is read', async () => {
    FakeEngine.restoreFails = new StrataError('corrupt_file', 'The snapshot is damaged.');
    const later = await reopened();
    await vi.waitFor(() => expect(FakeEngine.reads.at(-1)).toHaveLength(2));
    expect(await snapshots.load(keptFor())).toBeUndefined();
    expect(later.restored.value).toBeUndefined();
    expect(later.fault.value).toBeUndefined();
  });

  test('that ended the last tab is not tried again', async () => {
    localStorage.setItem('strata.restoring', id);
    await reopened();
    await vi.waitFor(() => expect(FakeEngine.reads.at(-1)).toHaveLength(2));
    expect(FakeEngine.restored).toHaveLength(0);
    expect(await snapshots.load(keptFor())).toBeUndefined();
  });

  test('of another model is left alone', async () => {
    expect(await snapshots.load(keptFor('another'))).toBeUndefined();
    expect(await snapshots.load(keptFor())).toBeDefined();
  });

  test('goes with its conversation', async () => {
    await chat.remove(id);
    expect(await snapshots.load(keptFor())).toBeUndefined();
  });
});
