// The engine's worker.
import { createEngine } from './engine';
import { webHost } from './wasm_host';
import { serve } from './worker_calls';

serve(self as DedicatedWorkerGlobalScope, (engineFolder) => createEngine(webHost(engineFolder)));
