import { once } from "node:events";
import { type AddressInfo, type Socket, connect, createServer } from "node:net";
import { type Server, createServer as createHttpServer } from "node:http";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { type Entry, type SessionRow, compareFound } from "@waymark/core/adapter";
import type { Client } from "@opensearch-project/opensearch";
import { OpenSearchAdapter, type OpenSearchClient, indexDefinitions } from "../src/index.js";
import { openIndices, url } from "./server.js";

const said = (content: string) => ({ role: "user", content }) as const;

function rowOf(id: string, more: Partial<SessionRow> = {}): SessionRow {
  return {
    ...{ id, life: "life", revision: "r1", version: "v", userId: null, agentName: null },
    ...{ status: "active", first: 1, last: 0, lastMessageAt: null, createdAt: 1, updatedAt: 1 },
    ...{ completedAt: null, expiresAt: null, route: null, step: null, state: {}, dirty: false },
    system: { pending: [], operations: [], count: 0 },
    ...more,
  };
}

function entryOf(sessionId: string, sequence: number, more: Partial<Entry> = {}): Entry {
  return {
    ...{ sessionId, log: "life", sequence, userId: null, role: "user", content: `${sequence}` },
    ...{ createdAt: sequence, body: {}, ...more },
  };
}

const numbers = (count: number) => Array.from({ length: count }, (_, at) => at + 1);

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

/** Lists what is sent, as `METHOD last-part-of-the-path`. */
function listed(client: OpenSearchClient) {
  const sent: string[] = [];
  const listing: OpenSearchClient = {
    transport: {
      request: (params, options) => {
        sent.push(`${params.method} ${params.path.split("/").at(-1)}`);
        return client.transport.request(params, options);
      },
    },
  };
  return { sent, client: listing };
}

// Indices that are made and removed for each test take their time on a machine that does much else.
jest.setTimeout(60_000);

let store: ReturnType<typeof openIndices>;
beforeEach(() => {
  store = openIndices();
});
afterEach(() => store.remove());

