import { createHash } from "node:crypto";
import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { StorageError } from "../../src/errors.js";
import { PersistenceManager } from "../../src/persistence/manager.js";
import type { ManagerOptions } from "../../src/persistence/options.js";
import { createSession, enterRoute } from "../../src/index.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore, refusal } from "../support/stores.js";

type Data = Record<string, unknown>;

const managerOn = (adapter: PersistenceAdapter, options: Partial<ManagerOptions<Data>> = {}) =>
  new PersistenceManager<Data>({ adapter, ...options });

const hostile = {
  when: new Date(7),
  big: 12n,
  not: Number.NaN,
  bytes: new Uint8Array([1, 0, 255]),
  map: new Map<unknown, unknown>([["a", new Set([1])]]),
  text: "\0 \ud800 ~date",
  ["__proto__"]: 1,
  $where: { "a.b": null },
};

async function filled(adapter: PersistenceAdapter, options: Partial<ManagerOptions<Data>> = {}) {
  const manager = managerOn(adapter, options);
  const session = createSession<Data>({ id: "s", data: hostile, metadata: { plan: "gold" } });
  enterRoute(session, { id: "book", title: "Booking" }, new Date(5));
  await manager.saveTurn({
    session,
    userId: "ada",
    messages: [
      { role: "user", content: "hello \ud800\0", createdAt: new Date(11), event: { of: new Map([[1, 2n]]) } },
      { role: "assistant", content: "hi", route: "book", toolCalls: [{ id: "1", name: "look", input: {} }] },
    ],
  });
  return manager;
}

/** The same checksum, made by other means, as the description of the format says. */
function checksumOf(document: object): string {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, item]) => [key, sorted(item)]),
    );
  };
  return `sha256:${createHash("sha256")
    .update(JSON.stringify(sorted(document)))
    .digest("hex")}`;
}

const signed = (document: object) => ({ ...document, checksum: checksumOf(document) });

const stores = eachStore();
const pairs = stores.flatMap((from) => stores.map((to) => [from[0], to[0], from[1], to[1]] as const));

describe.each(pairs)("an export from %s into %s", (_from, _to, openFrom, openTo) => {
  it("is the same session there, its values, messages and times included", async () => {
    const from = await filled(openFrom(), { agentName: "Desk" });
    await from.updateSessionStatus("s", "completed", new Date(99));
    const text = JSON.stringify(await from.exportSession("s", { userId: "ada" }));
    const to = managerOn(openTo());
    const { first, last, version } = await to.importSession(JSON.parse(text));
    expect([first, last]).toEqual([1, 2]);
    const before = await from.open("s");
    const after = await to.open("s");
    expect(after?.session).toEqual({
      ...before?.session,
      version,
      metadata: { ...before?.session.metadata, updatedAt: expect.any(Date) },
    });
    expect(after?.messages).toEqual(before?.messages);
    expect(await to.findSessionById("s")).toMatchObject({
      ...{ userId: "ada", agentName: "Desk", status: "completed", completedAt: new Date(99) },
      ...{ messageCount: 2, currentRoute: "book" },
    });
    await from.close();
    await to.close();
  });
});

describe("an export", () => {
  it("has the checksum that its description says", async () => {
    const manager = await filled(mapAdapter());
    const { checksum, ...rest } = await manager.exportSession("s");
    expect(checksum).toBe(checksumOf(rest));
    expect(rest).toMatchObject({
      format: "waymark-session",
      version: 1,
      session: { id: "s", userId: "ada" },
    });
  });

  it("is refused for a session that is not there, or somebody else's", async () => {
    const manager = await filled(mapAdapter());
    expect((await refusal(manager.exportSession("none"))).code).toBe("SESSION_NOT_FOUND");
    expect((await refusal(manager.exportSession("s", { userId: "grace" }))).code).toBe("SESSION_NOT_FOUND");
  });

  it("of a trimmed session is numbered anew", async () => {
    const manager = await filled(mapAdapter());
    await manager.trimMessages("s", 1);
    const to = managerOn(mapAdapter());
    expect(await to.importSession(await manager.exportSession("s"))).toMatchObject({ first: 1, last: 1 });
    expect(await to.loadSessionHistory("s")).toMatchObject([{ sequence: 1, content: "hi" }]);
  });
});

