import {
  type Entry,
  type Filter,
  type RecordWrite,
  type SessionRepository,
  type SessionRow,
  checkFind,
  checkId,
  encodeCursor,
} from "@waymark/core/adapter";
import { type Doing, type Model, type PrismaClientLike, countOf, run, transaction, write } from "./client.js";
import { type Entries, listOf } from "./messages.js";
import type { KeptRecords } from "./records.js";
import type { Codec, Data } from "./row.js";
import { type Models, type Names, modelsOf } from "./schema.js";

/** What is stored with a row. */
export interface Parts {
  readonly entries: readonly Entry[];
  readonly records: readonly RecordWrite[];
}

const alone: Parts = { entries: [], records: [] };

/** Rows as the repository and whole turns both write and read them. */
export interface Rows {
  /** Stores a row whose id is free, with its parts. */
  insert(row: SessionRow, parts: Parts, doing: Doing): Promise<boolean>;
  /** Writes fields of the row, and stores parts with it, if its revision is `seen`. */
  replace(id: string, seen: string, data: Data, parts: Parts, doing: Doing): Promise<boolean>;
  read(id: string, doing: Doing): Promise<SessionRow | null>;
}

/** Tries of a write whose keys somebody else is taking or leaving at the same time. */
const tries = 5;

/**
 * `comparesAtOnce`: whether an update of one row with its condition, by which entries are stored in the same call, is a
 * comparison. Where the database cannot answer an update with the row, Prisma looks first and then does not ask whether its
 * update has found anything.
 */
export function createRows(
  client: PrismaClientLike,
  models: () => Models,
  names: Names,
  codec: Codec,
  stored: Entries,
  kept: KeptRecords,
  comparesAtOnce: () => boolean,
): Rows {
  const {
    sessions: { fields: f },
    relation,
    messages: { fields: m },
  } = names;

  const together = (entries: readonly Entry[]) =>
    entries.length === 0 ? {} : { [relation]: { createMany: { data: entries.map(codec.encodeEntry) } } };
  const nothing = { [f.id]: true };
  /** For writes of a row with its entries: these Prisma itself makes a transaction of. */
  const nesting = () => modelsOf(client, names).sessions;

  return {
    async insert(row, { entries, records }, doing) {
      const data = { ...codec.encodeRow(row), ...together(entries) };
      const call = (sessions: Model) => sessions.create({ data, select: nothing });
      const create = () =>
        records.length === 0
          ? call(entries.length === 0 ? models().sessions : nesting())
          : transaction(client, async (inside) => {
              await call(modelsOf(inside, names).sessions);
              await kept.store(inside, records);
            });
      for (let retry = 1; ; retry++) {
        const refusal = await write(doing, create);
        if (refusal === null) return true;
        // It may be another key of the application's own that is taken.
        if (refusal.kind === "taken" && (await stored.hasSession(row.id, doing))) return false;
        if (refusal.kind !== "taken" || retry === tries) throw refusal.error;
      }
    },

    async replace(id, seen, data, { entries, records }, doing) {
      const where = { [f.id]: id, [f.revision]: seen };
      const updateOnly = (sessions: Model) => sessions.updateMany({ where, data });
      if (entries.length === 0 && records.length === 0)
        return countOf(await run(doing, () => updateOnly(models().sessions)), doing) > 0;
      let left = entries;
      const inOneCall = () => {
        const all = { ...data, ...together(left) };
        return nesting().update({ where, data: all, select: nothing });
      };
      let isMoved = false;
      const inTransaction = () =>
        transaction(client, async (inside) => {
          const { sessions, messages } = modelsOf(inside, names);
          isMoved = countOf(await updateOnly(sessions), doing) === 0;
          if (isMoved) return;
          const own = left.map((entry) => ({ ...codec.encodeEntry(entry), [m.sessionId]: id }));
          if (own.length > 0) await messages.createMany({ data: own });
          if (records.length > 0) await kept.store(inside, records);
        });
      for (let retry = 1; ; retry++) {
        const refusal = await write(
          doing,
          records.length === 0 && comparesAtOnce() ? inOneCall : inTransaction,
        );
        if (refusal === null) return !isMoved;
        if (refusal.kind === "moved") return false;
        if (refusal.kind !== "taken" || retry === tries) throw refusal.error;
        // An entry whose key is taken, which a session's history does not explain, is left as it is.
        if (entries.length > 0) left = await stored.absent(entries, doing);
      }
    },

    async read(id, doing) {
      const where = { [f.id]: id };
      const found = await run(doing, () => models().sessions.findUnique({ where, select: codec.rowSelect }));
      return found === null ? null : codec.decodeRow(found, doing.operation);
    },
  };
}