describe("what is stored", () => {
  it("brings no field to a mapping, however many keys the data has", async () => {
    const adapter = store.connect();
    await adapter.initialize();
    const mapping = async () =>
      (await store.client.indices.getMapping({ index: store.indices.sessions })).body;
    const before = await mapping();
    const manager = new PersistenceManager({ adapter });
    const data = Object.fromEntries(numbers(2000).map((n) => [`key ${n}.of $some`, { [`in ${n}`]: n }]));
    const session = createSession({ id: "s", data });
    await manager.saveTurn({ session, messages: [{ ...said("x"), event: data }] });
    await manager.flush();
    expect((await manager.loadSessionState("s"))?.data).toEqual(data);
    expect((await manager.loadSessionHistory("s"))[0]?.event).toEqual(data);
    expect(await mapping()).toEqual(before);
    await manager.close();
  });

  it("keeps the order of keys, and numbers of any size whatever the client makes of them", async () => {
    const client = store.open({ enableLongNumeralSupport: true });
    const manager = new PersistenceManager({
      adapter: new OpenSearchAdapter(client, { indices: store.indices }),
    });
    const data = { z: 2 ** 60, a: -(2 ** 63), m: { y: 1e21, b: -0, a: 5e-324 }, big: 2n ** 200n };
    await manager.saveTurn({
      session: createSession({ id: "s", data }),
      messages: [{ ...said("x"), event: data }],
    });
    await manager.flush();
    const read = new PersistenceManager({ adapter: store.connect() });
    for (const reader of [manager, read]) {
      const [state, [message]] = [await reader.loadSessionState("s"), await reader.loadSessionHistory("s")];
      for (const found of [state?.data, message?.event]) {
        expect(found).toEqual(data);
        expect(inspect(found)).toBe(inspect(data));
      }
    }
    await read.close();
    await manager.close();
  });

  it("is found in the index as fields that a dashboard can count", async () => {
    const adapter = store.connect();
    await adapter.initialize();
    const times = [0, -1, 1_700_000_000_123, 8_640_000_000_000_000];
    for (const createdAt of times)
      await adapter.sessionRepository.create(
        rowOf(`s${createdAt}`, { createdAt, route: "book", userId: "ann" }),
      );
    const { items } = await adapter.sessionRepository.find({ userId: "ann" }, { limit: 100 });
    expect(items.map(({ createdAt }) => createdAt)).toEqual(times.toSorted((a, b) => b - a));
    let cursor: string | null = null;
    const pages: number[] = [];
    do {
      const page: Awaited<ReturnType<typeof adapter.sessionRepository.find>> =
        await adapter.sessionRepository.find({}, { limit: 1, ...(cursor === null ? {} : { cursor }) });
      pages.push(...page.items.map(({ createdAt }) => createdAt));
      cursor = page.next;
    } while (cursor !== null);
    expect(pages).toEqual(times.toSorted((a, b) => b - a));
    const body = { size: 0, aggs: { routes: { terms: { field: "route" } } } };
    const path = `/${store.indices.sessions}/_search`;
    const answer = await store.client.transport.request({ method: "POST", path, body });
    expect(answer.body).toMatchObject({
      aggregations: { routes: { buckets: [{ key: "book", doc_count: 4 }] } },
    });
  });

  it("that does not read back is told as such, and left as it is", async () => {
    const adapter = store.connect();
    await adapter.initialize();
    const { state: _, system, ...row } = rowOf("s");
    void _;
    const body = { ...row, state: "no JSON", system: JSON.stringify(system) };
    await store.client.index({ index: store.indices.sessions, id: "s", body });
    await store.client.index({ index: store.indices.sessions, id: "t", body: { id: "t", life: "x" } });
    for (const id of ["s", "t"])
      await expect(adapter.sessionRepository.findById(id)).rejects.toMatchObject({
        code: "STORAGE_DAMAGED",
        sessionId: id,
      });
    const stored = await store.client.get({ index: store.indices.sessions, id: "s" });
    expect(stored.body).toMatchObject({ found: true, _source: body });
  });
});

