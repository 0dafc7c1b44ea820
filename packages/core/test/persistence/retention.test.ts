import { describe, expect, it } from "@jest/globals";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { Agent } from "../../src/agent/agent.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import type { ManagerOptions } from "../../src/persistence/options.js";
import type { PruneOptions, PruneReport } from "../../src/persistence/retention.js";
import { createSession } from "../../src/state/session.js";
import { scriptedModel, testEnvironment } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { type OpenStore, eachStore, refusal } from "../support/stores.js";

type Data = Record<string, unknown>;
const said = { role: "user", content: "Hi" } as const;

function made(open: OpenStore, options: Partial<ManagerOptions<Data>> = {}) {
  const environment = testEnvironment();
  const adapter = open();
  const manage = (more: Partial<ManagerOptions<Data>> = {}) =>
    new PersistenceManager<Data>({ adapter, environment, ...options, ...more });
  return { environment, adapter, manage, persistence: manage() };
}

async function talk(persistence: PersistenceManager<Data>, id: string, count = 1, userId = "ada") {
  const session = createSession<Data>({ id });
  await persistence.saveTurn({ session, messages: Array.from({ length: count }, () => said), userId });
  return session;
}

async function idsOf({ sessionRepository: sessions }: PersistenceAdapter): Promise<string[]> {
  const status = ["active", "completed", "abandoned", "deleting"] as const;
  const { items } = await sessions.find({ status }, { limit: 100 });
  return items.map(({ id }) => id).toSorted();
}

describe.each(eachStore())("a session whose time is over, on %s", (_name, open) => {
  it("is there until that moment, and absent on every path from then on", async () => {
    const { environment, persistence } = made(open, { expireAfterMs: 1000 });
    const session = await talk(persistence, "s");
    environment.advance(999);
    expect(await persistence.findSessionById("s")).toMatchObject({ expiresAt: expect.any(Date) });
    expect(await persistence.loadSessionHistory("s")).toHaveLength(1);
    expect(await persistence.findActiveSessionByUserId("ada")).toMatchObject({ id: "s" });
    environment.advance(1);
    expect(await persistence.loadSessionState("s")).toBeNull();
    expect(await persistence.open("s")).toBeNull();
    expect(await persistence.loadSessionHistory("s")).toHaveLength(0);
    expect(await persistence.findMessagesBySessionId("s", { after: 0 })).toHaveLength(0);
    expect(await persistence.findSessionById("s")).toBeNull();
    expect(await persistence.inspectSession("s")).toBeNull();
    expect(await persistence.findActiveSessionByUserId("ada")).toBeNull();
    expect(await persistence.findSessionsByUserId("ada")).toHaveLength(0);
    session.data["late"] = true;
    for (const work of [
      persistence.saveTurn({ session }),
      persistence.saveTurn({ session: { ...session } }),
      persistence.saveMessage({ sessionId: "s", ...said }),
      persistence.updateCollectedData("s", { late: true }),
      persistence.trimMessages("s", 1),
    ])
      expect((await refusal(work)).code).toBe("SESSION_NOT_FOUND");
    expect(await persistence.updateSessionStatus("s", "completed")).toBe(false);
    expect(await persistence.findSessionById("s")).toBeNull();
  });

  it("is removed by a delete, which says that it was not there", async () => {
    const { environment, adapter, persistence } = made(open, { expireAfterMs: 1000 });
    await talk(persistence, "s");
    environment.advance(1000);
    expect(await idsOf(adapter)).toEqual(["s"]);
    expect(await persistence.deleteSession("s")).toBe(false);
    expect(await idsOf(adapter)).toEqual([]);
  });

  it("leaves its id to a new one, also to another user's, with nothing of it", async () => {
    const { environment, persistence } = made(open, { expireAfterMs: 1000 });
    const old = await talk(persistence, "s", 3);
    environment.advance(1000);
    const session = await talk(persistence, "s", 1, "bob");
    expect(session.version).not.toBe(old.version);
    expect(await persistence.findSessionById("s")).toMatchObject({ userId: "bob", messageCount: 1 });
    expect((await persistence.loadSessionHistory("s")).map(({ sequence }) => sequence)).toEqual([1]);
  });

  it("lives on with each write, and for ever when that is said", async () => {
    const { environment, manage, persistence } = made(open, { expireAfterMs: 1000 });
    const session = await talk(persistence, "s");
    const until = async () => (await persistence.findSessionById("s"))?.expiresAt?.getTime();
    for (const write of [
      () => persistence.saveMessage({ sessionId: "s", ...said }),
      () => persistence.updateSessionStatus("s", "active"),
      () => persistence.saveTurn({ session, messages: [said] }),
      () => persistence.updateCollectedData("s", { a: environment.now() }),
    ]) {
      environment.advance(900);
      await write();
      expect(await until()).toBe(environment.now() + 1000);
    }
    // Who says nothing about it leaves it as it is.
    environment.advance(900);
    await manage({ expireAfterMs: undefined }).saveMessage({ sessionId: "s", ...said });
    expect(await until()).toBe(environment.now() + 100);
    await manage({ expireAfterMs: Infinity }).saveMessage({ sessionId: "s", ...said });
    environment.advance(1e9);
    expect(await persistence.findSessionById("s")).toMatchObject({ expiresAt: null });
  });

  it("begins anew in a handle of its agent", async () => {
    const { environment, adapter } = made(open);
    const agent = new Agent({
      name: "a",
      provider: scriptedModel(({ history }) => String(history.length)),
      persistence: { adapter, expireAfterMs: 1000, ...{ environment } },
    });
    await agent.session("s").chat("one");
    expect((await agent.session("s").chat("two")).message).toBe("3");
    environment.advance(1000);
    expect((await agent.session("s").chat("three")).message).toBe("1");
    expect(await agent.session("s").messages()).toHaveLength(2);
  });
});

