import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Records, Search, SearchHit, StoredRecord } from "../contract/facets.js";
import { checkFind, compareBytes, encodeCursor } from "../contract/find.js";
import { checkRecordKey } from "../contract/id.js";
import { checkSearch, encodeSearchCursor } from "../contract/search.js";
import type { MessageRepository, SessionRepository } from "../contract/repositories.js";
import type { Entry, Filter, SessionRow } from "../contract/row.js";
import type { Commit, Outcome, Turns } from "../contract/turns.js";
import { ValidationError } from "../errors.js";
import { wrapAdapter } from "./base.js";
import { type TenantNames, createTenantNames, entryWith, newEntryWith, rowWith } from "./tenant-names.js";

/**
 * The same store for one of several tenants: nothing of another one is seen or changed, whatever ids are asked for. In the
 * store, ids of sessions and users begin with the tenant's name and a slash (`acme/s1`; `%` and `/` of the name are written
 * as `%25` and `%2F`), and the scopes of records are named by those; here they are as they were. So much shorter they have to
 * be: `limits.idBytes` says how long.
 *
 * A list of sessions that names no user, `scopes`, and a search that names neither user nor session read what others have
 * and leave it out. `prune` asks for such lists: call it on a manager of the adapter itself, for all tenants at once.
 * @throws `INVALID_ID` for a tenant id that is none, or that leaves fewer than 36 bytes for the ids behind it.
 */
export function withTenant(adapter: PersistenceAdapter, tenantId: string): PersistenceAdapter {
  const names = createTenantNames(tenantId, adapter.limits.idBytes);
  return wrapAdapter(adapter, {
    limits: { ...adapter.limits, idBytes: names.idBytes },
    sessionRepository: sessionsOf(adapter.sessionRepository, names),
    messageRepository: messagesOf(adapter.messageRepository, names),
    turns: (turns) => turnsOf(turns, names),
    records: (records) => recordsOf(records, names),
    search: (search) => searchOf(search, names),
  });
}

function sessionsOf(sessions: SessionRepository, names: TenantNames): SessionRepository {
  const { store, restore, storedId } = names;
  const storedRow = (row: SessionRow, operation: string): SessionRow => {
    storedId(row.id, operation);
    return rowWith(store, row);
  };
  return {
    create: async (row) => sessions.create(storedRow(row, "create")),
    findById: async (id) => {
      const row = await sessions.findById(storedId(id, "findById"));
      return row === null ? null : rowWith(restore, row);
    },
    update: async (row, seen) => sessions.update(storedRow(row, "update"), seen),
    delete: async (id, seen) => sessions.delete(storedId(id, "delete"), seen),
    find: async (filter, page) => {
      const { rows, isMore } = await findOwn(sessions, names, filter, page);
      const items = rows.map((row) => rowWith(restore, row));
      const last = items.at(-1);
      return { items, next: isMore && last !== undefined ? encodeCursor(last) : null };
    },
  };
}

const largestPage = 100;

/** Reads on until the page is full, and as far behind it as it takes to know whether there is another. */
async function findOwn(
  sessions: SessionRepository,
  { prefix, isOwn, store }: TenantNames,
  filter: Filter,
  page: { readonly limit: number; readonly cursor?: string },
): Promise<{ readonly rows: readonly SessionRow[]; readonly isMore: boolean }> {
  const { limit } = page;
  let behind = checkFind(page);
  if (behind !== null) behind = { ...behind, id: prefix + behind.id };
  const { userId } = filter;
  const stored = userId === undefined ? filter : { ...filter, userId: store.id(textOf(userId, "find")) };
  const rows: SessionRow[] = [];
  // One more than the page tells whether there is a next one; a user's rows are the tenant's, and the store tells it itself.
  const wanted = userId === undefined ? limit + 1 : limit;
  for (let size = Math.min(wanted, largestPage); ; size = largestPage) {
    const cursor = behind === null ? {} : { cursor: encodeCursor(behind) };
    const { items, next } = await sessions.find(stored, { limit: size, ...cursor });
    rows.push(...items.filter(({ id }) => isOwn(id)));
    behind = items.at(-1) ?? behind;
    if (next !== null && rows.length < wanted) continue;
    const isMore = rows.length > limit || (userId !== undefined && next !== null);
    return { rows: rows.slice(0, limit), isMore };
  }
}

/** What is no text would become one behind the prefix. */
function textOf(userId: unknown, operation: string): string {
  if (typeof userId === "string") return userId;
  throw new ValidationError("INVALID_ARGUMENT", `${operation}: \`userId\` must be a string`, { operation });
}

function messagesOf(
  messages: MessageRepository,
  { store, restore, storedId }: TenantNames,
): MessageRepository {
  const storedEntries = (entries: readonly Entry[], operation: string): Entry[] => {
    for (const { sessionId } of entries) storedId(sessionId, operation);
    return entries.map((entry) => entryWith(store, entry));
  };
  return {
    insert: async (entries) => messages.insert(storedEntries(entries, "insert")),
    findBySessionId: async (id, range) => {
      const entries = await messages.findBySessionId(storedId(id, "findBySessionId"), range);
      return entries.map((entry) => entryWith(restore, entry));
    },
    deleteBySessionId: async (id, range) =>
      messages.deleteBySessionId(storedId(id, "deleteBySessionId"), range),
    ...(messages.replace === undefined
      ? undefined
      : { replace: async (entries) => (await messages.replace?.(storedEntries(entries, "replace"))) ?? 0 }),
  };
}

