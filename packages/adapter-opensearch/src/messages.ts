import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import type { Action, Cluster } from "./client.js";
import { decodeEntry, encodeEntry, entryId, routingOf } from "./documents.js";
import { type Doing, itemFailure } from "./failure.js";

/** Enough for any caller, and what one request should hold. */
const rangeLimit = 1000;

/** Characters of a bulk request, unless one message has more: less than proxies let through where nobody has set them. */
const bulkLength = 256 * 1024;

export function createMessages(cluster: Cluster, index: string): MessageRepository {
  async function insertSome(entries: readonly Entry[], documents: readonly string[]): Promise<void> {
    const doing = { operation: "insert", sessionId: entries[0]?.sessionId };
    const actions = entries.map((entry, at): Action => ({
      ...{ kind: "create", id: entryId(entry), routing: routingOf(entry.sessionId) },
      document: documents[at] ?? "",
    }));
    const taken: Entry[] = [];
    for (const [at, { status, error }] of (await cluster.bulk(index, actions, doing)).entries()) {
      const entry = entries[at];
      if (status === 409 && entry !== undefined) taken.push(entry);
      else if (status >= 300) throw itemFailure(status, error, doing);
    }
    if (taken.length > 0) await settle(taken, doing);
  }

  /**
   * A key that is taken may be so by a write that has not reached the disk yet, and nobody has waited for that here. A write
   * to the same shard is answered when all before it are on disk; to delete what is not there is one that changes nothing.
   */
  async function settle(taken: readonly Entry[], doing: Doing): Promise<void> {
    const sessions = new Map(taken.map((entry) => [entry.sessionId, entry]));
    const absent = Array.from(sessions.values(), ({ sessionId, log }) => ({ sessionId, log, sequence: 0 }));
    await removeAll(
      absent.map((key) => ({ id: entryId(key), routing: routingOf(key.sessionId) })),
      doing,
    );
  }

  /** Resolves to how many were there. */
  async function removeAll(
    targets: readonly { id: string; routing: string }[],
    doing: Doing,
  ): Promise<number> {
    let count = 0;
    const actions = targets.map((target): Action => ({ kind: "delete", ...target }));
    for (const { status, error } of await cluster.bulk(index, actions, doing)) {
      if (status < 300) count++;
      else if (status !== 404 || error !== undefined) throw itemFailure(status, error, doing);
    }
    return count;
  }

  /** Keys of one log behind `after`, ascending. */
  async function listed(
    sessionId: string,
    { log, after, to }: { log: string; after: number; to: number },
    doing: Doing,
  ): Promise<readonly { id: string; sequence: number }[]> {
    const range = Number.isFinite(to) ? { gt: after, lte: Math.floor(to) } : { gt: after };
    const filter = [{ term: { sessionId } }, { term: { log } }, { range: { sequence: range } }];
    const body = {
      query: { bool: { filter } },
      sort: [{ sequence: "asc" }],
      size: rangeLimit,
      track_total_hits: false,
      _source: false,
    };
    const found = await cluster.search(index, { body, routing: routingOf(sessionId) }, doing);
    return found.map(({ id, sort }) => ({ id, sequence: Number(sort[0]) }));
  }

  return {
    async insert(entries) {
      for (const { sessionId } of entries) checkId(sessionId, "insert");
      const documents = entries.map(encodeEntry);
      for (let begin = 0; begin < entries.length;) {
        let end = begin;
        for (let length = 0; end < entries.length && end - begin < rangeLimit; end++) {
          length += documents[end]?.length ?? 0;
          if (length > bulkLength && end > begin) break;
        }
        await insertSome(entries.slice(begin, end), documents.slice(begin, end));
        begin = end;
      }
    },

    async findBySessionId(sessionId, { log, from, to }) {
      checkId(sessionId, "findBySessionId");
      const doing = { operation: "findBySessionId", sessionId };
      const first = Math.max(Math.ceil(from), 1);
      const last = Math.min(Math.floor(to), first + rangeLimit - 1);
      if (!(first <= last)) return [];
      const ids = Array.from({ length: last - first + 1 }, (_, at) =>
        entryId({ sessionId, log, sequence: first + at }),
      );
      const found = await cluster.get(index, { ids, routing: routingOf(sessionId) }, doing);
      return found.flatMap((document) =>
        document === null ? [] : [decodeEntry(document.source, sessionId, doing.operation)],
      );
    },

    async deleteBySessionId(sessionId, { log, to = Infinity }) {
      checkId(sessionId, "deleteBySessionId");
      const doing = { operation: "deleteBySessionId", sessionId };
      // What was acknowledged before is found then; what comes later is not this call's.
      await cluster.refresh(index, doing);
      let count = 0;
      for (let after = 0; ;) {
        const keys = await listed(sessionId, { log, after, to }, doing);
        const last = keys.at(-1);
        if (last === undefined) return count;
        const routing = routingOf(sessionId);
        count += await removeAll(
          keys.map(({ id }) => ({ id, routing })),
          doing,
        );
        if (keys.length < rangeLimit) return count;
        after = last.sequence;
      }
    },
  };
}