it.each([0, -1, Number.NaN, "1000"])("a time to live of %s is refused", (expireAfterMs) => {
  expect(() => made(() => mapAdapter(), { expireAfterMs: expireAfterMs as number })).toThrow(
    "`expireAfterMs`",
  );
});

describe.each(eachStore())("a prune on %s", (_name, open) => {
  const nothing: PruneReport = {
    ...{ deleted: 0, skipped: 0, finished: 0, delivered: 0, trimmed: 0 },
    next: null,
  };

  it("removes what is over, and what the options name", async () => {
    const { environment, adapter, manage, persistence } = made(open);
    const brief = manage({ expireAfterMs: 1000 });
    for (const id of ["over 1", "over 2"]) await talk(brief, id);
    for (const id of ["done", "old", "new"]) await talk(persistence, id);
    await persistence.updateSessionStatus("done", "completed");
    await persistence.flush();
    environment.advance(1000);
    await persistence.saveMessage({ sessionId: "new", ...said });
    expect(await persistence.prune()).toEqual({ ...nothing, deleted: 2 });
    expect(await idsOf(adapter)).toEqual(["done", "new", "old"]);
    const olderThan = new Date(environment.now());
    expect(await persistence.prune({ status: "completed", olderThan })).toEqual({ ...nothing, deleted: 1 });
    expect(await persistence.prune({ olderThan })).toEqual({ ...nothing, deleted: 1 });
    expect(await persistence.prune()).toEqual(nothing);
    expect(await idsOf(adapter)).toEqual(["new"]);
  });

  it("goes on in bounded parts, with a cursor or without", async () => {
    for (const isResumed of [true, false]) {
      const { environment, adapter, persistence } = made(open, { expireAfterMs: 1000 });
      for (let n = 0; n < 23; n++) await talk(persistence, `s${n}`);
      environment.advance(1000);
      let calls = 0;
      let deleted = 0;
      let cursor: string | undefined;
      do {
        const report = await persistence.prune({ limit: 10, ...(isResumed ? { cursor } : {}) });
        expect(report.deleted).toBeLessThanOrEqual(10);
        deleted += report.deleted;
        calls++;
        cursor = report.next ?? undefined;
      } while (cursor !== undefined);
      expect([deleted, calls]).toEqual([23, 3]);
      expect(await idsOf(adapter)).toEqual([]);
    }
  });

  it("of one user leaves the others", async () => {
    const { adapter, manage, persistence } = made(open);
    await talk(persistence, "a", 1, "ada");
    await talk(persistence, "b", 1, "bob");
    expect(await manage({ userId: "bob" }).prune({ status: "active" })).toEqual({ ...nothing, deleted: 1 });
    expect(await idsOf(adapter)).toEqual(["a"]);
    expect(await persistence.prune({ status: ["active"], userId: "bob" })).toEqual(nothing);
  });

  it("finishes deletes that were begun", async () => {
    const { adapter, persistence } = made(open);
    await talk(persistence, "s", 3);
    await persistence.flush();
    const { sessionRepository: sessions, messageRepository: messages } = adapter;
    const row = await sessions.findById("s");
    if (row === null) throw new Error("not there");
    await sessions.update({ ...row, status: "deleting", state: null, revision: "gone" }, row.revision);
    expect(await persistence.prune()).toEqual({ ...nothing, finished: 1 });
    expect(await sessions.findById("s")).toBeNull();
    expect(await messages.findBySessionId("s", { log: row.life, from: 1, to: 9 })).toEqual([]);
  });

  it("asks the hooks, and leaves what they refuse", async () => {
    const told: string[] = [];
    const { adapter, manage } = made(open, { expireAfterMs: 1000 });
    const persistence = manage({
      hooks: {
        beforeDelete: ({ sessionId, operation }) => {
          told.push(`${operation} ${sessionId}`);
          if (sessionId === "kept") throw new Error("kept");
        },
        afterDelete: ({ sessionId }) => void told.push(`after ${sessionId}`),
      },
    });
    await talk(persistence, "kept");
    await talk(persistence, "s");
    expect(await persistence.prune({ status: "active" })).toEqual({ ...nothing, deleted: 1, skipped: 1 });
    expect(told.toSorted()).toEqual(["after s", "prune kept", "prune s"]);
    expect(await idsOf(adapter)).toEqual(["kept"]);
  });

  it("stops between two sessions, and is gone on with", async () => {
    const stop = new AbortController();
    const { environment, adapter, manage } = made(open, { expireAfterMs: 1000 });
    const persistence = manage({ hooks: { afterDelete: () => stop.abort() } });
    for (let n = 0; n < 20; n++) await talk(persistence, `s${n}`);
    environment.advance(1000);
    expect((await refusal(persistence.prune({ signal: stop.signal }))).code).toBe("ABORTED");
    const left = await idsOf(adapter);
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(20);
    expect(await persistence.prune()).toEqual({ ...nothing, deleted: left.length });
  });

  it("trims the sessions that stay", async () => {
    const { persistence } = made(open);
    await talk(persistence, "long", 25);
    await talk(persistence, "short", 2);
    await persistence.flush();
    expect(await persistence.prune({ keepMessages: 10 })).toEqual({ ...nothing, trimmed: 15 });
    expect((await persistence.loadSessionHistory("long")).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 10 }, (_, n) => n + 16),
    );
    expect(await persistence.loadSessionHistory("short")).toHaveLength(2);
    expect(await persistence.prune({ keepMessages: 10 })).toEqual(nothing);
  });

  it("is refused with what cannot be", async () => {
    const { persistence } = made(open);
    const wrong: PruneOptions[] = [
      ...[0, -1, 1e9, 1.5, Number.NaN].map((limit) => ({ limit })),
      ...[-1, 1e9, 0.5].map((keepMessages) => ({ keepMessages })),
      ...["", "x", "9:", "3:", "1:x", ":", "0", 0 as never].map((cursor) => ({ cursor })),
      { status: "deleting" as never },
      { olderThan: new Date(Number.NaN) },
    ];
    for (const options of wrong)
      expect((await refusal(persistence.prune(options))).code).toBe("INVALID_ARGUMENT");
    expect((await refusal(persistence.prune({ userId: "" }))).code).toBe("INVALID_ID");
  });
});

