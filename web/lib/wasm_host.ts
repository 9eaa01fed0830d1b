// Where the WebAssembly engine comes from in a browser.
import { threads } from 'wasm-feature-detect';
import type { CreateEngineModule, EngineModule } from '../../wasm/engine_module';
import { relaxedSimdWorks } from './relaxed_simd';
import { StrataError } from './types';

// The glue waits for its threads for ever, and browsers have been seen to lose one. Long enough for a slow network.
const longestSilence = 60_000; // ms

/** Gives the engine its module; tests in node bring their own. */
export interface EngineHost {
  /** How many threads can run at once here. */
  maxThreads(): Promise<number>;
  /** A module with its own memory, ready to run that many threads; where it has no PThread, one. */
  instantiate(threads: number): Promise<EngineModule>;
}

/**
 * `folder`: the URL where engine-st.mjs, engine-mt.mjs, what they need and, where they were built, the same with
 * "-relaxed" are served, with a slash at the end.
 */
export function webHost(folder: string): EngineHost {
  // Threads share memory, which browsers allow on cross-origin isolated pages only, and some not even there.
  const canThread = async () => self.crossOriginIsolated && (await threads());

  async function start(engine: 'engine-mt' | 'engine-st', count: number): Promise<EngineModule> {
    const name = folder + engine;
    try {
      const create = await importGlue(name, relaxedSimdWorks());
      return await unlessSilent((onSign) =>
        create.module({
          locateFile: (file) => folder + file,
          mainScriptUrlOrBlob: create.glue,
          threads: count,
          monitorRunDependencies: onSign,
        }),
      );
    } catch (error) {
      throw new StrataError('internal', `The engine could not be started from ${name}.mjs: ${String(error)}`);
    }
  }

  return {
    maxThreads: async () => ((await canThread()) ? navigator.hardwareConcurrency : 1),
    async instantiate(count) {
      if (!(await canThread())) return start('engine-st', 1);
      try {
        // Also for one thread: this is the module that the service worker keeps for use without network.
        return await start('engine-mt', count);
      } catch (error) {
        // A browser that has shared memory may yet refuse as much as the engine's may grow to, or lose a thread.
        return start('engine-st', 1).catch(() => {
          throw error;
        });
      }
    },
  };
}

/** What `begin` promises; fails when `onSign` has not been called for too long. */
function unlessSilent<T>(begin: (onSign: () => void) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onSign = () => {
      clearTimeout(timer);
      timer = setTimeout(() => reject(new Error(`it made no progress for ${longestSilence / 1000} s`)), longestSilence);
    };
    onSign();
    begin(onSign)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/** Imported by URL at run time: bundling would break how the glue finds its own worker and .wasm file. */
async function importGlue(name: string, relaxed: boolean): Promise<{ glue: string; module: CreateEngineModule }> {
  const glue = `${name}${relaxed ? '-relaxed' : ''}.mjs`;
  try {
    const { default: module } = (await import(/* @vite-ignore */ glue)) as { default: CreateEngineModule };
    return { glue, module };
  } catch (error) {
    if (relaxed) return importGlue(name, false); // it was not built
    throw error;
  }
}
