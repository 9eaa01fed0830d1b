// The engine in this thread: the worker runs it, and so do tests in node. It decides what is read and when others get a
// turn; every number is computed in C++ (wasm/bindings.cpp).
import type {
  EngineModule,
  Failure,
  GuardStep,
  NativeEngine,
  NativePlan,
  SessionOptions,
} from '../../wasm/engine_module';
import { type ChatTemplate, chatTemplate, type Rendered } from './chat_template';
import { type Continuation, continuation, type Turn } from './conversation';
import { canKeep, removeModel } from './kept_models';
import { cancelPart, gigabytes, openSource, readInto, readStart, throwIfAborted, tooLarge } from './model_source';
import { type AnswerPart, ReasoningSplitter } from './reasoning';
import { checkSnapshot } from './snapshot';
import { pause, Turnstile } from './tasks';
import {
  type Engine,
  type ErrorCode,
  type GenerateOptions,
  type GuardOptions,
  type GuardReport,
  type LoadOptions,
  type MemoryOptions,
  type MemoryPreset,
  type MemoryStats,
  type Message,
  type ModelInfo,
  type ModelPlan,
  type ModelSource,
  type Piece,
  type Snapshot,
  type StopReason,
  StrataError,
  type TieredMemory,
} from './types';
import type { EngineHost } from './wasm_host';

const mostThreads = 8; // by default: beyond this, memory bandwidth and not computing is the limit
// How many tokens are read at once, and so many layers at a time: many tokens share what it costs to read the weights.
// Results do not depend on it.
const firstPace = { tokens: 32, layers: 1 };
const mostTokens = 64;
const stepMs = 120; // how long some layers of a batch should take, so that Stop works within 200 ms
const unheardMs = 16; // how long an answer is written before messages are let in: a pause costs a tenth of a millisecond
const header = { first: 4 * 2 ** 20, most: 64 * 2 ** 20 }; // bytes of a file to look for its header in
const guardStepMs = 60; // of one step of the guard: how long a person may have to wait for it
const tokensPerPanel = 8; // from so many on the kernels multiply them together

export function createEngine(host: EngineHost): Engine {
  return new InProcessEngine(host);
}

/** A model in a WebAssembly instance of its own: dropping the instance frees everything. */
interface Loaded {
  module: EngineModule;
  native: NativeEngine;
  template: ChatTemplate;
  info: ModelInfo;
  memory: MemoryOptions; // of the next conversation
}

/** Tokens to read, and the turns that will be in memory when they are. */
interface Reading {
  tokens: number[];
  turns: Turn[];
}

interface Prompt extends Reading {
  /** Where the person's turn begins, which can be taken back as a whole. undefined: it has been read. */
  asked: number | undefined;
  /** Where the answer to it begins, which can be taken back too. undefined: it goes on, or nothing is answered. */
  answered: number | undefined;
  /** What the template writes before the answer. */
  opening: string;
}

class InProcessEngine implements Engine {
  #host: EngineHost;
  #loaded: Loaded | undefined;
  #turns: Turn[] = [];
  #pace = firstPace; // of reading this model
  /** Everything that changes the conversation waits for its turn: an answer that is being stopped ends first. */
  #turnstile = new Turnstile();

  constructor(host: EngineHost) {
    this.#host = host;
  }

