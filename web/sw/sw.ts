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
import { relaxedSimdWorks } from '../lib/relaxed_simd';
import type { ServiceWorkerCall } from './messages';

declare const self: ServiceWorkerGlobalScope;

const built = self.__WB_MANIFEST as PrecacheEntry[]; // the build puts the list here
// Of the two engines of each kind, the one that this browser will choose.
const isRelaxed = (entry: PrecacheEntry) => /^engine\/engine-..-relaxed\./.test(entry.url);
const relaxed = built.some(isRelaxed) && relaxedSimdWorks();
const files = built.filter((entry) => !/^engine\/engine-../.test(entry.url) || isRelaxed(entry) === relaxed);

// Kept when they are used or asked for, not with the app: a first visit downloads one engine, and the models once.
interface Extra {
  address: string;
  key: string; // the revision is part of it: another file under the same name is another file
  always: boolean; // false: only where the engine has no threads
}
const isModel = (entry: PrecacheEntry) => entry.url.endsWith('.gguf');
const isExtra = (entry: PrecacheEntry) => isModel(entry) || entry.url.startsWith('engine/engine-st');
const extras = files.filter(isExtra).map((entry): Extra => {
  const address = new URL(entry.url, self.location.href).href;
  return { address, key: `${address}?revision=${entry.revision}`, always: isModel(entry) };
});
const extrasCache = 'strata-extras-v1';

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
  files.filter((entry) => !isExtra(entry)),
  { ignoreURLParametersMatching: [/./] }, // index.html?anything is the page
);

// A first service worker works at once, but takes the page only when that is asked for (keep); later ones wait until every
// tab is closed or the page asks (takeOver): an update never changes the files under a running answer.
self.addEventListener('activate', (event) => event.waitUntil(forgetOldExtras()));

self.addEventListener('fetch', (event) => {
  const extra = extras.find(({ address }) => address === event.request.url);
  if (extra && event.request.method === 'GET') event.respondWith(serve(extra, event));
});

async function serve({ key }: Extra, event: FetchEvent): Promise<Response> {
  const cache = await caches.open(extrasCache);
  const kept = await cache.match(key);
  if (kept) return isolated(kept);
  const response = await fetch(event.request);
  if (response.status === 200) {
    // An answer that breaks off is not kept: put() fails then, and also when there is no room on the disk.
    event.waitUntil(cache.put(key, response.clone()).catch(() => {}));
  }
  return isolated(response);
}

const needed = (threads: boolean) => extras.filter(({ always }) => always || !threads);

async function keep(threads: boolean): Promise<boolean> {
  // So that what the page fetches later comes from here too. Not earlier, and not waited for: in Firefox this ends when
  // all workers of the page have taken notice, which threads that are being started, or sleep, never do; an engine that
  // was starting then hung, and while activation waited for it, so did every request, a reload too.
  void self.clients.claim();
  const cache = await caches.open(extrasCache);
  for (const { address, key } of needed(threads)) {
    if (await cache.match(key)) continue;
    try {
      const response = await fetch(address);
      if (response.status !== 200) return false;
      await cache.put(key, response);
    } catch {
      return false; // offline, broken off, or no room on the disk
    }
  }
  return isKept(threads);
}

async function isKept(threads: boolean): Promise<boolean> {
  const cache = await caches.open(extrasCache);
  const kept = await Promise.all([matchPrecache('index.html'), ...needed(threads).map(({ key }) => cache.match(key))]);
  return kept.every((response) => response !== undefined);
}

async function forgetOldExtras(): Promise<void> {
  const cache = await caches.open(extrasCache);
  const current = new Set(extras.map(({ key }) => key));
  for (const { url } of await cache.keys()) {
    if (!current.has(url)) await cache.delete(url);
  }
}

async function takeOver(): Promise<boolean> {
  const tabs = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  if (tabs.length > 1) return false;
  void self.skipWaiting(); // it resolves late, when the old version has finished what it was doing
  return true;
}

async function answer(call: ServiceWorkerCall): Promise<boolean> {
  switch (call.name) {
    case 'keep':
      return keep(call.threads);
    case 'isKept':
      return isKept(call.threads);
    case 'takeOver':
      return takeOver();
  }
}

self.addEventListener('message', (event) => {
  event.waitUntil(answer(event.data).then((reply) => event.ports[0]?.postMessage(reply)));
});
