import type { MemoryAdapter } from "@waymark/adapter-memory";
import {
  type Commit,
  type Entry,
  type Json,
  type Outcome,
  type Page,
  type RecordWrite,
  type Search,
  type SearchHit,
  type SearchQuery,
  type SessionRow,
  checkSearch,
  compareBytes,
  compareFound,
  compareHits,
  decodeCursor,
  encodeCursor,
  isExpired,
  matches,
  sessionScope,
  visibleRanges,
} from "@waymark/core/adapter";
import { memory } from "../support/stores.js";
import { type Changes, type Mutant, type Rules, change, force, tick, turnsBy } from "./tools.js";

function mutant(name: string, caughtBy: RegExp, changes: Changes): Mutant {
  return { name, caughtBy, harness: (title) => memory(title, { spoil: (right) => change(right, changes) }) };
}

function wrongTurns(name: string, caughtBy: RegExp, rules: Rules): Mutant {
  return mutant(name, caughtBy, { turns: (_, right) => turnsBy(right, rules) });
}

const mapTexts = (value: Json, map: (text: string) => unknown): Json =>
  JSON.parse(JSON.stringify(value), (_, inside: unknown) =>
    typeof inside === "string" ? map(inside) : inside,
  );

const last = (rows: readonly SessionRow[], limit: number) => rows[limit - 1];

function merge(a: Json, b: Json): Json {
  const isObject = (value: Json): value is { readonly [key: string]: Json } =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject(a) || !isObject(b)) return b;
  const merged: { [key: string]: Json } = { ...a };
  for (const [key, value] of Object.entries(b)) merged[key] = merge(a[key] ?? null, value);
  return merged;
}

