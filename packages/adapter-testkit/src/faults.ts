import { type PersistenceAdapter, StorageError } from "@waymark/core/adapter";

/** What becomes of one call on its way to the store and back. */
export type Fate =
  | "done"
  /** It never arrives, and the caller is told so by an error. */
  | "request lost"
  /** It is done, and the caller gets an error. */
  | "reply lost"
  /** The caller stops for good before it, or right after it. */
  | "stopped before"
  | "stopped after";

export interface CallInfo {
  readonly name: string;
  readonly isWrite: boolean;
}

/**
 * The same adapter over a line on which calls are lost, or in a process that stops. Calls that have arrived at the store and
 * are not answered yet are in `underWay`.
 */
export function withFaults(
  adapter: PersistenceAdapter,
  fateOf: (call: CallInfo) => Fate,
  underWay = new Set<Promise<unknown>>(),
): PersistenceAdapter {
  const { sessionRepository: sessions, messageRepository: messages, turns, records } = adapter;

  async function call<T>(name: string, isWrite: boolean, run: () => Promise<T>): Promise<T> {
    const fate = fateOf({ name, isWrite });
    if (fate === "stopped before") return await forever();
    if (fate === "request lost") throw noAnswer(name);
    const running = run();
    underWay.add(running);
    const answer = await running.finally(() => underWay.delete(running));
    if (fate === "stopped after") return await forever();
    if (fate === "reply lost") throw noAnswer(name);
    return answer;
  }

  return {
    ...adapter,
    sessionRepository: {
      create: (row) => call("create", true, () => sessions.create(row)),
      findById: (id) => call("findById", false, () => sessions.findById(id)),
      update: (row, seen) => call("update", true, () => sessions.update(row, seen)),
      delete: (id, seen) => call("delete", true, () => sessions.delete(id, seen)),
      find: (filter, page) => call("find", false, () => sessions.find(filter, page)),
    },
    messageRepository: {
      insert: (entries) => call("insert", true, () => messages.insert(entries)),
      findBySessionId: (id, range) =>
        call("findBySessionId", false, () => messages.findBySessionId(id, range)),
      deleteBySessionId: (id, range) =>
        call("deleteBySessionId", true, () => messages.deleteBySessionId(id, range)),
    },
    turns: turns && {
      commit: (commits) => call("commit", true, () => turns.commit(commits)),
      load: (id, options) => call("load", false, () => turns.load(id, options)),
      groups: turns.groups === true,
      ...(turns.remove === undefined
        ? undefined
        : { remove: (rows) => call("remove", true, async () => (await turns.remove?.(rows)) ?? []) }),
    },
    records: records && {
      ...records,
      get: (scope, key) => call("records.get", false, () => records.get(scope, key)),
      list: (scope, page) => call("records.list", false, () => records.list(scope, page)),
      put: (record, seen) => call("records.put", true, () => records.put(record, seen)),
      apply: (writes) => call("records.apply", true, () => records.apply(writes)),
      delete: (scope, key, seen) => call("records.delete", true, () => records.delete(scope, key, seen)),
      deleteScope: (scope) => call("records.deleteScope", true, () => records.deleteScope(scope)),
    },
  };
}

function noAnswer(operation: string): StorageError {
  return new StorageError("STORAGE_UNAVAILABLE", `${operation}: the kit lost this call or its answer`, {
    operation,
  });
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
