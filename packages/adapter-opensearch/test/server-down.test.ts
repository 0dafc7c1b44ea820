import { inspect } from "node:util";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { Client, type ClientOptions } from "@opensearch-project/opensearch";
import { type PrivateServer, startPrivate, wantsPrivate } from "../../../scripts/private.mjs";
import { OpenSearchAdapter } from "../src/index.js";

const said = (content: string) => ({ role: "user", content }) as const;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}

it("says that nobody is there, and nothing of what was to be stored", async () => {
  const node = `http://ann:sesame@127.0.0.1:${await freePort()}`;
  const client = new Client({ node, maxRetries: 0 });
  const adapter = new OpenSearchAdapter(client);
  const manager = new PersistenceManager({ adapter });
  const session = createSession({ id: "s", data: { text: "a secret" } });
  const calls = [
    () => manager.saveTurn({ session, messages: [said("a secret")] }),
    () => adapter.initialize(),
    () => adapter.describe(),
    () => adapter.sessionRepository.findById("s"),
    () => adapter.sessionRepository.find({ userId: "a secret" }, { limit: 1 }),
    () => adapter.messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 }),
  ];
  for (const call of calls) {
    const error: unknown = await call().then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({
      ...{
        code: "STORAGE_UNAVAILABLE",
        retryable: true,
        message: expect.stringContaining("nothing was sent"),
      },
    });
    expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/a secret|sesame/);
  }
  await client.close();
});

// Where it must not be left out, its absence is a failure.
(wantsPrivate("opensearch") ? describe : describe.skip)("a node of its own", () => {
  let server: PrivateServer;
  const clients: Client[] = [];
  beforeAll(async () => {
    server = await startPrivate("opensearch");
  }, 300_000);
  afterAll(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await server.remove();
  });

  function managerOf(options: ClientOptions = {}): PersistenceManager {
    const client = new Client({ node: server.url, ...options });
    clients.push(client);
    return new PersistenceManager({ adapter: new OpenSearchAdapter(client) });
  }

  it("has every acknowledged turn once after it was killed under load, and goes on when it is back", async () => {
    const manager = managerOf();
    const acknowledged = new Map<string, string[]>();
    const done = new AbortController();
    let refused = 0;
    const writers = Array.from({ length: 6 }, async (_, index) => {
      const session = createSession<{ turn: number }>({ id: `s${index}` });
      const contents: string[] = [];
      acknowledged.set(`s${index}`, contents);
      for (let turn = 0; !done.signal.aborted; turn++) {
        session.data.turn = turn;
        const messages = [said(`${turn}`), said(`${turn} again`)];
        for (;;) {
          const error: unknown = await manager
            .saveTurn({ session, messages, operationId: `${index} ${turn}` })
            .then(
              () => null,
              (thrown: unknown) => thrown,
            );
          if (error === null) break;
          expect(error).toMatchObject({ code: "STORAGE_UNAVAILABLE", retryable: true });
          refused++;
          await sleep(20);
        }
        contents.push(...messages.map(({ content }) => content));
      }
    });
    const turns = () => Array.from(acknowledged.values(), ({ length }) => length);
    for (let kills = 0; kills < 3; kills++) {
      const before = turns();
      while (turns().some((now, index) => now < (before[index] ?? 0) + 10)) await sleep(1);
      // Not always at the same point of a turn: block for a moment that has nothing to do with the writers.
      const until = performance.now() + Math.random() * 30;
      while (performance.now() < until);
      await server.kill();
      await server.start();
    }
    done.abort();
    await Promise.all(writers);
    await manager.flush();
    expect(refused).toBeGreaterThan(0);
    const fresh = managerOf();
    for (const [id, contents] of acknowledged) {
      const stored: string[] = [];
      for (let after = 0; ; after = stored.length) {
        const page = await fresh.findMessagesBySessionId(id, { after, limit: 1000 });
        stored.push(...page.map(({ content }) => content));
        if (page.length < 1000) break;
      }
      expect(stored).toEqual(contents);
    }
    await fresh.close();
    await manager.close();
  }, 180_000);

  it("that goes away in the middle of a turn says so, and has the turn when it is sent again", async () => {
    const manager = managerOf({ maxRetries: 0 });
    const session = createSession({ id: "back" });
    await manager.saveTurn({ session, messages: [said("1")] });
    const turn = { session, messages: [said("2")], operationId: "two" };
    const saving = manager.saveTurn(turn).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    await server.kill();
    const error = await saving;
    // It may have been quicker than the kill.
    if (error !== null) expect(error).toMatchObject({ code: "STORAGE_UNAVAILABLE", retryable: true });
    await expect(managerOf().loadSessionState("back")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    await server.start();
    await manager.saveTurn(turn);
    expect((await manager.loadSessionHistory("back")).map(({ content }) => content)).toEqual(["1", "2"]);
    await manager.close();
  }, 120_000);
});
