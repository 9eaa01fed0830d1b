// What happens when a person acts: one conversation, one engine, one thing at a time. Views read the signals and call the
// methods; everything that can fail ends in `fault`, and no failure loses text.
import { batch, signal } from '@preact/signals';
import {
  type Engine,
  type LoadProgress,
  type ModelInfo,
  type ModelSource,
  type Piece,
  StrataError,
  type TieredMemory,
} from '../../lib';
import { raisedBudget } from '../memory/budget';
import { drawnBits } from '../memory/tiers';
import {
  type AnswerEnd,
  type Conversation,
  closeInterrupted,
  emptyConversation,
  lastUserTurn,
  type Summary,
  type Turn,
  titleFrom,
  toMessages,
} from './conversation';
import { explain, type Fault, notSaved, openElsewhere } from './fault';
import { GuardWatch } from './guard';
import { Holding, isHeld } from './holding';
import { MemoryWatch } from './memory_watch';
import { change, settings } from './settings';
import { largestSnapshot, type SnapshotOf, type SnapshotStore } from './snapshots';
import type { Store } from './store';

const saveEveryMs = 2000; // while an answer is written
const keepMemoryAfterMs = 1500; // without anything going on
const restoring = 'strata.restoring'; // in localStorage: the conversation whose memory is being restored

export interface OpenModel {
  name: string;
  source: ModelSource;
  info: ModelInfo;
}

export type Activity =
  | { kind: 'idle' }
  | { kind: 'waiting' } // for the model
  | { kind: 'reading'; again: boolean; done: number; total: number; since: number }
  | { kind: 'answering' };

const idle: Activity = { kind: 'idle' };

export class Chat {
  readonly conversation = signal<Conversation>(emptyConversation(settings.value.systemPrompt));
  readonly summaries = signal<Summary[]>([]);
  /** The answer that is being written: the text of the last turn. */
  readonly live = signal('');
  /** What the model thinks before that answer. */
  readonly liveReasoning = signal('');
  readonly activity = signal<Activity>(idle);
  readonly model = signal<OpenModel | undefined>(undefined);
  readonly opening = signal<{ name: string; progress: LoadProgress | undefined } | undefined>(undefined);
  readonly fault = signal<Fault | undefined>(undefined);
  readonly tokensPerSecond = signal(0); // of the last answer
  readonly memory = new MemoryWatch();
  readonly guard = new GuardWatch();
  readonly #holding = new Holding();
  /** Whether another tab has this conversation: it writes, and what is said here goes on in a copy. */
  readonly elsewhere = this.#holding.elsewhere;
  /** Set when memory came back as it was, without reading. */
  readonly restored = signal<{ tokens: number; ms: number } | undefined>(undefined);
  /** Set when a smaller budget was asked for than the conversation fits: what it was given instead. */
  readonly neededBytes = signal<number | undefined>(undefined);

  #makeEngine: () => Engine;
  #store: Store;
  #snapshots: SnapshotStore | undefined;
  #keepTimer: ReturnType<typeof setTimeout> | undefined;
  #engine: Engine | undefined;
  #job: { abort: AbortController; done: Promise<void> } | undefined;
  #attempt: { abort: AbortController; done: Promise<void> } | undefined;
  #failed: { name: string; source: ModelSource } | undefined; // what openAgain() opens

  constructor(makeEngine: () => Engine, store: Store, snapshots?: SnapshotStore) {
    this.#makeEngine = makeEngine;
    this.#store = store;
    this.#snapshots = snapshots;
    this.#hold();
  }

  // ---- the model

  /** Opens a model in an engine of its own, so that the one in use goes on if this fails. Then re-reads the conversation. */
  open(source: ModelSource, name: string): Promise<void> {
    this.#attempt?.abort.abort();
    const abort = new AbortController();
    const done = this.#load(source, name, abort.signal);
    this.#attempt = { abort, done };
    return done;
  }

  cancelOpening(): void {
    this.#attempt?.abort.abort();
  }

  /** The same model again, in a new engine: after the engine died, or after its download failed. */
  async openAgain(keep = true): Promise<void> {
    const again = this.#failed ?? this.model.value;
    if (!again) return;
    const { source, name } = again;
    await this.open(source.kind === 'url' && !keep ? { ...source, keep } : source, name);
  }

