import { type Entry, type MessageRepository, checkId } from "@waymark/core/adapter";
import { type Action, type Cluster, type Doing, itemFailure } from "./client.js";
import { decodeEntry, encodeEntry, entryId, routingOf } from "./documents.js";

/** Enough for any caller, and what one request should hold. */
const rangeLimit = 1000;

/** Characters of a bulk request, unless one message has more: less than proxies let through where nobody has set them. */
const bulkLength = 256 * 1024;

export function createMessages(cluster: Cluster, index: string): MessageRepository {
  async function insertSome(entries: readonly Entry[], documents: readonly string[]): Promise<void> {
    const doing = { operation: "insert", sessionId: entries[0]?.sessionId };
    const actions = entries.map((entry, at) => ({
      ...{ kind: "create" as const, document: documents[at] ?? "" },
      target: targetOf(entry.sessionId, entry.log, entry.sequence),
    }));
    const taken: Entry[] = [];
    for (const [at, item] of (await cluster.bulk(index, actions, doing)).entries()) {
      const entry = entries[at];
      if (item.status === 409 && entry !== undefined) taken.push(entry);
      else if (item.status >= 300) throw itemFailure(item, doing);
    }
    if (taken.length > 0) await settle(taken, doing);
  }

  /**
   * A key that is taken may be so by a write that has not reached the disk yet, and nobody has waited for that here. A write
   * to the same shard is answered when all before it are on disk; to delete what is not there is one that changes nothing.
   */
  async function settle(taken: readonly Entry[], doing: Doing): Promise<void> {
    const sessions = new Map(taken.map((entry) => [entry.sessionId, entry]));
    const actions = Array.from(sessions.values(), ({ sessionId, log }) => ({
      ...{ kind: "delete" as const, target: targetOf(sessionId, log, 0) },
    }));
    for (const item of await cluster.bulk(index, actions, doing)) {
      if (item.status >= 300 && item.status !== 404) throw itemFailure(item, doing);
    }
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
    return found.map(({ _id, sort }) => ({ id: _id, sequence: Number(sort?.[0]) }));
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
      const ids = Array.from({ length: last - first + 1 }, (_, at) => entryId(sessionId, log, first + at));
      const found = await cluster.get(index, { ids, routing: routingOf(sessionId) }, doing);
      return found
        .filter((document) => document.found === true)
        .map((document) => decodeEntry(document._source, sessionId, doing.operation));
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
        const actions = keys.map(({ id }): Action => ({
          ...{ kind: "delete", target: { _id: id, routing: routingOf(sessionId) } },
        }));
        for (const item of await cluster.bulk(index, actions, doing)) {
          if (item.status === 200) count++;
          else if (item.status !== 404) throw itemFailure(item, doing);
        }
        if (keys.length < rangeLimit) return count;
        after = last.sequence;
      }
    },
  };
}

function targetOf(sessionId: string, log: string, sequence: number): { _id: string; routing: string } {
  return { _id: entryId(sessionId, log, sequence), routing: routingOf(sessionId) };
}
