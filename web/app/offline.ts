// What the page can say and do about working without network, and about updates. The work is done in web/sw/sw.ts.
import type { ServiceWorkerCall } from '../sw/messages';

const answerMs = 120_000; // keeping a model takes as long as its download
const takeOverMs = 5000;

/**
 * Keeps the embedded models, and tells whether the page can now start and chat without network. `threads`: whether the
 * engine has any here.
 */
export async function keepForOffline(threads: boolean): Promise<boolean> {
  const worker = await activeWorker();
  return worker ? ask(worker, { name: 'keep', threads }) : false;
}

/** Calls back when a new version has been downloaded and waits; also if it was waiting already. */
export async function onUpdateWaiting(callback: () => void): Promise<void> {
  const registration = await currentRegistration();
  if (!registration) return;
  const watch = () => {
    const { installing } = registration;
    installing?.addEventListener('statechange', () => {
      if (installing.state === 'installed' && registration.active) callback();
    });
  };
  if (registration.waiting && registration.active) callback();
  watch();
  registration.addEventListener('updatefound', watch);
}

/**
 * Lets the waiting version take over and reloads. Ask for it only while nothing is being answered. Returns false, and
 * changes nothing, while another tab uses the old version.
 */
export async function applyUpdate(): Promise<boolean> {
  const waiting = (await currentRegistration())?.waiting;
  if (!waiting) return false;
  // The old version first finishes what it is serving. Where that takes long, the reload ends it.
  const changed = new Promise<void>((done) => {
    navigator.serviceWorker.addEventListener('controllerchange', () => done(), { once: true });
    setTimeout(done, takeOverMs);
  });
  if (!(await ask(waiting, { name: 'takeOver' }))) return false;
  await changed;
  location.reload();
  return true;
}

async function currentRegistration(): Promise<ServiceWorkerRegistration | undefined> {
  if (!('serviceWorker' in navigator) || !import.meta.env.PROD) return undefined;
  return navigator.serviceWorker.getRegistration();
}

/** Waits for a first installation to finish; undefined where there is none. */
async function activeWorker(): Promise<ServiceWorker | undefined> {
  if (!(await currentRegistration())) return undefined;
  return (await navigator.serviceWorker.ready).active ?? undefined;
}

function ask(worker: ServiceWorker, call: ServiceWorkerCall): Promise<boolean> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const tired = setTimeout(() => resolve(false), answerMs);
    port1.onmessage = ({ data }: MessageEvent<boolean>) => {
      clearTimeout(tired);
      port1.close();
      resolve(data);
    };
    worker.postMessage(call, [port2]);
  });
}