it("a prune delivers the messages of a session that nobody continues", async () => {
  const { environment, adapter, persistence } = made(() => mapAdapter());
  await talk(persistence, "s", 2);
  expect((await adapter.sessionRepository.findById("s"))?.dirty).toBe(true);
  expect(await persistence.prune()).toMatchObject({ delivered: 0 });
  environment.advance(60_001);
  expect(await persistence.prune()).toMatchObject({ delivered: 1 });
  expect((await adapter.sessionRepository.findById("s"))?.dirty).toBe(false);
  expect(await persistence.loadSessionHistory("s")).toHaveLength(2);
});

it("a prune leaves a session that a turn has moved since it was seen", async () => {
  const adapter = mapAdapter();
  const { environment, persistence, manage } = made(() => adapter);
  await talk(persistence, "s");
  environment.advance(1000);
  const writer = manage();
  adapter.after = async (call) => {
    if (call !== "find") return;
    adapter.after = () => {};
    await writer.saveMessage({ sessionId: "s", ...said });
  };
  const report = await persistence.prune({ olderThan: new Date(environment.now()) });
  expect(report).toMatchObject({ deleted: 0 });
  expect(await persistence.loadSessionHistory("s")).toHaveLength(2);
});

describe.each(eachStore())("a trim on %s", (_name, open) => {
  it("keeps the newest, and the sequence goes on", async () => {
    const { adapter, persistence } = made(open);
    const session = await talk(persistence, "s", 10);
    const { version } = session;
    expect(await persistence.trimMessages("s", 4)).toBe(6);
    expect(await persistence.trimMessages("s", 4)).toBe(0);
    const messages = await persistence.findMessagesBySessionId("s");
    expect([messages.map(({ sequence }) => sequence), messages.next]).toEqual([[7, 8, 9, 10], null]);
    const row = await adapter.sessionRepository.findById("s");
    const log = row?.life ?? "";
    const stored = await adapter.messageRepository.findBySessionId("s", { log, from: 1, to: 99 });
    expect(stored.map(({ sequence }) => sequence)).toEqual([7, 8, 9, 10]);
    expect(await persistence.saveTurn({ session, messages: [said] })).toMatchObject({ first: 11, version });
    expect(await persistence.findSessionById("s")).toMatchObject({ messageCount: 5 });
    expect(await persistence.trimMessages("s", 0)).toBe(5);
    expect(await persistence.loadSessionHistory("s")).toHaveLength(0);
    expect(await persistence.saveMessage({ sessionId: "s", ...said })).toMatchObject({ sequence: 12 });
    expect(await persistence.inspectSession("s")).toMatchObject({ problems: [] });
  });

  it("is refused where there is no session, or no such number", async () => {
    const { persistence } = made(open);
    await talk(persistence, "s");
    expect((await refusal(persistence.trimMessages("none", 1))).code).toBe("SESSION_NOT_FOUND");
    expect((await refusal(persistence.trimMessages("s", 1, { userId: "bob" }))).code).toBe(
      "SESSION_NOT_FOUND",
    );
    for (const keep of [-1, 1e9, 0.5, Number.NaN])
      expect((await refusal(persistence.trimMessages("s", keep))).code).toBe("INVALID_ARGUMENT");
  });

  it("goes on among turns of others", async () => {
    const { manage, persistence } = made(open);
    await talk(persistence, "s", 50);
    const other = manage();
    await Promise.all([
      persistence.trimMessages("s", 10),
      ...Array.from({ length: 10 }, () => other.saveMessage({ sessionId: "s", ...said })),
      other.trimMessages("s", 5),
    ]);
    const sequences = (await other.loadSessionHistory("s")).map(({ sequence }) => sequence);
    expect(sequences.at(-1)).toBe(60);
    expect(sequences.length).toBeLessThanOrEqual(15);
    expect(sequences).toEqual(sequences.map((_, n) => 61 - sequences.length + n));
  });
});

