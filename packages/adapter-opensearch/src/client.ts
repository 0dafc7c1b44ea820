import {
  type ErrorDetails,
  StorageError,
  type StorageCode,
  ValidationError,
  type WaymarkError,
  isWaymarkError,
} from "@waymark/core/adapter";

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

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** A document as `mget` and searches give it. */
export interface FoundDocument {
  readonly _id: string;
  readonly found?: boolean;
  readonly _source?: unknown;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly sort?: readonly unknown[];
  readonly error?: ServerError;
}

/** What became of one line of a bulk request. */
export interface BulkItem {
  readonly status: number;
  readonly result?: string;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly error?: ServerError;
}

export interface ServerError {
  readonly type?: string;
  readonly reason?: string | null;
}

/** One line of a bulk request, with its document where it has one: as JSON text. */
export interface Action {
  readonly kind: "create" | "index" | "delete";
  readonly target: { _id: string; routing?: string; if_seq_no?: number; if_primary_term?: number };
  readonly document?: string;
}

/** Sends requests; every error of the client becomes ours here. */
export interface Cluster {
  /** Resolves to the body of the answer. */
  send(request: OpenSearchRequest, doing: Doing): Promise<unknown>;
  /** Resolves to one item for each action, in order. What became of each is the caller's to look at. */
  bulk(
    index: string,
    actions: readonly Action[],
    doing: Doing,
    options?: { once: boolean },
  ): Promise<readonly BulkItem[]>;
  /** Documents by their ids, as of now: what no search can see yet is there. Resolves to one for each id, in order. */
  get(index: string, query: GetQuery, doing: Doing): Promise<readonly FoundDocument[]>;
  /** Documents that a search finds. Part of an answer is an error. */
  search(index: string, query: SearchQuery, doing: Doing): Promise<readonly FoundDocument[]>;
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

/**
 * Reads go to primaries: a copy may lack what was acknowledged, where copies are made of segments, or have what the other
 * copies do not have yet.
 */
const primary = "preference=_primary";

/** The path of an index: names are checked, and may be of any alphabet. */
export function pathOf(index: string): string {
  return `/${encodeURIComponent(index)}`;
}

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

