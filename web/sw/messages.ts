/** What the page asks of the service worker. Every request carries a port for its reply (see web/app/offline.ts). */
export interface ServiceWorkerCalls {
  /** Keep the embedded models for use without network. Reply: whether all of them are kept now. */
  keepModels: boolean;
  /** Whether everything for a start without network is kept. */
  isReadyOffline: boolean;
  /** Let the waiting update take over, if no other tab is using the old version. Reply: whether it does. */
  takeOver: boolean;
}
export type ServiceWorkerCall = keyof ServiceWorkerCalls;
