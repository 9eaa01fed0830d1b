/** Strata as a library. A page uses createWorkerEngine(); createEngine() is the same engine in the calling thread. */
export { createEngine } from './engine';
export { type HubModel, modelsOfRepository, repositoryOf } from './hub';
export { canKeep, isKept, type KeptModel, keptModels, removeModel } from './kept_models';
export * from './types';
export { type EngineHost, webHost } from './wasm_host';
export { createWorkerEngine, type WorkerEngineOptions } from './worker_engine';