describe("reads and writes", () => {
  it("are one request to commit, one to deliver, and two to load", async () => {
    const { client, sent } = listed(store.client);
    const manager = new PersistenceManager({
      adapter: new OpenSearchAdapter(client, { indices: store.indices }),
    });
    const session = createSession<{ turn: number }>({ id: "s" });
    await manager.saveTurn({ session, messages: [said("0")] });
    await manager.flush();
    for (let turn = 1; turn < 4; turn++) {
      sent.length = 0;
      session.data.turn = turn;
      await manager.saveTurn({ session, messages: [said(`${turn}`), said("answer")] });
      expect(sent).toEqual(["POST _bulk", "POST _bulk"]);
    }
    await manager.flush();
    sent.length = 0;
    await manager.open("s", { last: 50 });
    expect(sent).toEqual(["POST _mget", "POST _mget"]);
    await manager.close();
  });

  it("see what was written before, where nothing else refreshes the indices", async () => {
    const { sessionRepository: sessions, messageRepository: messages } = await ready();
    const settings = { index: { refresh_interval: "-1" } };
    await store.client.indices.putSettings({ index: Object.values(store.indices), body: settings });
    await sessions.create(rowOf("s", { userId: "ann" }));
    expect((await sessions.find({ userId: "ann" }, { limit: 1 })).items).toHaveLength(1);
    expect(await sessions.delete("s", "r1")).toBe(true);
    expect((await sessions.find({ userId: "ann" }, { limit: 1 })).items).toHaveLength(0);
    await messages.insert(numbers(30).map((n) => entryOf("s", n)));
    expect(await messages.findBySessionId("s", { log: "life", from: 1, to: 100 })).toHaveLength(30);
    expect(await messages.deleteBySessionId("s", { log: "life" })).toBe(30);
    expect(await store.countMessages("s")).toBe(0);
  });

  it("go through a session of more than 10,000 messages", async () => {
    const adapter = store.connect();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    for (let turn = 0; turn < 11; turn++)
      await manager.saveTurn({ session, messages: numbers(1000).map((n) => said(`${turn * 1000 + n}`)) });
    const last = await manager.loadSessionHistory("s", { limit: 1000 });
    expect(last.map(({ content }) => content)).toEqual(numbers(1000).map((n) => `${10_000 + n}`));
    const page = await manager.findMessagesBySessionId("s", { after: 9_990, limit: 20 });
    expect(page.map(({ sequence }) => sequence)).toEqual(numbers(20).map((n) => 9_990 + n));
    await manager.flush();
    expect(await store.countMessages("s")).toBe(11_000);
    expect(await manager.deleteSession("s")).toBe(true);
    expect(await store.countMessages("s")).toBe(0);
    await manager.close();
  }, 60_000);

  it("find a session on whatever shard it is, and one with a comma in its id", async () => {
    // Made by hand, as where an application may not make indices.
    for (const kind of ["sessions", "messages"] as const) {
      const { settings, mappings } = indexDefinitions[kind];
      const body = { settings: { ...settings, number_of_shards: 3 }, mappings };
      await store.client.transport.request({ method: "PUT", path: `/${store.indices[kind]}`, body });
    }
    const adapter = store.connect({ autoCreateIndices: false });
    const manager = new PersistenceManager({ adapter });
    const ids = ["a", "b", "a,b", "b,a", ",", "a,", "a&routing=b", "%2C", "..", "a/b", "_all", "*", "é,😀"];
    for (const id of ids)
      await manager.saveTurn({ session: createSession({ id, data: { id } }), messages: [said(id)] });
    await manager.flush();
    for (const id of ids) {
      expect((await manager.loadSessionState(id))?.data).toEqual({ id });
      expect((await manager.loadSessionHistory(id)).map(({ content }) => content)).toEqual([id]);
    }
    const { items } = await adapter.sessionRepository.find({}, { limit: 100 });
    expect(items.map(({ id }) => id)).toEqual(items.toSorted(compareFound).map(({ id }) => id));
    expect(items).toHaveLength(ids.length);
    for (const id of ids) {
      expect(await manager.deleteSession(id)).toBe(true);
      expect(await store.countMessages(id)).toBe(0);
    }
    await manager.close();
  });

  it("wait for the disk where a message is there already", async () => {
    await ready();
    const { client, sent } = listed(store.client);
    const { messageRepository } = new OpenSearchAdapter(client, { indices: store.indices });
    await messageRepository.insert([entryOf("s", 1), entryOf("t", 1)]);
    expect(sent).toEqual(["POST _bulk"]);
    await messageRepository.insert([entryOf("s", 1), entryOf("s", 2)]);
    expect(sent).toEqual(["POST _bulk", "POST _bulk", "POST _bulk"]);
    expect(await messageRepository.findBySessionId("s", { log: "life", from: 0, to: 9 })).toEqual([
      entryOf("s", 1),
      entryOf("s", 2),
    ]);
  });

  it("are refused for a name that is too long to be looked for", async () => {
    const { sessionRepository: sessions } = await ready();
    const agentName = "é".repeat(8192);
    expect(await sessions.create(rowOf("s", { agentName }))).toBe(true);
    expect((await sessions.findById("s"))?.agentName).toBe(agentName);
    await expect(sessions.find({ agentName }, { limit: 1 })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  it("leave the client open", async () => {
    const manager = new PersistenceManager({
      adapter: new OpenSearchAdapter(store.client, { indices: store.indices }),
    });
    await manager.loadSessionState("s");
    await manager.close();
    expect((await store.client.ping()).body).toBe(true);
  });
});

async function ready(): Promise<OpenSearchAdapter> {
  const adapter = store.connect();
  await adapter.initialize();
  return adapter;
}

describe("initialize", () => {
  it("makes the indices once, however many begin at the same moment, and ends when they can be read", async () => {
    const adapters = numbers(8).map(
      () => new OpenSearchAdapter(store.open({ maxRetries: 0 }), { indices: store.indices }),
    );
    await Promise.all(
      adapters.map(async (adapter, at) => {
        await adapter.initialize();
        await adapter.sessionRepository.create(rowOf(`s${at}`));
        expect(await adapter.messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 })).toEqual(
          [],
        );
      }),
    );
    const { items } = await store.connect().sessionRepository.find({}, { limit: 100 });
    expect(items).toHaveLength(8);
    expect(await adapters[0]?.describe()).toEqual({
      ...{ server: expect.stringMatching(/^OpenSearch \d/), schemaVersion: 1, writable: true },
    });
  });

  it("refuses an index that is somebody else's, of another version, or not durable, and leaves it as it is", async () => {
    const { sessions } = store.indices;
    const { settings, mappings } = indexDefinitions.sessions;
    const { properties } = mappings;
    const others = {
      "not one that Waymark": { mappings: { properties: { title: { type: "text" } } } },
      "another version": { mappings: { ...mappings, _meta: { waymark: { schemaVersion: 2 } } } },
      "properties.userId.type": {
        mappings: { ...mappings, properties: { ...properties, userId: { type: "text" } } },
      },
      "properties.state": {
        mappings: { ...mappings, properties: { ...properties, state: { type: "object" } } },
      },
      dynamic: { mappings: { ...mappings, dynamic: true } },
      "index.translog.durability": { settings: { index: { translog: { durability: "async" } } }, mappings },
    };
    for (const [problem, body] of Object.entries(others)) {
      await store.client.transport.request({ method: "PUT", path: `/${sessions}`, body });
      const before = (await store.client.indices.get({ index: sessions })).body;
      await expect(store.connect().initialize()).rejects.toMatchObject({
        ...{ code: "STORAGE_FAILED", operation: "initialize", retryable: false },
        message: expect.stringContaining(problem),
      });
      expect((await store.client.indices.get({ index: sessions })).body).toEqual(before);
      await store.client.indices.delete({ index: sessions });
    }
    await store.client.transport.request({
      method: "PUT",
      path: `/${sessions}`,
      body: { settings, mappings },
    });
    await store.connect().initialize();
  });

  it("goes through an alias of one index, and through none of two", async () => {
    await ready();
    const { sessions, messages } = store.indices;
    const alias = `${sessions}-alias`;
    await store.client.indices.putAlias({ index: sessions, name: alias });
    const adapter = new OpenSearchAdapter(store.client, { indices: { sessions: alias, messages } });
    await adapter.initialize();
    expect(await adapter.sessionRepository.create(rowOf("s"))).toBe(true);
    expect(await store.hasSession("s")).toBe(true);
    await store.client.indices.putAlias({ index: messages, name: alias });
    await expect(adapter.initialize()).rejects.toMatchObject({
      message: expect.stringContaining("more than one index"),
    });
  });

  it("says that an index is missing where it may not be made, and so does what comes after", async () => {
    const adapter = store.connect({ autoCreateIndices: false });
    await expect(adapter.initialize()).rejects.toMatchObject({
      ...{ code: "STORAGE_FAILED", message: expect.stringContaining("missing") },
    });
    const calls = [
      () => adapter.sessionRepository.findById("s"),
      () => adapter.sessionRepository.find({}, { limit: 1 }),
      () => adapter.messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 }),
      () => adapter.messageRepository.deleteBySessionId("s", { log: "l" }),
    ];
    for (const call of calls)
      await expect(call()).rejects.toMatchObject({
        ...{ code: "STORAGE_FAILED", message: expect.stringContaining("initialize()") },
      });
    expect(await adapter.describe()).toMatchObject({ schemaVersion: 0, writable: false });
  });

  it("takes names of one index each, and nothing else", async () => {
    const bad = [
      "",
      "A",
      "a*",
      "a,b",
      "_a",
      "-a",
      "..",
      "a b",
      "<a-{now}>",
      "a/b",
      "a?b",
      "x".repeat(256),
      "é#",
    ];
    for (const sessions of bad)
      expect(() => new OpenSearchAdapter(store.client, { indices: { sessions } })).toThrow(
        expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
      );
    expect(() => new OpenSearchAdapter(store.client, { indices: { sessions: "a", messages: "a" } })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
    const sessions = `${store.indices.sessions}.größe+漢字`;
    const adapter = new OpenSearchAdapter(store.client, { indices: { ...store.indices, sessions } });
    await adapter.initialize();
    await adapter.sessionRepository.create(rowOf("s"));
    expect((await adapter.sessionRepository.find({}, { limit: 1 })).items).toHaveLength(1);
    await store.client.indices.delete({ index: sessions });
  });
});

