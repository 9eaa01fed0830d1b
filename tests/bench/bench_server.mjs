// Serves the benchmark's page and the files of both engines, with or without the headers that allow threads.
import { once } from 'node:events';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

const contentTypes = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** The file that a path means. `folders`: prefix of the path to folder; the longest prefix that fits wins. */
function fileOf(path, folders) {
  const prefixes = Object.keys(folders).filter((prefix) => path.startsWith(prefix));
  const prefix = prefixes.sort((a, b) => b.length - a.length)[0];
  return join(folders[prefix], path.slice(prefix.length));
}

function sizeOf(file) {
  try {
    const status = statSync(file);
    return status.isFile() ? status.size : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {Record<string, string>} folders '/prefix/' to folder; '/' must be among them
 * @param {boolean} isolated
 */
export async function serve(folders, isolated) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
    const file = fileOf(path, folders);
    const size = sizeOf(file);
    if (size === undefined) return response.writeHead(404).end();
    const contentType = contentTypes[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, {
      'Content-Type': contentType,
      'Content-Length': size,
      'Cache-Control': 'no-store',
      ...(isolated ? isolation : {}),
    });
    createReadStream(file).pipe(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/`, close: () => server.close() };
}
