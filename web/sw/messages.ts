/** What the page asks of the service worker. Every request carries a port for its reply (see web/app/offline.ts). */
export type ServiceWorkerCall =
  /**
   * Keep what a start without network needs and is not part of the app's own files: the embedded models and, on a page
   * that is not isolated, the engine without threads. Reply: whether everything is kept now.
   */
  | { name: 'keep'; isolated: boolean }
  /** Only look. Reply: as for keep. */
  | { name: 'isKept'; isolated: boolean }
  /** Let the waiting update take over, if no other tab is using the old version. Reply: whether it does. */
  | { name: 'takeOver' };
