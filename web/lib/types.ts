/** What the page, or a developer's own page, talks to. One interface with two homes: in-process, and behind a worker. */

/**
 * Where a model's bytes come from. `name` is shown to people and never used to guess anything. A split model is given by
 * the address of its first file (-00001-of-0000N.gguf), or by all its files in order. `keep`: the files are downloaded
 * into this browser's own storage first (model_store.ts), go on where an earlier download ended, and are there the next
 * time; where there is no such storage, they are read as they come.
 */
export type ModelSource =
  | { kind: 'url'; url: string; name?: string; keep?: boolean }
  | { kind: 'file'; file: Blob | Blob[]; name?: string };

/** `waiting`: another tab is downloading the same model. `read`: from this device into memory. */
export type LoadPhase = 'waiting' | 'download' | 'read' | 'open';
export interface LoadProgress {
  phase: LoadPhase;
  loaded: number; // bytes
  total: number | undefined; // bytes; undefined while the server does not say
}

/** How precisely older memory is kept while there is room: FP32, or about 4, 3 or 2 bits for each value. */
export type MemoryPreset = 'exact' | 'quality' | 'balanced' | 'max';

/** The memory of the product. The newest tokens are exact; under a budget, the oldest become coarser, and none is dropped. */
export interface TieredMemory {
  preset: MemoryPreset;
  budgetBytes: number; // of the whole memory; 0: no budget
}

export type KvType = 'fp32' | 'fp16' | 'q8_0' | 'q4_0' | 'hq4_0' | 'turbo_kv_4b';
/** The memory of other engines, for comparison: every row in one format. It has no budget and cannot be saved. */
export interface RowMemory {
  keyType: KvType;
  valueType: KvType;
  keyWindow: number; // the newest N keys are exact
  valueWindow: number;
}

/**
 * Default: `{ preset: 'quality', budgetBytes: 0 }`. A model whose head size is no multiple of 16 loads with the preset
 * `exact` instead: its heads cannot be compressed.
 */
export type MemoryOptions = (
  | (Partial<TieredMemory> & {
      /** Layers whose older keys keep 8 bits, whatever the preset: what guard() found. Ascending. */
      guardedLayers?: number[];
    })
  | { rows: Partial<RowMemory> }
) & {
  /** For evaluation only: attention sees the newest N tokens and the first 4, as if the others had been deleted. */
  forgetBeyond?: number;
};

export interface LoadOptions {
  memory?: MemoryOptions;
  threads?: number; // default: what the machine and isolation allow
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
}

/** What a model needs, from the header of its file alone. */
export interface ModelPlan {
  name: string;
  architecture: string;
  weightTypes: string;
  parameters: number; // 0: unknown (split models)
  weightBytes: number; // in memory, and to download
  workingBytes: number; // beside the weights, about
  windowBytes: number; // the least that a conversation takes
  trainedLength: number; // tokens
  /**
   * Missing: heads of this model cannot be compressed. `tokens`: of conversation that fit in a tab. `windowedBytes`:
   * what layers that see a window take at most, however long a conversation is; `bytesPerToken` is that of the others.
   */
  presets: { [preset in MemoryPreset]?: { bytesPerToken: number; windowedBytes: number; tokens: number } };
  tabBytes: number; // what a tab can have
  runs: boolean; // whether it fits at all
}

export interface ModelInfo {
  name: string;
  architecture: string;
  parameters: number;
  weightBytes: number;
  weightTypes: string;
  trainedLength: number; // tokens
  layers: number;
  kvHeads: number;
  headDim: number;
  windowedLayers: number; // of the layers, those that see only the last `window` tokens
  window: number; // 0: there are none
  vocabulary: number;
  /** Tells models apart: a hash of the file's size, its header and samples of its weights. */
  identity: string;
  /** Which chat template is in use: the file's own, or a named fallback because the file has none. */
  template: { origin: 'file' | 'fallback'; name: string };
  simd: string;
  threads: number;
}

/** Oldest first; every position in exactly one tier. */
export interface MemoryTier {
  name: string; // exact, K4V4, K4V3, K3V3, K3V2, K2V2; of rows: turbo_kv_4b/fp16
  first: number;
  positions: number;
  keyBits: number;
  valueBits: number;
  bytes: number;
}
export interface MemoryStats {
  policy: string;
  positions: number;
  bytes: number; // allocated: all tiers, keptBytes and spareBytes
  bytesFp16: number; // a plain FP16 cache of as many positions; it too keeps only what layers with a window see
  bytesFp32: number;
  tiers: MemoryTier[];
  budgetBytes: number; // 0: none
  leastBudgetBytes: number; // the smallest budget that this model can have
  keptBytes: number; // only so that the last turn and its answer can be taken back
  spareBytes: number; // free, for what comes next
  thawedPositions: number; // in the exact window, but restored from their compressed form
  windowedBytes: number; // of `bytes`, what layers with a window hold
  heapBytes: number; // the whole WebAssembly memory
}

export interface GuardOptions {
  preset?: MemoryPreset; // default: quality
  /** The most that it may compute, in milliseconds; waiting for others does not count. Default: 30,000. */
  maxMs?: number;
  onProgress?: (share: number) => void; // 0 to 1
  signal?: AbortSignal;
}
/** Whether a model bears a compressed memory, and which of its layers do not. */
export interface GuardReport {
  preset: MemoryPreset;
  /**
   * `checked`: the answer is whole. `too_slow`: not even the first pass fits `maxMs`, nothing is known. `unsearched`:
   * some layers must be guarded, but finding out which did not fit; guardedLayers are all of them.
   */
  outcome: 'checked' | 'too_slow' | 'unsearched';
  guardedLayers: number[]; // ascending; empty: the model bears the preset as it is
  kldWithout: number | undefined; // mean KL divergence from exact memory, nats, with nothing guarded
  kld: number | undefined; // and with these layers guarded
}

