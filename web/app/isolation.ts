// Makes the page cross-origin isolated on hosts that send no COOP/COEP headers: the service worker adds them, which
// needs one reload, on the first visit only. Where service workers are blocked or fail, the page goes on without
// isolation, which means with one thread.
const patienceMs = 5000; // how long the first visit waits for the service worker
const reloadedKey = 'strata-reloaded-for-isolation';

/** Call before anything else. Registers the service worker; does not return if the page is about to reload. */
export async function ensureIsolated(): Promise<void> {
  if (!('serviceWorker' in navigator) || !import.meta.env.PROD) return;
  const { serviceWorker } = navigator;
  const active = new Promise<boolean>((done) => {
    // Fails in a private window, where the user blocks it, and where module service workers are unknown.
    serviceWorker
      .register(new URL('sw.js', document.baseURI), { type: 'module' })
      .then(() => serviceWorker.ready)
      .then(() => done(true))
      .catch(() => done(false));
    setTimeout(() => done(false), patienceMs);
  });
  if (self.crossOriginIsolated) {
    forget(reloadedKey);
    return;
  }
  if (remembers(reloadedKey) || !(await active)) return; // one reload, never a loop
  if (!remember(reloadedKey)) return; // without a memory of it, the reload could loop
  location.reload();
  await new Promise(() => {}); // the page is going away
}

// sessionStorage throws where storage is blocked.
function remember(key: string): boolean {
  try {
    sessionStorage.setItem(key, 'yes');
    return true;
  } catch {
    return false;
  }
}
function remembers(key: string): boolean {
  try {
    return sessionStorage.getItem(key) !== null;
  } catch {
    return true;
  }
}
function forget(key: string): void {
  try {
    sessionStorage.removeItem(key);
  } catch {
    // nothing was remembered either
  }
}
