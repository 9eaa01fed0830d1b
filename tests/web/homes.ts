// The two homes of the engine: in this thread, and behind a worker. In node the worker is the other end of a channel; that a
// browser's own worker does the same is for tests/page.
import { createEngine, createWorkerEngine, type Engine } from '../../web/lib';
import { serve } from '../../web/lib/worker_calls';
import { nodeHost } from './node_host';

export const homes: [string, () => Engine][] = [
  ['in process', () => createEngine(nodeHost)],
  ['behind a worker', () => createWorkerEngine({ engineFolder: 'http://localhost/', spawn })],
];

function spawn(): Worker {
  const { port1, port2 } = new MessageChannel();
  serve(port2, () => createEngine(nodeHost));
  port2.start();
  port1.start();
  return Object.assign(port1, { terminate: () => port1.close() }) as unknown as Worker;
}