/** What other libraries do, by the way in which it shows. */
const seenElsewhere: readonly Mutant[] = [
  mutant("rows come back unmapped, without their state", /a row comes back verbatim/, {
    sessions: (right) => ({
      findById: async (id) => {
        const row = await right.findById(id);
        return row && { ...row, state: {} };
      },
    }),
  }),
  mutant("rows come back with the names of columns", /a row comes back verbatim/, {
    sessions: (right) => ({
      findById: async (id) => {
        const row = await right.findById(id);
        return (
          row &&
          (Object.fromEntries(
            Object.entries(row).map(([key, value]) => [key.toLowerCase(), value]),
          ) as SessionRow)
        );
      },
    }),
  }),
  mutant("a field cannot be cleared", /clears what is null/, {
    sessions: (right) => ({
      update: async (row, seen) => {
        const before = await right.findById(row.id);
        const given = Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null));
        return right.update({ ...before, ...row, ...before, ...given } as SessionRow, seen);
      },
    }),
  }),
  mutant("the first save drops the position", /a row comes back verbatim/, {
    sessions: (right) => ({ create: (row) => right.create({ ...row, route: null, step: null }) }),
  }),
  wrongTurns("one's own messages move the version", /do not move the version/, {
    written: (row, before) =>
      before === null || row.version !== before.version
        ? row
        : { ...row, version: `${row.life}.${Number(row.version.split(".")[1]) + 1}` },
  }),
  mutant("compare-and-set that reads, then writes", /of writes at once from one revision/, {
    sessions: (right) => ({
      update: async (row, seen) => {
        if ((await right.findById(row.id))?.revision !== seen) return false;
        await tick();
        await force(right, row);
        return true;
      },
    }),
  }),
  mutant("create that looks, then writes", /of writes at once from one revision/, {
    sessions: (right) => ({
      create: async (row) => {
        if ((await right.findById(row.id)) !== null) return false;
        await tick();
        await force(right, row);
        return true;
      },
    }),
  }),
  mutant("turns that read, then write", /of turns at once from one version/, {
    turns: (_, right) => ({
      ...turnsBy(
        Object.assign(Object.create(right) as typeof right, {
          sessionRepository: {
            ...right.sessionRepository,
            findById: async (id: string) => {
              const row = await right.sessionRepository.findById(id);
              await tick();
              return row;
            },
            update: async (row: SessionRow) => {
              await force(right.sessionRepository, row);
              return true;
            },
          },
        }),
        {},
      ),
    }),
  }),
  mutant("the last N are the first N", /a load in one trip/, {
    turns: (right, { messageRepository }) => ({
      load: async (id, options) => {
        const loaded = await right.load(id, options);
        if (loaded === null || options.last === 0) return loaded;
        const { row } = loaded;
        return {
          row,
          entries: await messageRepository.findBySessionId(id, {
            log: row.life,
            from: 1,
            to: Math.min(row.last, options.last),
          }),
        };
      },
    }),
  }),
  mutant("messages in the order of their times", /in the order of their sequence/, {
    messages: (right) => ({
      findBySessionId: async (id, range) =>
        (await right.findBySessionId(id, range)).toSorted((a, b) => a.createdAt - b.createdAt),
    }),
  }),
  mutant("sequences compared as text", /in the order of their sequence/, {
    messages: (right) => ({
      findBySessionId: async (id, range) =>
        (await right.findBySessionId(id, range)).toSorted((a, b) =>
          String(a.sequence) < String(b.sequence) ? -1 : 1,
        ),
    }),
  }),
  mutant("keys of messages without the session", /logs and sessions are apart/, {
    messages: (right, adapter) => ({
      insert: async (entries) => {
        const taken = new Set(
          adapter.getSnapshot().messages.map(({ log, sequence }) => `${log} ${sequence}`),
        );
        await right.insert(entries.filter(({ log, sequence }) => !taken.has(`${log} ${sequence}`)));
      },
    }),
  }),
  mutant("a lone surrogate in an id becomes U+FFFD", /no id is refused/, {
    sessions: (right) => ({
      findById: (id) =>
        right.findById(typeof id === "string" ? id.replaceAll(/\p{Surrogate}/gu, "\ufffd") : id),
    }),
  }),
  mutant("ids are not checked on loads", /no id is refused/, {
    sessions: (right) => ({ findById: (id) => right.findById(id).catch(() => null) }),
  }),
  mutant("an object as an id is an operator", /no id is refused/, {
    sessions: (right, adapter) => ({
      findById: async (id) =>
        typeof id === "object" && id !== null
          ? (adapter.getSnapshot().sessions[0] ?? null)
          : right.findById(id),
    }),
  }),
  mutant("an object in a filter is an operator", /no operator and no pattern/, {
    sessions: (right) => ({
      find: (filter, page) =>
        right.find(typeof filter.userId === "object" ? { ...filter, userId: "ann" } : filter, page),
    }),
  }),
  mutant("a text that looks like a date becomes one, and another text", /every text of the list/, {
    sessions: (right) => ({
      findById: async (id) => {
        const row = await right.findById(id);
        const revive = (text: string) => (/^\d{4}-\d\d-\d\d$/.test(text) ? new Date(text) : text);
        return row && { ...row, state: mapTexts(row.state, revive) };
      },
      update: (row, seen) =>
        right.update(
          {
            ...row,
            state: mapTexts(row.state, (text) =>
              /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(text).toISOString() : text,
            ),
          },
          seen,
        ),
    }),
  }),
  mutant("a text of digits becomes a number", /generated rows/, {
    sessions: (right) => ({
      create: (row) =>
        right.create({
          ...row,
          state: mapTexts(row.state, (text) => (/^-?\d+$/.test(text) ? Number(text) : text)),
        }),
    }),
  }),
  mutant("texts are trimmed", /generated entries/, {
    messages: (right) => ({
      insert: (entries) =>
        right.insert(entries.map((entry) => ({ ...entry, content: entry.content.trim() }))),
    }),
  }),
  mutant("texts are cut at 64 KiB", /mebibyte/, {
    messages: (right) => ({
      insert: (entries) =>
        right.insert(entries.map((entry) => ({ ...entry, content: entry.content.slice(0, 65_535) }))),
    }),
    turns: (right) => ({
      commit: (commits) =>
        right.commit(
          commits.map((commit) => ({
            ...commit,
            messages: commit.messages.map((message) => ({
              ...message,
              content: message.content.slice(0, 65_535),
            })),
          })),
        ),
    }),
  }),
  mutant("times are kept in 32 bits", /a row comes back verbatim/, {
    sessions: (right) => ({ create: (row) => right.create({ ...row, createdAt: row.createdAt | 0 }) }),
  }),
  mutant("a missing row is an exception", /null or false, and no error/, {
    sessions: (right) => ({
      findById: async (id) => (await right.findById(id)) ?? Promise.reject(new Error("no such row")),
    }),
  }),
  {
    name: "delete is false and find is empty when the store cannot be asked",
    caughtBy: /says nothing that is not so/,
    harness: (title) => disconnectable(title, async () => false),
  },
  {
    name: "a write that failed is logged and swallowed",
    caughtBy: /says nothing that is not so/,
    harness: (title) => disconnectable(title, async () => true),
  },
  mutant("the limit is applied before the dead are dropped", /find sees every acknowledged/, {
    sessions: (right) => {
      const index = new Map<string, SessionRow>();
      return {
        create: async (row) => {
          const isDone = await right.create(row);
          if (isDone) index.set(row.id, row);
          return isDone;
        },
        find: async (filter, page) => {
          const full = await right.find(filter, page);
          const behind = page.cursor === undefined ? null : decodeCursor(page.cursor);
          const listed = [...index.values()]
            .filter(
              (row) => row.userId === filter.userId && (behind === null || compareFound(row, behind) > 0),
            )
            .toSorted(compareFound);
          const alive = new Set(listed.slice(0, page.limit).map(({ id }) => id));
          const end = last(listed, page.limit);
          return Object.keys(filter).length === 1 && filter.userId !== undefined && listed.length > page.limit
            ? {
                items: full.items.filter(({ id }) => alive.has(id)),
                next: end === undefined ? null : encodeCursor(end),
              }
            : full;
        },
      };
    },
  }),
  mutant("find does not see what was just deleted", /find sees every acknowledged/, {
    sessions: (right) => {
      const buried: SessionRow[] = [];
      return {
        delete: async (id, seen) => {
          const row = await right.findById(id);
          const isDone = await right.delete(id, seen);
          if (isDone && row !== null) {
            buried.push(row);
            setTimeout(() => buried.shift(), 50);
          }
          return isDone;
        },
        find: async (filter, page) => {
          const found = await right.find(filter, page);
          return {
            ...found,
            items: [...found.items, ...buried.filter((row) => matches(row, filter))].slice(0, page.limit),
          };
        },
      };
    },
  }),
  mutant("an update merges the state", /clears what is null/, {
    sessions: (right) => ({
      update: async (row, seen) => {
        const before = await right.findById(row.id);
        return right.update({ ...row, state: merge(before?.state ?? null, row.state) }, seen);
      },
    }),
  }),
  wrongTurns("a turn merges the state", /exactly the keys/, {
    written: (row, before) => ({ ...row, state: merge(before?.state ?? null, row.state) }),
  }),
  mutant("a read does not see the own write", /what one adapter has stored/, {
    sessions: (right) => {
      const cache = new Map<string, SessionRow | null>();
      return {
        findById: async (id) => {
          if (!cache.has(id)) cache.set(id, await right.findById(id));
          setTimeout(() => cache.delete(id), 30);
          return cache.get(id) ?? null;
        },
      };
    },
  }),
  wrongTurns("a rewind gives sequences again", /after a rewind/, {
    seen: (row) => {
      const { state } = row;
      const visible =
        typeof state === "object" && state !== null && "visible" in state ? state.visible : null;
      const first: Json = Array.isArray(visible) ? visible[0] : null;
      return Array.isArray(first) && typeof first[1] === "number" ? { ...row, last: first[1] } : row;
    },
  }),
  mutant("a removal of many leaves the messages", /removed in one call go wholly/, {
    turns: (_, { sessionRepository }) => ({
      remove: (rows) => Promise.all(rows.map(({ id, revision }) => sessionRepository.delete(id, revision))),
    }),
  }),
  mutant("a removal of many takes what has moved", /removed in one call go wholly/, {
    turns: (right, { sessionRepository }) => ({
      remove: async (rows) => {
        const now = await Promise.all(rows.map(({ id }) => sessionRepository.findById(id)));
        const removed = (await right.remove?.(now.filter((row) => row !== null))) ?? [];
        return now.map((row) => row !== null && removed.length > 0);
      },
    }),
  }),
  mutant("a delete of messages stops at a hundred", /thousand entries/, {
    messages: (right) => ({
      deleteBySessionId: async (id, { log, to = Infinity }) => {
        const found = await right.findBySessionId(id, { log, from: 1, to: Math.min(to, 100_000) });
        const end = found[99]?.sequence ?? to;
        return right.deleteBySessionId(id, end === Infinity ? { log } : { log, to: end });
      },
    }),
  }),
  mutant("an erasure misses the route history", /a delete leaves nothing/, {
    messages: (right) => ({
      deleteBySessionId: (id, range) =>
        range.log.endsWith("r") && range.log !== "other"
          ? Promise.resolve(0)
          : right.deleteBySessionId(id, range),
    }),
  }),
  {
    name: "disconnect closes the client of the application",
    caughtBy: /neither its neighbours/,
    harness: (title) => sharedClient(title),
  },
  {
    name: "all stores share one map",
    caughtBy: /two stores share nothing/,
    harness: (title) => {
      const harness = memory(title);
      const opened = harness.open();
      return { ...harness, open: async () => ({ ...(await opened), remove: async () => {} }) };
    },
  },
];

