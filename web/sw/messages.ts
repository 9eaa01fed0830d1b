/** What the page asks of the service worker. Every request carries a port for its reply (see web/app/offline.ts). */
export type ServiceWorkerCall =
  /**
   * Serve this page from now on, and keep what a start without network needs and is not part of the app's own files: the
   * embedded models and, where the engine has no threads, the one that needs none. Ask for it only while no engine is
   * starting. Reply: whether everything is kept now.
   */
  | { name: 'keep'; threads: boolean }
  /** Only look. Reply: as for keep. */
  | { name: 'isKept'; threads: boolean }
  /** Let the waiting update take over, if no other tab is using the old version. Reply: whether it does. */
  | { name: 'takeOver' };
