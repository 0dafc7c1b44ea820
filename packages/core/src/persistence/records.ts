import { checkRecordKey } from "../contract/id.js";
import type { Around } from "./around.js";
import type { List } from "./list.js";
import {
  type RecordOwner,
  type SavedRecord,
  checkOwner,
  checkPage,
  getRecord,
  listRecords,
  sessionIdOf,
} from "./record-reads.js";
import { type RecordChange, type RecordOptions, prepareRecord, writeRecord } from "./record-writes.js";
import type { ManagerCall, Reading } from "./saving.js";

/**
 * Values by key, in the order of the keys' UTF-8 bytes. A session's are part of it: they count as its writes, end with it,
 * and nobody but its owner reaches them; where there is no such session, there are no records.
 *
 * Each call throws `CAPABILITY_MISSING` where the adapter keeps no records, and `INVALID_ID` for a key that is not 1 to 256
 * bytes of well-formed UTF-8.
 */
export interface RecordStore {
  /** Null: there is none. */
  get(key: string): Promise<SavedRecord | null>;
  /**
   * Records with keys greater than `after`. `next` is the `after` of the following page, null on the last.
   * @param page.limit 1 to 100; default 100.
   */
  list(page?: {
    readonly after?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<List<SavedRecord>>;
  /**
   * Stores a value: anything that a session may hold but null and undefined. Resolves to the record's revision.
   * @throws `RecordConflictError` where it is not as `ifRevision` says; `SESSION_NOT_FOUND` and `SESSION_CLOSED`;
   * `SESSION_BUSY` where others kept writing it until the deadline; `INVALID_VALUE`, `COMMIT_TOO_LARGE`
   */
  put(key: string, value: unknown, options?: RecordOptions): Promise<string>;
  /** Removes a record. False: there is none. @throws as `put` */
  delete(key: string, options?: RecordOptions): Promise<boolean>;
}

/** How the manager runs a call. */
type RunCall<TData> = <T>(
  operation: string,
  sessionId: string | undefined,
  work: (call: ManagerCall<TData>) => Promise<T>,
) => Promise<T>;

/** The calls of the manager for the records of one owner; those of a session have the hooks of a session around them. */
export function createRecordStore<TData>(
  of: RecordOwner,
  around: Around<TData>,
  run: RunCall<TData>,
): RecordStore {
  const sessionId = sessionIdOf(of);

  function read<T>(call: ManagerCall<TData>, get: (saving: Reading) => Promise<T>): Promise<T> {
    const { operation, ticket, ready } = call;
    const load = async () => get(await ready());
    if (sessionId === undefined) return load();
    return around.load({ operation, sessionId, ticket }, load, () => ({ messages: [] }));
  }

  function write(
    name: string,
    key: string,
    change: RecordChange,
    options: RecordOptions,
  ): Promise<string | null> {
    return run(name, sessionId, async ({ operation, ticket, ready }) => {
      const record = prepareRecord(of, key, change, options, operation);
      const save = async () => writeRecord(await ready(), record, operation);
      if (sessionId === undefined) return save();
      const event = { messages: [], records: [{ key, value: change.isDelete ? null : change.value }] };
      return around.save({ operation, sessionId, ticket }, event, save);
    });
  }

  return {
    get: (key) =>
      run("records.get", sessionId, async (call) => {
        checkOwner(of, call.operation);
        checkRecordKey(key, call.operation);
        return read(call, (saving) => getRecord(saving, of, key, call.operation));
      }),
    list: (page = {}) =>
      run("records.list", sessionId, async (call) => {
        checkOwner(of, call.operation);
        const checked = checkPage(page, call.operation);
        return read(call, (saving) => listRecords(saving, of, checked, call.operation));
      }),
    async put(key, value, options = {}) {
      const revision = await write("records.put", key, { value, isDelete: false }, options);
      if (revision === null) throw new TypeError("a record that was stored has a revision");
      return revision;
    },
    delete: async (key, options = {}) =>
      (await write("records.delete", key, { isDelete: true }, options)) !== null,
  };
}