/** Variants of the protocol that a store can commit. */
/** The parts of a state that somebody knew when the adapter was written. */
function knownParts(state: Json): Json {
  if (typeof state !== "object" || state === null || Array.isArray(state)) return state;
  const known = ["data", "dataByRoute", "routeHistory", "historyBefore", "currentRoute", "currentStep"];
  return Object.fromEntries(Object.entries(state).filter(([name]) => known.includes(name)));
}

const retention: readonly Mutant[] = [
  wrongTurns("turns that do not look at the time of a session", /absent from that moment on/, {
    seen: (row) => ({ ...row, expiresAt: null }),
    written: (row, before, { set }) => ({
      ...row,
      expiresAt: set.expiresAt === undefined ? (before?.expiresAt ?? null) : set.expiresAt,
    }),
  }),
  wrongTurns("turns that clear what they do not set", /what the rules say, each by itself/, {
    written: (row, _, { set }) => ({ ...row, agentName: set.agentName ?? null }),
  }),
  mutant("turns of one call that are told one life", /what the rules say, three in a call/, {
    turns: (right) => ({
      commit: async (commits) => {
        const outcomes = await right.commit(commits);
        const [first] = outcomes;
        const life = first !== undefined && "life" in first ? { life: first.life } : {};
        return outcomes.map((outcome) => ("life" in outcome ? { ...outcome, ...life } : outcome));
      },
    }),
  }),
  wrongTurns("turns that forget when a session ends", /sets the time anew/, {
    written: (row, before) => ({ ...row, expiresAt: before === null ? row.expiresAt : before.expiresAt }),
  }),
  mutant("what is over is looked for among all", /in bounded parts, and nothing else/, {
    sessions: (right) => ({
      find: ({ expiresBefore, ...filter }, page) =>
        right.find(expiresBefore === undefined ? filter : { ...filter }, page),
    }),
  }),
  mutant("tombstones that nobody finds", /stops at any write is finished by the next one/, {
    sessions: (right) => ({
      find: (filter, page) => {
        const status = (filter.status ?? ["active", "completed", "abandoned"]).filter(
          (one) => one !== "deleting",
        );
        return right.find({ ...filter, status }, page);
      },
    }),
  }),
  mutant("a delete of messages up to a place that takes all", /a trim keeps the newest/, {
    messages: (right) => ({ deleteBySessionId: (id, { log }) => right.deleteBySessionId(id, { log }) }),
  }),
  mutant("sessions of a user in one status only", /the erasure of a user/, {
    sessions: (right) => ({
      find: (filter, page) =>
        right.find(filter.userId === undefined ? filter : { ...filter, status: ["active"] }, page),
    }),
  }),
];