describe.each(eachStore())("the erasure of a user on %s", (_name, open) => {
  it("removes all that is theirs, in whatever status, and says what", async () => {
    const { environment, adapter, manage, persistence } = made(open);
    for (let n = 0; n < 12; n++) await talk(persistence, `a${n}`, 2);
    await talk(manage({ expireAfterMs: 1 }), "over");
    await talk(persistence, "b", 1, "bob");
    await persistence.updateSessionStatus("a1", "completed");
    await persistence.updateSessionStatus("a2", "abandoned");
    await persistence.flush();
    const row = await adapter.sessionRepository.findById("a3");
    if (row === null) throw new Error("not there");
    await adapter.sessionRepository.update({ ...row, status: "deleting", revision: "gone" }, row.revision);
    environment.advance(1);
    expect(await persistence.eraseUser("ada")).toEqual({ sessions: 13, messages: 23, records: 0, passes: 2 });
    expect(await idsOf(adapter)).toEqual(["b"]);
    expect(await adapter.messageRepository.findBySessionId("a3", { log: row.life, from: 1, to: 9 })).toEqual(
      [],
    );
    expect(await persistence.eraseUser("ada")).toEqual({ sessions: 0, messages: 0, records: 0, passes: 1 });
    expect(await persistence.loadSessionHistory("b")).toHaveLength(1);
  });

  it("fails where the application refuses, and where it is stopped", async () => {
    const { adapter, manage, persistence } = made(open);
    await talk(persistence, "s");
    const keeping = manage({
      hooks: {
        beforeDelete: () => {
          throw new Error("kept");
        },
      },
    });
    expect((await refusal(keeping.eraseUser("ada"))).code).toBe("HOOK_FAILED");
    const { signal } = Object.assign(new AbortController(), {});
    expect((await refusal(persistence.eraseUser("ada", { signal: AbortSignal.abort() }))).code).toBe(
      "ABORTED",
    );
    expect(await idsOf(adapter)).toEqual(["s"]);
    expect((await refusal(persistence.eraseUser(""))).code).toBe("INVALID_ID");
    expect(await persistence.eraseUser("ada", { signal })).toMatchObject({ sessions: 1 });
  });
});

it("an erasure finds what is begun while it looks", async () => {
  const adapter = mapAdapter();
  const { persistence, manage } = made(() => adapter);
  for (let n = 0; n < 3; n++) await talk(persistence, `s${n}`);
  const writer = manage();
  let begun = 0;
  adapter.after = async (call, id) => {
    if (call !== "delete" || begun >= 4 || !id.startsWith("s")) return;
    await talk(writer, `late ${begun++}`);
  };
  const report = await persistence.eraseUser("ada");
  expect(report.sessions).toBe(3 + begun);
  expect(report.passes).toBeGreaterThan(1);
  expect(await idsOf(adapter)).toEqual([]);
  await writer.flush();
  expect(adapter.entries.size).toBe(0);
});
