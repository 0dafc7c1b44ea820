import {
  type ErrorDetails,
  StorageError,
  type StorageCode,
  type WaymarkError,
  storageError,
} from "@waymark/core/adapter";

/** What the adapter uses of a client: `Redis` and `Cluster` of ioredis have it. */
export interface RedisClient {
  evalsha(sha: string, keys: number, ...args: string[]): Promise<unknown>;
  eval(script: string, keys: number, ...args: string[]): Promise<unknown>;
  info(section: string): Promise<string>;
  readonly isCluster?: boolean;
}

/** A script with its keys and arguments. All keys are in one slot. */
export interface Call {
  readonly script: string;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

/** Runs one script and gives its reply. Rejects with the driver's error. */
export type Run = (call: Call) => Promise<unknown>;

/**
 * Every access is a script, reads too: Cluster clients may send plain reads to replicas, which lag behind, but send scripts
 * to the master. Each is sent at once, not gathered into a pipeline: the server then works on the first while the next is
 * prepared here, which for 32 turns at once takes some 60 % of the time.
 */
export function createRun(client: RedisClient): Run {
  return async ({ script, keys, args }) => {
    const sha = shas.get(script) ?? (await shaOf(script));
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!messageOf(error).startsWith("NOSCRIPT")) throw error;
      // The server was restarted, or its scripts were flushed. This stores the script there, too.
      return client.eval(script, keys.length, ...keys, ...args);
    }
  };
}

const shas = new Map<string, string>();

async function shaOf(script: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(script)));
  const sha = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  shas.set(script, sha);
  return sha;
}

/** The driver's error as ours. What was sent is taken off it: the arguments hold what people said. */
export function fail(error: unknown, operation: string, sessionId?: string): WaymarkError {
  if (typeof error === "object" && error !== null) forgetArguments(error);
  return storageError(error, { operation, sessionId, code: codeOf(error) });
}

/** Every error of the driver becomes ours here. */
export async function guard<T>(
  operation: string,
  id: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fail(error, operation, id);
  }
}

/** For data that does not read back. */
export function damaged(what: string, details: ErrorDetails): WaymarkError {
  return new StorageError("STORAGE_DAMAGED", `${details.operation}: ${what}; it was left as it is`, details);
}

function codeOf(error: unknown): StorageCode {
  const message = messageOf(error);
  const [word = ""] = message.split(" ", 1);
  switch (word) {
    case "OOM":
    case "MISCONF":
      return "STORAGE_FULL";
    case "NOPERM":
    case "NOAUTH":
    case "WRONGPASS":
    case "WRONGTYPE":
    case "ERR":
    case "CROSSSLOT":
      return "STORAGE_FAILED";
    case "LOADING":
    case "BUSY":
    case "READONLY":
    case "MASTERDOWN":
    case "CLUSTERDOWN":
    case "TRYAGAIN":
    case "MOVED":
    case "ASK":
    case "NOREPLICAS":
    case "UNBLOCKED":
      return "STORAGE_UNAVAILABLE";
  }
  return isConnectionError(error, message) ? "STORAGE_UNAVAILABLE" : "STORAGE_FAILED";
}

const connectionErrors = new Set([
  "MaxRetriesPerRequestError",
  "ClusterAllFailedError",
  "AbortError",
  "InterruptError",
]);
const connectionMessage =
  /^(Connection is closed|Stream isn't writeable|Command timed out|None of startup nodes|Cluster isn't ready|Cluster is ended|Too many Cluster redirections|connect ETIMEDOUT|Socket closed|Socket timeout)/;

function isConnectionError(error: unknown, message: string): boolean {
  if (typeof error !== "object" || error === null) return false;
  if ("name" in error && typeof error.name === "string" && connectionErrors.has(error.name)) return true;
  // Errors of the socket: ECONNREFUSED, ECONNRESET, EPIPE, ETIMEDOUT, ENOTFOUND and their like.
  if ("syscall" in error || ("code" in error && error.code === "ETIMEDOUT")) return true;
  return connectionMessage.test(message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function forgetArguments(error: object): void {
  if (
    "command" in error &&
    typeof error.command === "object" &&
    error.command !== null &&
    "args" in error.command
  )
    error.command = { name: "name" in error.command ? error.command.name : "" };
}
