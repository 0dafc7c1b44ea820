export { MyStoreAdapter } from "./adapter.js";
export type { Store } from "./store.js";
