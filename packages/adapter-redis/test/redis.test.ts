import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type SessionRow, compareFound, sessionScope, userScope } from "@waymark/core/adapter";
import { PersistenceManager, createSession } from "@waymark/core";
import type { Cluster, Redis } from "ioredis";
import { RedisAdapter, type RedisClient } from "../src/index.js";
import { createRun } from "../src/client.js";
import { createKeys } from "../src/keys.js";
import { createLists } from "../src/lists.js";
import { applyRecords, putRecord } from "../src/record-scripts.js";
import { create } from "../src/scripts.js";
import { createRecords } from "../src/records.js";
import { createSessions } from "../src/sessions.js";
import { newPrefix, open, servers } from "./servers.js";

const said = (content: string) => ({ role: "user", content }) as const;

function rowOf(id: string, more: Partial<SessionRow> = {}): SessionRow {
  return {
    ...{ id, life: `life-${id.length}`, revision: "r1", version: "v", userId: null, agentName: null },
    ...{ status: "active", first: 1, last: 0, lastMessageAt: null, createdAt: 1, updatedAt: 1 },
    ...{ completedAt: null, expiresAt: null, route: null, step: null, state: {}, dirty: false },
    system: { pending: [], operations: [], count: 0 },
    ...more,
  };
}

/** Counts the scripts that are sent. Of `last`: their number without those that were sent again, and the size of the last one. */
function counted(redis: Redis | Cluster) {
  const counts = { scripts: 0 };
  const last = { number: 0, keys: 0, args: 0 };
  const client: RedisClient = {
    evalsha: (sha, keys, ...args) => {
      counts.scripts++;
      Object.assign(last, { number: last.number + 1, keys, args: args.length - keys });
      return redis.evalsha(sha, keys, ...args);
    },
    eval: (text, keys, ...args) => {
      counts.scripts++;
      return redis.eval(text, keys, ...args);
    },
    info: (section) => redis.info(section),
    isCluster: redis.isCluster,
  };
  return { client, counts, last };
}

