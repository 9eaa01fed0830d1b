// Serves a folder the way a simple host does: without COOP/COEP headers where a test does not set them, without knowing
// anything of Strata.
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { text } from 'node:stream/consumers';

const types: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

/** The headers of a host that isolates its pages. */
export const isolating = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

export interface PlainServer {
  url: string;
  /** Changes what is sent for a path ("/sw.js"); undefined: 404. Replace it while the server runs to publish a new version. */
  change: (path: string, body: Buffer) => Buffer | undefined;
  /** What is served besides, by path. */
  more: Record<string, string>;
  headers: Record<string, string>;
  /** Is given what pages post, to any path. */
  received: (body: string) => void;
  stop(): Promise<void>;
}

export async function servePlain(folder: string): Promise<PlainServer> {
  const server: Server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://host');
    const path = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    if (request.method === 'POST') {
      plain.received(await text(request));
      response.writeHead(204).end();
      return;
    }
    try {
      const more = plain.more[path];
      const file = more ? Buffer.from(more) : await readFile(join(folder, normalize(decodeURIComponent(path))));
      const body = plain.change(path, file);
      if (!body) throw new Error('not found');
      const type = types[extname(path)] ?? 'application/octet-stream';
      response
        .writeHead(200, {
          'content-type': type,
          'content-length': body.length,
          'cache-control': 'no-cache',
          ...plain.headers,
        })
        .end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const plain: PlainServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    change: (_path, body) => body,
    more: {},
    headers: {},
    received: () => {},
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return plain;
}