const variants: readonly Mutant[] = [
  wrongTurns("a state is stored by the parts that are known", /migrated when it is read/, {
    written: (row) => ({ ...row, state: knownParts(row.state) }),
  }),
  mutant("no life in the key of messages", /logs and sessions are apart/, {
    messages: (right) => {
      const one = (entry: Entry) => ({ ...entry, log: "m" });
      return {
        insert: (entries) => right.insert(entries.map(one)),
        findBySessionId: async (id, { log, ...range }) =>
          (await right.findBySessionId(id, { ...range, log: "m" })).map((entry) => ({ ...entry, log })),
        deleteBySessionId: (id, range) => right.deleteBySessionId(id, { ...range, log: "m" }),
      };
    },
  }),
  mutant("delete without the seen revision", /removes the row that was seen/, {
    sessions: (right) => ({
      delete: async (id) => right.delete(id, (await right.findById(id))?.revision ?? ""),
    }),
  }),
  mutant("update that compares the version, not the revision", /stale revision/, {
    sessions: (right) => ({
      update: async (row, seen) => {
        const there = await right.findById(row.id);
        return right.update(row, there?.version === row.version ? there.revision : seen);
      },
    }),
  }),
  mutant("delete of every log", /removes one log/, {
    messages: (right, adapter) => ({
      deleteBySessionId: async (id, range) => {
        const logs = new Set(
          adapter
            .getSnapshot()
            .messages.filter(({ sessionId }) => sessionId === id)
            .map(({ log }) => log),
        );
        const removed = await right.deleteBySessionId(id, range);
        for (const log of logs) await right.deleteBySessionId(id, { ...range, log });
        return removed;
      },
    }),
  }),
  wrongTurns("messages first, and the version after", /of turns at once from one version/, {
    isMessagesFirst: true,
  }),
  wrongTurns("the row first, and the messages after", /sees whole turns only/, { pause: tick }),
  wrongTurns("operation ids are not kept", /sent again gives the first result/, {
    written: (row) => ({ ...row, system: { pending: [], operations: [], count: 0 } }),
  }),
  wrongTurns("revisions from 1 in every life", /made again under its id/, {
    written: (row) => ({ ...row, revision: row.version.split(".")[1] ?? "" }),
  }),
  wrongTurns("digests are not compared", /other contents is a mismatch/, {
    commit: (commit) => ({ ...commit, operation: { ...commit.operation, digest: "digest" } }),
  }),
  wrongTurns("a retry of what left the window is applied", /too old to be known/, {
    commit: ({ retry, ...commit }) => (retry === undefined ? commit : commit),
  }),
  wrongTurns("turns of a closed session", /closed session refuses/, {
    commit: (commit) => ({ ...commit, reopen: true }),
  }),
  wrongTurns("turns of somebody else's session", /good as absent/, {
    commit: ({ owner, ...commit }) => (owner === undefined ? commit : commit),
  }),
  wrongTurns("an expected last sequence is ignored", /expects a last sequence/, {
    commit: (commit) =>
      commit.expect.kind === "version"
        ? { ...commit, expect: { kind: "version", version: commit.expect.version } }
        : commit,
  }),
  wrongTurns("an expected number of operations is ignored", /expects a last sequence/, {
    commit: (commit) => {
      if (commit.expect.kind !== "version") return commit;
      const { operations: _, ...expect } = commit.expect;
      return { ...commit, expect };
    },
  }),
  mutant("a replace that also inserts", /entries that are replaced/, {
    messages: (right) => ({
      replace: async (entries) => {
        await right.insert(entries);
        return (await right.replace?.(entries)) ?? 0;
      },
    }),
  }),
  mutant("a replace that keeps the fields beside the body", /entries that are replaced/, {
    messages: (right) => ({
      replace: async (entries) => {
        const found: Entry[] = [];
        for (const entry of entries) {
          const { sessionId, log, sequence, content, body } = entry;
          const [there] = await right.findBySessionId(sessionId, { log, from: sequence, to: sequence });
          if (there !== undefined) found.push({ ...there, content, body });
        }
        return (await right.replace?.(found)) ?? 0;
      },
    }),
  }),
  wrongTurns("route history is dropped", /route history that leaves/, {
    entries: (entries, before) => entries.filter(({ role }) => role !== "route" || before?.id === ""),
  }),
  mutant("a reader that is not bounded by the row", /a load in one trip/, {
    turns: (right, { messageRepository }) => ({
      load: async (id, options) => {
        const loaded = await right.load(id, options);
        if (loaded === null) return null;
        const entries = await messageRepository.findBySessionId(id, {
          log: loaded.row.life,
          from: 1,
          to: 1000,
        });
        return { ...loaded, entries };
      },
    }),
  }),
  mutant("a bad neighbour fails the whole group", /does not touch its neighbours/, {
    turns: (right) => ({
      commit: async (commits) => {
        const outcomes = await right.commit(commits);
        const bad = outcomes.find(({ status }) => status === "failed");
        return bad === undefined ? outcomes : commits.map(() => bad);
      },
    }),
  }),
  mutant("a session twice in a group is stored once, and told twice", /twice in one call/, {
    turns: (right) => ({
      commit: async (commits) => {
        const once = new Map(commits.map((commit) => [commit.id, commit]));
        const outcomes = new Map<string, Outcome>();
        const list = [...once.values()];
        (await right.commit(list)).forEach((outcome, index) => outcomes.set(list[index]?.id ?? "", outcome));
        return commits.flatMap(({ id }) => outcomes.get(id) ?? []);
      },
    }),
  }),
  mutant("outcomes in the order of the ids", /answered, in their order/, {
    turns: (right) => ({
      commit: (commits) => right.commit(commits.toSorted((a, b) => compareBytes(a.id, b.id))),
    }),
  }),
  mutant("a dirty row is overwritten", /same truth/, {
    turns: (_, right) => ({
      commit: async (commits) => {
        const outcomes: Outcome[] = [];
        for (const commit of commits) {
          const row = await right.sessionRepository.findById(commit.id);
          if (row?.dirty === true)
            await right.sessionRepository.update({ ...row, dirty: false }, row.revision);
          outcomes.push(...((await right.turns?.commit([commit])) ?? []));
        }
        return outcomes;
      },
    }),
  }),
];

