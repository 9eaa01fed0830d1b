// What the worker does when the page asks: the same engine that runs in-process does it.
import { answerCalls, type Port } from './protocol';
import { type Engine, StrataError } from './types';

/** Answers calls with the engine that `create` makes at the first one, from the folder of the engine's files. */
export function serve(port: Port, create: (engineFolder: string) => Engine): void {
  let engine: Engine | undefined;
  function started(): Engine {
    if (!engine) throw new StrataError('internal', 'The worker was asked for something before it was started.');
    return engine;
  }

  answerCalls(port, {
    async start({ engineFolder }) {
      engine = create(engineFolder);
      return undefined;
    },
    load: ({ source, ...options }, { part, signal }) =>
      started().load(source, { ...options, onProgress: part, signal }),
    plan: ({ source }, { signal }) => started().plan(source, { signal }),
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
    async setMemory(memory) {
      await started().setMemory(memory);
      return undefined;
    },
    save: () => started().save(),
    async restore({ snapshot }) {
      await started().restore(snapshot);
      return undefined;
    },
    guard: (options, { part, signal }) => started().guard({ ...options, onProgress: part, signal }),
    stats: () => started().stats(),
    layout: () => started().layout(),
    countTokens: ({ text }) => started().countTokens(text),
  });
}
