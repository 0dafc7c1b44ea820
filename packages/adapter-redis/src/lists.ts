import { compareBytes } from "@waymark/core/adapter";
import type { Run } from "./client.js";
import type { Keys } from "./keys.js";
import { addToList, dropFromList, readList } from "./scripts.js";

/**
 * Which sessions there are. The lists lie in other slots than the sessions, so the two cannot be written together: an entry
 * is written before what it names, and one that names nothing is dropped when it is older than any create can be.
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
  read(userId: string | undefined, after: string | null, limit: number): AsyncGenerator<ListEntry>;
  drop(entries: readonly ListEntry[]): Promise<void>;
}

export interface Listed {
  /** When the entries were made, for the row: of all sessions, and of its user. */
  readonly stamps: readonly (string | null)[];
  /** The row has to be written before this time of the server, in seconds. */
  readonly deadline: string;
}

export interface ListEntry {
  readonly list: string;
  readonly text: string;
  readonly id: string;
  readonly createdAt: number;
  /** Old enough to be dropped if it names nothing. */
  readonly isOld: boolean;
}

/** An entry that names nothing is dropped after this time, and a row is written within half of it, by the server's clock. */
export const graceSeconds = 3600;

export function createLists(run: Run, keys: Keys, grace = graceSeconds): Lists {
  const addTo = async (list: string, place: string) =>
    String(await run({ script: addToList, keys: [list], args: [place] }));

  async function fill(source: Source, count: number): Promise<void> {
    const args = [source.begin, String(count)];
    const reply = await run({ script: readList, keys: [source.list], args });
    const [now, ...texts] = Array.isArray(reply) ? reply.map(String) : [];
    source.entries = texts.map((text) => parse(source.list, text, Number(now) - grace));
    source.isDone = texts.length < count;
    source.begin = `(${texts.at(-1) ?? ""}`;
  }

  return {
    async add({ id, createdAt, userId }) {
      const place = placeOf(createdAt, id);
      const stamps = await Promise.all([
        addTo(keys.listOf(id), place),
        userId === null ? null : addTo(keys.user(userId), place),
      ]);
      const oldest = Math.min(...stamps.flatMap((stamp) => (stamp === null ? [] : [secondsOf(stamp)])));
      return { stamps, deadline: String(oldest + Math.floor(grace / 2)) };
    },

    async forget({ id, createdAt, userId, listed: [stamp, userStamp] }) {
      const place = placeOf(createdAt, id);
      const drop = (list: string, entry: string) =>
        run({ script: dropFromList, keys: [list], args: [entry] });
      await Promise.all([
        stamp == null ? null : drop(keys.listOf(id), `${place}\0${stamp}`),
        userStamp == null || userId === null ? null : drop(keys.user(userId), `${place}\0${userStamp}`),
      ]);
    },

    async *read(userId, after, limit) {
      const lists = userId === undefined ? keys.lists : [keys.user(userId)];
      const begin = after === null ? "-" : `(${after}`;
      const sources = lists.map((list): Source => ({ list, begin, entries: [], isDone: false }));
      // A little more than an even share of a page, as ids do not fall evenly.
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
    },

    async drop(entries) {
      await Promise.all(
        entries.map(({ list, text }) => run({ script: dropFromList, keys: [list], args: [text] })),
      );
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
  return {
    list,
    text,
    id: text.slice(digits, end),
    createdAt: Number(2n ** 53n - BigInt(text.slice(0, digits))),
    isOld: secondsOf(text.slice(end + 1)) < before,
  };
}

/** A stamp is in microseconds. */
function secondsOf(stamp: string): number {
  return Number(stamp.slice(0, -6));
}
