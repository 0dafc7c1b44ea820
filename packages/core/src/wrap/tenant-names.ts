import { checkId, checkIdBytes, longestId, utf8Length } from "../contract/id.js";
import type { Json } from "../contract/json.js";
import type { Entry, SessionRow } from "../contract/row.js";
import { applicationScope, sessionOfScope, sessionScope, userScope } from "../contract/scope.js";
import type { NewEntry } from "../contract/turns.js";
import { ValidationError } from "../errors.js";

/** A UUID has to fit behind the name of the tenant. */
const leastIdBytes = 36;

/** Names as a tenant has them, and as they stand in the store. */
export interface TenantNames {
  /** What stands before the ids of sessions and users. */
  readonly prefix: string;
  /** The longest id that the tenant may have, in bytes. */
  readonly idBytes: number;
  /** Whether an id in the store is one of the tenant. */
  isOwn(storedId: string): boolean;
  /** @throws `INVALID_ID` */
  storedId(id: string, operation: string): string;
  readonly store: Naming;
  readonly restore: Naming;
}

/** One of the two directions. */
export interface Naming {
  /** Of the id of a session or user. */
  id(id: string): string;
  /** Null: it is no scope of the tenant. */
  scope(scope: string): string | null;
}

/**
 * The name of a tenant has no `/` in the store, so the first one ends it: no id of a tenant is one of another, whatever both
 * are.
 * @throws `INVALID_ID`
 */
export function createTenantNames(tenantId: string, longest = longestId): TenantNames {
  const operation = "withTenant";
  checkId(tenantId, operation, "tenant id");
  const name = tenantId.replaceAll("%", "%25").replaceAll("/", "%2F");
  const prefix = `${name}/`;
  const idBytes = longest - utf8Length(prefix);
  if (idBytes < leastIdBytes) {
    const message = `${operation}: the tenant id is too long: it leaves ${idBytes} bytes for the ids behind it`;
    throw new ValidationError("INVALID_ID", message, { operation });
  }
  const store = (id: string) => prefix + id;
  const isOwn = (id: string) => id.length > prefix.length && id.startsWith(prefix);
  const restore = (id: string) => (id.startsWith(prefix) ? id.slice(prefix.length) : id);
  const ofApplication = `${applicationScope}/${name}`;
  return {
    ...{ prefix, idBytes, isOwn },
    storedId(id, caller) {
      checkId(id, caller);
      checkIdBytes(id, idBytes, caller);
      return store(id);
    },
    store: { id: store, scope: (scope) => scopeWith(scope, applicationScope, ofApplication, store) },
    restore: {
      id: restore,
      scope: (scope) =>
        scopeWith(scope, ofApplication, applicationScope, (id) => (isOwn(id) ? restore(id) : null)),
    },
  };
}

const beginOfUser = userScope("");

/** Each kind stays what it is, so that the order of all scopes is kept. */
function scopeWith(
  scope: string,
  from: string,
  to: string,
  rename: (id: string) => string | null,
): string | null {
  if (scope === from || scope.startsWith(`${from}/`)) return to + scope.slice(from.length);
  const session = sessionOfScope(scope);
  if (session !== null) {
    const id = rename(session.id);
    return id === null ? null : sessionScope(id, session.life);
  }
  if (!scope.startsWith(beginOfUser) || scope === beginOfUser) return null;
  const userId = rename(scope.slice(beginOfUser.length));
  return userId === null ? null : userScope(userId);
}

/** The row with its names in the other form, also in what core keeps in it for later. */
export function rowWith(naming: Naming, row: SessionRow): SessionRow {
  const { id, userId, system } = row;
  return {
    ...row,
    id: naming.id(id),
    userId: userId === null ? null : naming.id(userId),
    system: systemWith(naming, system),
  };
}

export function entryWith(naming: Naming, entry: Entry): Entry {
  return { ...newEntryWith(naming, entry), sessionId: naming.id(entry.sessionId) };
}

export function newEntryWith<E extends NewEntry>(naming: Naming, entry: E): E {
  return entry.userId === null ? entry : { ...entry, userId: naming.id(entry.userId) };
}

/** Entries and records that the row holds until they are delivered; whoever delivers them need not know of tenants. */
function systemWith(naming: Naming, system: Json): Json {
  if (!isObject(system)) return system;
  const { pending, records } = system;
  return {
    ...system,
    ...(isList(pending) ? { pending: pending.map((entry) => pendingWith(naming, entry)) } : undefined),
    ...(isList(records) ? { records: records.map((record) => pendingWith(naming, record)) } : undefined),
  };
}

function pendingWith(naming: Naming, item: Json): Json {
  if (!isObject(item)) return item;
  const { sessionId, userId, scope } = item;
  return {
    ...item,
    ...(typeof sessionId === "string" ? { sessionId: naming.id(sessionId) } : undefined),
    ...(typeof userId === "string" ? { userId: naming.id(userId) } : undefined),
    ...(typeof scope === "string" ? { scope: naming.scope(scope) ?? scope } : undefined),
  };
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}