/** A conversation as it is in memory: plain data, to be stored anywhere and restored with the same model. */
export interface Snapshot {
  memory: Uint8Array;
  turns: SavedTurn[];
}
export interface SavedTurn {
  message: Message;
  text: string; // as it was read or generated, with the template's text before it
  end: number; // token position
  clean: boolean; // whether the end is a border between tokens
}

export type Role = 'system' | 'user' | 'assistant';
export interface Message {
  role: Role;
  content: string;
  /** Of an answer: what the model thought before it, as it came in pieces of kind `reasoning`. */
  reasoning?: string;
}

export interface GenerateOptions {
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repeatPenalty?: number;
  repeatLastN?: number;
  seed?: number;
  maxTokens?: number;
  stop?: string[];
  signal?: AbortSignal;
}

export type StopReason = 'end_of_turn' | 'stop_text' | 'max_tokens' | 'aborted';
export type Piece =
  | { kind: 'reading'; done: number; total: number } // prompt tokens read so far
  | { kind: 'text'; text: string; positions: number } // positions: tokens in memory now
  | { kind: 'reasoning'; text: string; positions: number } // what the model thinks before it answers, without its tags
  | {
      kind: 'end';
      reason: StopReason;
      promptTokens: number; // read for this answer; what was in memory already is not counted
      generatedTokens: number;
      firstTokenMs: number;
      tokensPerSecond: number;
    };

export type ErrorCode =
  | 'not_gguf'
  | 'corrupt_file'
  | 'unsupported_arch'
  | 'unsupported_type'
  | 'unsupported_tokenizer'
  | 'out_of_memory'
  | 'budget_full' // the memory's budget is used up; nothing is lost, and setMemory() with more goes on
  | 'invalid_argument'
  | 'not_found' // HTTP 4xx
  | 'server' // HTTP 5xx, a body that ends early
  | 'network' // offline, CORS, DNS: fetch does not say which
  | 'hash_mismatch' // what arrived is not what was published
  | 'quota' // no room on this device
  | 'busy' // another tab has it
  | 'aborted'
  | 'template' // the chat template cannot be rendered
  | 'worker_died'
  | 'not_loaded'
  | 'internal';

export class StrataError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'StrataError';
  }

  /** Of `budget_full`: the smallest budget with which the conversation goes on. The engine says it in its message. */
  get neededBytes(): number | undefined {
    const bytes = this.code === 'budget_full' && /\((\d+) bytes\)/.exec(this.message)?.[1];
    return bytes ? Number(bytes) : undefined;
  }
}

export interface Engine {
  /**
   * What a model would need, before it is downloaded: reads a few megabytes. Throws what load() would throw, as far as
   * the header shows it. The model in use is not touched.
   */
  plan(source: ModelSource, options?: { signal?: AbortSignal }): Promise<ModelPlan>;

  /** Loads a model, in place of any other. On failure nothing half-loaded stays in memory. */
  load(source: ModelSource, options?: LoadOptions): Promise<ModelInfo>;

  /**
   * Continues the conversation. Messages: those already in memory are not read again; only the template's suffix for
   * what is new is appended (history is append-only). A conversation that differs from the one in memory is read from
   * where it differs. One that ends with an answer is continued in that answer. Text: appended as it is, without a
   * template. Leaving the loop, or aborting, stops the engine after the current token; the text so far stays in memory,
   * also when the budget is full.
   */
  generate(input: Message[] | string, options?: GenerateOptions): AsyncIterable<Piece>;

  /** Reads a conversation into memory without answering, with progress: after a reload or a change of settings. */
  read(messages: Message[], options?: { signal?: AbortSignal }): AsyncIterable<Piece>;

  /** Starts an empty conversation, kept in another way if one is given. */
  reset(memory?: MemoryOptions): Promise<void>;

  /**
   * Changes how memory is kept, at once and without reading anything again, also in the middle of an answer. Memory
   * becomes coarser where it must, and finer never (reset() and read() again for that). `budget_full`: the conversation
   * does not fit; nothing has changed.
   */
  setMemory(memory: TieredMemory): Promise<void>;

  /** The conversation as it is in memory. Continuing from it gives the same bits as never having stopped. */
  save(): Promise<Snapshot>;
  /**
   * In place of the conversation in memory, with the preset and budget that it was saved with. A snapshot that is
   * damaged or belongs to another model is refused (`corrupt_file`, `invalid_argument`), and memory stays as it was.
   */
  restore(snapshot: Snapshot): Promise<void>;

  /**
   * Finds the layers whose keys few bits cannot hold: a fixed text of 512 tokens is read with exact and with compressed
   * memory, in sessions of its own, beside the conversation. For idle time: it computes on one thread in small steps and
   * waits while anything else is going on. Keep the answer with `info.identity`, and give `guardedLayers` to load() or
   * reset(). `aborted`: by the signal, or because another model was loaded.
   */
  guard(options?: GuardOptions): Promise<GuardReport>;

  stats(): Promise<MemoryStats>;
  /** Where in memory each message lies, in the order of the conversation: token positions [first, end). */
  layout(): Promise<{ first: number; end: number }[]>;
  countTokens(text: string): Promise<number>;
  close(): Promise<void>;
}