describe("an index that is blocked", () => {
  it("refuses turns with the reason, and is described so", async () => {
    const adapter = await ready();
    const row = rowOf("s");
    await adapter.sessionRepository.create(row);
    const blocks = [
      ["write", "STORAGE_FAILED"],
      ["read_only", "STORAGE_FAILED"],
      ["read_only_allow_delete", "STORAGE_FULL"],
    ] as const;
    for (const [block, code] of blocks) {
      const set = (isOn: boolean | null) =>
        store.client.indices.putSettings({
          index: Object.values(store.indices),
          body: { index: { blocks: { [block]: isOn } } },
        });
      await set(true);
      for (const work of [
        () => adapter.sessionRepository.create(rowOf("t")),
        () => adapter.sessionRepository.update({ ...row, revision: "r2" }, "r1"),
        () => adapter.messageRepository.insert([entryOf("s", 1)]),
      ])
        await expect(work()).rejects.toMatchObject({ code });
      expect(await adapter.describe()).toMatchObject({ schemaVersion: 1, writable: false });
      expect(await adapter.sessionRepository.findById("s")).toEqual(row);
      await set(null);
    }
    expect(await adapter.sessionRepository.update({ ...row, revision: "r2" }, "r1")).toBe(true);
  });
});

/** Stands between client and server, and cuts the connection once the request that `isLost` picks has been answered. */
async function openProxy(isLost: (request: string) => boolean) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(Number(port), hostname);
    let isLosing = false;
    incoming.on("data", (chunk) => {
      isLosing ||= isLost(chunk.toString("latin1"));
      outgoing.write(chunk);
    });
    outgoing.on("data", (chunk) => (isLosing ? incoming.destroy() : incoming.write(chunk)));
    for (const socket of [incoming, outgoing]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => (incoming.destroy(), outgoing.destroy()));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${own}`,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

describe("an answer that is lost", () => {
  let left = 0;
  let proxy: Awaited<ReturnType<typeof openProxy>>;
  let client: Client;
  beforeEach(async () => {
    await ready();
    proxy = await openProxy((request) => request.includes("/_bulk") && left-- > 0);
    client = store.open({ node: proxy.url, maxRetries: 5 });
    left = 0;
  });
  afterEach(() => proxy.close());

  it("is not a refusal: a conditional write is sent once, whatever the client does with others", async () => {
    const { sessionRepository: sessions } = new OpenSearchAdapter(client, { indices: store.indices });
    const lost = {
      code: "STORAGE_UNAVAILABLE",
      retryable: true,
      message: expect.stringContaining("may have been"),
    };
    left = 1;
    await expect(sessions.create(rowOf("s"))).rejects.toMatchObject(lost);
    expect(await sessions.findById("s")).toEqual(rowOf("s"));
    left = 1;
    await expect(sessions.update(rowOf("s", { revision: "r2" }), "r1")).rejects.toMatchObject(lost);
    expect(await sessions.update(rowOf("s", { revision: "r3" }), "r1")).toBe(false);
    expect((await sessions.findById("s"))?.revision).toBe("r2");
    left = 1;
    await expect(sessions.delete("s", "r2")).rejects.toMatchObject(lost);
    expect(await sessions.findById("s")).toBeNull();
  });

  it("of a turn makes neither a second turn nor a conflict", async () => {
    const manager = new PersistenceManager({
      adapter: new OpenSearchAdapter(client, { indices: store.indices }),
    });
    const session = createSession<{ turn: number }>({ id: "s" });
    for (let turn = 0; turn < 10; turn++) {
      session.data.turn = turn;
      await manager.flush();
      left = turn % 3;
      await manager.saveTurn({ session, messages: [said(`${turn}`)], conflict: "reject" });
    }
    await manager.flush();
    const history = await manager.loadSessionHistory("s");
    expect(history.map(({ content }) => content)).toEqual(numbers(10).map((n) => `${n - 1}`));
    expect(await store.countMessages("s")).toBe(10);
    await manager.close();
  });
});

describe("what stands before the cluster", () => {
  let gateway: Server;
  let status = 0;
  let body = "";
  let client: Client;
  beforeEach(async () => {
    gateway = createHttpServer((request, response) => {
      request.resume().on("end", () => {
        const type = body.startsWith("{") ? "application/json" : "text/html";
        response.writeHead(status, { "content-type": type }).end(body);
      });
    });
    gateway.listen(0, "127.0.0.1");
    await once(gateway, "listening");
    const { port } = gateway.address() as AddressInfo;
    client = store.open({ node: `http://127.0.0.1:${port}`, auth: { username: "ann", password: "sesame" } });
  });
  afterEach(() => {
    gateway.close();
  });

  const error = (type: string, reason = "") => JSON.stringify({ error: { type, reason }, status });

  it.each([
    [401, "Unauthorized", "STORAGE_FAILED", false],
    [403, "security_exception", "STORAGE_FAILED", false],
    [404, "index_not_found_exception", "STORAGE_FAILED", false],
    [413, "<html>too large</html>", "COMMIT_TOO_LARGE", false],
    [429, "rejected_execution_exception", "STORAGE_UNAVAILABLE", true],
    [429, "circuit_breaking_exception", "STORAGE_UNAVAILABLE", true],
    [502, "<html>bad gateway</html>", "STORAGE_UNAVAILABLE", true],
    [503, "cluster_block_exception", "STORAGE_UNAVAILABLE", true],
    [504, "", "STORAGE_UNAVAILABLE", true],
    [500, "some_exception", "STORAGE_FAILED", false],
    [200, "<html>welcome</html>", "STORAGE_FAILED", false],
    [200, "{}", "STORAGE_FAILED", false],
    [200, '{"docs": a secret', "STORAGE_FAILED", false],
  ])("may answer %i %s, which is %s", async (answer, text, code, retryable) => {
    status = answer;
    body = /^\w+_exception$/.test(text) ? error(text, "[SERVICE_UNAVAILABLE/1/x] a secret") : text;
    const { sessionRepository: sessions, messageRepository: messages } = new OpenSearchAdapter(client);
    const calls = [
      () => sessions.create(rowOf("s", { state: "a secret" })),
      () => sessions.findById("s"),
      () => sessions.update(rowOf("s", { state: "a secret" }), "r1"),
      () => sessions.delete("s", "r1"),
      () => sessions.find({}, { limit: 1 }),
      () => messages.insert([entryOf("s", 1, { content: "a secret" })]),
      () => messages.findBySessionId("s", { log: "l", from: 1, to: 2 }),
      () => messages.deleteBySessionId("s", { log: "l" }),
    ];
    for (const call of calls) {
      const thrown = await errorOf(call());
      expect(thrown).toMatchObject({ code, retryable });
      expect(inspect(thrown, { depth: 20, showHidden: true })).not.toMatch(/a secret|sesame|YW5uOnNlc2FtZQ/);
    }
  });
});