describe("an import", () => {
  it("of something that is not whole is refused, and writes nothing", async () => {
    const whole = await (await filled(mapAdapter())).exportSession("s");
    const { checksum: _, ...body } = whole;
    const deep: unknown = JSON.parse(`${"[".repeat(5000)}${"]".repeat(5000)}`);
    const session = (change: object) => signed({ ...body, session: { ...body.session, ...change } });
    const message = (change: object) =>
      signed({ ...body, messages: [{ ...body.messages[0], ...change }, body.messages[1]] });
    const damaged: unknown[] = [
      ...[null, undefined, 1, "text", [], {}, deep, () => {}, { ...whole, extra: () => {} }],
      ...[{ ...whole, format: "other" }, { ...whole, checksum: "sha256:00" }, body],
      { ...whole, messages: whole.messages.slice(1) },
      { ...whole, session: { ...whole.session, userId: "grace" } },
      ...[
        session({ id: "" }),
        session({ userId: "\0" }),
        session({ status: "deleting" }),
        session({ state: 1 }),
      ],
      ...[session({ createdAt: "today" }), session({ createdAt: 1e20 }), session({ agentName: "\0" })],
      ...[session({ state: { data: 1 } }), session({ completedAt: undefined })],
      ...[
        message({ role: "root" }),
        message({ content: "\ud800" }),
        message({ body: [] }),
        message({ createdAt: 0.5 }),
      ],
      ...[message({ body: { content: 5 } }), message({ body: { when: { "~date": "never" } } })],
      signed({ ...body, messages: {} }),
    ];
    const adapter = mapAdapter();
    const to = managerOn(adapter);
    const codes = await Promise.all(
      damaged.map(async (data) => (await refusal(to.importSession(data))).code),
    );
    expect(codes).toEqual(damaged.map(() => "EXPORT_DAMAGED"));
    expect(adapter.rows.size + adapter.entries.size).toBe(0);
  });

  it("of a newer format, or a newer schema, is refused, and writes nothing", async () => {
    const versions = { schemaVersion: 2, migrations: { 1: () => {} } };
    const whole = await (await filled(mapAdapter(), versions)).exportSession("s");
    const adapter = mapAdapter();
    const to = managerOn(adapter);
    const newer = { ...whole, version: 2, checksum: "of another kind" };
    expect((await refusal(to.importSession(newer))).code).toBe("EXPORT_TOO_NEW");
    expect((await refusal(to.importSession(whole))).code).toBe("STATE_TOO_NEW");
    expect(adapter.rows.size).toBe(0);
  });

  it("of another user's session is refused, and one's own is not", async () => {
    const whole = await (await filled(mapAdapter())).exportSession("s");
    const adapter = mapAdapter();
    const to = managerOn(adapter);
    expect((await refusal(to.importSession(whole, { userId: "grace" }))).code).toBe("OWNER_MISMATCH");
    const strangers = managerOn(adapter, { userId: "grace" });
    expect((await refusal(strangers.importSession(whole))).code).toBe("OWNER_MISMATCH");
    expect(adapter.rows.size).toBe(0);
    await to.importSession(whole, { id: "copy", userId: "ada" });
    expect((await to.findSessionById("copy"))?.userId).toBe("ada");
  });

  it("migrates an older state, and is checked by the schema", async () => {
    const from = managerOn(mapAdapter());
    await from.saveSessionState("s", createSession<Data>({ data: { count: "3" } }));
    const whole = await from.exportSession("s");
    const adapter = mapAdapter();
    const strict = managerOn(adapter, { schema: { count: z.number() } });
    expect((await refusal(strict.importSession(whole))).code).toBe("INVALID_STATE");
    expect(adapter.rows.size).toBe(0);
    const migrating = managerOn(adapter, {
      schema: { count: z.number() },
      schemaVersion: 2,
      migrations: { 1: ({ data }) => void (data["count"] = Number(data["count"])) },
    });
    await migrating.importSession(whole);
    expect((await migrating.loadSessionState("s"))?.data).toEqual({ count: 3 });
    expect((await migrating.inspectSession("s"))?.schemaVersion).toBe(2);
  });

  it("leaves a session that is there as it is", async () => {
    const manager = await filled(mapAdapter());
    const whole = await manager.exportSession("s");
    expect((await refusal(manager.importSession(whole))).code).toBe("SESSION_EXISTS");
    expect(await manager.loadSessionHistory("s")).toHaveLength(2);
  });

  it("calls the hooks, which may refuse", async () => {
    const whole = await (await filled(mapAdapter())).exportSession("s");
    const adapter = mapAdapter();
    const told: number[] = [];
    const refusing = managerOn(adapter, {
      hooks: {
        beforeSave: ({ messages }) => {
          told.push(messages.length);
          throw new Error("no");
        },
      },
    });
    expect((await refusal(refusing.importSession(whole))).code).toBe("HOOK_FAILED");
    expect([told, adapter.rows.size]).toEqual([[2], 0]);
  });
});

describe.each(stores)("a session that is larger than one commit, on %s", (name, open) => {
  const content = "x".repeat(100_000);

  async function large() {
    const manager = managerOn(open());
    await manager.saveSessionState("s", createSession<Data>({ data: { kept: 1 } }));
    for (let i = 0; i < 25; i++)
      await manager.saveMessage({ sessionId: "s", role: "user", content: `${i}${content}` });
    return manager.exportSession("s");
  }

  it("is imported in parts", async () => {
    const to = managerOn(open());
    await to.importSession(await large());
    const messages = await to.loadSessionHistory("s");
    expect(messages.map(({ content: text }) => text.length)).toEqual(
      Array.from({ length: 25 }, (_, i) => `${i}`.length + content.length),
    );
    expect((await to.findSessionById("s"))?.status).toBe("active");
    await to.saveMessage({ sessionId: "s", role: "user", content: "more" });
    await to.close();
  });

  if (name !== "two repositories") return;

  it("leaves nothing where a part fails, and is closed to others until then", async () => {
    const whole = await large();
    const adapter = mapAdapter();
    const to = managerOn(adapter);
    const seen: unknown[] = [];
    let updates = 0;
    adapter.before = (call) => {
      if (call !== "update" || ++updates < 4) return;
      adapter.before = () => {};
      seen.push(adapter.rows.get("s")?.status);
      throw new StorageError("STORAGE_FAILED", "down", { operation: "update" });
    };
    expect((await refusal(to.importSession(whole))).code).toBe("STORAGE_FAILED");
    expect(seen).toEqual(["abandoned"]);
    expect(await to.findSessionById("s")).toBeNull();
    await to.importSession(whole);
    expect((await to.findSessionById("s"))?.messageCount).toBe(25);
  });
});
