import { afterEach, describe, expect, it } from "@jest/globals";
import { inspect } from "node:util";
import { createProxy } from "@waymark/adapter-testkit";
import { PersistenceManager, createSession } from "@waymark/core";
import { Redis } from "ioredis";
import { wantsPrivate } from "../../../scripts/private.mjs";
import { RedisAdapter } from "../src/index.js";
import { type PrivateServer, startServer } from "./private-server.js";

const said = (content: string) => ({ role: "user", content }) as const;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

it("says that nobody is there, and nothing of what was to be stored", async () => {
  const retryStrategy = (times: number) => (times < 5 ? 5 : null);
  const { host, port, refuse } = await createProxy({ host: "127.0.0.1", port: 1 });
  await refuse();
  const redis = new Redis(port, host, { maxRetriesPerRequest: 1, retryStrategy });
  redis.on("error", () => {});
  const { turns, sessionRepository } = new RedisAdapter({ redis });
  await expect(sessionRepository.findById("s")).rejects.toMatchObject({
    code: "STORAGE_UNAVAILABLE",
    retryable: true,
    operation: "findById",
  });
  const [outcome] = await turns.commit([
    {
      id: "s",
      expect: { kind: "append" },
      operation: { id: "op", digest: "" },
      revision: "r",
      at: 1,
      set: {},
      messages: [{ userId: null, role: "user", content: "a secret", createdAt: 1, body: {} }],
      history: [],
    },
  ]);
  expect(outcome).toMatchObject({ status: "failed", error: { code: "STORAGE_UNAVAILABLE" } });
  expect(inspect(outcome, { depth: 10 })).not.toContain("a secret");
  redis.disconnect();
});