/** Rules of the contract that are easy to miss. */
const contract: readonly Mutant[] = [
  mutant("create over a tombstone", /taken is not created/, {
    sessions: (right) => ({
      create: async (row) => {
        const there = await right.findById(row.id);
        return there?.status === "deleting" ? right.update(row, there.revision) : right.create(row);
      },
    }),
  }),
  mutant("update creates what is absent", /null or false/, {
    sessions: (right) => ({
      update: async (row, seen) =>
        (await right.findById(row.id)) === null ? right.create(row) : right.update(row, seen),
    }),
  }),
  mutant("an insert overwrites", /an entry that is there is left/, {
    messages: (right) => ({
      insert: async (entries) => {
        for (const entry of entries) {
          const all = await right.findBySessionId(entry.sessionId, {
            log: entry.log,
            from: entry.sequence + 1,
            to: entry.sequence + 900,
          });
          await right.deleteBySessionId(entry.sessionId, { log: entry.log, to: Infinity });
          await right.insert([entry, ...all]);
        }
      },
    }),
  }),
  mutant("an insert of a key that exists is an error", /an entry that is there is left/, {
    messages: (right) => ({
      insert: async (entries) => {
        for (const { sessionId, log, sequence } of entries)
          if ((await right.findBySessionId(sessionId, { log, from: sequence, to: sequence })).length > 0)
            throw new Error("duplicate key");
        await right.insert(entries);
      },
    }),
  }),
  mutant("ids without regard to case", /ids that look alike/, {
    sessions: (right) => ({
      find: (filter, page) => right.find(filter, page),
      findById: (id) => right.findById(typeof id === "string" ? id.toLowerCase() : id),
      create: (row) =>
        right.create({ ...row, id: typeof row.id === "string" ? row.id.toLowerCase() : row.id }),
    }),
  }),
  mutant("find in the order of a language", /bytes of the id/, {
    sessions: (right) => ({
      find: async (filter, page) => {
        const found = await right.find(filter, page);
        return {
          ...found,
          items: found.items.toSorted((a, b) => b.createdAt - a.createdAt || a.id.localeCompare(b.id)),
        };
      },
    }),
  }),
  mutant("find pages by a number of rows", /rows come and go/, {
    sessions: (right) => ({
      find: async (filter, { limit, cursor }) => {
        const { items } = await right.find(filter, { limit: 100 });
        const from = cursor === undefined ? 0 : decodeCursor(cursor).createdAt;
        const next = items.length > from + limit ? encodeCursor({ createdAt: from + limit, id: "x" }) : null;
        return {
          items: items.slice(from, from + limit),
          next:
            limit > 100 || limit < 1 || !Number.isInteger(limit)
              ? (await right.find(filter, { limit })).next
              : next,
        };
      },
    }),
  }),
  mutant("find names a next page that is empty", /last one says so/, {
    sessions: (right) => ({
      find: async (filter, page) => {
        const found = await right.find(filter, page);
        const end = last(found.items, page.limit);
        return { ...found, next: found.next ?? (end === undefined ? null : encodeCursor(end)) };
      },
    }),
  }),
  mutant("find shows tombstones", /each condition selects/, {
    sessions: (right) => ({
      find: (filter, page) =>
        right.find({ status: ["active", "completed", "abandoned", "deleting"], ...filter }, page),
    }),
  }),
  mutant("bounds of find are inclusive", /each condition selects/, {
    sessions: (right) => ({
      find: (filter, page) =>
        right.find(
          filter.updatedBefore === undefined
            ? filter
            : { ...filter, updatedBefore: filter.updatedBefore + 1 },
          page,
        ),
    }),
  }),
  mutant("rows are handed out, not copied", /stay the caller's/, {
    sessions: (right) => {
      const held = new Map<string, SessionRow>();
      return {
        create: async (row) => {
          const isDone = await right.create(row);
          if (isDone) held.set(row.id, row);
          return isDone;
        },
        findById: async (id) => {
          const row = await right.findById(id);
          const same = held.get(id);
          return row !== null && same?.revision === row.revision ? same : row;
        },
      };
    },
  }),
];

