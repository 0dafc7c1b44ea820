import { type Doing, type ServerError, failure, itemFailure, notUnderstood } from "./failure.js";

/** What is used of `@opensearch-project/opensearch`: a `Client` of version 2 or 3 has it. */
export interface OpenSearchClient {
  readonly transport: {
    request(params: OpenSearchRequest, options?: { maxRetries?: number }): PromiseLike<{ body: unknown }>;
  };
}

/** A request, as the transport of the client takes it. */
export interface OpenSearchRequest {
  method: string;
  path: string;
  querystring?: string;
  body?: string;
  bulkBody?: string;
}

/** Names the last write of a document: what the server compares. */
export interface Written {
  readonly seqNo: number;
  readonly primaryTerm: number;
}

/** A document that was read. */
export interface Document {
  readonly id: string;
  /** Absent where it was not asked for. */
  readonly source: unknown;
  readonly written: Written | null;
  /** What a search has sorted it by. */
  readonly sort: readonly unknown[];
}

/** One write, with its document as JSON text where it has one. */
export interface Action {
  readonly kind: "create" | "index" | "delete";
  readonly id: string;
  readonly routing?: string;
  /** The write is refused unless this was the last one. */
  readonly after?: Written;
  readonly document?: string;
}

/** What became of one write. */
export interface Done {
  readonly status: number;
  readonly written: Written | null;
  readonly error: ServerError | undefined;
}

/** Sends requests; every error of the client becomes ours here. */
export interface Cluster {
  /** Resolves to the body of the answer. */
  send(request: OpenSearchRequest, doing: Doing): Promise<unknown>;
  /**
   * Resolves to what became of each action, in order; refusals are the caller's to look at.
   * @param options.once for writes that must not be sent again without the caller.
   */
  bulk(
    index: string,
    actions: readonly Action[],
    doing: Doing,
    options?: { once: boolean },
  ): Promise<readonly Done[]>;
  /** Documents by their ids as of now, also what no search can see yet; null for each that is not there. In order. */
  get(index: string, query: GetQuery, doing: Doing): Promise<readonly (Document | null)[]>;
  /** Documents that a search finds. Part of an answer is an error. */
  search(index: string, query: SearchQuery, doing: Doing): Promise<readonly Document[]>;
  /** Lets searches see all that was acknowledged. */
  refresh(index: string, doing: Doing): Promise<void>;
}

export interface GetQuery {
  readonly ids: readonly string[];
  readonly routing?: string;
  /** The only field to read. Default: all. */
  readonly field?: string;
}

export interface SearchQuery {
  readonly body: object;
  readonly routing?: string;
}

/** The path of an index: names are checked, and may be of any alphabet. */
export function pathOf(index: string): string {
  return `/${encodeURIComponent(index)}`;
}

/**
 * Reads go to primaries: a copy may lack what was acknowledged, where copies are made of segments, or have what the other
 * copies do not have yet.
 */
const primary = "preference=_primary";

export function createCluster(client: OpenSearchClient): Cluster {
  async function send(
    request: OpenSearchRequest,
    doing: Doing,
    options?: { maxRetries: number },
  ): Promise<unknown> {
    try {
      return (await client.transport.request(request, options)).body;
    } catch (cause) {
      throw failure(cause, doing);
    }
  }

  /** A request with a body of JSON. */
  function post(
    path: string,
    { body, query, routing }: { body: object; query: string; routing: string | undefined },
    doing: Doing,
  ): Promise<unknown> {
    const querystring = routing === undefined ? query : `${query}&routing=${encodeURIComponent(routing)}`;
    return send({ method: "POST", path, querystring, body: JSON.stringify(body) }, doing);
  }

  return {
    send: (request, doing) => send(request, doing),

    async bulk(index, actions, doing, { once } = { once: false }) {
      const request = {
        method: "POST",
        path: `${pathOf(index)}/_bulk`,
        bulkBody: actions.map(linesOf).join(""),
      };
      // The client sends a request again when its connection breaks. A conditional write that was done the first time would
      // then meet itself, and be taken for one that somebody else has overtaken.
      const body = await send(request, doing, once ? { maxRetries: 0 } : undefined);
      const items = isBulk(body) ? body.items : [];
      return actions.map(({ kind }, at) => {
        const item = items[at]?.[kind];
        if (item === undefined) throw notUnderstood(doing);
        return { status: item.status, written: writtenOf(item), error: item.error };
      });
    },

    async get(index, { ids, routing, field }, doing) {
      const query = field === undefined ? primary : `${primary}&_source=${field}`;
      const body = await post(`${pathOf(index)}/_mget`, { body: { ids }, query, routing }, doing);
      const found = isFoundByIds(body) ? body.docs : [];
      return ids.map((_, at) => {
        const one = found[at];
        // Where a shard did not answer, nobody has said that the document is absent.
        if (one?.error !== undefined) throw itemFailure(503, one.error, doing);
        if (typeof one?.found !== "boolean") throw notUnderstood(doing);
        return one.found ? documentOf(one) : null;
      });
    },

    async search(index, { body, routing }, doing) {
      const query = `${primary}&allow_partial_search_results=false`;
      const found = await post(`${pathOf(index)}/_search`, { body, query, routing }, doing);
      if (!isFoundBySearch(found)) throw notUnderstood(doing);
      return found.hits.hits.map(documentOf);
    },

    async refresh(index, doing) {
      const body = await send({ method: "POST", path: `${pathOf(index)}/_refresh` }, doing);
      if (!isRefreshed(body)) throw notUnderstood(doing);
      const { failed, failures } = body[shards];
      if (failed > 0) throw itemFailure(503, failures?.[0]?.reason, doing);
    },
  };
}

function linesOf({ kind, id, routing, after, document }: Action): string {
  const condition = after && { if_seq_no: after.seqNo, if_primary_term: after.primaryTerm };
  const action = JSON.stringify({ [kind]: { _id: id, routing, ...condition } });
  return document === undefined ? `${action}\n` : `${action}\n${document}\n`;
}

/** The parts of answers that are read. */
interface FoundItem {
  readonly _id: string;
  readonly _source?: unknown;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly found?: boolean;
  readonly sort?: readonly unknown[];
  readonly error?: ServerError;
}

interface BulkItem {
  readonly status: number;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly error?: ServerError;
}

const shards = "_shards";

interface Refreshed {
  readonly [shards]: {
    readonly failed: number;
    readonly failures?: readonly { readonly reason?: ServerError }[];
  };
}

function documentOf(item: FoundItem): Document {
  const { _id: id, _source: source, sort = [] } = item;
  return { id, source, written: writtenOf(item), sort };
}

function writtenOf(item: FoundItem | BulkItem): Written | null {
  const { _seq_no: seqNo, _primary_term: primaryTerm } = item;
  return seqNo === undefined || primaryTerm === undefined ? null : { seqNo, primaryTerm };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isBulk(body: unknown): body is { items: readonly { readonly [kind: string]: BulkItem }[] } {
  return isObject(body) && "items" in body && Array.isArray(body.items);
}

function isFoundByIds(body: unknown): body is { docs: readonly FoundItem[] } {
  return isObject(body) && "docs" in body && Array.isArray(body.docs);
}

function isFoundBySearch(body: unknown): body is { hits: { hits: readonly FoundItem[] } } {
  return (
    isObject(body) &&
    "hits" in body &&
    isObject(body.hits) &&
    "hits" in body.hits &&
    Array.isArray(body.hits.hits)
  );
}

function isRefreshed(body: unknown): body is Refreshed {
  return isObject(body) && shards in body && isObject(body[shards]) && "failed" in body[shards];
}
