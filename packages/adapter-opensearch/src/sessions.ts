import {
  type Filter,
  type SessionRepository,
  ValidationError,
  checkFind,
  checkId,
  encodeCursor,
} from "@waymark/core/adapter";
import { type BulkItem, type Cluster, type Doing, type FoundDocument, itemFailure } from "./client.js";
import { decodeRow, encodeRow } from "./documents.js";
import { indexedLength } from "./indices.js";

/** A revision of a session, and the number that the server gave to the write of it. */
interface Place {
  readonly revision: string;
  readonly seqNo: number;
  readonly primaryTerm: number;
}

/** More than core holds rows; a session whose place is not known costs one more read. */
const placesKnown = 1000;

export function createSessions(cluster: Cluster, index: string): SessionRepository {
  /**
   * The server compares the number of a document's last write, and the contract gives its revision. A revision is never used
   * again, so the number that it has in an index it has for ever: what is remembered may become useless, and never wrong.
   */
  const places = new Map<string, Place>();

  function remember(
    id: string,
    revision: unknown,
    { _seq_no, _primary_term }: BulkItem | FoundDocument,
  ): void {
    if (typeof revision !== "string" || _seq_no === undefined || _primary_term === undefined) return;
    places.delete(id);
    places.set(id, { revision, seqNo: _seq_no, primaryTerm: _primary_term });
    const [oldest] = places.size > placesKnown ? places.keys() : [];
    if (oldest !== undefined) places.delete(oldest);
  }

  /** The place of a revision. Null: it is not the present one. */
  async function placeOf(id: string, revision: string, doing: Doing): Promise<Place | null> {
    const known = places.get(id);
    if (known?.revision === revision) return known;
    const [document] = await cluster.get(index, { ids: [id], field: "revision" }, doing);
    if (document?.found !== true) return null;
    remember(id, revisionOf(document._source), document);
    const read = places.get(id);
    return read?.revision === revision ? read : null;
  }

  /** One write that the server may refuse. True: it is done. */
  async function write(
    kind: "create" | "index" | "delete",
    { id, document, place }: { id: string; document?: string; place?: Place },
    doing: Doing,
  ): Promise<BulkItem | null> {
    const condition = place && { if_seq_no: place.seqNo, if_primary_term: place.primaryTerm };
    const action = {
      kind,
      target: { _id: id, ...condition },
      ...(document === undefined ? {} : { document }),
    };
    const [item] = await cluster.bulk(index, [action], doing, { once: true });
    if (item === undefined || item.status === 409) return null;
    if (item.status === 404 && kind === "delete" && item.error === undefined) return null;
    if (item.status >= 300) throw itemFailure(item, doing);
    return item;
  }

  return {
    async create(row) {
      checkId(row.id, "create");
      const doing = { operation: "create", sessionId: row.id };
      const done = await write("create", { id: row.id, document: encodeRow(row) }, doing);
      if (done !== null) remember(row.id, row.revision, done);
      return done !== null;
    },

    async findById(id) {
      checkId(id, "findById");
      const doing = { operation: "findById", sessionId: id };
      const [document] = await cluster.get(index, { ids: [id] }, doing);
      if (document?.found !== true) return null;
      const row = decodeRow(document._source, id, doing.operation);
      remember(id, row.revision, document);
      return row;
    },

    async update(row, seen) {
      checkId(row.id, "update");
      const doing = { operation: "update", sessionId: row.id };
      const document = encodeRow(row);
      const place = await placeOf(row.id, seen, doing);
      if (place === null) return false;
      const done = await write("index", { id: row.id, document, place }, doing);
      if (done !== null) remember(row.id, row.revision, done);
      return done !== null;
    },

    async delete(id, seen) {
      checkId(id, "delete");
      const doing = { operation: "delete", sessionId: id };
      const place = await placeOf(id, seen, doing);
      if (place === null) return false;
      const done = await write("delete", { id, place }, doing);
      if (done !== null) places.delete(id);
      return done !== null;
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
        const row = decodeRow(document._source, document._id, doing.operation);
        remember(row.id, row.revision, document);
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
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, dirty } = filter;
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
  const hidden = status === undefined ? { must_not: { term: { status: "deleting" } } } : {};
  return { bool: { filter: conditions, ...hidden } };
}