/** Whether the row lets a reader see the entry; without a rule left out, only where all hold. */
const shown: Readonly<Record<string, (row: SessionRow, entry: Entry, query: SearchQuery) => boolean>> = {
  life: (row, { log }) => log === row.life,
  tombstones: ({ status }) => status !== "deleting",
  trims: ({ first }, { sequence }) => sequence >= first,
  "late inserts": ({ last: end }, { sequence }) => sequence <= end,
  expiry: (row, _, { expiresAfter }) => expiresAfter === undefined || !isExpired(row, expiresAfter),
  rewinds: (row, { sequence }) =>
    visibleRanges({ ...row, first: 1, last: Number.MAX_SAFE_INTEGER }).some(
      ([from, to]) => from <= sequence && sequence <= to,
    ),
};

/** The facet written out, with one of the rules left out. */
function blindSearch(right: MemoryAdapter, blindTo: string): Search {
  return {
    query: async (query) => {
      checkSearch(query);
      const { sessions, messages } = right.getSnapshot();
      const found = messages.filter((entry) => {
        const row = sessions.find(({ id }) => id === entry.sessionId);
        if (row === undefined || (query.sessionId !== undefined && row.id !== query.sessionId)) return false;
        const rules = Object.entries(shown).filter(([name]) => name !== blindTo);
        return rules.every(([, rule]) => rule(row, entry, query)) && entry.content.includes(query.text);
      });
      const items = found.toSorted(compareHits).map((entry) => {
        const { sessionId, log, sequence, role, createdAt, content } = entry;
        return { sessionId, log, sequence, role, createdAt, snippet: content };
      });
      return { items, next: null };
    },
  };
}

function wrongSearch(
  name: string,
  caughtBy: RegExp,
  query: (right: Search, query: SearchQuery, adapter: MemoryAdapter) => Promise<Page<SearchHit>>,
): Mutant {
  return mutant(name, caughtBy, {
    adapter: (adapter) => {
      const { search: right } = adapter;
      return { search: right && { query: (wanted) => query(right, wanted, adapter) } };
    },
  });
}

const everything = { from: -8.64e15, to: 8.64e15 };

const search: readonly Mutant[] = [
  wrongSearch("search in the sessions of everybody", /and nobody else's/, (right, { userId, ...query }) =>
    right.query(userId === undefined ? query : query),
  ),
  wrongSearch("search from and to exclusive", /and nobody else's/, (right, query) =>
    right.query({ ...query, ...(query.from === undefined ? {} : { from: query.from + 1 }) }),
  ),
  wrongSearch("search for any of the words", /all words, in any order/, async (right, query) => {
    const pages = query.text.split(/\s+/).map((text) => right.query({ ...query, text }));
    const hits = new Map(
      (await Promise.all(pages)).flatMap(({ items }) => items.map((hit) => [hit.sequence, hit])),
    );
    return { items: [...hits.values()].toSorted(compareHits), next: null };
  }),
  wrongSearch("search with regard to case", /all words, in any order/, async (right, query) => {
    const { items, next } = await right.query(query);
    return {
      items: items.filter(({ snippet }) => snippet.includes(query.text.replaceAll(/[^a-z0-9].*/g, ""))),
      next,
    };
  }),
  wrongSearch("search with the oldest first", /the newest first, then by session/, async (right, query) => {
    const { items, next } = await right.query(query);
    return { items: items.toReversed(), next };
  }),
  wrongSearch(
    "search whose cursor is a time alone",
    /the newest first, then by session/,
    async (right, query) => {
      const at = query.cursor === undefined ? {} : { to: Number(query.cursor) - 1 };
      const { items, next } = await right.query({
        text: query.text,
        userId: query.userId ?? "",
        limit: query.limit,
        ...at,
      });
      return { items, next: next === null ? null : String(items.at(-1)?.createdAt) };
    },
  ),
  wrongSearch(
    "search that pages by a number of hits",
    /when messages come and go/,
    async (right, { cursor, ...query }) => {
      const { items } = await right.query({ ...query, limit: 100 });
      const from = Number(cursor ?? 0);
      const to = from + query.limit;
      return { items: items.slice(from, to), next: items.length > to ? String(to) : null };
    },
  ),
  ...Object.keys(shown).map((rule) =>
    wrongSearch(`search that does not see ${rule}`, /a message that no reader sees/, (_, query, adapter) =>
      blindSearch(adapter, rule).query(query),
    ),
  ),
  wrongSearch(
    "search that takes the text for a pattern",
    /no text is an error, a pattern/,
    async (right, query) => {
      const pattern = new RegExp(query.text.replaceAll("*", ".*"), "u");
      const { items } = await right.query({ ...everything, text: "stays", limit: 100 });
      return { items: items.filter(({ snippet }) => pattern.test(snippet)), next: null };
    },
  ),
  wrongSearch("search that takes % for any text", /no text is an error, a pattern/, (right, query) =>
    right.query(query.text.includes("%") ? { ...query, text: "stays" } : query),
  ),
  wrongSearch("search that clamps what is out of range", /what cannot be asked is refused/, (right, query) =>
    right.query({ ...query, limit: Math.min(Math.max(Number(query.limit) || 1, 1), 100) }),
  ),
  wrongSearch(
    "search that marks what it found",
    /a snippet is a part of the message/,
    async (right, query) => {
      const { items, next } = await right.query(query);
      const marked = (text: string) => text.replaceAll(query.text, `<b>${query.text}</b>`);
      return { items: items.map((hit) => ({ ...hit, snippet: marked(hit.snippet) })), next };
    },
  ),
  wrongSearch(
    "search that shows how a message begins",
    /a snippet is a part of the message/,
    async (right, query, adapter) => {
      const { items, next } = await right.query(query);
      const { messages } = adapter.getSnapshot();
      const begin = ({ sessionId, sequence }: SearchHit) =>
        messages
          .find((entry) => entry.sessionId === sessionId && entry.sequence === sequence)
          ?.content.slice(0, 80) ?? "";
      return { items: items.map((hit) => ({ ...hit, snippet: begin(hit) })), next };
    },
  ),
  mutant("an index that refuses large messages", /of any size and make is stored/, {
    messages: (right) => ({
      insert: async (entries) => {
        if (entries.some(({ content }) => content.length > 1_048_575))
          throw new Error("string is too long for tsvector");
        await right.insert(entries);
      },
    }),
  }),
  wrongSearch(
    "search that finds what was there before",
    /a manager finds what was said/,
    (() => {
      let before: Page<SearchHit> = { items: [], next: null };
      return async (right, query) => {
        const seen = before;
        before = await right.query(query);
        return seen;
      };
    })(),
  ),
];