  async load(source: ModelSource, options: LoadOptions = {}): Promise<ModelInfo> {
    const leave = await this.#turnstile.enter();
    try {
      const { signal } = options;
      throwIfAborted(signal);
      const onProgress = options.onProgress ?? (() => {});
      const open = await openSource(source, signal, onProgress); // what does not answer leaves the old model alone
      this.#drop();
      const wanted = Math.max(1, Math.min(options.threads ?? mostThreads, await this.#host.maxThreads()));
      const module = await this.#host.instantiate(wanted).catch(async (error: unknown) => {
        await cancelPart(open.first);
        throw error;
      });
      const native = new module.Engine();
      try {
        const parts = await readInto(native, open, signal, onProgress);
        const size = parts.reduce((sum, part) => sum + part, 0);
        onProgress({ phase: 'open', loaded: size, total: size });
        await pause(); // let the progress be shown: opening does not yield
        throwIfAborted(signal);
        checkRoom(native, size, parts[0]!);
        check(native.open(size, parts));
        const memory = openMemory(native, options.memory ?? {}, module.PThread ? wanted : 1);
        this.#loaded = { module, native, memory, ...describeModel(native) };
        this.#pace = firstPace;
      } catch (error) {
        dispose(module, native);
        await forgetIfDamaged(source, error);
        throw error;
      }
      return this.#loaded.info;
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  // In an instance of its own: it may be asked while a model is in use, or before there is one.
  async plan(source: ModelSource, { signal }: { signal?: AbortSignal } = {}): Promise<ModelPlan> {
    const module = await this.#host.instantiate(1);
    const native = new module.Engine();
    try {
      for (let count = header.first; ; count *= 4) {
        const { bytes, fileBytes, allBytes } = await readStart(source, count, signal);
        if (!native.reserve(bytes.length)) throw new StrataError('out_of_memory', 'There is no room for the header.');
        native.bytes().set(bytes);
        const plan = native.plan(bytes.length, fileBytes, allBytes);
        const goesOn = 'code' in plan && plan.code === 'corrupt_file' && bytes.length < fileBytes;
        if (!goesOn || count >= header.most) return withVerdict(check(plan));
      }
    } catch (error) {
      throw error instanceof StrataError ? error : new StrataError('internal', String(error));
    } finally {
      dispose(module, native);
    }
  }

  async *generate(input: Message[] | string, options: GenerateOptions = {}): AsyncGenerator<Piece> {
    const leave = await this.#turnstile.enter();
    try {
      const started = performance.now();
      const { native, template } = this.#need();
      const isText = typeof input === 'string';
      const goesOn = !isText && input.at(-1)?.role === 'assistant';
      const prompt = isText ? this.#appendText(input) : this.#continue(input, !goesOn);
      if (!(yield* this.#read(prompt, options.signal))) {
        yield ended('aborted', prompt.tokens.length);
        return;
      }
      if (native.position() === 0)
        throw new StrataError('invalid_argument', 'The prompt is empty: there is nothing to answer.');
      const { signal, stop = [], ...sampling } = options;
      check(native.start({ ...sampling, stop: isText ? stop : [...template.stop, ...stop] }));
      const said = isText ? undefined : new Said(goesOn ? input.at(-1)! : prompt);
      const remember = () => said && this.#remember(prompt, goesOn, said);
      yield* this.#answer(prompt, said ?? new Said(), remember, started, signal);
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  async *read(messages: Message[], options: { signal?: AbortSignal } = {}): AsyncGenerator<Piece> {
    const leave = await this.#turnstile.enter();
    try {
      const prompt = this.#continue(messages, false);
      const complete = yield* this.#read(prompt, options.signal);
      yield ended(complete ? 'end_of_turn' : 'aborted', prompt.tokens.length);
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  async reset(memory?: MemoryOptions): Promise<void> {
    const leave = await this.#turnstile.enter();
    try {
      const loaded = this.#need();
      const { native, info } = loaded;
      const wanted = sessionOptions(memory ?? loaded.memory, info.threads);
      this.#turns = [];
      const failed = native.openSession(wanted);
      if (failed) {
        check(native.openSession(sessionOptions(loaded.memory, info.threads))); // as it was, but empty
        check(failed);
      }
      loaded.memory = memory ?? loaded.memory;
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  // Waits for nobody: between two tokens, memory can change.
  async setMemory(memory: TieredMemory): Promise<void> {
    try {
      const loaded = this.#need();
      checkBudget(memory.budgetBytes);
      check(loaded.native.setMemory(memory.preset, memory.budgetBytes));
      loaded.memory = { ...loaded.memory, ...memory };
    } catch (error) {
      throw this.#asStrataError(error);
    }
  }

  async save(): Promise<Snapshot> {
    const leave = await this.#turnstile.enter();
    try {
      return { memory: check(this.#need().native.save()), turns: structuredClone(this.#turns) };
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  async restore(snapshot: Snapshot): Promise<void> {
    const leave = await this.#turnstile.enter();
    try {
      const { native, info } = this.#need();
      const { memory, turns } = checkSnapshot(snapshot);
      check(native.restore(memory, { threads: info.threads }));
      this.#turns = turns.filter(({ end }) => end <= native.position());
    } catch (error) {
      throw this.#asStrataError(error);
    } finally {
      leave();
    }
  }

  // Does not enter: it lets everybody else go first, and nothing that they do concerns it.
  async guard({ preset = 'quality', maxMs = 30_000, onProgress, signal }: GuardOptions = {}): Promise<GuardReport> {
    try {
      const loaded = this.#need();
      check(loaded.native.beginGuard({ preset, threads: 1 }));
      try {
        let spent = 0;
        for (let size = tokensPerPanel; ; ) {
          await pause();
          await this.#turnstile.idle();
          if (signal?.aborted || this.#loaded !== loaded)
            throw new StrataError('aborted', 'The check of the memory was stopped.');
          const started = performance.now();
          const step = check(loaded.native.stepGuard(size));
          const took = performance.now() - started;
          spent += took;
          size = batchSize((guardStepMs / took) * size, 1);
          onProgress?.(step.progress);
          const outcome = guardOutcome(step, spent, maxMs);
          if (outcome) return guardReport(preset, outcome, step);
        }
      } finally {
        if (this.#loaded === loaded) loaded.native.endGuard();
      }
    } catch (error) {
      throw this.#asStrataError(error);
    }
  }

  async stats(): Promise<MemoryStats> {
    return this.#need().native.stats();
  }

  async layout(): Promise<{ first: number; end: number }[]> {
    this.#need();
    return this.#turns.map(({ end }, index) => ({ first: this.#turns[index - 1]?.end ?? 0, end }));
  }

  async countTokens(text: string): Promise<number> {
    return this.#need().native.encode(wellFormed(text), false, []).length;
  }

  async close(): Promise<void> {
    const leave = await this.#turnstile.enter();
    this.#drop();
    leave();
  }

  // ---- reading

  /** Makes memory end where `messages` leave it, or before, and says what is to be read from there. */
  #continue(messages: Message[], answer: boolean): Prompt {
    const { native, template } = this.#need();
    if (messages.length === 0)
      throw new StrataError('invalid_argument', 'The conversation is empty: there is no message to read.');
    const plan = continuation(template, this.#turns, messages, answer);
    const kept = this.#endOf(plan.kept);
    // What would follow the last token is known only once it has been read: its turn is read again.
    const lastAgain = !answer && plan.kept === messages.length && native.position() > kept;
    const again = this.#goBack(plan.kept, lastAgain ? plan.kept - 1 : plan.kept);
    const coming = tokenize(native, kept, messages.slice(plan.kept), plan, answer);
    const tokens = [...again.tokens, ...coming.tokens];
    const turns = [...again.turns, ...coming.turns];
    return { tokens, turns, ...this.#begins(turns, answer), opening: coming.opening };
  }

  #appendText(text: string): Prompt {
    const { native } = this.#need();
    const asked = native.position();
    const tokens = withBos(native, asked, native.encode(wellFormed(text), false, []));
    return { tokens, turns: [], asked, answered: undefined, opening: '' };
  }

  /**
   * Forgets all but the first `kept` turns, so that reading goes on after `whole` of these. Where that needs tokens to be
   * read again (a budget, or layers with a window, no longer have what they saw), they are forgotten too, and returned.
   */
  #goBack(kept: number, whole: number): Reading {
    const { native } = this.#need();
    const start = native.startFor(this.#endOf(whole));
    const tokens = native.tokens(start, this.#endOf(kept));
    check(native.truncate(start));
    const staying = this.#turns.slice(0, kept);
    this.#turns = staying.filter(({ end }) => end <= start);
    return { tokens, turns: staying.slice(this.#turns.length) };
  }

  /** The position where so many turns end. */
  #endOf(turns: number): number {
    return this.#turns[turns - 1]?.end ?? 0;
  }

  /** Where, of turns to read, the person's last one begins, and the answer to it. */
  #begins(turns: Turn[], answer: boolean): Pick<Prompt, 'asked' | 'answered'> {
    const beginOf = (index: number) => turns[index - 1]?.end ?? this.#endOf(this.#turns.length);
    const asked = turns.map(({ message }) => message.role).lastIndexOf('user');
    const answered = turns.length - (turns.at(-1)?.message.role === 'assistant' ? 1 : 0);
    return {
      asked: asked < 0 ? undefined : beginOf(asked),
      answered: answer || answered < turns.length ? beginOf(answered) : undefined,
    };
  }

  /** Reads tokens batch by batch, with progress. Turns enter the history as soon as they are read. False: stopped. */
  async *#read({ tokens, turns, asked, answered }: Prompt, signal?: AbortSignal): AsyncGenerator<Piece, boolean> {
    const { native } = this.#need();
    const coming = [...turns];
    for (let done = 0; ; ) {
      const position = native.position();
      while (coming[0] && coming[0].end <= position) this.#turns.push(coming.shift()!);
      if (tokens.length > 0) yield { kind: 'reading', done, total: tokens.length };
      if (done === tokens.length) return true;
      if (position === asked) native.beginTurn();
      const inTurn = asked === undefined || position >= asked;
      if (inTurn && answered !== undefined) native.beginAnswer(answered);
      const most = inTurn ? this.#pace.tokens : Math.min(this.#pace.tokens, asked - position);
      const read = await this.#readBatch(tokens.slice(done, done + most), signal);
      if (read === 0) return false;
      done += read;
    }
  }

  /** One micro-batch, some layers after the other. 0: stopped, and then nothing was read. */
  async #readBatch(tokens: number[], signal: AbortSignal | undefined): Promise<number> {
    const { native, info } = this.#need();
    for (let layer = 0; ; ) {
      await pause();
      if (signal?.aborted) return 0;
      const layers = Math.min(this.#pace.layers, info.layers - layer);
      const started = performance.now();
      const read = check(native.appendSome(tokens, layers));
      layer += layers;
      this.#pace = paceOf(stepMs / (performance.now() - started), tokens.length, layers);
      if (read > 0) return read;
    }
  }

  // ---- answering

  async *#answer(
    prompt: Prompt,
    said: Said,
    remember: () => void,
    started: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Piece> {
    const { native } = this.#need();
    const reading = performance.now() - started;
    const first = native.position();
    const tokens: number[] = [];
    const pieces = (parts: AnswerPart[]) => parts.map((part) => ({ ...part, positions: native.position() }));
    let firstTokenMs = 0;
    let reason: StopReason | 'none' = 'none';
    try {
      for (let heard = Number.NEGATIVE_INFINITY; reason === 'none'; ) {
        if (performance.now() - heard >= unheardMs) {
          await pause();
          heard = performance.now();
        }
        if (signal?.aborted) {
          reason = 'aborted';
          break;
        }
        const step = check(native.step());
        if (tokens.length === 0) firstTokenMs = performance.now() - started;
        if (step.stop !== 'end_of_turn') tokens.push(step.token);
        reason = step.stop;
        if (step.text) yield* pieces(said.push(step.text));
      }
      if (reason === 'stop_text') this.#cutAfter(said.text, tokens, first);
      yield* pieces(said.finish());
    } finally {
      // Also when the reader of the answer left the loop, or the budget is full: what was said stays in memory.
      said.finish();
      if (this.#loaded) remember();
    }
    const seconds = (performance.now() - started - reading) / 1000;
    yield {
      ...ended(reason, prompt.tokens.length),
      generatedTokens: tokens.length,
      firstTokenMs,
      tokensPerSecond: tokens.length === 0 ? 0 : tokens.length / seconds,
    };
  }

  /** The answer enters the history: as a turn of its own, or at the end of the one that it goes on with. */
  #remember(prompt: Prompt, goesOn: boolean, said: Said): void {
    const begun = goesOn ? this.#turns.pop() : undefined;
    const text = (begun?.text ?? prompt.opening) + said.text;
    const end = this.#need().native.position();
    this.#turns.push({ message: said.after(begun?.message), text, end, clean: true });
  }

  /** Forgets the tokens of a stop text: those after the one that completes what was shown. */
  #cutAfter(text: string, tokens: number[], first: number): void {
    const { native } = this.#need();
    let shown = tokens.length;
    while (shown > 0 && native.decode(tokens.slice(0, shown - 1), false).length >= text.length) --shown;
    const cut = native.truncate(first + shown); // may have to read something again, and fail half-way
    while (this.#endOf(this.#turns.length) > native.position()) this.#turns.pop();
    check(cut);
  }

  // ---- life and death

  #need(): Loaded {
    if (!this.#loaded) throw new StrataError('not_loaded', 'No model is loaded. Call load() first.');
    return this.#loaded;
  }

  #drop(): void {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    this.#turns = [];
    if (loaded) dispose(loaded.module, loaded.native);
  }

  /** Traps end the WebAssembly instance: nothing in it can be trusted any more. */
  #asStrataError(error: unknown): StrataError {
    if (error instanceof StrataError) return error;
    if (!(error instanceof WebAssembly.RuntimeError)) {
      return new StrataError('internal', error instanceof Error ? error.message : String(error));
    }
    this.#loaded?.module.PThread?.terminateAllThreads();
    this.#loaded = undefined;
    this.#turns = [];
    return new StrataError(
      'worker_died',
      `The engine stopped (${error.message}): most likely it ran out of memory. The conversation is kept; load the model again to go on.`,
    );
  }
}

/** An answer as it grows: all of its text, and what of it is reasoning. */
class Said {
  text = '';
  #parts = { text: '', reasoning: '' };
  #splitter: ReasoningSplitter | undefined;

  /** `before`: what the answer begins after, or goes on with. Without it, nothing is taken for reasoning. */
  constructor(before?: { opening: string } | Message) {
    this.#splitter = before && new ReasoningSplitter(before);
  }

  push(text: string): AnswerPart[] {
    this.text += text;
    return this.#count(this.#splitter?.push(text) ?? [{ kind: 'text', text }]);
  }

  finish(): AnswerPart[] {
    return this.#count(this.#splitter?.finish() ?? []);
  }

  /** The message that `begun` becomes with this at its end. */
  after(begun: Message | undefined): Message {
    const reasoning = (begun?.reasoning ?? '') + this.#parts.reasoning;
    const content = (begun?.content ?? '') + this.#parts.text;
    return { role: 'assistant', content, ...(reasoning !== '' && { reasoning }) };
  }

  #count(parts: AnswerPart[]): AnswerPart[] {
    for (const { kind, text } of parts) this.#parts[kind] += text;
    return parts;
  }
}

/** undefined: it goes on. A first pass that cannot fit is given up as soon as that shows. */
function guardOutcome(step: GuardStep, spent: number, maxMs: number): GuardReport['outcome'] | undefined {
  if (step.done) return 'checked';
  const firstPass = step.kldWithout < 0;
  const forecast = firstPass && step.progress > 0.05 ? spent / step.progress : spent;
  if (forecast <= maxMs) return undefined;
  return firstPass ? 'too_slow' : 'unsearched';
}

function guardReport(preset: MemoryPreset, outcome: GuardReport['outcome'], step: GuardStep): GuardReport {
  const { guardedLayers, kldWithout, kld } = step;
  const known = outcome !== 'too_slow';
  return {
    preset,
    outcome,
    guardedLayers,
    kldWithout: known ? kldWithout : undefined,
    kld: outcome === 'checked' ? kld : undefined,
  };
}

function sessionOptions({ forgetBeyond, ...memory }: MemoryOptions, threads: number): SessionOptions {
  const evaluation = forgetBeyond === undefined ? {} : { visibleWindow: forgetBeyond };
  if ('rows' in memory) return { ...memory.rows, ...evaluation, threads };
  const { preset = 'quality', budgetBytes = 0, guardedLayers = [] } = memory;
  checkBudget(budgetBytes);
  return { preset, budgetBytes, guardedLayers, ...evaluation, threads };
}

function checkBudget(bytes: number): void {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return;
  throw new StrataError(
    'invalid_argument',
    `A memory budget of ${bytes} bytes: expected a whole number, or 0 for none.`,
  );
}

function withVerdict({ presets, ...plan }: NativePlan): ModelPlan {
  return { ...plan, presets, runs: Object.values(presets).some((preset) => (preset?.tokens ?? 0) > 0) };
}

/** A model that leaves no room for a conversation is refused here as plan() refuses it. */
function checkRoom(native: NativeEngine, size: number, firstPart: number): void {
  if (size < native.tabBytes() / 2) return; // small models need not be looked at twice
  const { weightBytes, workingBytes, windowBytes } = check(native.plan(firstPart, firstPart, size));
  const needs = weightBytes + workingBytes + windowBytes;
  if (needs > native.tabBytes()) throw tooLarge(gigabytes(needs), native);
}

/** A kept file that is no model would fail the same way for ever. */
async function forgetIfDamaged(source: ModelSource, error: unknown): Promise<void> {
  const damaged = error instanceof StrataError && (error.code === 'corrupt_file' || error.code === 'not_gguf');
  if (damaged && source.kind === 'url' && source.keep && canKeep()) await removeModel(source.url).catch(() => {});
}

/** What fits a step of reading, when `ratio` times as much as so many tokens and layers does. */
function paceOf(ratio: number, tokens: number, layers: number): typeof firstPace {
  const fitting = ratio * tokens * layers;
  const size = batchSize(fitting, tokensPerPanel);
  return { tokens: size, layers: Math.max(1, Math.floor(fitting / size)) };
}

/** The most tokens that fit, in halves of a full batch: kernels like even numbers. */
function batchSize(fitting: number, least: number): number {
  let size = mostTokens;
  while (size > least && size > fitting) size /= 2;
  return size;
}

function describeModel(native: NativeEngine): { template: ChatTemplate; info: ModelInfo } {
  const template = chatTemplate(native.chatTemplate(), {
    special: native.specialTexts(),
    bos: native.bos() < 0 ? '' : native.decode([native.bos()], true),
    eos: native.eos() < 0 ? '' : native.decode([native.eos()], true),
  });
  const { origin, name } = template;
  return {
    template,
    info: { ...native.info(), template: { origin, name }, simd: native.simd(), threads: native.threads() },
  };
}

function dispose(module: EngineModule, native: NativeEngine): void {
  try {
    native.delete();
  } finally {
    module.PThread?.terminateAllThreads();
  }
}

/** What is to be read from `position` on for the messages that are not in memory, and the opening of the answer. */
function tokenize(
  native: NativeEngine,
  position: number,
  messages: Message[],
  { rendered, from, ends }: Continuation,
  answer: boolean,
): Reading & { opening: string } {
  const lastEnd = ends.at(-1) ?? from;
  const body = encode(native, rendered, from, answer ? rendered.text.length : lastEnd);
  const tokens = withBos(native, position, body);
  // The text is encoded in one piece, as the model's authors did. Where a turn encoded alone gives the same tokens, its
  // end is a border between tokens.
  let at = from;
  let n = tokens.length - body.length;
  let clean = true;
  const turns = ends.map((end, index): Turn => {
    const alone = encode(native, rendered, at, end);
    clean &&= alone.every((id, i) => id === tokens[n + i]);
    n = !answer && index === ends.length - 1 ? tokens.length : Math.min(n + alone.length, tokens.length);
    const text = rendered.text.slice(at, end);
    at = end;
    return { message: messages[index]!, text, end: position + n, clean };
  });
  return { tokens, turns, opening: rendered.text.slice(lastEnd) };
}

// Special tokens are recognised, but for those that a message only imitates.
function encode(native: NativeEngine, rendered: Rendered, from: number, to: number): number[] {
  const literal: number[] = [];
  let bytes = 0;
  let at = from;
  for (const position of rendered.literal) {
    if (position < from || position >= to) continue;
    bytes += utf8Length(rendered.text.slice(at, position));
    at = position;
    literal.push(bytes, bytes + utf8Length(String.fromCodePoint(rendered.text.codePointAt(position)!)));
  }
  return native.encode(wellFormed(rendered.text.slice(from, to)), true, literal);
}

/** Half a surrogate pair, which has no UTF-8, becomes U+FFFD, as TextEncoder does it. */
const wellFormed = (text: string) => text.replace(/\p{Surrogate}/gu, '\ufffd');

const utf8Length = (text: string) => new TextEncoder().encode(text).length;

/** The beginning-of-text token comes once, at the start of memory, if the model wants it and the template did not write it. */
function withBos(native: NativeEngine, position: number, tokens: number[]): number[] {
  const missing = position === 0 && native.wantsBos() && native.bos() >= 0 && tokens[0] !== native.bos();
  return missing && tokens.length > 0 ? [native.bos(), ...tokens] : tokens;
}

/** A model whose heads cannot be compressed (see MemoryOptions) is kept exact rather than refused. */
function openMemory(native: NativeEngine, memory: MemoryOptions, threads: number): MemoryOptions {
  const failed = native.openSession(sessionOptions(memory, threads));
  if (!failed) return memory;
  if (failed.code !== 'invalid_argument' || 'rows' in memory || memory.budgetBytes) check(failed);
  const exact: MemoryOptions = { ...memory, preset: 'exact' };
  check(native.openSession(sessionOptions(exact, threads)));
  return exact;
}

function check<T>(reply: T | Failure): T {
  if (typeof reply === 'object' && reply !== null && 'code' in reply) {
    throw new StrataError(reply.code as ErrorCode, reply.message);
  }
  return reply as T;
}

function ended(reason: StopReason, promptTokens: number): Extract<Piece, { kind: 'end' }> {
  return { kind: 'end', reason, promptTokens, generatedTokens: 0, firstTokenMs: 0, tokensPerSecond: 0 };
}