(wantsPrivate("redis") ? describe : describe.skip)("a server of its own", () => {
  let server: PrivateServer;
  afterEach(() => server.remove());

  it("has every acknowledged turn once after it was killed under load, again and again", async () => {
    server = await startServer();
    const manager = new PersistenceManager({
      adapter: new RedisAdapter({
        redis: server.client({ maxRetriesPerRequest: null, retryStrategy: () => 10 }),
      }),
    });
    const acknowledged = new Map<string, string[]>();
    const done = new AbortController();
    const writers = Array.from({ length: 6 }, async (_, index) => {
      const session = createSession<{ turn: number }>({ id: `s${index}` });
      const contents: string[] = [];
      acknowledged.set(`s${index}`, contents);
      for (let turn = 0; !done.signal.aborted; turn++) {
        session.data.turn = turn;
        const messages = [said(`${turn}`), said(`${turn} again`)];
        await manager.saveTurn({ session, messages });
        contents.push(`${turn}`, `${turn} again`);
      }
    });
    for (let kills = 0; kills < 5; kills++) {
      const before = Array.from(acknowledged.values(), ({ length }) => length);
      while (
        Array.from(acknowledged.values(), ({ length }) => length).every(
          (now, i) => now < (before[i] ?? 0) + 20,
        )
      )
        await sleep(1);
      // Not always at the same point of a turn: block for a moment that has nothing to do with the writers.
      const until = performance.now() + Math.random() * 30;
      while (performance.now() < until);
      await server.kill();
      await server.start();
    }
    done.abort();
    await Promise.all(writers);
    for (const [id, contents] of acknowledged) {
      const stored: string[] = [];
      for (let after = 0; ; after = stored.length) {
        const page = await manager.findMessagesBySessionId(id, { after, limit: 1000 });
        stored.push(...page.map(({ content }) => content));
        if (page.length < 1000) break;
      }
      expect(stored).toEqual(contents);
    }
    await manager.close();
  }, 60_000);

  it("that is full refuses a turn whole, and still deletes", async () => {
    server = await startServer("--maxmemory", "3mb");
    const redis = server.client();
    const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis }) });
    const session = createSession<{ turn: number }>({ id: "s" });
    let error: unknown = null;
    let turns = 0;
    for (; error === null; turns++) {
      session.data.turn = turns;
      const records = [
        { key: "gone", value: turns % 2 === 0 ? turns : null },
        { key: "turn", value: turns },
      ];
      error = await errorOf(manager.saveTurn({ session, messages: [said("x".repeat(50_000))], records }));
    }
    expect(error).toMatchObject({ code: "STORAGE_FULL", retryable: true });
    const loaded = await manager.loadSessionState("s");
    expect(loaded?.data).toEqual({ turn: turns - 2 });
    expect(await manager.loadSessionHistory("s", { limit: 1000 })).toHaveLength(turns - 1);
    expect((await manager.records({ sessionId: "s" }).get("turn"))?.value).toBe(turns - 2);
    expect((await manager.records({ sessionId: "s" }).list()).length).toBe(turns % 2 === 0 ? 2 : 1);
    expect(await manager.deleteSession("s")).toBe(true);
    await manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("room again")] });
    await manager.close();
  });

  it("that does not answer fails a call when the driver's time is over; the turn is stored once", async () => {
    server = await startServer();
    const proxy = await createProxy(server);
    const redis = new Redis(proxy.port, proxy.host, { commandTimeout: 300 });
    const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis }) });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session, messages: [said("1")] });
    const isHeld = proxy.hold();
    const turn = { session, messages: [said("2")], operationId: "two" };
    const error = { code: "STORAGE_UNAVAILABLE", retryable: true };
    await expect(manager.saveTurn(turn)).rejects.toMatchObject({ ...error, sessionId: "s" });
    await isHeld;
    await expect(manager.loadSessionState("s")).rejects.toMatchObject(error);
    // What was held back arrives now, beside what is sent again.
    await proxy.heal();
    expect(await manager.saveTurn(turn)).toMatchObject({ first: 2, last: 2 });
    expect((await manager.loadSessionHistory("s")).map(({ content }) => content)).toEqual(["1", "2"]);
    await manager.close();
    redis.disconnect();
    await proxy.close();
  });

  it("that wants a password or forbids scripts is named, without the password", async () => {
    server = await startServer("--requirepass", "hush-hush");
    const admin = server.client({ password: "hush-hush" });
    await admin.call("ACL", "SETUSER", "reader", "on", ">whisper", "~*", "+@read", "+info");
    for (const options of [{}, { password: "wrong-guess" }, { username: "reader", password: "whisper" }]) {
      const redis = server.client({ ...options, retryStrategy: () => null });
      const error = await errorOf(new RedisAdapter({ redis }).sessionRepository.findById("s"));
      expect(error).toMatchObject({ name: "StorageError", code: "STORAGE_FAILED", retryable: false });
      expect(inspect(error, { depth: 10 })).not.toMatch(/hush-hush|whisper|wrong-guess/);
    }
    const reader = server.client({ username: "reader", password: "whisper" });
    await expect(new RedisAdapter({ redis: reader }).initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      operation: "initialize",
    });
  });

  it("that only reads is named; what is stored there stays, and can be read", async () => {
    server = await startServer();
    const redis = server.client();
    const manager = new PersistenceManager({ adapter: new RedisAdapter({ redis }) });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session, messages: [said("1")] });
    await redis.replicaof("127.0.0.1", server.port);
    const error = await errorOf(manager.saveTurn({ session, messages: [said("2")] }));
    expect(error).toMatchObject({ code: "STORAGE_UNAVAILABLE", sessionId: "s" });
    expect((await manager.loadSessionHistory("s")).map(({ content }) => content)).toEqual(["1"]);
    await redis.replicaof("NO", "ONE");
    await manager.saveTurn({ session, messages: [said("2")] });
    expect((await manager.loadSessionHistory("s")).map(({ content }) => content)).toEqual(["1", "2"]);
    await manager.close();
  });
});
