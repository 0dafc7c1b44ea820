export type { PersistenceAdapter } from "./contract/adapter.js";
export type {
  RecordWrite,
  Records,
  Search,
  SearchHit,
  SearchQuery,
  StoredRecord,
} from "./contract/facets.js";
export { isExpired } from "./contract/expiry.js";
export { checkId, checkIdBytes, checkRecordKey, longestId, utf8Length } from "./contract/id.js";
export type { Json } from "./contract/json.js";
export type { MessageRepository, SessionRepository } from "./contract/repositories.js";
export type { Entry, Filter, Page, SessionRow, Status } from "./contract/row.js";
export {
  type SearchPosition,
  type SearchTerm,
  checkSearch,
  compareHits,
  encodeSearchCursor,
  searchTerms,
  searchWords,
  snippetOf,
} from "./contract/search.js";
export { applicationScope, sessionOfScope, sessionScope, userScope } from "./contract/scope.js";
export type {
  Commit,
  Committed,
  Expectation,
  LoadedRow,
  SeenRow,
  NewEntry,
  NewRecord,
  Outcome,
  RowChanges,
  Turns,
} from "./contract/turns.js";
export {
  CapabilityError,
  StorageError,
  ValidationError,
  WaymarkError,
  isWaymarkError,
  storageError,
  type ErrorCode,
  type ErrorDetails,
  type StorageCode,
} from "./errors.js";
export { decodeValue } from "./codec/decode.js";
export { encodeValue } from "./codec/encode.js";
export { type Applied, applyCommit } from "./turn/apply.js";
export { type TurnEnvironment, systemEnvironment } from "./turn/environment.js";
export type { Merged } from "./turn/merge.js";
export type { Patience } from "./turn/patience.js";
export { type Rebased, rebase } from "./turn/rebase.js";
export type { Refused } from "./turn/refusal.js";
export { type TurnStore, createTurnStore } from "./turn/store.js";
export { historyLog, operationWindow, stampDigits } from "./turn/system.js";
export { type Range, visibleRanges } from "./turn/visible.js";
export {
  type FindPosition,
  checkFind,
  compareBytes,
  compareFound,
  decodeCursor,
  encodeCursor,
  matches,
} from "./contract/find.js";
