import { setImmediate } from "node:timers/promises";
import { describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import {
  type Entry,
  type PersistenceAdapter,
  type SessionRow,
  type StoredRecord,
  historyLog,
} from "@waymark/core/adapter";
import { type EncryptReport, type EncryptionKey, encryptStore, withEncryption } from "@waymark/core/wrap";
import { MemoryAdapter } from "../src/index.js";
import { type TestStore, stores } from "./stores.js";

jest.setTimeout(60_000);

const [k1, k2]: readonly EncryptionKey[] = ["k1", "k2"].map((id, n) => ({
  id,
  key: new Uint8Array(32).fill(n + 1),
}));
if (k1 === undefined || k2 === undefined) throw new Error("there are two");

const secret = "said in confidence";
type Manager = PersistenceManager<Record<string, unknown>>;
const managerOn = (adapter: PersistenceAdapter): Manager => new PersistenceManager({ adapter });
const managerWith = (adapter: PersistenceAdapter, keys: readonly EncryptionKey[], accept = false): Manager =>
  managerOn(withEncryption(adapter, { keys, plaintext: accept ? "accept" : "refuse" }));

/** One session with all that there can be, a few more, a tombstone, and one whose messages are still in its row. */
async function fill(adapter: PersistenceAdapter): Promise<void> {
  const manager = managerOn(adapter);
  const hasRecords = adapter.records !== undefined;
  const session = createSession<Record<string, unknown>>({ id: "long", data: { text: secret } });
  session.routeHistory = Array.from({ length: 250 }, (_, n) => ({
    routeId: secret,
    enteredAt: new Date(n),
    completed: true,
  }));
  await manager.saveTurn({
    session,
    userId: "ann",
    messages: Array.from({ length: 300 }, (_, n) => ({ role: "user" as const, content: `${secret} ${n}` })),
    ...(hasRecords && { records: [{ key: "a", value: secret }] }),
  });
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
    const session = createSession<Record<string, unknown>>({ id: `s${n}`, data: { text: secret } });
    await manager.saveTurn({ session, messages: [{ role: "user", content: secret }] });
  }
  if (hasRecords) {
    await manager.records({ userId: "ann" }).put("a", { text: secret });
    await manager.records("application").put("a", secret);
  }
  await manager.flush();
  const deleted = await rowOf(adapter, "s1");
  const system = { pending: [], operations: [], count: 0 };
  const buried: SessionRow = { ...deleted, revision: "buried", status: "deleting", state: null, system };
  await adapter.sessionRepository.update(buried, deleted.revision);
  await managerOn(undelivering(adapter)).saveMessage({
    sessionId: "s2",
    role: "user",
    content: `${secret}, late`,
  });
}

/** The same store for a process that stops before it has delivered its own message. */
function undelivering({ sessionRepository, messageRepository }: PersistenceAdapter): PersistenceAdapter {
  const insert = (entries: readonly Entry[]) =>
    entries.some(({ content }) => content.endsWith("late"))
      ? Promise.reject(new Error("stopped"))
      : messageRepository.insert(entries);
  return {
    ...{ name: "undelivering", durability: "process", limits: { commitBytes: 1e6 } },
    sessionRepository,
    messageRepository: { ...messageRepository, insert },
  };
}

async function rowOf(adapter: PersistenceAdapter, id: string): Promise<SessionRow> {
  const row = await adapter.sessionRepository.findById(id);
  if (row === null) throw new Error("there is no row");
  return row;
}

interface Stored {
  readonly rows: readonly SessionRow[];
  readonly entries: readonly Entry[];
  readonly records: readonly StoredRecord[];
}

/** Everything that the repositories give. */
async function storedIn(adapter: PersistenceAdapter): Promise<Stored> {
  const status = ["active", "completed", "abandoned", "deleting"] as const;
  const { items: rows } = await adapter.sessionRepository.find({ status }, { limit: 100 });
  const entries: Entry[] = [];
  for (const { id, life } of rows) {
    for (const log of [life, historyLog(life)]) {
      entries.push(...(await adapter.messageRepository.findBySessionId(id, { log, from: 1, to: 1000 })));
    }
  }
  const records: StoredRecord[] = [];
  for (const scope of (await adapter.records?.scopes({ limit: 100 })) ?? [])
    records.push(...((await adapter.records?.list(scope, { limit: 100 })) ?? []));
  return { rows, entries, records };
}