describe.each(servers)("on $name", (server) => {
  let opened: ReturnType<typeof open>;
  let redis: Redis | Cluster;
  let keyPrefix: string;

  beforeEach(() => {
    opened = open(server);
    ({ redis, keyPrefix } = opened);
  });
  afterEach(() => opened.close());

  it("keeps every id in keys of its own, all of one session in one slot", async () => {
    const ids = [
      "a",
      "{a}",
      "a}",
      "{",
      "}{",
      "a:b",
      "*",
      "?",
      "[a-z]",
      "a*",
      "%7ba%7d",
      "é",
      "😀",
      "{}",
      "a\nb",
      "\\",
    ];
    const keys = createKeys(keyPrefix);
    const names = new Set<string>();
    const manager = new PersistenceManager({ adapter: opened.adapter });
    for (const id of ids) {
      await manager.saveTurn({ session: createSession({ id, data: { id } }), messages: [said(id)] });
      const all = [keys.session(id), keys.messages(id), ...keys.records(id), ...keys.scope(id)];
      const slots = await Promise.all(all.map((key) => redis.cluster("KEYSLOT", key).catch(() => 0)));
      expect(new Set(slots).size).toBe(1);
      for (const key of all) {
        expect(key.slice(keyPrefix.length)).toMatch(/^[a-z]+:\{[\w.~%-]+\}$/);
        names.add(key);
      }
    }
    expect(names.size).toBe(ids.length * 6);
    for (const id of ids) {
      expect((await manager.loadSessionState(id))?.data).toEqual({ id });
      expect((await manager.loadSessionHistory(id)).map(({ content }) => content)).toEqual([id]);
    }
  });

  it("sends one script for a turn, of many at once too, and one for a load", async () => {
    const { client, counts } = counted(redis);
    const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis: client, keyPrefix }) });
    const sessions = ["a", "b", "c", "d", "e"].map((id) => createSession<{ x: number }>({ id }));
    for (const session of sessions) await manager.saveTurn({ session, messages: [said("x")] });
    const measure = async (work: () => Promise<unknown>) => {
      Object.assign(counts, { scripts: 0 });
      await work();
      return { ...counts };
    };
    const save = (index: number) => {
      const session = sessions[index];
      if (session === undefined) throw new Error("no such session");
      session.data.x = (session.data.x ?? 0) + 1;
      return manager.saveTurn({ session, messages: [said("x"), said("y")] });
    };
    // The first of each kind brings the script along.
    for (const [index] of sessions.entries()) await save(index);
    await manager.loadSessionState("a");
    expect(await measure(() => save(0))).toEqual({ scripts: 1 });
    expect(await measure(() => manager.saveMessage({ sessionId: "a", ...said("z") }))).toMatchObject({
      scripts: 1,
    });
    expect(await measure(() => manager.loadSessionState("a"))).toEqual({ scripts: 1 });
    const group = await measure(() => Promise.all(sessions.map((_, index) => save(index))));
    expect(group.scripts).toBe(5);
  });

  it("goes on when the server has forgotten its scripts", async () => {
    const manager = new PersistenceManager({ adapter: opened.adapter });
    const sessions = Array.from({ length: 8 }, (_, index) =>
      createSession<{ turn: number }>({ id: `s${index}` }),
    );
    const done = new AbortController();
    const flushing = (async () => {
      while (!done.signal.aborted) await redis.script("FLUSH");
    })();
    await Promise.all(
      sessions.map(async (session) => {
        for (let turn = 0; turn < 20; turn++) {
          session.data.turn = turn;
          await manager.saveTurn({ session, messages: [said(`${turn}`)] });
        }
      }),
    );
    done.abort();
    await flushing;
    for (const { id = "" } of sessions) {
      const history = await manager.loadSessionHistory(id);
      expect(history.map(({ content }) => content)).toEqual(
        Array.from({ length: 20 }, (_, turn) => `${turn}`),
      );
    }
  });

  it("keeps stores with two prefixes apart, and refuses one that would change slots", async () => {
    const other = open(server);
    const [mine, theirs] = [opened, other].map(({ adapter }) => adapter.sessionRepository);
    await mine?.create(rowOf("s", { agentName: "mine" }));
    expect(await theirs?.findById("s")).toBeNull();
    expect(await theirs?.create(rowOf("s", { agentName: "theirs" }))).toBe(true);
    expect((await mine?.find({}, { limit: 10 }))?.items.map(({ agentName }) => agentName)).toEqual(["mine"]);
    await other.close();
    expect(() => new RedisAdapter({ redis, keyPrefix: "app{1}:" })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("does not close a client that it was given", async () => {
    const manager = new PersistenceManager({ adapter: opened.adapter });
    await manager.loadSessionState("s");
    await manager.close();
    expect(await redis.ping()).toBe("PONG");
    const closed = server.connect();
    const { sessionRepository } = new RedisAdapter({ redis: closed, keyPrefix });
    await sessionRepository.findById("s");
    closed.disconnect();
    await expect(sessionRepository.findById("s")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });

  it("checks ids on every path", async () => {
    const { sessionRepository: sessions, messageRepository: messages, turns } = opened.adapter;
    const range = { log: "l", from: 1, to: 2 };
    for (const id of ["", "\ud800", "a\0b", "x".repeat(129)]) {
      for (const work of [
        () => sessions.create(rowOf(id)),
        () => sessions.findById(id),
        () => sessions.update(rowOf(id), "r"),
        () => sessions.delete(id, "r"),
        () => messages.findBySessionId(id, range),
        () => messages.deleteBySessionId(id, range),
        () => turns.load(id, { last: 1 }),
      ])
        await expect(work()).rejects.toMatchObject({ code: "INVALID_ID" });
    }
  });

  it("tells a key of another type from an absent session", async () => {
    await redis.set(createKeys(keyPrefix).session("s"), "something else");
    await expect(opened.adapter.sessionRepository.findById("s")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
    });
    await redis.hset(createKeys(keyPrefix).session("t"), { id: '"t"', life: '"l"' });
    await expect(opened.adapter.turns.load("t", { last: 1 })).rejects.toMatchObject({
      code: "STORAGE_DAMAGED",
    });
  });

  describe("the lists of sessions", () => {
    const found = async (userId?: string, limit = 10) => {
      const page = await opened.adapter.sessionRepository.find(userId === undefined ? {} : { userId }, {
        limit,
      });
      return page.items.map(({ id }) => id);
    };

    it("skips entries whose session was never written, and drops them after the grace only", async () => {
      const run = createRun(redis);
      const keys = createKeys(keyPrefix);
      const crashed = rowOf("crashed", { userId: "ann", createdAt: 9 });
      await createLists(run, keys).add(crashed);
      await opened.adapter.sessionRepository.create(rowOf("kept", { userId: "ann" }));
      expect(await found("ann", 1)).toEqual(["kept"]);
      expect(await found(undefined, 1)).toEqual(["kept"]);
      expect(await redis.zcard(keys.user("ann"))).toBe(2);
      const later = createSessions({ run, keys, lists: createLists(run, keys, -60) });
      expect((await later.find({ userId: "ann" }, { limit: 1 })).items).toHaveLength(1);
      await later.find({}, { limit: 10 });
      expect(await redis.zcard(keys.user("ann"))).toBe(1);
      expect(await redis.zcard(keys.listOf("crashed"))).toBe(
        keys.listOf("kept") === keys.listOf("crashed") ? 1 : 0,
      );
      expect(await found("ann")).toEqual(["kept"]);
    });

    it("refuses a create that comes when its entries may be gone already", async () => {
      const keys = createKeys(keyPrefix);
      const args = ["1000", "2", "id", '"s"'];
      const reply = await createRun(redis)({
        script: create,
        keys: [keys.session("s"), keys.messages("s")],
        args,
      });
      expect(reply).toBe("late");
      expect(await redis.exists(keys.session("s"))).toBe(0);
    });

    it("shrink with a delete, and a refused create leaves nothing in them", async () => {
      const { sessionRepository: sessions } = opened.adapter;
      const keys = createKeys(keyPrefix);
      expect(await sessions.create(rowOf("s", { userId: "ann", createdAt: 5 }))).toBe(true);
      expect(await sessions.create(rowOf("s", { userId: "ann", createdAt: 7, revision: "r2" }))).toBe(false);
      expect(await redis.zcard(keys.user("ann"))).toBe(1);
      expect(await sessions.delete("s", "r1")).toBe(true);
      expect(await redis.zcard(keys.user("ann"))).toBe(0);
      expect(await redis.zcard(keys.listOf("s"))).toBe(0);
    });

    it("follow a change of owner", async () => {
      const { sessionRepository: sessions } = opened.adapter;
      await sessions.create(rowOf("s", { userId: "ann" }));
      expect(await sessions.update(rowOf("s", { userId: "bo", revision: "r2" }), "r1")).toBe(true);
      expect([await found("ann"), await found("bo"), await found()]).toEqual([[], ["s"], ["s"]]);
      expect(await sessions.update(rowOf("s", { userId: null, revision: "r3" }), "r2")).toBe(true);
      expect([await found("ann"), await found("bo"), await found()]).toEqual([[], [], ["s"]]);
    });

    it("give pages in order, whatever is deleted between", async () => {
      const { sessionRepository: sessions } = opened.adapter;
      const rows = Array.from({ length: 150 }, (_, index) => rowOf(`s${index}`, { createdAt: index % 7 }));
      await Promise.all(rows.map((row) => sessions.create(row)));
      const wanted = rows.toSorted(compareFound).map(({ id }) => id);
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<ReturnType<typeof sessions.find>> = await sessions.find(
          {},
          { limit: 40, ...(cursor === null ? {} : { cursor }) },
        );
        seen.push(...page.items.map(({ id }) => id));
        const last = page.items.at(-1);
        // The one that the cursor stands on goes away.
        if (last !== undefined) await sessions.delete(last.id, last.revision);
        cursor = page.next;
      } while (cursor !== null);
      expect(seen).toEqual(wanted);
    });
  });

  describe("records", () => {
    const makeRecord = (scope: string, key: string, revision = "r1") => ({
      ...{ scope, key, value: { key }, revision, stamp: "0" },
    });
    const entriesOf = (scope: string) => redis.zcard(createKeys(keyPrefix).scopeListOf(scope));

    it("come with a turn in its one script, and cost a turn without them nothing", async () => {
      const { client, last } = counted(redis);
      const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis: client, keyPrefix }) });
      const session = createSession<{ turn: number }>({ id: "s", data: { turn: 0 } });
      const save = async (values: Record<string, number>) => {
        session.data.turn = (session.data.turn ?? 0) + 1;
        const records = Object.entries(values).map(([key, value]) => ({ key, value }));
        last.number = 0;
        await manager.saveTurn({ session, messages: [said("x")], records });
        return { ...last };
      };
      await save({});
      expect(await save({})).toEqual({ number: 1, keys: 2, args: 3 });
      // The turn, refused; the row, refused; the entry of the scope; the row.
      expect(await save({ a: 1 })).toMatchObject({ number: 4 });
      expect(await save({ a: 2, b: 2 })).toEqual({ number: 1, keys: 4, args: 3 + 4 + 2 });
      expect(await save({})).toEqual({ number: 1, keys: 2, args: 3 });
      const page = await manager.records({ sessionId: "s" }).list();
      expect(page.map(({ key, value }) => [key, value])).toEqual([
        ["a", 2],
        ["b", 2],
      ]);
    });

    it("go with their session, by a delete and by a removal in one step, and leave nothing", async () => {
      const { adapter } = opened;
      const manager = new PersistenceManager({ adapter });
      const keys = createKeys(keyPrefix);
      for (const end of ["delete", "remove"]) {
        const session = createSession({ id: "s", data: { end } });
        await manager.saveTurn({
          session,
          messages: [said(end)],
          records: [
            { key: "a", value: 1 },
            { key: "gone", value: null },
          ],
        });
        const row = await adapter.sessionRepository.findById("s");
        if (row === null) throw new Error("no such session");
        const scope = sessionScope("s", row.life);
        expect(await adapter.records.scopes({ limit: 10 })).toEqual([scope]);
        expect(await redis.exists(...keys.records("s"))).toBe(2);
        if (end === "delete") await manager.deleteSession("s");
        else expect(await adapter.turns.remove?.([row])).toEqual([true]);
        expect(await redis.exists(...keys.records("s"))).toBe(0);
        expect(await entriesOf(scope)).toBe(0);
      }
    });

    it("of a user or the application leave nothing when the last is deleted, time after time", async () => {
      const { records } = opened.adapter;
      const keys = createKeys(keyPrefix);
      const scope = userScope("ann");
      for (let round = 0; round < 3; round++) {
        for (const key of ["a", "b"]) expect(await records.put(makeRecord(scope, key), null)).toBe(true);
        expect(await entriesOf(scope)).toBe(1);
        for (const key of ["a", "b"]) expect(await records.delete(scope, key, "r1")).toBe(true);
        expect(await redis.exists(...keys.scope(scope))).toBe(0);
        expect(await entriesOf(scope)).toBe(0);
      }
    });

    it("of one scope that many begin at once have one entry in the list", async () => {
      const { records } = opened.adapter;
      const scope = userScope("ann");
      const names = Array.from({ length: 8 }, (_, n) => `k${n}`);
      const put = await Promise.all(names.map((key) => records.put(makeRecord(scope, key), null)));
      expect(put).toEqual(names.map(() => true));
      expect(await entriesOf(scope)).toBe(1);
      expect(await records.scopes({ limit: 10 })).toEqual([scope]);
    });

    it("that a client sends twice are stored once, and said to be stored", async () => {
      const { records } = opened.adapter;
      const scope = userScope("ann");
      const first = makeRecord(scope, "k", "r1");
      for (const seen of [null, null]) expect(await records.put(first, seen)).toBe(true);
      const second = makeRecord(scope, "k", "r2");
      for (const seen of ["r1", "r1"]) expect(await records.put(second, seen)).toBe(true);
      expect(await records.put(first, null)).toBe(false);
      expect(await records.get(scope, "k")).toEqual(second);
    });

    it("whose scope was listed and never written are skipped, and their entry dropped after the grace only", async () => {
      const run = createRun(redis);
      const keys = createKeys(keyPrefix);
      const [crashed, kept] = [userScope("crashed"), userScope("kept")];
      const { stamp } = await createLists(run, keys).addScope(crashed);
      await opened.adapter.records.put(makeRecord(kept, "k"), null);
      const tombstone = { ...makeRecord(sessionScope("s", "l"), "k"), value: null };
      await opened.adapter.records.apply([tombstone]);
      expect(await opened.adapter.records.scopes({ limit: 10 })).toEqual([kept]);
      const entry = () => redis.zscore(keys.scopeListOf(crashed), `${crashed}\0${stamp}`);
      expect(await entry()).not.toBeNull();
      const later = createRecords({ run, keys, lists: createLists(run, keys, -60) });
      expect(await later.scopes({ limit: 10 })).toEqual([kept]);
      expect(await entry()).toBeNull();
      // What has a key with a stamp is listed still: its next record needs no new entry.
      await opened.adapter.records.apply([{ ...tombstone, value: 1, stamp: "1" }]);
      expect(await opened.adapter.records.scopes({ limit: 10 })).toEqual([tombstone.scope, kept]);
    });

    it("that come when the entry of their scope may be gone already are not written", async () => {
      const keys = createKeys(keyPrefix);
      const scope = userScope("ann");
      const late = ["1000000000", "1000"];
      const run = createRun(redis);
      for (const [script, args] of [
        [putRecord, ["", "k", "", '"r"', '0\n"r"\n1', ...late]],
        [applyRecords, ["k", "0", '"r"\n1', "3", "", ...late]],
      ] as const)
        expect(await run({ script, keys: keys.scope(scope), args })).toBe("unlisted");
      expect(await redis.exists(...keys.scope(scope))).toBe(0);
    });

    it("stay listed when the client sends their first write twice", async () => {
      const { adapter } = opened;
      const twice: RedisClient = {
        evalsha: async (sha, keys, ...args) => {
          await redis.evalsha(sha, keys, ...args);
          return redis.evalsha(sha, keys, ...args);
        },
        eval: (text, keys, ...args) => redis.eval(text, keys, ...args),
        info: (section) => redis.info(section),
      };
      const manager = new PersistenceManager({ adapter });
      const session = createSession({ id: "s" });
      await manager.saveTurn({ session, messages: [said("a")] });
      const row = await adapter.sessionRepository.findById("s");
      if (row === null) throw new Error("no such session");
      const { turns, records } = new RedisAdapter({ redis: twice, keyPrefix });
      const made = await turns.commit([
        {
          ...{
            id: "s",
            expect: { kind: "append" },
            operation: { id: "o", digest: "" },
            revision: "r2",
            at: 2,
          },
          ...{ set: {}, messages: [], history: [], records: [{ key: "k", value: 1 }] },
        },
      ]);
      expect(made).toMatchObject([{ status: "replayed" }]);
      await records.put(makeRecord(userScope("ann"), "k"), null);
      const scopes = [sessionScope("s", row.life), userScope("ann")];
      expect(await adapter.records.scopes({ limit: 10 })).toEqual(scopes);
    });

    it("that are not what was written are named, and a key of another type stops the turn whole", async () => {
      const { adapter } = opened;
      const keys = createKeys(keyPrefix);
      const [name] = keys.scope(userScope("ann"));
      await redis.hset(name, { k: "something else" });
      await expect(adapter.records.get(userScope("ann"), "k")).rejects.toMatchObject({
        code: "STORAGE_DAMAGED",
        operation: "get",
      });
      const manager = new PersistenceManager({ adapter });
      const session = createSession<{ turn: number }>({ id: "s", data: { turn: 0 } });
      await manager.saveTurn({ session, messages: [said("a")] });
      for (const key of keys.records("s")) {
        await redis.set(key, "something else");
        session.data.turn = (session.data.turn ?? 0) + 1;
        const turn = { session, messages: [said("b")], records: [{ key: "k", value: 1 }] };
        await expect(manager.saveTurn(turn)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
        await redis.unlink(key);
        expect(await manager.loadSessionHistory("s")).toHaveLength(1);
      }
    });
  });
});

it("has a key of its own for everything", () => {
  const keys = createKeys(newPrefix());
  expect(new Set(keys.lists).size).toBe(64);
  expect(keys.user("\ud800")).not.toBe(keys.user("\ufffd"));
});