export function createSessions(
  models: () => Models,
  { sessions: { fields: f } }: Names,
  codec: Codec,
  rows: Rows,
): SessionRepository {
  return {
    async create(row) {
      checkId(row.id, "create");
      return rows.insert(row, alone, { operation: "create", sessionId: row.id });
    },

    async findById(id) {
      checkId(id, "findById");
      return rows.read(id, { operation: "findById", sessionId: id });
    },

    async update(row, seen) {
      checkId(row.id, "update");
      return rows.replace(row.id, seen, codec.encodeRow(row), alone, {
        operation: "update",
        sessionId: row.id,
      });
    },

    async delete(id, seen) {
      checkId(id, "delete");
      const doing = { operation: "delete", sessionId: id };
      const where = { [f.id]: id, [f.revision]: seen };
      return countOf(await run(doing, () => models().sessions.deleteMany({ where })), doing) > 0;
    },

    async find(filter, page) {
      const behind = checkFind(page);
      const where = conditions(filter, f);
      if (where === null) return { items: [], next: null };
      if (behind !== null) {
        const createdAt = new Date(behind.createdAt);
        where.push({ [f.createdAt]: { lte: createdAt } });
        where.push({ OR: [{ [f.createdAt]: { lt: createdAt } }, { [f.id]: { gt: behind.id } }] });
      }
      const found = await run({ operation: "find" }, () =>
        models().sessions.findMany({
          where: { AND: where },
          orderBy: [{ [f.createdAt]: "desc" }, { [f.id]: "asc" }],
          take: page.limit + 1,
          select: codec.rowSelect,
        }),
      );
      const rows = listOf(found);
      const items = rows.slice(0, page.limit).map((row) => codec.decodeRow(row, "find"));
      const last = items.at(-1);
      return { items, next: rows.length > page.limit && last !== undefined ? encodeCursor(last) : null };
    },
  };
}

/** U+0000 cannot be asked for, and a driver would replace a lone surrogate by the text of somebody else. */
const illFormed = /[\0\p{Surrogate}]/u;

/** What has to hold of a row; null where no row can match. */
function conditions(filter: Filter, f: Names["sessions"]["fields"]): Data[] | null {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, expiresAfter, dirty } =
    filter;
  const where: Data[] = [];
  for (const [name, value] of [
    [f.userId, userId],
    [f.agentName, agentName],
  ] as const) {
    if (value === undefined) continue;
    if (illFormed.test(value)) return null;
    where.push({ [name]: { equals: value } });
  }
  where.push({ [f.status]: status === undefined ? { not: "deleting" } : { in: [...status] } });
  if (updatedBefore !== undefined) where.push({ [f.updatedAt]: { lt: new Date(updatedBefore) } });
  if (updatedAfter !== undefined) where.push({ [f.updatedAt]: { gt: new Date(updatedAfter) } });
  if (expiresBefore !== undefined) where.push({ [f.expiresAt]: { lt: new Date(expiresBefore) } });
  if (expiresAfter !== undefined)
    where.push({ OR: [{ [f.expiresAt]: null }, { [f.expiresAt]: { gt: new Date(expiresAfter) } }] });
  if (dirty === true) where.push({ [f.dirty]: true });
  return where;
}