/** What has to be the same before and after. */
async function shownBy(manager: Manager, adapter: PersistenceAdapter): Promise<unknown> {
  const ids = ["long", "s2", "s3", "s12"];
  const sessions = await Promise.all(
    ids.map(async (id) => [
      await manager.loadSessionState(id),
      await manager.findMessagesBySessionId(id, { limit: 500 }),
      await manager.findSessionById(id),
    ]),
  );
  if (adapter.records === undefined) return sessions;
  const owners = ["application" as const, { userId: "ann" }, { sessionId: "long" }];
  return [
    ...sessions,
    ...(await Promise.all(owners.map(async (of) => (await manager.records(of).get("a"))?.value))),
  ];
}

async function opened(
  store: TestStore,
  work: (connect: () => PersistenceAdapter) => Promise<void>,
): Promise<void> {
  const { connect, remove } = await store.open();
  try {
    await work(connect);
  } finally {
    await remove();
  }
}

const nothing = { rows: 0, messages: 0, records: 0 };

describe.each(stores)("encryptStore on $name", (store) => {
  it("encrypts everything, after which plaintext can be refused, and then by another key", () =>
    opened(store, async (connect) => {
      const adapter = connect();
      await fill(adapter);
      const shown = await shownBy(managerOn(connect()), adapter);
      const told: EncryptReport[] = [];
      const records = adapter.records === undefined ? 0 : 3;
      const onProgress = (report: EncryptReport) => void told.push(report);
      expect(await encryptStore(adapter, { keys: [k1], onProgress })).toEqual({
        ...{ sessions: 13, rows: 12, messages: 300 + 150 + 12, records },
      });
      expect(told).toHaveLength(13 + records);
      const stored = await storedIn(connect());
      expect(JSON.stringify(stored)).not.toContain(secret);
      expect([stored.rows.length, stored.entries.length, stored.records.length]).toEqual([13, 462, records]);
      expect(stored.rows.map(({ status }) => status)).toContain("deleting");
      expect(await shownBy(managerWith(connect(), [k1]), adapter)).toEqual(shown);
      // A second run finds nothing to do.
      expect(await encryptStore(adapter, { keys: [k1] })).toEqual({ sessions: 13, ...nothing });
      const rotated = await encryptStore(adapter, { keys: [k2, k1] });
      expect(rotated).toEqual({ sessions: 13, rows: 12, messages: 462, records });
      expect(JSON.stringify(await storedIn(connect()))).not.toContain('"k1:');
      expect(await shownBy(managerWith(connect(), [k2]), adapter)).toEqual(shown);
    }));

  it("goes on where it was stopped", () =>
    opened(store, async (connect) => {
      const adapter = connect();
      await fill(adapter);
      const shown = await shownBy(managerOn(connect()), adapter);
      const stop = new Error("stopped");
      const onProgress = ({ sessions }: EncryptReport) => {
        if (sessions === 5) throw stop;
      };
      await expect(encryptStore(adapter, { keys: [k1], onProgress })).rejects.toBe(stop);
      expect(await shownBy(managerWith(connect(), [k1], true), adapter)).toEqual(shown);
      const rest = await encryptStore(adapter, { keys: [k1] });
      expect([rest.rows > 0, rest.rows < 12]).toEqual([true, true]);
      expect(await shownBy(managerWith(connect(), [k1]), adapter)).toEqual(shown);
    }));

  it.each([
    ["for the first time", [k1]],
    ["by another key", [k2, k1]],
  ])("changes nothing under those who write meanwhile, whose turns meet no conflict (%s)", (_, keys) =>
    opened(store, async (connect) => {
      const adapter = connect();
      await fill(adapter);
      if (keys.length > 1) await encryptStore(adapter, { keys: [k1] });
      const hasRecords = adapter.records !== undefined;
      const ids = ["s3", "s4", "s5", "s12"];
      const work = { isOver: false };
      const writers = ids.map(async (id) => {
        const manager = managerWith(connect(), keys, true);
        const session = await manager.loadSessionState(id);
        if (session === null) throw new Error("the session is gone");
        let n = 0;
        do {
          session.data["n"] = ++n;
          await manager.saveTurn({
            session,
            messages: [{ role: "user", content: `${secret} ${n}` }],
            ...(hasRecords && { records: [{ key: "n", value: n }] }),
          });
          await manager.saveMessage({ sessionId: id, role: "assistant", content: secret });
          // In memory, turns alone never let the timer fire for which whoever lost a race waits.
          await setImmediate();
        } while (!work.isOver);
        await manager.flush();
        return n;
      });
      for (let run = 0; run < 3; run++) await encryptStore(adapter, { keys });
      work.isOver = true;
      const written = await Promise.all(writers);
      expect(await encryptStore(adapter, { keys })).toEqual({ sessions: 13, ...nothing });
      expect(JSON.stringify(await storedIn(connect()))).not.toContain(secret);
      const reader = managerWith(connect(), keys.slice(0, 1));
      for (const [index, id] of ids.entries()) {
        const n = written[index] ?? 0;
        expect((await reader.loadSessionState(id))?.data["n"]).toBe(n);
        expect((await rowOf(adapter, id)).last).toBe(1 + 2 * n);
        expect(await reader.findMessagesBySessionId(id, { limit: 100 })).toHaveLength(
          Math.min(1 + 2 * n, 100),
        );
        if (hasRecords) expect((await reader.records({ sessionId: id }).get("n"))?.value).toBe(n);
      }
    }),
  );
});

