import type {
  Entry,
  LoadedRow,
  Outcome,
  PersistenceAdapter,
  SearchHit,
  SessionRow,
  StoredRecord,
} from "@waymark/core/adapter";
import { show } from "./same.js";

/** Keeps what is wrong with the way in which an adapter answers, whoever made the call. */
export interface Monitor {
  readonly callTimeoutMs: number;
  readonly faults: AdapterFault[];
  /** The first call that never answered: nothing is tested after it. */
  hung: string | null;
}

/** The adapter broke a rule that holds for every call. */
export class AdapterFault extends Error {}

export function createMonitor(callTimeoutMs: number): Monitor {
  return { callTimeoutMs, faults: [], hung: null };
}

/** Says what is wrong with an answer; null where nothing is. */
type Check = (answer: unknown) => string | null;

/** The same adapter, each call of which is bounded in time and has its answer checked. */
export function watch(adapter: PersistenceAdapter, monitor: Monitor): PersistenceAdapter {
  const { sessionRepository: sessions, messageRepository: messages, turns, records, search } = adapter;

  async function call<T>(name: string, invoke: () => Promise<T>, check: Check): Promise<T> {
    const fault = (text: string, cause?: unknown) => {
      const error = new AdapterFault(`${name} ${text}`, cause === undefined ? undefined : { cause });
      monitor.faults.push(error);
      return error;
    };
    let promise: Promise<T>;
    try {
      promise = invoke();
    } catch (error) {
      throw fault(`threw synchronously (${String(error)}); it has to return a promise that rejects`, error);
    }
    if (typeof promise !== "object" || promise === null || typeof promise.then !== "function") {
      throw fault(`returned ${show(promise)}, which is not a promise`);
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        monitor.hung ??= name;
        reject(fault(`gave no answer within ${monitor.callTimeoutMs} ms; a call has to resolve or reject`));
      }, monitor.callTimeoutMs);
    });
    try {
      const answer = await Promise.race([promise, late]);
      const problem = check(answer);
      if (problem !== null) throw fault(`resolved to ${show(answer)}: ${problem}`);
      return answer;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    name: adapter.name,
    durability: adapter.durability,
    limits: adapter.limits,
    sessionRepository: {
      create: (row) => call("sessionRepository.create", () => sessions.create(row), isBoolean),
      findById: (id) => call("sessionRepository.findById", () => sessions.findById(id), isRowOrNull),
      update: (row, seen) => call("sessionRepository.update", () => sessions.update(row, seen), isBoolean),
      delete: (id, seen) => call("sessionRepository.delete", () => sessions.delete(id, seen), isBoolean),
      find: (filter, page) => call("sessionRepository.find", () => sessions.find(filter, page), isPageOfRows),
    },
    messageRepository: {
      insert: (entries) => call("messageRepository.insert", () => messages.insert(entries), anything),
      findBySessionId: (id, range) =>
        call("messageRepository.findBySessionId", () => messages.findBySessionId(id, range), areEntries),
      deleteBySessionId: (id, range) =>
        call("messageRepository.deleteBySessionId", () => messages.deleteBySessionId(id, range), isCount),
      ...(messages.replace === undefined
        ? undefined
        : {
            replace: (entries) =>
              call(
                "messageRepository.replace",
                async () => (await messages.replace?.(entries)) ?? 0,
                isCount,
              ),
          }),
    },
    turns: turns && {
      commit: (commits) =>
        call(
          "turns.commit",
          () => turns.commit(commits),
          (answer) => areOutcomes(answer, commits.length),
        ),
      load: (id, options) => call("turns.load", () => turns.load(id, options), isLoadedOrNull),
      groups: turns.groups === true,
      ...(turns.remove === undefined
        ? undefined
        : {
            remove: (rows) =>
              call(
                "turns.remove",
                () => turns.remove?.(rows) ?? Promise.resolve([]),
                (answer) =>
                  Array.isArray(answer) &&
                  answer.length === rows.length &&
                  answer.every((one) => typeof one === "boolean")
                    ? null
                    : `it has to be ${rows.length} booleans, one a session`,
              ),
          }),
    },
    records: records && {
      get: (scope, key) => call("records.get", () => records.get(scope, key), isRecordOrNull),
      list: (scope, page) => call("records.list", () => records.list(scope, page), areRecords),
      put: (record, seen) => call("records.put", () => records.put(record, seen), isBoolean),
      apply: (writes) => call("records.apply", () => records.apply(writes), anything),
      delete: (scope, key, seen) => call("records.delete", () => records.delete(scope, key, seen), isBoolean),
      deleteScope: (scope) => call("records.deleteScope", () => records.deleteScope(scope), isCount),
      scopes: (page) => call("records.scopes", () => records.scopes(page), areTexts),
    },
    search: search && {
      query: (query) => call("search.query", () => search.query(query), isPageOfHits),
    },
    initialize: () => call("initialize", async () => adapter.initialize?.(), anything),
    flush: () => call("flush", async () => adapter.flush?.(), anything),
    disconnect: () => call("disconnect", async () => adapter.disconnect?.(), anything),
    describe: () =>
      call(
        "describe",
        async () => (await adapter.describe?.()) ?? { server: "", schemaVersion: 0, writable: true },
        isDescription,
      ),
  };
}

/** The same store as one that cannot write whole turns, so that core uses its outbox. */
export function withoutTurns(adapter: PersistenceAdapter): PersistenceAdapter {
  return { ...adapter, turns: undefined };
}

type Fields<T> = { readonly [K in keyof T]: (value: unknown) => boolean };