function turnsOf(turns: Turns, { store, restore, storedId }: TenantNames): Turns {
  function storedCommit(commit: Commit): Commit {
    const { id, owner, set, messages, history } = commit;
    return {
      ...commit,
      id: storedId(id, "commit"),
      owner: owner === undefined ? undefined : store.id(owner),
      set: typeof set.userId === "string" ? { ...set, userId: store.id(set.userId) } : set,
      messages: messages.map((message) => newEntryWith(store, message)),
      history: history.map((entry) => newEntryWith(store, entry)),
    };
  }

  const remove = turns.remove?.bind(turns);
  return {
    groups: turns.groups === true,
    async commit(commits) {
      const sent: Commit[] = [];
      const refused = commits.map((commit): Outcome | null => {
        try {
          sent.push(storedCommit(commit));
          return null;
        } catch (error) {
          return { status: "failed", error };
        }
      });
      const outcomes = sent.length === 0 ? [] : [...(await turns.commit(sent))];
      return refused.map((outcome) => outcome ?? outcomes.shift() ?? unanswered);
    },
    load: async (id, options) => {
      const loaded = await turns.load(storedId(id, "load"), options);
      if (loaded === null) return null;
      return {
        row: rowWith(restore, loaded.row),
        entries: loaded.entries.map((entry) => entryWith(restore, entry)),
      };
    },
    ...(remove === undefined
      ? undefined
      : {
          remove: async (rows) => remove(rows.map((row) => ({ ...row, id: storedId(row.id, "remove") }))),
        }),
  };
}

/** For a store that answers too few commits. */
const unanswered: Outcome = {
  status: "failed",
  error: new TypeError("the store answered fewer commits than it was given"),
};

const mostScopes = 1000;

function recordsOf(records: Records, { store, restore }: TenantNames): Records {
  function storedScope(scope: string, operation: string): string {
    checkRecordKey(scope, operation, "scope");
    const stored = store.scope(scope);
    if (stored !== null) return stored;
    const message = `${operation}: the scope is none of the application, of a user or of a session`;
    throw new ValidationError("INVALID_ARGUMENT", message, { operation });
  }

  const own = (record: StoredRecord, scope: string): StoredRecord => ({ ...record, scope });
  const stored = (record: StoredRecord, operation: string): StoredRecord =>
    own(record, storedScope(record.scope, operation));

  return {
    get: async (scope, key) => {
      const record = await records.get(storedScope(scope, "get"), key);
      return record === null ? null : own(record, scope);
    },
    list: async (scope, page) => {
      const found = await records.list(storedScope(scope, "list"), page);
      return found.map((record) => own(record, scope));
    },
    put: async (record, seen) => records.put(stored(record, "put"), seen),
    apply: async (writes) => records.apply(writes.map((write) => stored(write, "apply"))),
    delete: async (scope, key, seen) => records.delete(storedScope(scope, "delete"), key, seen),
    deleteScope: async (scope) => records.deleteScope(storedScope(scope, "deleteScope")),
    async scopes({ after, limit }) {
      const found: string[] = [];
      // A text that is no scope stands at the same place among scopes of either form.
      let behind = after === undefined ? undefined : (store.scope(after) ?? after);
      for (;;) {
        const page = await records.scopes({
          limit: mostScopes,
          ...(behind === undefined ? {} : { after: behind }),
        });
        for (const one of page) {
          const scope = restore.scope(one);
          if (scope !== null && (after === undefined || compareBytes(scope, after) > 0)) found.push(scope);
        }
        if (found.length >= limit || page.length < mostScopes) return found.slice(0, limit);
        behind = page.at(-1);
      }
    },
  };
}

function searchOf(search: Search, { prefix, isOwn, restore, store, storedId }: TenantNames): Search {
  return {
    /** A page may be shorter than the limit where others have said the same, and is empty only at the end. */
    async query(wanted) {
      const behind = checkSearch(wanted);
      const { userId, sessionId, cursor: _, ...query } = wanted;
      const whose = {
        ...(userId === undefined ? undefined : { userId: store.id(textOf(userId, "query")) }),
        ...(sessionId === undefined ? undefined : { sessionId: storedId(sessionId, "query") }),
      };
      const cursor =
        behind === null
          ? undefined
          : { cursor: encodeSearchCursor({ ...behind, sessionId: prefix + behind.sessionId }) };
      let asked: Parameters<Search["query"]>[0] = { ...query, ...whose, ...cursor };
      for (;;) {
        const { items, next } = await search.query(asked);
        const hits = items
          .filter((hit) => isOwn(hit.sessionId))
          .map((hit): SearchHit => ({ ...hit, sessionId: restore.id(hit.sessionId) }));
        const last = hits.at(-1);
        // A cursor of the store may name a session of somebody else.
        if (last !== undefined) return { items: hits, next: next === null ? null : encodeSearchCursor(last) };
        if (next === null) return { items: [], next };
        asked = { ...asked, cursor: next };
      }
    },
  };
}
