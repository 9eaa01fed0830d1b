/** What the benchmark asks of an engine in a page. Both engines read the same file and the same words. */
export interface Contender {
  load(file: File, options: ContenderOptions): Promise<ContenderInfo>;
  /** Reads a prompt that shares nothing with memory. `index` makes each one different. */
  prefill(promptTokens: number, index: number): Promise<Sample>;
  /** Generates greedily behind a prompt of `depth` tokens. The prompt may be in memory from the call before. */
  decode(depth: number, tokens: number): Promise<Sample>;
}

export interface ContenderOptions {
  /** As the engine spells it. */
  kv: string;
  threads: number;
  /** The longest conversation that will be asked for. */
  contextTokens: number;
}

export interface ContenderInfo {
  build: string; // what the engine says about itself: a version, or which of its builds runs
  threads: number;
  loadMs: number; // from the chosen file to an engine that answers
  loadSteps?: { start: number; read: number; open: number }; // the same, in parts
  weightBytes?: number;
}

/** A rate is tokens / ms; the caller divides, so that both engines are computed alike. */
export interface Sample {
  tokens: number;
  ms: number;
  read: number; // tokens that were not in memory before
  kvBytes?: number; // of the memory, afterwards
}

declare global {
  interface Window {
    /** page.html's one engine. The model's file is already in the page. */
    contender: Omit<Contender, 'load'> & { load(options: ContenderOptions): Promise<ContenderInfo> };
  }
}