  return {
    send: (request, doing) => send(request, doing),

    async bulk(index, actions, doing, { once } = { once: false }) {
      let lines = "";
      for (const { kind, target, document } of actions) {
        lines += `${JSON.stringify({ [kind]: target })}\n${document === undefined ? "" : `${document}\n`}`;
      }
      // The client sends a request again when its connection breaks. A conditional write that was done the first time then
      // meets itself, and would be reported as lost to somebody else.
      const options = once ? { maxRetries: 0 } : undefined;
      const body = await send(
        { method: "POST", path: `${pathOf(index)}/_bulk`, bulkBody: lines },
        doing,
        options,
      );
      const items = isBulk(body) ? body.items.map((item) => item[Object.keys(item)[0] ?? ""]) : [];
      return actions.map((_, at) => items[at] ?? fail(noAnswer, doing));
    },

    async get(index, { ids, routing, field }, doing) {
      const query = routing === undefined ? primary : `${primary}&routing=${encodeURIComponent(routing)}`;
      const querystring = field === undefined ? query : `${query}&_source=${field}`;
      const body = JSON.stringify({ ids });
      const answer = await send({ method: "POST", path: `${pathOf(index)}/_mget`, querystring, body }, doing);
      const docs = isFoundByIds(answer) ? answer.docs : [];
      return ids.map((_, at) => {
        const found = docs[at];
        // Whoever was not asked has not said that the document is absent.
        if (found?.error !== undefined) return fail(answered(500, found.error), doing);
        return typeof found?.found === "boolean" ? found : fail(noAnswer, doing);
      });
    },

    async search(index, { body, routing }, doing) {
      const query = `${primary}&allow_partial_search_results=false`;
      const querystring = routing === undefined ? query : `${query}&routing=${encodeURIComponent(routing)}`;
      const request = {
        method: "POST",
        path: `${pathOf(index)}/_search`,
        querystring,
        body: JSON.stringify(body),
      };
      const answer = await send(request, doing);
      return isFoundBySearch(answer) ? answer.hits.hits : fail(noAnswer, doing);
    },

    async refresh(index, doing) {
      const answer = await send({ method: "POST", path: `${pathOf(index)}/_refresh` }, doing);
      if (!isRefreshed(answer)) fail({ ...noAnswer, status: 503 }, doing);
    },
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isBulk(body: unknown): body is { items: readonly { readonly [kind: string]: BulkItem }[] } {
  return isObject(body) && "items" in body && Array.isArray(body.items);
}

function isFoundByIds(body: unknown): body is { docs: readonly FoundDocument[] } {
  return isObject(body) && "docs" in body && Array.isArray(body.docs);
}

function isFoundBySearch(body: unknown): body is { hits: { hits: readonly FoundDocument[] } } {
  return isObject(body) && "hits" in body && isObject(body.hits) && "hits" in body.hits;
}

function isRefreshed(body: unknown): boolean {
  return isObject(body) && "_shards" in body && isObject(body._shards) && "failed" in body._shards
    ? body._shards.failed === 0
    : false;
}

/** What is known of a failure. */
interface Failure {
  /** The driver's name of it. */
  readonly name: string;
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  /** The server's name of it. */
  readonly type: string;
  readonly reason: string;
  /** The driver's words, where the server has said nothing. */
  readonly message: string;
  readonly stack?: string | undefined;
}

const noAnswer: Failure = {
  name: "ResponseError",
  status: 0,
  type: "",
  reason: "",
  message: "the answer is not one of OpenSearch",
};

function answered(status: number, error: ServerError | undefined): Failure {
  return {
    name: "ResponseError",
    status: statuses.get(error?.type ?? "") ?? status,
    type: error?.type ?? "",
    reason: error?.reason ?? "",
    message: "",
  };
}

/** `mget` tells an error by its type alone. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["index_not_found_exception", 404],
  ["no_shard_available_action_exception", 503],
  ["unavailable_shards_exception", 503],
  ["security_exception", 403],
]);

/** The error of one line of a bulk request. */
export function itemFailure(item: BulkItem, doing: Doing): WaymarkError {
  return toError(answered(item.status, item.error), doing);
}

function fail(failure: Failure, doing: Doing): never {
  throw toError(failure, doing);
}

/** Turns an error of the client into ours. */
export function failure(cause: unknown, doing: Doing): WaymarkError {
  return isWaymarkError(cause) ? cause : toError(look(cause), doing);
}

function look(cause: unknown): Failure {
  if (!(cause instanceof Error)) return { ...noAnswer, name: typeof cause, message: "" };
  const { name, message, stack } = cause;
  const meta = "meta" in cause && isObject(cause.meta) ? cause.meta : {};
  const status = "statusCode" in meta && typeof meta.statusCode === "number" ? meta.statusCode : 0;
  if (name !== "ResponseError") return { name, status: 0, type: "", reason: "", message, stack };
  const body = "body" in meta && isObject(meta.body) ? meta.body : {};
  const error = "error" in body && isObject(body.error) ? body.error : {};
  const type = "type" in error && typeof error.type === "string" ? error.type : "";
  const reason = "reason" in error && typeof error.reason === "string" ? error.reason : "";
  return { name, status, type, reason, message: "", stack };
}

function toError(failure: Failure, { operation, sessionId }: Doing): WaymarkError {
  const details = { operation, sessionId, cause: withoutContents(failure) };
  const mark = failure.type || (failure.status > 0 ? String(failure.status) : failure.name);
  if (failure.status === 413) {
    const message = `${operation}: the turn is larger than the cluster takes in one request; nothing was written [${mark}]`;
    return new ValidationError("COMMIT_TOO_LARGE", message, details);
  }
  const [code, says] = explain(failure);
  return new StorageError(code, `${operation}: ${says} [${mark}]`, details);
}

/** The client's own errors hold the request, which is what people said, and the login; reasons quote both. */
function withoutContents({ name, status, type, message, stack }: Failure): Error {
  const cause = new Error(type === "" ? message : type);
  cause.name = name;
  if (stack !== undefined) cause.stack = stack.replace(/^[^]*?(?=\n {4}at )/, `${name}: ${cause.message}`);
  return Object.assign(cause, status > 0 ? { statusCode: status } : {});
}

/** Said by Node before anything is sent. */
const neverSent = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|connect ETIMEDOUT/;

function explain({ name, status, type, reason, message }: Failure): [StorageCode, string] {
  if (status === 0) return explainSilence(name, message);
  switch (type) {
    case "index_not_found_exception":
      return ["STORAGE_FAILED", "an index is missing; call `initialize()`, or check `indices`"];
    case "cluster_block_exception":
      return explainBlock(reason);
    case "index_closed_exception":
      return ["STORAGE_FAILED", "an index is closed; open it"];
    case "strict_dynamic_mapping_exception":
    case "mapper_parsing_exception":
    case "document_parsing_exception":
      return ["STORAGE_FAILED", "the index is not one of this version; check `indices`. Nothing was written"];
    case "circuit_breaking_exception":
      return ["STORAGE_UNAVAILABLE", "OpenSearch has no memory left for this; nothing was written"];
  }
  switch (status) {
    case 401:
      return ["STORAGE_FAILED", "OpenSearch refused the login; check the client's"];
    case 403:
      return ["STORAGE_FAILED", "the role may not do this; grant it the right to the indices"];
    case 429:
      return ["STORAGE_UNAVAILABLE", "OpenSearch has too much to do; nothing was written"];
    case 408:
    case 502:
    case 504:
      return ["STORAGE_UNAVAILABLE", "OpenSearch did not answer in time; a write may have been done"];
    case 503:
      return ["STORAGE_UNAVAILABLE", "the cluster cannot serve the index now; a write may have been done"];
    case 507:
      return ["STORAGE_FULL", "OpenSearch has no room left; what was stored before is intact"];
  }
  if (/no space left/i.test(reason))
    return ["STORAGE_FULL", "OpenSearch has no room left; what was stored before is intact"];
  return ["STORAGE_FAILED", "OpenSearch refused the request"];
}

function explainSilence(name: string, message: string): [StorageCode, string] {
  switch (name) {
    case "ConnectionError":
      return neverSent.test(message)
        ? ["STORAGE_UNAVAILABLE", "OpenSearch could not be reached; nothing was sent"]
        : ["STORAGE_UNAVAILABLE", "the connection to OpenSearch was lost; a write may have been done"];
    case "TimeoutError":
      return ["STORAGE_UNAVAILABLE", "OpenSearch did not answer in time; a write may have been done"];
    case "NoLivingConnectionsError":
      return ["STORAGE_UNAVAILABLE", "the client has no node to ask; nothing was sent"];
    case "RequestAbortedError":
      return ["STORAGE_UNAVAILABLE", "the request was aborted; a write may have been done"];
  }
  return ["STORAGE_FAILED", "the client failed, or the answer is not one of OpenSearch"];
}

/** A block is told by its reason alone: `index [i] blocked by: [FORBIDDEN/8/index write (api)];`. */
function explainBlock(reason: string): [StorageCode, string] {
  if (/\/12\//.test(reason))
    return [
      "STORAGE_FULL",
      "the index is blocked because a disk of the cluster is full; nothing was written",
    ];
  if (/SERVICE_UNAVAILABLE/.test(reason))
    return ["STORAGE_UNAVAILABLE", "the cluster has no manager or is not recovered yet; nothing was written"];
  return ["STORAGE_FAILED", "the index is blocked for this; remove the block. Nothing was written"];
}

/** For data that does not read back. */
export function damaged(what: string, details: ErrorDetails): WaymarkError {
  return new StorageError("STORAGE_DAMAGED", `${details.operation}: ${what}; it was left as it is`, details);
}