const compareUnits = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Turns whose records a rule handles otherwise: the right facet is given none, and the records follow by themselves. */
function recordsBeside(
  name: string,
  caughtBy: RegExp,
  work: (right: MemoryAdapter, commit: Commit, commitOnly: () => Promise<Outcome>) => Promise<Outcome>,
): Mutant {
  return mutant(name, caughtBy, {
    turns: (facet, right) => ({
      commit: (commits) =>
        Promise.all(
          commits.map((commit) =>
            work(right, commit, async () => {
              const [outcome] = await facet.commit([{ ...commit, records: [] }]);
              return outcome ?? { status: "busy" };
            }),
          ),
        ),
    }),
  });
}

/** What the facet writes of the records of a commit that was applied. */
function writesOf({ id, records = [], revision }: Commit, outcome: Outcome): RecordWrite[] {
  if (outcome.status !== "committed") return [];
  const scope = sessionScope(id, outcome.life);
  const stamp = String(outcome.operations).padStart(16, "0");
  return records.map(({ key, value }) => ({ scope, key, value, stamp, revision }));
}

/** Rules about records, most of which only many writers or a late delivery show. */
const ofRecords: readonly Mutant[] = [
  mutant("records without the seen revision", /records: a put/, {
    records: (right) => ({
      put: async (record) => right.put(record, (await right.get(record.scope, record.key))?.revision ?? null),
    }),
  }),
  mutant("a put that reads, then writes", /records: a put/, {
    records: (right) => ({
      put: async (record, seen) => {
        const there = await right.get(record.scope, record.key);
        if ((there?.revision ?? null) !== seen) return false;
        await tick();
        const now = await right.get(record.scope, record.key);
        return right.put(record, now?.revision ?? null);
      },
    }),
  }),
  mutant("a put that reads, then writes, among those who count", /count in one record of a user/, {
    records: (right) => ({
      put: async (record, seen) => {
        const there = await right.get(record.scope, record.key);
        if ((there?.revision ?? null) !== seen) return false;
        await tick();
        const now = await right.get(record.scope, record.key);
        return right.put(record, now?.revision ?? null);
      },
    }),
  }),
  mutant("records in the order of a language", /records: keys/, {
    records: (right) => ({
      list: async (scope, { after, limit }) => {
        const all = await right.list(scope, { limit: 1000 });
        const sorted = all.toSorted((a, b) => a.key.localeCompare(b.key));
        return sorted.slice(sorted.findIndex(({ key }) => key === after) + 1).slice(0, limit);
      },
    }),
  }),
  mutant("scopes in the order of UTF-16", /records: keys/, {
    records: (right) => ({
      scopes: async ({ after = "", limit }) => {
        const all = await right.scopes({ limit: 1000 });
        return all
          .filter((scope) => compareUnits(scope, after) > 0)
          .toSorted(compareUnits)
          .slice(0, limit);
      },
    }),
  }),
  mutant("records by the last to arrive", /records: an unconditional/, {
    records: (right) => ({
      apply: async (records) => {
        for (const { value, ...record } of records) {
          const there = await right.get(record.scope, record.key);
          if (value === null) await right.delete(record.scope, record.key, there?.revision ?? "");
          else await right.put({ ...record, value }, there?.revision ?? null);
        }
      },
    }),
  }),
  mutant("stamps are compared as numbers", /records: an unconditional/, {
    records: (right) => ({
      apply: (records) =>
        right.apply(records.map((record) => ({ ...record, stamp: record.stamp.padStart(9, "0") }))),
    }),
  }),
  mutant("a null that forgets its stamp", /records: what a null value removed/, {
    records: (right) => ({
      apply: async (records) => {
        for (const record of records) {
          const there = await right.get(record.scope, record.key);
          const isNewer = there === null || compareBytes(there.stamp, record.stamp) < 0;
          if (record.value !== null) await right.apply([record]);
          else if (isNewer) await right.delete(record.scope, record.key, there?.revision ?? "");
        }
      },
    }),
  }),
  mutant("a deleteScope that stops at a hundred", /scopes that look alike/, {
    records: (right) => ({
      deleteScope: async (scope) => {
        const some = await right.list(scope, { limit: 100 });
        if (some.length < 100) return right.deleteScope(scope);
        for (const { key, revision } of some) await right.delete(scope, key, revision);
        return some.length;
      },
    }),
  }),
  mutant("a deleteScope by its beginning", /scopes that look alike/, {
    records: (right) => ({
      deleteScope: async (scope) => {
        const alike = (await right.scopes({ limit: 1000 })).filter((one) => one.startsWith(scope));
        for (const one of alike) if (one !== scope) await right.deleteScope(one);
        return right.deleteScope(scope);
      },
    }),
  }),
  mutant("a deleteScope that misses sessions", /records end with their session/, {
    records: (right) => ({
      deleteScope: async (scope) => (scope.startsWith("session/") ? 0 : right.deleteScope(scope)),
    }),
  }),
  mutant("a deleteScope that misses users", /who is erased loses their records/, {
    records: (right) => ({
      deleteScope: async (scope) => (scope.startsWith("user/") ? 0 : right.deleteScope(scope)),
    }),
  }),
  mutant("keys of records are not checked", /what is no key is refused/, {
    records: (right) => ({ get: (scope, key) => right.get(scope, key).catch(() => null) }),
  }),
  recordsBeside("turns without their records", /records of a turn are there/, (_, __, commitOnly) =>
    commitOnly(),
  ),
  recordsBeside(
    "the records of a turn that is refused",
    /refused stores no record/,
    async ({ sessionRepository, records }, commit, commitOnly) => {
      const row = await sessionRepository.findById(commit.id);
      const outcome = await commitOnly();
      const told: Outcome =
        row === null
          ? outcome
          : {
              ...{ status: "committed", life: row.life, operations: 99, version: row.version },
              ...{ first: 1, last: 0, at: 0 },
            };
      await records?.apply(writesOf(commit, told));
      return outcome;
    },
  ),
  recordsBeside(
    "the records after the turn",
    /sees a turn and its records/,
    async ({ records }, commit, commitOnly) => {
      const outcome = await commitOnly();
      await tick();
      await records?.apply(writesOf(commit, outcome));
      return outcome;
    },
  ),
  recordsBeside(
    "turns whose null forgets its stamp",
    /delivered late/,
    async ({ records }, commit, commitOnly) => {
      const outcome = await commitOnly();
      for (const write of writesOf(commit, outcome)) {
        const there = await records?.get(write.scope, write.key);
        if (write.value !== null) await records?.apply([write]);
        else await records?.delete(write.scope, write.key, there?.revision ?? "");
      }
      return outcome;
    },
  ),
  recordsBeside(
    "turns with stamps of their own",
    /records of a turn are there/,
    async ({ records }, commit, commitOnly) => {
      const outcome = await commitOnly();
      const writes = writesOf(commit, outcome).map((write) => ({ ...write, stamp: `~${write.stamp}` }));
      await records?.apply(writes);
      return outcome;
    },
  ),
];

