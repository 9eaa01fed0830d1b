// The engine's WebAssembly in node: the browser's own single-threaded module, with its bytes handed over.
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CreateEngineModule, EngineModule } from '../../wasm/engine_module';
import type { EngineHost } from '../../web/lib';

const glue = resolve('web/public/engine/engine-st.mjs');
const wasm = resolve('web/public/engine/engine-st.wasm');

export async function instantiate(): Promise<EngineModule> {
  if (!existsSync(wasm)) throw new Error(`${wasm} is missing: cmake --preset wasm && cmake --build --preset wasm`);
  const { default: create } = (await import(/* @vite-ignore */ pathToFileURL(glue).href)) as {
    default: CreateEngineModule;
  };
  return create({ wasmBinary: readFileSync(wasm) });
}

export const nodeHost: EngineHost = { maxThreads: async () => 1, instantiate };

/** The model that is shipped with the page. */
export const defaultModel = () => readFileSync('web/public/models/pocket-chat-5.8m-q8_0.gguf');
