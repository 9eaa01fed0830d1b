/** Strata as a library. A page uses createWorkerEngine(); createEngine() is the same engine in the calling thread. */
export { createEngine } from './engine';
export * from './types';
export { type EngineHost, webHost } from './wasm_host';
export { createWorkerEngine, type WorkerEngineOptions } from './worker_engine';
