import { StorageError, ValidationError, type WaymarkError, utf8Length } from "@waymark/core/adapter";
import { type Cluster, pathOf } from "./client.js";
import type { Doing } from "./failure.js";

/** The indices of one adapter. */
export interface Names {
  readonly sessions: string;
  readonly messages: string;
}

export const schemaVersion = 1;

/** In UTF-16 units: a longer text is stored and cannot be looked for. Lucene takes 32,766 bytes. */
export const indexedLength = 8191;

const word = { type: "keyword", ignore_above: indexedLength };
const time = { type: "date", format: "epoch_millis" };
/** Stored as it is, and not looked at. */
const opaque = { type: "object", enabled: false };
const durable = { index: { translog: { durability: "request" } } };
const meta = "_meta";
const signature = { waymark: { schemaVersion } };

/**
 * What `initialize` makes, as the body of `PUT /INDEX`; for whoever makes the indices in another way. Shards, copies and
 * analyzers can be set besides. No field ever comes to these mappings by what people store.
 */
export const indexDefinitions = {
  sessions: {
    settings: durable,
    mappings: {
      [meta]: signature,
      dynamic: "strict",
      properties: {
        id: { type: "keyword" },
        life: opaque,
        revision: opaque,
        version: opaque,
        userId: word,
        agentName: word,
        status: { type: "keyword" },
        first: { type: "long" },
        last: { type: "long" },
        lastMessageAt: time,
        createdAt: time,
        updatedAt: time,
        completedAt: time,
        expiresAt: time,
        route: word,
        step: word,
        state: opaque,
        dirty: { type: "boolean" },
        system: opaque,
      },
    },
  },
  messages: {
    settings: durable,
    mappings: {
      [meta]: signature,
      dynamic: "strict",
      _routing: { required: true },
      properties: {
        sessionId: { type: "keyword" },
        log: { type: "keyword" },
        sequence: { type: "long" },
        userId: word,
        role: word,
        content: { type: "text" },
        createdAt: time,
        body: opaque,
      },
    },
  },
} as const;

/** A name, and no pattern, list or date. */
const oneIndex = /^(?![-_+]|\.\.?$)[^\s\p{Cc}\p{Surrogate}"*\\<|,>/?#:]+$/u;

/** @throws `INVALID_CONFIGURATION` for a name that cannot be that of an index, or is a pattern. */
export function namesOf(indices: { sessions?: string; messages?: string } = {}): Names {
  const { sessions = "agent_sessions", messages = "agent_messages" } = indices;
  for (const name of [sessions, messages]) {
    if (
      typeof name !== "string" ||
      !oneIndex.test(name) ||
      name !== name.toLowerCase() ||
      utf8Length(name) > 255
    )
      throw invalid("`indices` has a name that OpenSearch would not take for one index");
  }
  if (sessions === messages) throw invalid("sessions and messages need an index each");
  return { sessions, messages };
}

/** What `GET /INDEX` says of an index. */
interface FoundIndex {
  readonly mappings?: { readonly [meta]?: { readonly waymark?: { readonly schemaVersion?: unknown } } };
  readonly settings?: {
    readonly index?: {
      readonly translog?: { readonly durability?: string };
      readonly blocks?: { readonly [name: string]: unknown };
    };
  };
}

/** The index of that name, or of that alias. Null: there is none. */
async function findIndex(cluster: Cluster, name: string, doing: Doing): Promise<FoundIndex | null> {
  const querystring = "ignore_unavailable=true";
  const answer = await cluster.send({ method: "GET", path: pathOf(name), querystring }, doing);
  const found: FoundIndex[] = typeof answer === "object" && answer !== null ? Object.values(answer) : [];
  if (found.length > 1) throw foreign(name, "it is an alias of more than one index", doing);
  return found[0] ?? null;
}

/** Makes what is missing and checks what is there. */
export async function prepareIndices(cluster: Cluster, names: Names, isCreating: boolean): Promise<void> {
  const doing = { operation: "initialize" };
  for (const kind of ["sessions", "messages"] as const) {
    const name = names[kind];
    let found = await findIndex(cluster, name, doing);
    if (found === null) {
      if (!isCreating) throw foreign(name, "it is missing, and `autoCreateIndices` is false", doing);
      await createIndex(cluster, name, indexDefinitions[kind], doing);
      found = await findIndex(cluster, name, doing);
    }
    const problem = problemOf(found, indexDefinitions[kind].mappings);
    if (problem !== null) throw foreign(name, problem, doing);
  }
  await Promise.all([served(cluster, names.sessions, doing), served(cluster, names.messages, doing)]);
}

/** For an index that somebody else is just making: its shards take a little to start, and health is yellow before. */
const startMs = 20_000;
const pauseMs = 50;

/** Resolves when all of an index can be read. */
async function served(cluster: Cluster, name: string, doing: Doing): Promise<void> {
  for (const begin = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, pauseMs))) {
    try {
      await cluster.search(name, { body: { size: 0, track_total_hits: false } }, doing);
      return;
    } catch (error) {
      const isStarting = error instanceof StorageError && error.retryable && Date.now() < begin + startMs;
      if (!isStarting) throw error;
    }
  }
}

