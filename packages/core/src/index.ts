export { Agent, type AgentOptions, type ContextGiven, type RespondOptions } from "./agent/agent.js";
export type { AgentHooks, HookedTurn } from "./agent/hooks.js";
export type {
  ModelReply,
  ModelRequest,
  OfferedField,
  OfferedRoute,
  OfferedStep,
  Provider,
  RefusedValue,
} from "./agent/provider.js";
export type {
  Branch,
  CompletionContext,
  Condition,
  FieldName,
  Route,
  RouteContext,
  Step,
} from "./agent/route.js";
export { TurnNotSavedError, type SaveOptions } from "./agent/turn-not-saved.js";
export type { PersistenceAdapter } from "./contract/adapter.js";
export type { Message, Role, StoredMessage, ToolCall } from "./contract/message.js";
export type { SessionStatus, Status } from "./contract/row.js";
export {
  CapabilityError,
  RecordConflictError,
  SessionConflictError,
  StorageError,
  ValidationError,
  WaymarkError,
  errorCodes,
  isWaymarkError,
  type ErrorCode,
  type ErrorDetails,
  type ValidationIssue,
} from "./errors.js";
export type { SessionExport } from "./persistence/export-format.js";
export type { Health } from "./persistence/health.js";
export type { MessageList, MessageQuery } from "./persistence/history.js";
export type {
  FailureEvent,
  HookEvent,
  LoadedEvent,
  PersistenceHooks,
  SaveEvent,
  SlowEvent,
  ValidateEvent,
  ValidationResult,
} from "./persistence/hooks.js";
export type { SessionInspection } from "./persistence/inspect.js";
export type { List } from "./persistence/list.js";
export { PersistenceManager, type MessageInput } from "./persistence/manager.js";
export type { EraseReport, PruneOptions, PruneReport } from "./persistence/retention.js";
export type { RecordInput } from "./persistence/record-values.js";
export type { RecordOwner, SavedRecord } from "./persistence/record-reads.js";
export type { RecordOptions } from "./persistence/record-writes.js";
export type { RecordStore } from "./persistence/records.js";
export type { SessionInfo, SessionQuery } from "./persistence/queries.js";
export type { FoundMessage, MessageSearch } from "./persistence/search.js";
export type {
  ConflictPolicy,
  ManagerOptions,
  MergeFunction,
  PersistenceOptions,
  SavedTurn,
  TurnInput,
  WriteOptions,
} from "./persistence/options.js";
export type { ChatOptions } from "./session/conversation.js";
export type { SessionEvents } from "./session/events.js";
export type { MessageDetails, SessionHandle } from "./session/handle.js";
export type { AgentResponse, Usage } from "./session/response.js";
export { completeRoute, enterRoute, enterStep, mergeCollected } from "./state/helpers.js";
export type { Migration, StoredState } from "./state/migrate.js";
export type { FieldSchema, InferData, Schema } from "./state/schema.js";
export {
  createSession,
  type RouteHistoryEntry,
  type RouteRef,
  type SessionMetadata,
  type SessionState,
  type StepRef,
} from "./state/session.js";
