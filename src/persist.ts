// Role: the entry `capstan/persist`: references that can be stored.
// State: none. Must not know: anything of its own.

export { type Crossing, saveGateway, type Translate } from "./persist/gateway.js";
export { KeyPair } from "./persist/keys.js";
export {
  type Lifetime,
  Realm,
  type RealmOptions,
  type RestoreContext,
  type SavedEntry,
} from "./persist/realm.js";
export { Restorer } from "./persist/restorer.js";
export { save, type SaveOptions, type SealFor } from "./persist/save.js";
export { SturdyRef } from "./persist/sturdy-ref.js";
export { MemoryTokenStore, type TokenEntry, type TokenStore } from "./persist/token-store.js";