async function createIndex(cluster: Cluster, name: string, definition: object, doing: Doing): Promise<void> {
  const body = JSON.stringify(definition);
  try {
    await cluster.send({ method: "PUT", path: pathOf(name), body }, doing);
  } catch (error) {
    // Another process was first, or the client's own first try.
    if (!(error instanceof StorageError) || !error.message.includes("resource_already_exists_exception"))
      throw error;
  }
}

/** Why an index cannot be used, or null. */
function problemOf(found: FoundIndex | null, mappings: object): string | null {
  if (found === null) return "it was removed while it was looked at";
  if (found.mappings?.[meta]?.waymark === undefined)
    return "it is there, and is not one that Waymark has made";
  if (versionOf(found) !== schemaVersion) return "it is of another version of this package";
  const difference = lacking(found.mappings, mappings, "");
  if (difference !== null) return `its mapping differs at ${difference}`;
  if (found.settings?.index?.translog?.durability === "async")
    return "it acknowledges writes before they are on disk: `index.translog.durability` has to be `request`";
  return null;
}

/** Where something that is wanted is not so; what is there besides does no harm. */
function lacking(found: unknown, wanted: unknown, path: string): string | null {
  // The server gives settings of a mapping as texts, some of them.
  if (typeof wanted !== "object" || wanted === null) return String(found) === String(wanted) ? null : path;
  if (typeof found !== "object" || found === null) return path;
  const values = new Map<string, unknown>(Object.entries(found));
  for (const [key, value] of Object.entries(wanted)) {
    const difference = lacking(values.get(key), value, path === "" ? key : `${path}.${key}`);
    if (difference !== null) return difference;
  }
  return null;
}

function versionOf(index: FoundIndex | null): number {
  const version = index?.mappings?.[meta]?.waymark?.schemaVersion;
  return typeof version === "number" ? version : 0;
}

export async function describeIndices(
  cluster: Cluster,
  names: Names,
): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
  const doing = { operation: "describe" };
  const answer = await cluster.send({ method: "GET", path: "/" }, doing);
  const found = [
    await findIndex(cluster, names.sessions, doing),
    await findIndex(cluster, names.messages, doing),
  ];
  const version = Math.min(...found.map(versionOf));
  return {
    server: `OpenSearch ${serverVersion(answer)}`.trim(),
    schemaVersion: version,
    writable: version === schemaVersion && !found.some(isBlocked),
  };
}

function isBlocked(index: FoundIndex | null): boolean {
  const blocks = index?.settings?.index?.blocks ?? {};
  return ["write", "read_only", "read_only_allow_delete"].some((name) => String(blocks[name]) === "true");
}

function serverVersion(answer: unknown): string {
  if (typeof answer !== "object" || answer === null || !("version" in answer)) return "";
  const { version } = answer;
  if (typeof version !== "object" || version === null || !("number" in version)) return "";
  return String(version.number);
}

function foreign(name: string, problem: string, { operation }: Doing): WaymarkError {
  const message = `${operation}: the index \`${name}\` cannot be used: ${problem}; it was left as it is`;
  return new StorageError("STORAGE_FAILED", message, { operation });
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `new OpenSearchAdapter: ${message}`, {
    operation: "new OpenSearchAdapter",
  });
}
