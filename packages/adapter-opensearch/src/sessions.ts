import {
  type Filter,
  type SessionRepository,
  ValidationError,
  checkFind,
  checkId,
  encodeCursor,
} from "@waymark/core/adapter";
import type { Action, Cluster, Written } from "./client.js";
import { decodeRow, encodeRow } from "./documents.js";
import { type Doing, itemFailure } from "./failure.js";
import { indexedLength } from "./indices.js";

/** More than core holds rows; a session whose last write is not known costs one more read. */
const writesKnown = 1000;

export function createSessions(cluster: Cluster, index: string): SessionRepository {
  /**
   * The server compares the number of a document's last write, and the contract gives its revision. A revision is never used
   * again, so the number that it has in an index it has for ever: what is remembered may become useless, and never wrong.
   */
  const known = new Map<string, { readonly revision: string; readonly written: Written }>();

  function remember(id: string, revision: string, written: Written | null): void {
    known.delete(id);
    if (written !== null) known.set(id, { revision, written });
    const [oldest] = known.size > writesKnown ? known.keys() : [];
    if (oldest !== undefined) known.delete(oldest);
  }

  /** The write that made a revision. Null: it is not the present one. */
  async function writeOf(id: string, revision: string, doing: Doing): Promise<Written | null> {
    const last = known.get(id);
    if (last?.revision === revision) return last.written;
    const [document] = await cluster.get(index, { ids: [id], field: "revision" }, doing);
    return document != null && revisionOf(document.source) === revision ? document.written : null;
  }

  /** One write that the server may refuse. Null: it did. */
  async function write(action: Action, doing: Doing): Promise<Written | null> {
    const [done] = await cluster.bulk(index, [action], doing, { once: true });
    if (done === undefined || done.status === 409) return null;
    // What is to be deleted is gone; an index that is gone is an error.
    if (done.status === 404 && done.error === undefined) return null;
    if (done.status >= 300 || done.written === null) throw itemFailure(done.status, done.error, doing);
    return done.written;
  }

  return {
    async create(row) {
      checkId(row.id, "create");
      const doing = { operation: "create", sessionId: row.id };
      const written = await write({ kind: "create", id: row.id, document: encodeRow(row) }, doing);
      if (written !== null) remember(row.id, row.revision, written);
      return written !== null;
    },

    async findById(id) {
      checkId(id, "findById");
      const doing = { operation: "findById", sessionId: id };
      const [document] = await cluster.get(index, { ids: [id] }, doing);
      if (document == null) return null;
      const row = decodeRow(document.source, id, doing.operation);
      remember(id, row.revision, document.written);
      return row;
    },

    async update(row, seen) {
      checkId(row.id, "update");
      const doing = { operation: "update", sessionId: row.id };
      const document = encodeRow(row);
      const after = await writeOf(row.id, seen, doing);
      if (after === null) return false;
      const written = await write({ kind: "index", id: row.id, after, document }, doing);
      if (written !== null) remember(row.id, row.revision, written);
      return written !== null;
    },

    async delete(id, seen) {
      checkId(id, "delete");
      const doing = { operation: "delete", sessionId: id };
      const after = await writeOf(id, seen, doing);
      if (after === null) return false;
      return (await write({ kind: "delete", id, after }, doing)) !== null;
    },

    async find(filter, page) {
      const behind = checkFind(page);
      const doing = { operation: "find" };
      const query = queryOf(filter);
      await cluster.refresh(index, doing);
      const body = {
        query,
        sort: [{ createdAt: "desc" }, { id: "asc" }],
        ...(behind === null ? {} : { search_after: [behind.createdAt, behind.id] }),
        size: page.limit + 1,
        track_total_hits: false,
        seq_no_primary_term: true,
      };
      const found = await cluster.search(index, { body }, doing);
      const items = found.slice(0, page.limit).map((document) => {
        const row = decodeRow(document.source, document.id, doing.operation);
        remember(row.id, row.revision, document.written);
        return row;
      });
      const last = items.at(-1);
      return { items, next: found.length > page.limit && last !== undefined ? encodeCursor(last) : null };
    },
  };
}

function revisionOf(source: unknown): unknown {
  return typeof source === "object" && source !== null && "revision" in source ? source.revision : undefined;
}

/** The server would read a lone surrogate as another character, which may be in somebody's name. */
const loneSurrogate = /\p{Surrogate}/u;

function queryOf(filter: Filter): object {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, expiresAfter, dirty } =
    filter;
  const conditions: object[] = [];
  const equal = (field: "userId" | "agentName", value: string) => {
    if (typeof value !== "string" || value.length > indexedLength) {
      const message = `find: \`${field}\` must be a string of at most ${indexedLength} characters`;
      throw new ValidationError("INVALID_ARGUMENT", message, { operation: "find" });
    }
    conditions.push(loneSurrogate.test(value) ? { match_none: {} } : { term: { [field]: value } });
  };
  if (userId !== undefined) equal("userId", userId);
  if (agentName !== undefined) equal("agentName", agentName);
  if (status !== undefined) conditions.push({ terms: { status } });
  if (updatedBefore !== undefined) conditions.push({ range: { updatedAt: { lt: updatedBefore } } });
  if (updatedAfter !== undefined) conditions.push({ range: { updatedAt: { gt: updatedAfter } } });
  if (expiresBefore !== undefined) conditions.push({ range: { expiresAt: { lt: expiresBefore } } });
  if (dirty !== undefined) conditions.push({ term: { dirty } });
  const hidden: object[] = status === undefined ? [{ term: { status: "deleting" } }] : [];
  if (expiresAfter !== undefined) hidden.push({ range: { expiresAt: { lte: expiresAfter } } });
  return { bool: { filter: conditions, must_not: hidden } };
}
