import { checkId } from "../contract/id.js";
import type { MessageRepository } from "../contract/repositories.js";
import type { Entry } from "../contract/row.js";
import { countArchive, readArchive } from "./archive.js";
import type { Doing } from "./failure.js";
import type { Entries, LogState, Place } from "./log.js";
import { readRecent } from "./recent.js";
import type { Decision, Store } from "./store.js";

const mostEntries = 1000;

export function createMessages(store: Store): MessageRepository {
  return {
    async insert(entries) {
      for (const [sessionId, group] of bySession(entries, "insert")) {
        const doing = { operation: "insert", sessionId };
        await store.write(doing, (state) => insert(state, group, doing));
      }
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const doing = { operation: "findBySessionId", sessionId };
      return store.read(doing, (state) => readEntries(state, log, from, to, doing));
    },

    async deleteBySessionId(sessionId, { log, to }) {
      checkId(sessionId, "deleteBySessionId");
      const doing = { operation: "deleteBySessionId", sessionId };
      return store.write(doing, (state) => remove(state, log, to ?? null, doing));
    },

    async replace(entries) {
      let written = 0;
      for (const [sessionId, group] of bySession(entries, "replace")) {
        const doing = { operation: "replace", sessionId };
        written += await store.write(doing, (state) => replace(state, group, doing));
      }
      return written;
    },
  };
}

function bySession(entries: readonly Entry[], operation: string): ReadonlyMap<string, readonly Entry[]> {
  const sessions = new Map<string, Entry[]>();
  for (const entry of entries) {
    checkId(entry.sessionId, operation);
    const group = sessions.get(entry.sessionId);
    if (group === undefined) sessions.set(entry.sessionId, [entry]);
    else group.push(entry);
  }
  return sessions;
}

/** Entries of one log, ascending, at most 1,000. */
export function readEntries(
  state: LogState | null,
  log: string,
  from: number,
  to: number,
  doing: Doing,
): Entry[] {
  const entries = state?.logs.get(log);
  if (state === null || entries === undefined) return [];
  const { archive } = entries;
  const recent = readRecent(state, log, placesIn(entries, from, to), doing);
  const old =
    archive === null ? [] : readArchive(state.folder, archive, from, Math.min(to, archive.to), doing);
  const last = old.at(-1);
  if (last === undefined || recent[0] === undefined || recent[0].sequence > last.sequence) {
    return [...old, ...recent].slice(0, mostEntries);
  }
  const all = new Map(old.map((entry) => [entry.sequence, entry]));
  for (const entry of recent) all.set(entry.sequence, entry);
  return [...all.values()].toSorted((a, b) => a.sequence - b.sequence).slice(0, mostEntries);
}

function* placesIn({ recent }: Entries, from: number, to: number): Iterable<readonly [number, Place]> {
  for (const pair of recent) if (pair[0] >= from && pair[0] <= to) yield pair;
}

function insert(state: LogState | null, entries: readonly Entry[], doing: Doing): Decision<void> {
  const fresh = new Map<string, Entry>();
  for (const entry of entries) {
    const key = `${entry.sequence} ${entry.log}`;
    if (!fresh.has(key) && !isStored(state, entry, doing)) fresh.set(key, entry);
  }
  return { answer: undefined, ...(fresh.size === 0 ? {} : { change: { entries: [...fresh.values()] } }) };
}

/** What was there before leaves the disk. */
function replace(state: LogState | null, entries: readonly Entry[], doing: Doing): Decision<number> {
  const present = entries.filter((entry) => isStored(state, entry, doing));
  if (present.length === 0) return { answer: 0 };
  return { answer: present.length, change: { entries: present }, rewrite: true };
}

function isStored(state: LogState | null, { log, sequence }: Entry, doing: Doing): boolean {
  const entries = state?.logs.get(log);
  if (state === null || entries === undefined) return false;
  const { archive, recent } = entries;
  if (recent.has(sequence)) return true;
  return archive !== null && readArchive(state.folder, archive, sequence, sequence, doing).length > 0;
}

function remove(state: LogState | null, log: string, to: number | null, doing: Doing): Decision<number> {
  const entries = state?.logs.get(log);
  if (state === null || entries === undefined) return { answer: 0, rewrite: state?.holdsRemoved === true };
  const { archive, recent } = entries;
  const stored = archive?.alive ?? 0;
  const old = archive === null ? 0 : to === null ? stored : countArchive(state.folder, archive, to, doing);
  const young = to === null ? recent.size : [...recent.keys()].filter((sequence) => sequence <= to).length;
  if (old + young === 0) return { answer: 0 };
  const drop = { log, to, left: stored - old };
  const isAll = old + young === stored + recent.size;
  const isLast = state.cell === null && state.logs.size === 1 && state.records.size === 0 && isAll;
  return {
    answer: old + young,
    change: isLast ? { drop, gone: true } : { drop },
    rewrite: (to === null || isAll) && !isLast,
  };
}
