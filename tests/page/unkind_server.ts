// A server of one model that does what servers of models do on bad days.
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Mood {
  status?: number;
  cors?: boolean; // default: true
  ranges?: boolean; // default: true
  dropAfter?: number; // bytes of a response; when they have arrived, the connection breaks
  flip?: number; // position of a byte that arrives wrong
  end?: number; // the file ends here, and the server thinks that is right
  announce?: number; // bytes that it promises, and does not have
  hash?: boolean; // whether it says the SHA-256, as the hub does
  bytesPerSecond?: number;
}

export interface UnkindServer {
  url: string;
  mood: Mood;
  requests: { path: string; from: number; sent: number }[];
  stop(): Promise<void>;
}

const pieceBytes = 64 * 1024;
const arrivalMs = 300;

export async function serveUnkindly(files: Record<string, Buffer>): Promise<UnkindServer> {
  const server: Server = createServer(async (request, response) => {
    const { mood } = unkind;
    const { pathname } = new URL(request.url!, 'http://host');
    const whole = files[pathname];
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
    if (mood.cors !== false) {
      headers['access-control-allow-origin'] = '*';
      headers['access-control-allow-headers'] = 'range';
      headers['access-control-expose-headers'] = 'content-range, etag, x-linked-etag';
    }
    if (request.method === 'OPTIONS') return void response.writeHead(204, headers).end();
    if (mood.status || !whole) return void response.writeHead(mood.status ?? 404, headers).end('no');
    if (mood.hash) headers['x-linked-etag'] = `"${createHash('sha256').update(whole).digest('hex')}"`;
    const file = Buffer.from(whole.subarray(0, mood.end ?? whole.length));
    if (mood.flip !== undefined) file[mood.flip]! ^= 1;
    const range = mood.ranges === false ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const from = range ? Number(range[1]) : 0;
    const to = range?.[2] ? Math.min(Number(range[2]) + 1, file.length) : file.length;
    const total = mood.announce ?? file.length;
    headers['content-length'] = String((range?.[2] ? to : total) - from);
    if (range) headers['content-range'] = `bytes ${from}-${to - 1}/${total}`;
    const entry = { path: pathname, from, sent: 0 };
    unkind.requests.push(entry);
    response.writeHead(range ? 206 : 200, headers);
    for (let at = from; at < to && !response.destroyed; at += pieceBytes) {
      const piece = file.subarray(at, Math.min(at + pieceBytes, to));
      if (mood.dropAfter !== undefined && at - from >= mood.dropAfter) {
        await new Promise((arrived) => setTimeout(arrived, arrivalMs)); // a browser drops what it has not handed on
        return void response.destroy();
      }
      await new Promise<void>((written) => response.write(piece, () => written()));
      entry.sent += piece.length;
      const { bytesPerSecond } = range?.[2] ? {} : unkind.mood; // may change on the way; a look at the header is quick
      if (bytesPerSecond) await new Promise((done) => setTimeout(done, (piece.length / bytesPerSecond) * 1000));
    }
    if (mood.announce) response.destroy();
    else response.end();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const unkind: UnkindServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    mood: {},
    requests: [],
    async stop() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
  return unkind;
}