/** Each adapter can be disconnected, and then answers instead of failing. */
function disconnectable(title: string, answer: () => Promise<boolean>): ReturnType<typeof memory> {
  const harness = memory(title);
  return {
    ...harness,
    open: async () => {
      const store = await harness.open();
      return {
        ...store,
        connect: async () => {
          const right = await store.connect();
          let isOpen = true;
          const { sessionRepository: sessions } = right;
          return {
            ...right,
            name: right.name,
            durability: right.durability,
            limits: right.limits,
            sessionRepository: {
              ...sessions,
              update: (row, seen) => (isOpen ? sessions.update(row, seen) : answer()),
              delete: (id, seen) => (isOpen ? sessions.delete(id, seen) : answer()),
            },
            disconnect: async () => {
              isOpen = false;
            },
          };
        },
      };
    },
  };
}

/** Adapters on one client, which the first to be disconnected closes. */
function sharedClient(title: string): ReturnType<typeof memory> {
  const harness = memory(title);
  return {
    ...harness,
    open: async () => {
      const store = await harness.open();
      let isOpen = true;
      return {
        ...store,
        connect: async () => {
          const right = await store.connect();
          const { sessionRepository: sessions } = right;
          return {
            ...right,
            name: right.name,
            durability: right.durability,
            limits: right.limits,
            sessionRepository: {
              ...sessions,
              findById: async (id) =>
                isOpen ? sessions.findById(id) : Promise.reject(new Error("the client is closed")),
            },
            disconnect: async () => {
              isOpen = false;
            },
          };
        },
      };
    },
  };
}

export const mutants: readonly Mutant[] = [
  ...seenElsewhere,
  ...retention,
  ...variants,
  ...contract,
  ...search,
  ...ofRecords,
];
