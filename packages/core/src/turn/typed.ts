import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Records, Search } from "../contract/facets.js";
import type { Turns } from "../contract/turns.js";
import { StorageError, storageError } from "../errors.js";

/**
 * The same store, whose every failure is an error of ours with the name of the call, also where an adapter lets an error of
 * its driver through; and whose answers are of the type that the contract says.
 */
export function typedErrors(adapter: PersistenceAdapter): PersistenceAdapter {
  const { sessionRepository: sessions, messageRepository: messages, turns, records, search } = adapter;
  return {
    name: adapter.name,
    durability: adapter.durability,
    limits: adapter.limits,
    sessionRepository: {
      create: (row) => typed("create", row.id, isBoolean, () => sessions.create(row)),
      findById: (id) => typed("findById", id, isObjectOrNull, () => sessions.findById(id)),
      update: (row, seen) => typed("update", row.id, isBoolean, () => sessions.update(row, seen)),
      delete: (id, seen) => typed("delete", id, isBoolean, () => sessions.delete(id, seen)),
      find: (filter, page) => typed("find", undefined, isObject, () => sessions.find(filter, page)),
    },
    messageRepository: {
      insert: (entries) => typed("insert", entries[0]?.sessionId, isAnything, () => messages.insert(entries)),
      findBySessionId: (id, range) =>
        typed("findBySessionId", id, Array.isArray, () => messages.findBySessionId(id, range)),
      deleteBySessionId: (id, range) =>
        typed("deleteBySessionId", id, isNumber, () => messages.deleteBySessionId(id, range)),
    },
    turns:
      turns === undefined
        ? undefined
        : {
            groups: turns.groups === true,
            commit: (commits) => typed("commit", commits[0]?.id, Array.isArray, () => turns.commit(commits)),
            load: (id, options) => typed("load", id, isObjectOrNull, () => turns.load(id, options)),
            ...(turns.remove === undefined ? undefined : { remove: removeOf(turns.remove.bind(turns)) }),
          },
    records: records && typedRecords(records),
    search: search && typedSearch(search),
  };
}

function typedSearch(search: Search): Search {
  return {
    query: (query) => typed("search", query.sessionId, isObject, () => search.query(query)),
  };
}

function typedRecords(records: Records): Records {
  return {
    get: (scope, key) => typed("records.get", undefined, isObjectOrNull, () => records.get(scope, key)),
    list: (scope, page) => typed("records.list", undefined, Array.isArray, () => records.list(scope, page)),
    put: (record, seen) => typed("records.put", undefined, isBoolean, () => records.put(record, seen)),
    apply: (writes) => typed("records.apply", undefined, isAnything, () => records.apply(writes)),
    delete: (scope, key, seen) =>
      typed("records.delete", undefined, isBoolean, () => records.delete(scope, key, seen)),
    deleteScope: (scope) =>
      typed("records.deleteScope", undefined, isNumber, () => records.deleteScope(scope)),
    scopes: (page) => typed("records.scopes", undefined, Array.isArray, () => records.scopes(page)),
  };
}

function removeOf(remove: NonNullable<Turns["remove"]>): NonNullable<Turns["remove"]> {
  return (sessions) =>
    typed(
      "remove",
      sessions[0]?.id,
      (answer) => Array.isArray(answer) && answer.length === sessions.length,
      () => remove(sessions),
    );
}

async function typed<T>(
  operation: string,
  sessionId: string | undefined,
  isRight: (answer: unknown) => boolean,
  call: () => Promise<T>,
): Promise<T> {
  let answer: T;
  try {
    answer = await call();
  } catch (error) {
    throw storageError(error, { operation, sessionId });
  }
  if (isRight(answer)) return answer;
  throw new StorageError(
    "STORAGE_FAILED",
    `${operation}: the adapter answered with a value of the wrong type`,
    {
      operation,
      sessionId,
    },
  );
}

const isBoolean = (answer: unknown) => typeof answer === "boolean";
const isNumber = (answer: unknown) => typeof answer === "number";
const isObject = (answer: unknown) => typeof answer === "object" && answer !== null;
const isObjectOrNull = (answer: unknown) => typeof answer === "object";
const isAnything = () => true;
