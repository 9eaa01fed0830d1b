import { threads } from 'wasm-feature-detect';

/**
 * Whether the engine can have threads here. They share memory, which browsers allow on cross-origin isolated pages only,
 * and some not even there.
 */
export const canThread = async (): Promise<boolean> => self.crossOriginIsolated && (await threads());
