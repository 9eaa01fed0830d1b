/** What the page, or a developer's own page, talks to. One interface with two homes: in-process, and behind a worker. */

/** Where a model's bytes come from. `name` is shown to people and never used to guess anything. */
export type ModelSource = { kind: 'url'; url: string; name?: string } | { kind: 'file'; file: Blob; name?: string };

export type LoadPhase = 'download' | 'open';
export interface LoadProgress {
  phase: LoadPhase;
  loaded: number; // bytes
  total: number | undefined; // bytes; undefined while the server does not say
}

export type KvType = 'fp32' | 'fp16' | 'q8_0' | 'q4_0' | 'hq4_0' | 'turbo_kv_4b';
export interface MemoryOptions {
  keyType: KvType;
  valueType: KvType;
  keyWindow: number; // the newest N keys are exact
  valueWindow: number;
}

export interface LoadOptions {
  memory?: Partial<MemoryOptions>;
  threads?: number; // default: what the machine and isolation allow
  onProgress?: (progress: LoadProgress) => void;
  signal?: AbortSignal;
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
  vocabulary: number;
  /** Which chat template is in use: the file's own, or a named fallback because the file has none. */
  template: { origin: 'file' | 'fallback'; name: string };
  simd: string;
  threads: number;
}

/** Oldest first; every position in exactly one tier. */
export interface MemoryTier {
  name: string;
  first: number;
  positions: number;
  keyBits: number;
  valueBits: number;
  bytes: number;
}
export interface MemoryStats {
  policy: string;
  positions: number;
  bytes: number; // allocated
  bytesFp16: number; // a plain FP16 cache of as many positions
  bytesFp32: number;
  tiers: MemoryTier[];
  heapBytes: number; // the whole WebAssembly memory
}

export type Role = 'system' | 'user' | 'assistant';
export interface Message {
  role: Role;
  content: string;
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
  | 'invalid_argument'
  | 'not_found' // HTTP 4xx
  | 'server' // HTTP 5xx, a body that ends early
  | 'network' // offline, CORS, DNS: fetch does not say which
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
}

export interface Engine {
  /** Loads a model, in place of any other. On failure nothing half-loaded stays in memory. */
  load(source: ModelSource, options?: LoadOptions): Promise<ModelInfo>;

  /**
   * Continues the conversation. Messages: those already in memory are not read again; only the template's suffix for
   * what is new is appended (history is append-only). A conversation that differs from the one in memory is read from
   * where it differs. Text: appended as it is, without a template. Leaving the loop, or aborting, stops the engine
   * after the current token; the text so far stays in memory.
   */
  generate(input: Message[] | string, options?: GenerateOptions): AsyncIterable<Piece>;

  /** Reads a conversation into memory without answering, with progress: after a reload or a change of settings. */
  read(messages: Message[], options?: { signal?: AbortSignal }): AsyncIterable<Piece>;

  /** Starts an empty conversation, with other memory settings if given. */
  reset(memory?: Partial<MemoryOptions>): Promise<void>;

  stats(): Promise<MemoryStats>;
  /** Where in memory each message lies, in the order of the conversation: token positions [first, end). */
  layout(): Promise<{ first: number; end: number }[]>;
  countTokens(text: string): Promise<number>;
  close(): Promise<void>;
}