const isText = (value: unknown) => typeof value === "string";
const isTextOrNull = (value: unknown) => value === null || isText(value);
const isInteger = (value: unknown) => Number.isSafeInteger(value);
const isIntegerOrNull = (value: unknown) => value === null || isInteger(value);

const rowFields: Fields<SessionRow> = {
  id: isText,
  life: isText,
  revision: isText,
  version: isText,
  userId: isTextOrNull,
  agentName: isTextOrNull,
  status: (value) => ["active", "completed", "abandoned", "deleting"].includes(String(value)),
  first: isInteger,
  last: isInteger,
  lastMessageAt: isIntegerOrNull,
  createdAt: isInteger,
  updatedAt: isInteger,
  completedAt: isIntegerOrNull,
  expiresAt: isIntegerOrNull,
  route: isTextOrNull,
  step: isTextOrNull,
  state: isJson,
  dirty: (value) => typeof value === "boolean",
  system: isJson,
};

const entryFields: Fields<Entry> = {
  sessionId: isText,
  log: isText,
  sequence: isInteger,
  userId: isTextOrNull,
  role: isText,
  content: isText,
  createdAt: isInteger,
  body: isJson,
};

const recordFields: Fields<StoredRecord> = {
  scope: isText,
  key: isText,
  value: (value) => value !== null && isJson(value),
  revision: isText,
  stamp: isText,
};

const hitFields: Fields<SearchHit> = {
  sessionId: isText,
  log: isText,
  sequence: isInteger,
  role: isText,
  createdAt: isInteger,
  snippet: isText,
};

/** Plain JSON: no Date, no undefined, no object of a driver. */
export function isJson(value: unknown): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value);
    case "object":
      if (value === null) return true;
      if (Array.isArray(value)) return value.every(isJson);
      return (
        Object.prototype.toString.call(value) === "[object Object]" &&
        isPlain(value) &&
        Object.values(value).every(isJson)
      );
    default:
      return false;
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Objects of another realm are plain too, so the name decides.
  return prototype === null || (typeof prototype === "object" && Object.getPrototypeOf(prototype) === null);
}

function checkFields(
  value: unknown,
  fields: Readonly<Record<string, (field: unknown) => boolean>>,
  what: string,
): string | null {
  if (typeof value !== "object" || value === null) return `it has to be ${what}`;
  for (const [name, isRight] of Object.entries(fields)) {
    if (!Object.hasOwn(value, name)) return `${what} has to have the field \`${name}\``;
    const field: unknown = Reflect.get(value, name);
    if (!isRight(field)) return `\`${name}\` of ${what} is ${show(field)} (${typeof field})`;
  }
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(fields, name));
  return unknown === undefined ? null : `${what} has no field \`${unknown}\``;
}

const anything: Check = () => null;
const isBoolean: Check = (answer) =>
  typeof answer === "boolean" ? null : "it has to be true (done) or false (not done)";
const isCount: Check = (answer) =>
  Number.isSafeInteger(answer) && Number(answer) >= 0 ? null : "it has to be how many were removed";
const isRow: Check = (answer) => checkFields(answer, rowFields, "a session row");
const isRowOrNull: Check = (answer) => (answer === null ? null : isRow(answer));

function all(items: unknown, check: Check): string | null {
  if (!Array.isArray(items)) return "it has to be an array";
  for (const item of items) {
    const problem = check(item);
    if (problem !== null) return problem;
  }
  return null;
}

const areEntries: Check = (answer) => all(answer, (item) => checkFields(item, entryFields, "an entry"));

const isRecord: Check = (answer) => checkFields(answer, recordFields, "a record");
const isRecordOrNull: Check = (answer) => (answer === null ? null : isRecord(answer));
const areRecords: Check = (answer) => all(answer, isRecord);
const areTexts: Check = (answer) =>
  all(answer, (item) => (isText(item) ? null : `it has ${show(item)}, which is no scope`));

function isPage(answer: unknown, check: Check): string | null {
  if (typeof answer !== "object" || answer === null || !("items" in answer) || !("next" in answer))
    return "it has to be a page, `{ items, next }`";
  if (!isTextOrNull(answer.next)) return "`next` has to be a cursor or null";
  return all(answer.items, check);
}

const isPageOfRows: Check = (answer) => isPage(answer, isRow);
const isPageOfHits: Check = (answer) => isPage(answer, (item) => checkFields(item, hitFields, "a hit"));

const isLoadedOrNull: Check = (answer) => {
  if (answer === null) return null;
  const loaded: Partial<LoadedRow> = typeof answer === "object" ? answer : {};
  return isRow(loaded.row) ?? areEntries(loaded.entries);
};

const statuses: readonly Outcome["status"][] = [
  ...(["committed", "replayed", "conflict", "unknown", "exists"] as const),
  ...(["absent", "mismatch", "closed", "busy", "failed"] as const),
];

function areOutcomes(answer: unknown, count: number): string | null {
  if (!Array.isArray(answer) || answer.length !== count)
    return `it has to be ${count} outcomes, one a commit`;
  return all(answer, (outcome) => {
    const status: unknown =
      typeof outcome === "object" && outcome !== null && "status" in outcome ? outcome.status : undefined;
    return statuses.some((known) => known === status)
      ? null
      : `\`status\` has to be one of ${statuses.join(", ")}`;
  });
}

const isDescription: Check = (answer) => {
  const fields = {
    server: isText,
    schemaVersion: isInteger,
    writable: (value: unknown) => typeof value === "boolean",
  };
  return checkFields(answer, fields, "a description");
};
