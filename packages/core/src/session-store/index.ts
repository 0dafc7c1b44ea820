export type { ImportReport } from "./import.js";
export {
  FileSessionStore,
  type ChatMessage,
  type FileSessionStoreOptions,
  type SessionData,
} from "./store.js";
