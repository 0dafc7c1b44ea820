import { compareBytes } from "@waymark/core/adapter";
import type { Run } from "./client.js";
import type { Keys } from "./keys.js";
import { addToList, dropFromList, readList } from "./scripts.js";

/**
 * Which sessions there are, and which scopes of records. The lists lie in other slots than what they name, so the two cannot be
 * written together: an entry is written before what it names, and one that names nothing is dropped when it is older than any
 * write that counts on it can be.
 */
export interface Lists {
  /** Lists a row that is about to be written. */
  add(row: { id: string; createdAt: number; userId: string | null }): Promise<Listed>;
  /** Drops the entries of a row that is gone. */
  forget(row: {
    id: string;
    createdAt: number;
    userId: string | null;
    listed: readonly (string | null)[];
  }): Promise<void>;
  /** Entries behind a place in the order of `find`. */
  read(userId: string | undefined, after: string | null, limit: number): AsyncGenerator<SessionEntry>;
  /** Lists a scope whose first record is about to be written. */
  addScope(scope: string): Promise<ListedScope>;
  /** Drops the entry of a scope that is gone. */
  forgetScope(scope: string, stamp: string): Promise<void>;
  /** Entries of scopes greater than `after`, by the names of the scopes. */
  readScopes(after: string | undefined, limit: number): AsyncGenerator<ListEntry>;
  drop(entries: readonly ListEntry[]): Promise<void>;
}

export interface Listed {
  /** When the entries were made, for the row: of all sessions, and of its user. */
  readonly stamps: readonly (string | null)[];
  /** The row has to be written before this time of the server, in seconds. */
  readonly deadline: string;
}

export interface ListedScope {
  /** When the entry was made: kept with the scope's records, which its entry is recognised by. */
  readonly stamp: string;
  /** The first record has to be written before this time of the server, in seconds. */
  readonly deadline: string;
}

export interface ListEntry {
  readonly list: string;
  readonly text: string;
  /** What it stands for: a place in the order of `find`, or a scope. */
  readonly name: string;
  readonly stamp: string;
  /** Old enough to be dropped if it names nothing. */
  readonly isOld: boolean;
}

export interface SessionEntry extends ListEntry {
  readonly id: string;
  readonly createdAt: number;
}

/** An entry that names nothing is dropped after this time, and a row is written within half of it, by the server's clock. */
export const graceSeconds = 3600;

export function createLists(run: Run, keys: Keys, grace = graceSeconds): Lists {
  const addTo = async (list: string, name: string) =>
    String(await run({ script: addToList, keys: [list], args: [name] }));
  const drop = (list: string, text: string) => run({ script: dropFromList, keys: [list], args: [text] });
  const deadlineOf = (stamps: readonly string[]) =>
    String(Math.min(...stamps.map(secondsOf)) + Math.floor(grace / 2));

  async function fill(source: Source, count: number): Promise<void> {
    const args = [source.begin, String(count)];
    const reply = await run({ script: readList, keys: [source.list], args });
    const [now, ...texts] = Array.isArray(reply) ? reply.map(String) : [];
    source.entries = texts.map((text) => parse(source.list, text, Number(now) - grace));
    source.isDone = texts.length < count;
    source.begin = `(${texts.at(-1) ?? ""}`;
  }

  /** Entries of many lists in one order. */
  async function* merge(
    lists: readonly string[],
    after: string | null,
    limit: number,
  ): AsyncGenerator<ListEntry> {
    const begin = after === null ? "-" : `(${after}`;
    const sources = lists.map((list): Source => ({ list, begin, entries: [], isDone: false }));
    // A little more than an even share of a page, as names do not fall evenly.
    let count = Math.ceil((limit * 1.25) / lists.length) + 2;
    for (;;) {
      const empty = sources.filter(({ entries, isDone }) => entries.length === 0 && !isDone);
      if (empty.length > 0) {
        await Promise.all(empty.map((source) => fill(source, count)));
        count = Math.min(count * 2, 200);
      }
      const next = nearest(sources);
      if (next === undefined) return;
      yield next;
    }
  }

  return {
    async add({ id, createdAt, userId }) {
      const place = placeOf(createdAt, id);
      const stamps = await Promise.all([
        addTo(keys.listOf(id), place),
        userId === null ? null : addTo(keys.user(userId), place),
      ]);
      return { stamps, deadline: deadlineOf(stamps.filter((stamp) => stamp !== null)) };
    },

    async forget({ id, createdAt, userId, listed: [stamp, userStamp] }) {
      const place = placeOf(createdAt, id);
      await Promise.all([
        stamp == null ? null : drop(keys.listOf(id), `${place}\0${stamp}`),
        userStamp == null || userId === null ? null : drop(keys.user(userId), `${place}\0${userStamp}`),
      ]);
    },

    async *read(userId, after, limit) {
      const lists = userId === undefined ? keys.lists : [keys.user(userId)];
      for await (const entry of merge(lists, after, limit)) {
        const createdAt = Number(2n ** 53n - BigInt(entry.name.slice(0, digits)));
        yield { ...entry, id: entry.name.slice(digits), createdAt };
      }
    },

    async addScope(scope) {
      const stamp = await addTo(keys.scopeListOf(scope), scope);
      return { stamp, deadline: deadlineOf([stamp]) };
    },

    async forgetScope(scope, stamp) {
      await drop(keys.scopeListOf(scope), `${scope}\0${stamp}`);
    },

    readScopes: (after, limit) =>
      // As for sessions: no scope has a U+0000.
      merge(keys.scopeLists, after === undefined ? null : `${after}\u0001`, limit),

    async drop(entries) {
      await Promise.all(entries.map(({ list, text }) => drop(list, text)));
    },
  };
}

interface Source {
  readonly list: string;
  begin: string;
  entries: ListEntry[];
  isDone: boolean;
}

function nearest(sources: readonly Source[]): ListEntry | undefined {
  let best: Source | undefined;
  for (const source of sources) {
    const [entry] = source.entries;
    const [least] = best?.entries ?? [];
    if (entry !== undefined && (least === undefined || compareBytes(entry.text, least.text) < 0))
      best = source;
  }
  return best?.entries.shift();
}

const digits = 17;

/** Comes in byte order where `find` has it: the newest first, then by id. */
export function placeOf(createdAt: number, id: string): string {
  return `${(2n ** 53n - BigInt(createdAt)).toString().padStart(digits, "0")}${id}`;
}

/** The end of all entries of a place: what is behind it belongs to the next. No id has a U+0000, which ends it in an entry. */
export function endOf(createdAt: number, id: string): string {
  return `${placeOf(createdAt, id)}\u0001`;
}

function parse(list: string, text: string, before: number): ListEntry {
  const end = text.lastIndexOf("\0");
  const stamp = text.slice(end + 1);
  return { list, text, name: text.slice(0, end), stamp, isOld: secondsOf(stamp) < before };
}

/** A stamp is in microseconds. */
function secondsOf(stamp: string): number {
  return Number(stamp.slice(0, -6));
}
