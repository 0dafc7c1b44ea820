import {
  type ErrorDetails,
  StorageError,
  type StorageCode,
  ValidationError,
  type WaymarkError,
  isWaymarkError,
} from "@waymark/core/adapter";

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** How the server names an error. */
export interface ServerError {
  readonly type?: string;
  readonly reason?: string | null;
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
  /** How often the client had sent it before. */
  readonly attempts: number;
  readonly stack?: string | undefined;
}

const noAnswer: Failure = {
  name: "ResponseError",
  status: 0,
  type: "",
  reason: "",
  message: "the answer is not one of OpenSearch",
  attempts: 0,
};

/** Some errors have no status of their own. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["index_not_found_exception", 404],
  ["no_shard_available_action_exception", 503],
  ["unavailable_shards_exception", 503],
  ["security_exception", 403],
]);

/** The error of one write, one document or one shard, in an answer that is an answer otherwise. */
export function itemFailure(status: number, error: ServerError | undefined, doing: Doing): WaymarkError {
  const { type = "", reason } = error ?? {};
  const known = statuses.get(type) ?? status;
  return toError({ ...noAnswer, status: known, type, reason: reason ?? "", message: "" }, doing);
}

/** For an answer that OpenSearch does not give. */
export function notUnderstood(doing: Doing): WaymarkError {
  return toError(noAnswer, doing);
}

/** Turns an error of the client into ours. */
export function failure(cause: unknown, doing: Doing): WaymarkError {
  return isWaymarkError(cause) ? cause : toError(look(cause), doing);
}

/** Their words quote the answer or the request. */
const quoting = new Set(["DeserializationError", "SerializationError"]);

function look(cause: unknown): Failure {
  if (!(cause instanceof Error)) return { ...noAnswer, name: typeof cause, message: "" };
  const { name, message, stack } = cause;
  const meta = part(cause, "meta");
  if (name !== "ResponseError") {
    const attempts = Number(part(meta, "meta")["attempts"] ?? 0);
    return { ...noAnswer, name, message: quoting.has(name) ? "" : message, attempts, stack };
  }
  const { type, reason } = part(part(meta, "body"), "error");
  return {
    ...{ ...noAnswer, name, status: Number(meta["statusCode"] ?? 0), message: "", stack },
    type: typeof type === "string" ? type : "",
    reason: typeof reason === "string" ? reason : "",
  };
}

/** An object inside an object, or one that is empty. */
function part(whole: object, name: string): { readonly [name: string]: unknown } {
  const inside: unknown = Reflect.get(whole, name);
  return typeof inside === "object" && inside !== null ? { ...inside } : {};
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

function explain({ name, status, type, reason, message, attempts }: Failure): [StorageCode, string] {
  if (status === 0) return explainSilence(name, message, attempts);
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
      return ["STORAGE_FAILED", "the index is not one of this version; check `indices`"];
    case "circuit_breaking_exception":
      return ["STORAGE_UNAVAILABLE", "OpenSearch has no memory left for this; the write was not done"];
  }
  switch (status) {
    case 401:
      return ["STORAGE_FAILED", "OpenSearch refused the login; check the client's"];
    case 403:
      return ["STORAGE_FAILED", "the role may not do this; grant it the right to the indices"];
    case 429:
      return ["STORAGE_UNAVAILABLE", "OpenSearch has too much to do; the write was not done"];
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

function explainSilence(name: string, message: string, attempts: number): [StorageCode, string] {
  switch (name) {
    case "ConnectionError":
      if (!neverSent.test(message))
        return ["STORAGE_UNAVAILABLE", "the connection to OpenSearch was lost; a write may have been done"];
      return attempts === 0
        ? ["STORAGE_UNAVAILABLE", "OpenSearch could not be reached; nothing was sent"]
        : ["STORAGE_UNAVAILABLE", "OpenSearch could not be reached in the end; a write may have been done"];
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
      "the index is blocked because a disk of the cluster is full; the write was not done",
    ];
  if (/SERVICE_UNAVAILABLE/.test(reason))
    return [
      "STORAGE_UNAVAILABLE",
      "the cluster has no manager or is not recovered yet; the write was not done",
    ];
  return ["STORAGE_FAILED", "the index is blocked for this; remove the block"];
}

/** For data that does not read back. */
export function damaged(what: string, details: ErrorDetails): WaymarkError {
  return new StorageError("STORAGE_DAMAGED", `${details.operation}: ${what}; it was left as it is`, details);
}