it("an adapter that cannot replace messages is refused before anything is written, and one that encrypts too", async () => {
  const adapter = new MemoryAdapter();
  await fill(adapter);
  const before = adapter.getSnapshot();
  const { insert, findBySessionId, deleteBySessionId } = adapter.messageRepository;
  const without: PersistenceAdapter = {
    ...{
      name: "old",
      durability: "process",
      limits: adapter.limits,
      sessionRepository: adapter.sessionRepository,
    },
    messageRepository: { insert, findBySessionId, deleteBySessionId },
  };
  await expect(encryptStore(without, { keys: [k1] })).rejects.toMatchObject({ code: "CAPABILITY_MISSING" });
  const encrypted = withEncryption(adapter, { keys: [k1] });
  await expect(encryptStore(encrypted, { keys: [k1] })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(encryptStore(adapter, { keys: [] })).rejects.toMatchObject({ code: "INVALID_CONFIGURATION" });
  expect(adapter.getSnapshot()).toEqual(before);
});

it("a record that a turn writes at the same moment stays, and one that was removed does not come back", async () => {
  const adapter = new MemoryAdapter();
  await fill(adapter);
  const writer = managerWith(adapter, [k1], true);
  const records = adapter.records;
  if (records === undefined) throw new Error("there are records");
  // Between the read of a record and the write of its ciphertext, somebody else is faster.
  const put: typeof records.put = async (record, seen) => {
    if (record.key === "a" && record.scope.startsWith("session/")) {
      await writer.records({ sessionId: "long" }).put("a", "newer");
    }
    if (record.key === "a" && record.scope.startsWith("user/"))
      await writer.records({ userId: "ann" }).delete("a");
    return records.put(record, seen);
  };
  const { name, durability, limits, sessionRepository, messageRepository } = adapter;
  const raced: PersistenceAdapter = {
    ...{ name, durability, limits, sessionRepository, messageRepository },
    records: { ...records, put },
  };
  await encryptStore(raced, { keys: [k1] });
  const reader = managerWith(adapter, [k1]);
  expect((await reader.records({ sessionId: "long" }).get("a"))?.value).toBe("newer");
  expect(await reader.records({ userId: "ann" }).get("a")).toBeNull();
});
