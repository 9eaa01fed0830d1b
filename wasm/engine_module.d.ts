/** What bindings.cpp exports, as TypeScript sees it. */

export interface Failure {
  code: string;
  message: string;
}

/** What is left out keeps the engine's default (engine/kv/kv_options.h, engine/session.h). */
export interface SessionOptions {
  preset?: string; // with one: tiles in tiers. Without: rows, as the next four say
  budgetBytes?: number;
  keyType?: string;
  valueType?: string;
  keyWindow?: number;
  valueWindow?: number;
  guardedLayers?: number[];
  visibleWindow?: number;
  distanceClamp?: number;
  threads?: number;
}

/** What is left out keeps the engine's default (engine/sampler/sampler.h, engine/session.h). */
export interface GenerationOptions {
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repeatPenalty?: number;
  repeatLastN?: number;
  seed?: number;
  maxTokens?: number;
  stop?: string[];
}

export interface Step {
  token: number;
  text: string;
  stop: 'none' | 'end_of_turn' | 'stop_text' | 'max_tokens';
}

/** `presets` lacks those that the model's heads do not fit. `tokens`: of conversation, in a tab of `tabBytes`. */
export interface NativePlan {
  name: string;
  architecture: string;
  weightTypes: string;
  parameters: number; // 0: unknown
  weightBytes: number;
  workingBytes: number;
  windowBytes: number;
  trainedLength: number;
  presets: { [preset: string]: { bytesPerToken: number; windowedBytes: number; tokens: number } | undefined };
  tabBytes: number;
}

/** kldWithout below 0: the first pass has not ended, nothing is known. */
export interface GuardStep {
  done: boolean;
  progress: number;
  kldWithout: number;
  kld: number;
  guardedLayers: number[];
}

/** One model and one conversation. Calls in the order of the file: bytes, model, tokenizer, conversation. */
export interface NativeEngine {
  tabBytes(): number; // the most that a model and its conversation can have together
  /** Room for so many bytes, keeping what was written. False: there is none, and nothing has changed. */
  reserve(size: number): boolean;
  /** A view of linear memory: valid until memory grows, so ask again after every other call. */
  bytes(): Uint8Array;
  /** `partBytes`: the sizes of the files of a split model, which lie one after the other; [] for one file. */
  open(size: number, partBytes: number[]): Failure | undefined;
  /** From the first `read` bytes of a file. `corrupt_file` may mean that its header is longer. */
  plan(read: number, fileBytes: number, allBytes: number): NativePlan | Failure;
  info(): {
    name: string;
    architecture: string;
    parameters: number;
    weightBytes: number;
    weightTypes: string;
    trainedLength: number;
    layers: number;
    kvHeads: number;
    headDim: number;
    windowedLayers: number;
    window: number;
    vocabulary: number;
    identity: string;
  };
  chatTemplate(): string | undefined;

  /** `literal`: begin, end, begin, end, … in bytes of the UTF-8 text; special tokens that touch these stay text. */
  encode(text: string, parseSpecial: boolean, literal: number[]): number[];
  decode(ids: number[], showControl: boolean): string;
  specialTexts(): string[];
  bos(): number;
  eos(): number;
  wantsBos(): boolean;

  openSession(options: SessionOptions): Failure | undefined;
  /** Up to one micro-batch, so many layers at a time: how many of the tokens were read. 0: call again with the same. */
  appendSome(ids: number[], layers: number): number | Failure;
  beginTurn(): void;
  /** The answer begins at this position, which may be still to come. */
  beginAnswer(position: number): void;
  /** Ids in memory, of positions from `first` to before `end`. */
  tokens(first: number, end: number): number[];
  /** How many of the first tokens stay in memory when truncate(position) is called; the others are read again. */
  startFor(position: number): number;
  /** Whether what follows will be bit for bit what it would have been the first time. */
  truncate(position: number): boolean | Failure;
  setMemory(preset: string, budgetBytes: number): Failure | undefined;
  save(): Uint8Array | Failure;
  /** Of the options, only `threads` counts. On failure the conversation in memory is as it was. */
  restore(snapshot: Uint8Array, options: SessionOptions): Failure | undefined;
  start(options: GenerationOptions): Failure | undefined;
  step(): Step | Failure;
  stats(): {
    policy: string;
    positions: number;
    bytes: number;
    bytesFp16: number;
    bytesFp32: number;
    tiers: { name: string; first: number; positions: number; keyBits: number; valueBits: number; bytes: number }[];
    budgetBytes: number;
    leastBudgetBytes: number;
    keptBytes: number;
    spareBytes: number;
    thawedPositions: number;
    windowedBytes: number;
    heapBytes: number;
  };
  position(): number;
  scratchBytes(): number;
  simd(): string;
  threads(): number;
  /** Only with threads: 1, since the conversation has the others. `positions`: 1 to 64. */
  beginGuard(options: SessionOptions): Failure | undefined;
  stepGuard(positions: number): GuardStep | Failure;
  endGuard(): void;
  scoreDigest(ids: number[]): number | Failure;

  delete(): void;
}

export interface EngineModule {
  Engine: new () => NativeEngine;
  kernelSignature(): number;
  weightsSignature(): number;
  buildCommit(): string;
  buildCompiler(): string;
  /** Only in the threaded module. */
  PThread?: { terminateAllThreads(): void };
}

/** What the glue that Emscripten writes takes and gives. It lives in web/public/engine and is never bundled. */
export interface EngineModuleOptions {
  wasmBinary?: Uint8Array;
  locateFile?: (file: string) => string;
  mainScriptUrlOrBlob?: string;
  /** Threads to keep ready, the calling one included. Only read by the threaded module. */
  threads?: number;
  /** Told, as long as the module starts, of how many things it still waits for: its code, each of its threads. */
  monitorRunDependencies?: (left: number) => void;
}
export type CreateEngineModule = (options: EngineModuleOptions) => Promise<EngineModule>;
