// The engine's worker: what the page asks is done by the same engine that runs in-process.
import { createEngine } from './engine';
import { answerCalls } from './protocol';
import { type Engine, StrataError } from './types';
import { webHost } from './wasm_host';

let engine: Engine | undefined;
function started(): Engine {
  if (!engine) throw new StrataError('internal', 'The worker was asked for something before it was started.');
  return engine;
}

answerCalls(self as DedicatedWorkerGlobalScope, {
  async start({ engineFolder }) {
    engine = createEngine(webHost(engineFolder));
    return undefined;
  },
  load: ({ source, ...options }, { part, signal }) => started().load(source, { ...options, onProgress: part, signal }),
  async generate({ input, options }, { part, signal }) {
    for await (const piece of started().generate(input, { ...options, signal })) part(piece);
    return undefined;
  },
  async read({ messages }, { part, signal }) {
    for await (const piece of started().read(messages, { signal })) part(piece);
    return undefined;
  },
  async reset({ memory }) {
    await started().reset(memory);
    return undefined;
  },
  stats: () => started().stats(),
  layout: () => started().layout(),
  countTokens: ({ text }) => started().countTokens(text),
});
