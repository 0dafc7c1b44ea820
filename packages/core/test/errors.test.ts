import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import {
  StorageError,
  WaymarkError,
  errorCodes,
  isWaymarkError,
  storageError,
  type ErrorCode,
} from "../src/errors.js";
import { FileAdapter } from "../src/file/index.js";
import { FileAdapter as UnsupportedFileAdapter } from "../src/file/unsupported.js";
import { Agent, type PersistenceAdapter, PersistenceManager, createSession } from "../src/index.js";
import { type ScriptedReply, scriptedModel, testEnvironment } from "../src/testing.js";
import { withEncryption } from "../src/wrap/index.js";
import { mapAdapter } from "./support/map-adapter.js";

const folder = mkdtempSync(join(tmpdir(), "waymark-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secret = "the person's own words";
const said = { role: "user", content: secret } as const;

async function saved(adapter: PersistenceAdapter = mapAdapter()) {
  const manager = new PersistenceManager<Record<string, unknown>>({
    adapter,
    environment: testEnvironment(),
  });
  const session = createSession({ id: "s" });
  await manager.saveTurn({ session, messages: [said], operationId: "first" });
  return { manager, session };
}

function agentThatHears(reply: ScriptedReply, adapter?: PersistenceAdapter) {
  return new Agent({
    name: "test",
    provider: scriptedModel([reply]),
    ...(adapter === undefined ? {} : { persistence: { adapter } }),
  });
}

const key = (id: string) => ({ id, key: new Uint8Array(32).fill(1) });

const answer = (agent: Agent, timeoutMs?: number) =>
  agent.respond({ history: [said], session: createSession({ id: "s" }), timeoutMs });

/** These need another process that holds a lock, or a limit on the size of files: the tests of the file store raise them. */
type RaisedByFiles = "STORAGE_LOCKED" | "STORAGE_FULL";
/** This needs a client with transactions: the tests of the SQLite adapter raise it. */
type RaisedByAdapters = "CLIENT_IN_TRANSACTION";
type RaisedHere = Exclude<ErrorCode, RaisedByFiles | RaisedByAdapters>;

/** One way to meet each other code, through the public API. The compiler asks for a new one with each new code. */
const provocations: Record<RaisedHere, () => Promise<unknown>> = {
  INVALID_ARGUMENT: async () => {
    const { manager } = await saved();
    return manager.loadSessionHistory("s", { limit: 0 });
  },
  INVALID_ID: async () => (await saved()).manager.loadSessionState(""),
  INVALID_VALUE: async () => {
    const { manager, session } = await saved();
    session.data = { list: [secret, () => secret] };
    return manager.saveTurn({ session });
  },
  INVALID_STATE: async () => {
    const { manager, session } = await saved();
    return manager.saveTurn({ session: { ...session, routeHistory: "none" as never } });
  },
  INVALID_CONFIGURATION: async () => new PersistenceManager({ adapter: {} as never }),
  COMMIT_TOO_LARGE: async () => {
    const { manager, session } = await saved();
    session.data = { text: secret.repeat(100_000) };
    return manager.saveTurn({ session });
  },
  SESSION_NOT_FOUND: async () => (await saved()).manager.saveMessage({ sessionId: "none", ...said }),
  SESSION_EXISTS: async () => (await saved()).manager.saveSessionState("s", createSession()),
  SESSION_CLOSED: async () => {
    const { manager } = await saved();
    await manager.updateSessionStatus("s", "completed");
    return manager.saveMessage({ sessionId: "s", ...said });
  },
  SESSION_CONFLICT: async () => {
    const { manager, session } = await saved();
    const copy = { ...session, data: { text: secret } };
    session.data = { text: "first" };
    await manager.saveTurn({ session });
    return manager.saveTurn({ session: copy });
  },
  RECORD_CONFLICT: async () =>
    (await saved()).manager.records("application").put(secret, secret, { ifRevision: "another" }),
  SESSION_BUSY: async () => {
    const adapter = mapAdapter();
    const { manager } = await saved(adapter);
    adapter.sessionRepository.update = async () => false;
    return manager.saveMessage({ sessionId: "s", ...said });
  },
  OPERATION_MISMATCH: async () => {
    const { manager, session } = await saved();
    return manager.saveTurn({ session, messages: [said, said], operationId: "first" });
  },
  OPERATION_UNKNOWN: async () => {
    const { manager, session } = await saved();
    const early = { ...session, data: { text: secret } };
    session.data = { text: "other" };
    for (let turn = 0; turn < 20; turn++) {
      await manager.saveTurn({ session, messages: [said] });
    }
    return manager.saveTurn({ session: early, operationId: "second" });
  },
  STORAGE_FAILED: async () => {
    const file = join(folder, "a-file");
    writeFileSync(file, "");
    return saved(new FileAdapter({ directory: join(file, "sessions") }));
  },
  STORAGE_UNAVAILABLE: async () => {
    const adapter = mapAdapter();
    adapter.before = () => {
      throw new StorageError("STORAGE_UNAVAILABLE", "the store does not answer", { operation: "create" });
    };
    return saved(adapter);
  },
  STORAGE_DAMAGED: async () => {
    const adapter = mapAdapter();
    const { manager } = await saved(adapter);
    const row = adapter.rows.get("s");
    if (row !== undefined) adapter.rows.set("s", { ...row, state: [secret] });
    return manager.loadSessionState("s");
  },
  STATE_TOO_NEW: async () => {
    const adapter = mapAdapter();
    const { session } = await saved(adapter);
    const migrations = { 1: () => {} };
    const newer = new PersistenceManager({ adapter, schemaVersion: 2, migrations });
    await newer.saveSessionState("s", session);
    return new PersistenceManager({ adapter }).loadSessionState("s");
  },
  MIGRATION_FAILED: async () => {
    const adapter = mapAdapter();
    await saved(adapter);
    const migrations = {
      1: () => {
        throw new Error(secret);
      },
    };
    return new PersistenceManager({ adapter, schemaVersion: 2, migrations }).loadSessionState("s");
  },
  HOOK_FAILED: async () => {
    const beforeDelete = () => Promise.reject(new Error(secret));
    return new PersistenceManager({ adapter: mapAdapter(), hooks: { beforeDelete } }).deleteSession("s");
  },
  EXPORT_DAMAGED: async () => (await saved()).manager.importSession({ text: secret }),
  EXPORT_TOO_NEW: async () => {
    const { manager } = await saved();
    return manager.importSession({ ...(await manager.exportSession("s")), version: 2 });
  },
  OWNER_MISMATCH: async () => {
    const { manager } = await saved();
    await manager.saveSessionState("ada", createSession(), { userId: "ada" });
    return manager.importSession(await manager.exportSession("ada"), { id: "new", userId: "grace" });
  },
  CAPABILITY_MISSING: async () => new UnsupportedFileAdapter(),
  DECRYPTION_FAILED: async () => {
    const adapter = mapAdapter();
    await saved(withEncryption(adapter, { keys: [key("k1")] }));
    const row = adapter.rows.get("s");
    if (row !== undefined) adapter.rows.set("s", { ...row, version: `${row.life}.2` });
    return new PersistenceManager({
      adapter: withEncryption(adapter, { keys: [key("k1")] }),
    }).loadSessionState("s");
  },
  ENCRYPTION_KEY_MISSING: async () => {
    const adapter = mapAdapter();
    await saved(withEncryption(adapter, { keys: [key("k1")] }));
    return new PersistenceManager({
      adapter: withEncryption(adapter, { keys: [key("k2")] }),
    }).loadSessionState("s");
  },
  NOT_ENCRYPTED: async () => {
    const adapter = mapAdapter();
    await saved(adapter);
    return new PersistenceManager({
      adapter: withEncryption(adapter, { keys: [key("k1")] }),
    }).loadSessionState("s");
  },
  CLOSED: async () => {
    const { manager } = await saved();
    await manager.close();
    return manager.loadSessionState("s");
  },
  ABORTED: async () => {
    const { manager, session } = await saved();
    return manager.saveTurn({ session, signal: AbortSignal.abort(secret) });
  },
  MODEL_FAILED: () => answer(agentThatHears(new Error(secret))),
  MODEL_TIMEOUT: () =>
    answer(
      agentThatHears(() => new Promise(() => {})),
      1,
    ),
  MODEL_INVALID: () => answer(agentThatHears({ message: 7 as never })),
  TURN_NOT_SAVED: () => {
    const adapter = mapAdapter();
    adapter.before = (call) => {
      if (call === "update") throw new StorageError("STORAGE_FAILED", "no room", { operation: "update" });
    };
    return answer(agentThatHears(secret, adapter));
  },
};

describe("every code", () => {
  it.each(Object.keys(provocations) as RaisedHere[])(
    "%s is raised, with what a caller needs to know",
    async (code) => {
      const error: unknown = await provocations[code]().then(
        () => null,
        (raised: unknown) => raised,
      );
      if (!isWaymarkError(error)) throw error ?? new Error("nothing was raised");
      expect(error.code).toBe(code);
      expect(error).toBeInstanceOf(WaymarkError);
      expect(error.operation).not.toBe("");
      expect(error.message.length).toBeGreaterThan(20);
      expect(error.message).not.toContain(secret);
      expect(typeof error.retryable).toBe("boolean");
    },
  );

  it("is recognised across copies of the package", () => {
    const foreign = Object.assign(new Error("x"), { [Symbol.for("waymark.error")]: true, code: "CLOSED" });
    expect(isWaymarkError(foreign)).toBe(true);
    expect(isWaymarkError(new Error("x"))).toBe(false);
    expect(isWaymarkError(null)).toBe(false);
  });

  it("wraps a driver's error once, without its words", () => {
    const cause = Object.assign(new Error(`password ${secret}`), { code: "ECONNRESET" });
    const error = storageError(cause, { operation: "findById", sessionId: "s", code: "STORAGE_UNAVAILABLE" });
    expect(error).toMatchObject({
      code: "STORAGE_UNAVAILABLE",
      operation: "findById",
      sessionId: "s",
      cause,
    });
    expect(error.message).toContain("ECONNRESET");
    expect(error.message).not.toContain(secret);
    expect(storageError(error, { operation: "again" })).toBe(error);
  });

  it("says in the table whether a retry is safe", () => {
    for (const { retryable, meaning } of Object.values(errorCodes)) {
      expect(typeof retryable).toBe("boolean");
      expect(meaning).not.toBe("");
    }
  });
});

it("is documented, each code with its meaning", () => {
  const page = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  for (const [code, { meaning, retryable }] of Object.entries(errorCodes)) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${code}\``)) ?? "";
    const [, , told, retry] = row.split("|").map((cell) => cell.trim());
    expect([code, told, retry]).toEqual([code, meaning, retryable ? "yes" : "no"]);
  }
});