  async #load(source: ModelSource, name: string, signal: AbortSignal): Promise<void> {
    const engine = this.#makeEngine();
    batch(() => {
      this.fault.value = undefined;
      this.opening.value = { name, progress: undefined };
    });
    try {
      const onProgress = (progress: LoadProgress) => {
        if (!signal.aborted) this.opening.value = { name, progress };
      };
      const { memory } = settings.value;
      const info = await engine.load(source, { memory: { preset: memory.preset }, onProgress, signal });
      const guarded = this.guard.layers(info.identity, memory.preset).length > 0;
      if (guarded || memory.budgetBytes > 0) await this.#emptyMemory(engine, info.identity);
      if (signal.aborted) throw new StrataError('aborted', '');
      await this.#take(engine, { name, source, info });
    } catch (error) {
      void engine.close();
      if (signal.aborted) return;
      this.#failed = { name, source };
      this.fault.value = explain(error, { doing: 'opening', stillOpen: this.model.value?.name });
    } finally {
      if (this.#attempt?.abort.signal === signal) this.opening.value = undefined;
    }
  }

  async #take(engine: Engine, model: OpenModel): Promise<void> {
    const answerWaits = this.activity.value.kind === 'waiting';
    if (!answerWaits) await this.stop();
    const old = this.#engine;
    this.#engine = engine;
    this.#failed = undefined;
    this.guard.stop();
    this.guard.look(model.info.identity, settings.value.memory.preset);
    batch(() => {
      this.model.value = model;
      this.opening.value = undefined;
      this.memory.clear();
    });
    void old?.close();
    if (!answerWaits) void this.#alone((signal) => this.#reread(signal));
  }

  async #ready(signal: AbortSignal): Promise<Engine> {
    const aborted = new Promise<void>((done) => signal.addEventListener('abort', () => done(), { once: true }));
    while (this.opening.value) {
      await Promise.race([this.#attempt?.done, aborted]);
      if (signal.aborted) throw new StrataError('aborted', 'This was ended by something newer.');
    }
    if (!this.#engine) throw new StrataError('not_loaded', 'The last model could not be opened.');
    return this.#engine;
  }

  // ---- talking

  async send(said: string, replaceFrom?: number): Promise<void> {
    await this.stop();
    await this.#makeOwn();
    if (replaceFrom !== undefined) await this.#cut(replaceFrom);
    const { turns, title } = this.conversation.value;
    this.#update({ turns: [...turns, { role: 'user', text: said }], title: title || titleFrom(said) });
    await this.#save(turns.length);
    await this.answer();
  }

  /** Answers the last message; in place of an earlier answer if there is one. */
  async answer(): Promise<void> {
    await this.stop();
    await this.#makeOwn();
    const asked = lastUserTurn(this.conversation.value.turns);
    if (asked < 0) return;
    await this.#cut(asked + 1);
    await this.#alone((signal) => this.#answer(signal, false));
  }

  /** Goes on with an answer that has not come to its end. */
  async continueAnswer(): Promise<void> {
    await this.stop();
    await this.#makeOwn();
    if (this.conversation.value.turns.at(-1)?.role !== 'assistant') return;
    await this.#alone((signal) => this.#answer(signal, true));
  }

  /** Ends what is going on, and returns when it has ended. What was written stays. */
  async stop(): Promise<void> {
    this.#job?.abort.abort();
    await this.#job?.done;
  }

  /** `goesOn`: the last turn is an answer, and goes on. */
  async #answer(signal: AbortSignal, goesOn: boolean): Promise<void> {
    this.activity.value = { kind: 'waiting' };
    this.restored.value = undefined;
    const engine = await this.#ready(signal);
    if (signal.aborted) return;
    const { turns } = this.conversation.value;
    if (turns.length > 1 && (await engine.stats()).positions === 0) await this.#restoreMemory(engine, signal);
    const { seed, ...sampling } = settings.value.sampling;
    const options = { ...sampling, seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0]!, signal };
    const messages = toMessages(this.conversation.value);
    const index = this.conversation.value.turns.length - (goesOn ? 1 : 0);
    const said = this.#begin(index);
    let end: AnswerEnd = { reason: 'interrupted', firstTokenMs: 0, tokensPerSecond: 0 };
    let saved = Number.NEGATIVE_INFINITY; // so that the first words are saved at once
    try {
      for await (const piece of engine.generate(messages, options)) {
        if (piece.kind === 'reading') this.#showReading(piece, false);
        if (piece.kind === 'text' || piece.kind === 'reasoning') {
          said[piece.kind] = (said[piece.kind] ?? '') + piece.text;
          this.#showAnswer(index, said);
          if (performance.now() - saved > saveEveryMs) {
            saved = performance.now();
            void this.#saveTurn(index, { ...said });
          }
        }
        if (piece.kind === 'end') {
          const { reason, firstTokenMs, tokensPerSecond } = piece;
          end = { reason, firstTokenMs, tokensPerSecond };
        }
        this.memory.touch(engine);
      }
    } catch (error) {
      if (isBudgetFull(error)) end.reason = 'budget_full';
      throw error;
    } finally {
      if (said.text !== '' || said.reasoning || end.reason === 'end_of_turn')
        await this.#finishAnswer(index, said, end);
      await this.#look();
      this.#keepMemorySoon();
    }
  }

  /** What has been said of the answer `index`, which is live from now on. */
  #begin(index: number): Turn {
    const { turns } = this.conversation.value;
    const { text, reasoning } = turns[index] ?? { text: '' };
    const begun: Turn = { role: 'assistant', text, ...(reasoning !== undefined && { reasoning }) };
    batch(() => {
      this.#showLive(begun);
      if (turns[index]) this.#update({ turns: [...turns.slice(0, index), { ...begun }] });
    });
    return begun;
  }

  #showLive({ text, reasoning }: Pick<Turn, 'text' | 'reasoning'>): void {
    this.live.value = text;
    this.liveReasoning.value = reasoning ?? '';
  }

  #showAnswer(index: number, said: Turn): void {
    batch(() => {
      this.#showLive(said);
      if (this.activity.value.kind !== 'answering') this.activity.value = { kind: 'answering' };
      const { turns } = this.conversation.value;
      if (turns.length === index) this.#update({ turns: [...turns, { role: 'assistant', text: '' }] });
    });
  }

  async #finishAnswer(index: number, said: Turn, end: AnswerEnd): Promise<void> {
    const turn: Turn = { ...said, end };
    batch(() => {
      this.#update({ turns: [...this.conversation.value.turns.slice(0, index), turn] });
      this.activity.value = idle;
      if (end.tokensPerSecond > 0) this.tokensPerSecond.value = end.tokensPerSecond;
    });
    await this.#save(index);
  }

  #showReading({ done, total }: Extract<Piece, { kind: 'reading' }>, again: boolean): void {
    const before = this.activity.value;
    const since = before.kind === 'reading' ? before.since : performance.now();
    this.activity.value = { kind: 'reading', again, done, total, since };
  }

  // ---- memory

  /** Keeps memory in another way from now on, also in the middle of an answer. Nothing is read again. */
  async setMemory(wanted: TieredMemory): Promise<void> {
    change({ memory: wanted });
    const engine = this.#engine;
    if (!engine) return;
    if (this.model.value) this.guard.look(this.model.value.info.identity, wanted.preset);
    try {
      const { needed } = await keepAs(engine, wanted);
      this.neededBytes.value = needed;
      if (needed !== undefined) change({ memory: { ...wanted, budgetBytes: needed } });
    } catch (error) {
      this.fault.value = explain(error, { doing: 'answering' });
    }
    await this.#look();
  }

  /** What to raise the budget to once it is full. */
  raisedBudget(needed: number): number {
    return raisedBudget(this.memory.stats.value?.budgetBytes || settings.value.memory.budgetBytes, needed);
  }

  /** After the budget was full: raises it, and goes on with what had to wait. */
  async goOnWithMore(needed: number): Promise<void> {
    await this.setMemory({ ...settings.value.memory, budgetBytes: this.raisedBudget(needed) });
    const last = this.conversation.value.turns.at(-1);
    if (last?.role === 'user') await this.answer();
    else if (last?.end?.reason === 'budget_full') await this.continueAnswer();
    else await this.#alone((signal) => this.#reread(signal));
  }

  /** Reads the conversation again: what had become coarser than it has to be is as sharp as it can be. */
  async sharpen(): Promise<void> {
    await this.#forgetSnapshot(this.conversation.value.id);
    await this.#alone(async (signal) => {
      await this.#startAfresh(signal);
      await this.#reread(signal);
    });
  }

  /**
   * Finds out which layers of the model must be guarded, once for a model and preset, in at most `maxMs` of computing.
   * For idle time. An empty conversation begins with what is found; any other one is as it is, and the next begins so.
   */
  async checkCompression(maxMs: number): Promise<void> {
    const [engine, model] = [this.#engine, this.model.value];
    if (!engine || !model) return;
    const found = await this.guard.check(engine, model.info.identity, settings.value.memory.preset, maxMs);
    const empty = this.conversation.value.turns.length === 0 && this.activity.value.kind === 'idle';
    if (found?.guardedLayers.length && empty && engine === this.#engine)
      await this.#alone(async (signal) => {
        await this.#startAfresh(signal);
        await this.#look();
      });
  }

  /** An empty memory, as the settings and the guard say. */
  async #emptyMemory(engine: Engine, model: string): Promise<void> {
    const { memory } = settings.value;
    const guardedLayers = this.guard.layers(model, memory.preset);
    await engine.reset({ preset: memory.preset, guardedLayers }).catch(unlessIncompressible);
    await keepAs(engine, memory).catch(unlessIncompressible);
  }

  async #startAfresh(signal: AbortSignal): Promise<void> {
    const engine = await this.#ready(signal);
    if (this.model.value) await this.#emptyMemory(engine, this.model.value.info.identity);
    this.memory.clear();
  }

  // ---- memory that outlives the tab

  #snapshotOf(): SnapshotOf {
    const model = this.model.value!.info.identity;
    const guardedLayers = this.guard.layers(model, settings.value.memory.preset);
    return { id: this.conversation.value.id, model, guardedLayers };
  }

  #keepMemorySoon(): void {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = setTimeout(() => void this.#keepMemory(), keepMemoryAfterMs);
  }

  async #keepMemory(): Promise<void> {
    clearTimeout(this.#keepTimer);
    this.#keepTimer = undefined;
    const [engine, stats] = [this.#engine, this.memory.stats.value];
    const settled = this.activity.value.kind === 'idle' && !this.elsewhere.value;
    if (!engine || !this.#snapshots || !settled || !stats?.positions || stats.bytes > largestSnapshot) return;
    const of = this.#snapshotOf();
    try {
      const snapshot = await engine.save();
      if (engine !== this.#engine || of.id !== this.conversation.value.id) return;
      await this.#snapshots.save(of, snapshot);
    } catch {
      // No room, or rows for comparison: the conversation will be read again.
    }
  }

  async #forgetSnapshot(id: string): Promise<void> {
    await this.#snapshots?.remove(id).catch(() => {});
  }

  /**
   * Brings back the memory of this conversation, if it was kept. What is missing of it, or wrong with it, is read by
   * whoever calls. A tab that died of this will not try it again.
   */
  async #restoreMemory(engine: Engine, signal: AbortSignal): Promise<void> {
    const { id } = this.conversation.value;
    if (!this.#snapshots || !this.model.value) return;
    const started = performance.now();
    try {
      if (localStorage.getItem(restoring) === id) throw new Error('the last attempt did not end');
      const snapshot = await this.#snapshots.load(this.#snapshotOf());
      if (!snapshot || signal.aborted) return;
      localStorage.setItem(restoring, id);
      await engine.restore(snapshot);
      await keepAs(engine, settings.value.memory).catch(unlessIncompressible);
      const { positions } = await engine.stats();
      this.restored.value = { tokens: positions, ms: performance.now() - started };
    } catch {
      await this.#forgetSnapshot(id);
    } finally {
      forgetKey(restoring);
    }
  }

  async setSystemPrompt(systemPrompt: string): Promise<void> {
    await this.#makeOwn();
    change({ systemPrompt });
    await this.stop();
    this.#update({ systemPrompt });
    if (this.conversation.value.turns.length === 0) return;
    await this.#saveSummary();
    await this.#alone((signal) => this.#reread(signal));
  }

  async #reread(signal: AbortSignal): Promise<void> {
    const engine = await this.#ready(signal);
    const { turns } = this.conversation.value;
    if (turns.length === 0) await this.#startAfresh(signal);
    else {
      if ((await engine.stats()).positions === 0) await this.#restoreMemory(engine, signal);
      for await (const piece of engine.read(toMessages(this.conversation.value), { signal })) {
        if (piece.kind === 'reading') this.#showReading(piece, true);
        if (piece.kind === 'end' && piece.promptTokens > 0) this.#keepMemorySoon();
        this.memory.touch(engine);
      }
    }
    await this.#look();
  }

  async #look(): Promise<void> {
    if (this.#engine) await this.memory.look(this.#engine);
    if (this.conversation.value.turns.length > 0) await this.#saveSummary();
  }

  // ---- conversations

  /** Fetches the list and the conversation that was open last. */
  async restore(id: string | undefined): Promise<void> {
    this.summaries.value = await this.#store.list();
    const last = id ? await this.#store.load(id) : undefined;
    if (last) this.#show(last);
  }

  async openConversation(id: string): Promise<void> {
    await this.stop();
    const found = await this.#store.load(id);
    if (!found) return;
    this.#show(found);
    await this.#alone(async (signal) => {
      await this.#startAfresh(signal);
      await this.#reread(signal);
    });
  }

  async newConversation(): Promise<void> {
    await this.stop();
    this.#show(emptyConversation(settings.value.systemPrompt));
    if (this.#engine) await this.#alone((signal) => this.#reread(signal));
  }

  async rename(id: string, title: string): Promise<void> {
    const summary = this.summaries.value.find((entry) => entry.id === id);
    if (!summary || !title.trim()) return;
    if (id === this.conversation.value.id) this.#update({ title: title.trim() });
    await this.#keep(() => this.#store.saveSummary({ ...summary, title: title.trim() }));
    this.summaries.value = await this.#store.list();
  }

  async remove(id: string): Promise<void> {
    const current = id === this.conversation.value.id;
    if (current ? this.elsewhere.value : await isHeld(id)) {
      this.fault.value = openElsewhere();
      return;
    }
    await this.#forgetSnapshot(id);
    if (id === this.conversation.value.id) await this.newConversation();
    await this.#keep(() => this.#store.remove(id));
    this.summaries.value = await this.#store.list();
  }

  search(words: string): Promise<Set<string>> {
    return this.#store.search(words);
  }

  #show(conversation: Conversation): void {
    batch(() => {
      this.conversation.value = { ...conversation, turns: closeInterrupted(conversation.turns) };
      this.memory.clear();
      this.neededBytes.value = undefined;
      this.fault.value = undefined;
      this.restored.value = undefined;
      this.#showLive({ text: '' });
    });
    this.#hold();
  }

  // ---- one tab at a time

  #hold(): void {
    const { id } = this.conversation.value;
    this.#holding.hold(id, () => void this.#takeOver(id));
  }

  /** The other tab has closed the conversation: it is shown as that tab left it. */
  async #takeOver(id: string): Promise<void> {
    const found = await this.#store.load(id);
    if (!found || id !== this.conversation.value.id || this.activity.value.kind === 'answering') return;
    this.conversation.value = { ...found, turns: closeInterrupted(found.turns) };
    if (this.#engine) await this.#alone((signal) => this.#reread(signal));
  }

  /** Before something is said: a conversation that another tab has goes on in a copy. */
  async #makeOwn(): Promise<void> {
    await this.#holding.known;
    if (!this.elsewhere.value) return;
    this.conversation.value = { ...this.conversation.value, id: crypto.randomUUID(), created: Date.now() };
    this.#hold();
    await this.#holding.known;
    await this.saveAll();
  }

  /** Fetches the list again: other tabs may have changed it. */
  async refreshList(): Promise<void> {
    this.summaries.value = await this.#store.list();
  }

  // ---- saving

  /** Saves everything of this conversation, for the button that follows a failure. */
  async saveAll(): Promise<void> {
    this.fault.value = undefined;
    const { turns } = this.conversation.value;
    for (const [index, turn] of turns.entries()) await this.#saveTurn(index, turn);
    await this.#saveSummary();
  }

  /** For the moment in which the tab may be going away. */
  saveNow(): void {
    if (this.#keepTimer !== undefined) void this.#keepMemory();
    const { turns } = this.conversation.value;
    if (this.activity.value.kind !== 'answering' || turns.length === 0) return;
    const reasoning = this.liveReasoning.value;
    void this.#saveTurn(turns.length - 1, {
      role: 'assistant',
      text: this.live.value,
      ...(reasoning && { reasoning }),
    });
  }

  async #save(index: number): Promise<void> {
    const turn = this.conversation.value.turns[index];
    if (turn) await this.#saveTurn(index, turn);
    await this.#saveSummary();
  }

  async #saveTurn(index: number, turn: Turn): Promise<void> {
    if (this.elsewhere.value) return;
    const { id } = this.conversation.value;
    await this.#keep(() => this.#store.saveTurn(id, index, turn));
  }

  async #saveSummary(): Promise<void> {
    if (this.elsewhere.value) return;
    const { id, title, created, updated, systemPrompt } = this.conversation.value;
    const before = this.summaries.value.find((summary) => summary.id === id);
    const { stats } = this.memory;
    const core = stats.value?.tiers.map((tier) => ({ bits: drawnBits(tier), positions: tier.positions }));
    const tokens = stats.value?.positions ?? before?.tokens ?? 0;
    const summary: Summary = { id, title, created, updated, systemPrompt, tokens, core: core ?? before?.core ?? [] };
    const others = this.summaries.value.filter((entry) => entry.id !== id);
    this.summaries.value = [...others, summary].sort((a, b) => b.updated - a.updated);
    await this.#keep(() => this.#store.saveSummary(summary));
  }

  async #cut(length: number): Promise<void> {
    const { id, turns } = this.conversation.value;
    if (turns.length <= length) return;
    this.#update({ turns: turns.slice(0, length) });
    await this.#keep(() => this.#store.cut(id, length));
  }

  async #keep(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.fault.value = notSaved(error);
    }
  }

  #update(part: Partial<Conversation>): void {
    const updated = part.turns ? Date.now() : this.conversation.value.updated;
    this.conversation.value = { ...this.conversation.value, updated, ...part };
  }

  // ---- one thing at a time

  /** Ends what is going on, then does `work`. */
  async #alone(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const before = this.#job;
    before?.abort.abort();
    const abort = new AbortController();
    const done = (async () => {
      await before?.done;
      if (abort.signal.aborted) return;
      clearTimeout(this.#keepTimer);
      this.fault.value = undefined;
      try {
        await work(abort.signal);
      } catch (error) {
        if (abort.signal.aborted) return;
        this.#failed ??= this.model.value;
        this.fault.value ??= explain(error, { doing: 'answering' });
      } finally {
        this.activity.value = idle;
      }
    })();
    this.#job = { abort, done };
    await done;
  }
}

function forgetKey(key: string): void {
  try {
    localStorage.removeItem(key);
  } catch {
    // storage is blocked: nothing was kept either
  }
}

const isBudgetFull = (error: unknown) => error instanceof StrataError && error.code === 'budget_full';

/** A model whose heads cannot be compressed takes no budget; it is kept exact. */
function unlessIncompressible(error: unknown): void {
  if (!(error instanceof StrataError && error.code === 'invalid_argument')) throw error;
}

/** Applies what is wished, with a budget that the model and the conversation fit. `needed`: what the conversation needs, where that is more. */
async function keepAs(engine: Engine, { preset, budgetBytes }: TieredMemory): Promise<{ needed?: number }> {
  const { leastBudgetBytes } = await engine.stats();
  try {
    await engine.setMemory({ preset, budgetBytes: budgetBytes && Math.max(budgetBytes, leastBudgetBytes) });
    return {};
  } catch (error) {
    const needed = error instanceof StrataError ? error.neededBytes : undefined;
    if (needed === undefined) throw error;
    await engine.setMemory({ preset, budgetBytes: needed });
    return { needed };
  }
}
