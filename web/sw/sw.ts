/// <reference lib="webworker" />
// One service worker for three things. It keeps the app for use without network; it keeps the embedded models, in a cache
// of their own, so that an update of the app does not download them again; and it adds the COOP/COEP headers to what it
// serves, so that threads also work on hosts that cannot send headers. It never takes over a running page by itself.
import {
  addPlugins,
  cleanupOutdatedCaches,
  matchPrecache,
  type PrecacheEntry,
  precacheAndRoute,
} from 'workbox-precaching';
import type { ServiceWorkerCall } from './messages';

declare const self: ServiceWorkerGlobalScope;

const files = self.__WB_MANIFEST as PrecacheEntry[]; // the build puts the list here
const isModel = (entry: PrecacheEntry) => entry.url.endsWith('.gguf');
// The revision is part of the key: another file under the same name is another model.
const models = files.filter(isModel).map(({ url, revision }) => {
  const address = new URL(url, self.location.href).href;
  return { address, key: `${address}?revision=${revision}` };
});
const modelCache = 'strata-models-v1';

function isolated(response: Response): Response {
  if (response.status === 0) return response; // opaque: cannot be rebuilt
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  headers.set('Cross-Origin-Resource-Policy', 'same-origin');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

addPlugins([{ handlerWillRespond: async ({ response }) => isolated(response) }]);
cleanupOutdatedCaches();
precacheAndRoute(
  files.filter((entry) => !isModel(entry)),
  { ignoreURLParametersMatching: [/./] }, // index.html?anything is the page
);

// The first service worker takes the page at once, so that it can be isolated. Later ones wait until every tab is closed
// or the page asks (takeOver): an update never changes the files under a running answer.
self.addEventListener('activate', (event) => {
  event.waitUntil(Promise.all([self.clients.claim(), forgetOldModels()]));
});

self.addEventListener('fetch', (event) => {
  const model = models.find(({ address }) => address === event.request.url);
  if (model && event.request.method === 'GET') event.respondWith(serveModel(model, event));
});

async function serveModel({ key }: { key: string }, event: FetchEvent): Promise<Response> {
  const cache = await caches.open(modelCache);
  const kept = await cache.match(key);
  if (kept) return isolated(kept);
  const response = await fetch(event.request);
  if (response.status === 200) {
    const copy = response.clone();
    // An answer that breaks off is not kept: put() fails then, and so it does without room on the disk.
    event.waitUntil(cache.put(key, copy).catch(() => {}));
  }
  return isolated(response);
}

async function keepModels(): Promise<boolean> {
  const cache = await caches.open(modelCache);
  for (const { address, key } of models) {
    if (await cache.match(key)) continue;
    try {
      const response = await fetch(address);
      if (response.status !== 200) return false;
      await cache.put(key, response);
    } catch {
      return false; // offline, broken off, or no room on the disk
    }
  }
  return true;
}

async function isReadyOffline(): Promise<boolean> {
  const cache = await caches.open(modelCache);
  const kept = await Promise.all(models.map(({ key }) => cache.match(key)));
  const page = await matchPrecache('index.html');
  return page !== undefined && kept.every((response) => response !== undefined);
}

async function forgetOldModels(): Promise<void> {
  const cache = await caches.open(modelCache);
  const current = new Set(models.map(({ key }) => key));
  for (const { url } of await cache.keys()) {
    if (!current.has(url)) await cache.delete(url);
  }
}

async function takeOver(): Promise<boolean> {
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (tabs.length > 1) return false;
  await self.skipWaiting();
  return true;
}

const calls: { [N in ServiceWorkerCall]: () => Promise<boolean> } = { keepModels, isReadyOffline, takeOver };

self.addEventListener('message', (event) => {
  const call = calls[event.data as ServiceWorkerCall];
  if (call) event.waitUntil(call().then((reply) => event.ports[0]?.postMessage(reply)));
});
