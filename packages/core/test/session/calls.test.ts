import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, jest } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { StorageError } from "../../src/errors.js";
import { readJson, writeJson } from "../../src/file/unsupported.js";
import type { PersistenceOptions } from "../../src/persistence/options.js";
import type { SessionEvents } from "../../src/session/events.js";
import type { SessionHandle } from "../../src/session/handle.js";
import { scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";
import { eachStore, refusal } from "../support/stores.js";

const folder = mkdtempSync(join(tmpdir(), "waymark-calls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => void jest.restoreAllMocks());

const schema = { table: z.number(), name: z.string() };
type Data = { table: number; name: string };

/** Takes the number of a table, then a name. */
function agentOn(adapter: PersistenceAdapter, options: Partial<PersistenceOptions<Data>> = {}) {
  return new Agent({
    name: "Tables",
    provider: scriptedModel(({ history }) => {
      const said = history.at(-1)?.content ?? "";
      if (said.startsWith("table "))
        return { message: "Whose name?", data: { table: Number(said.slice(6)) } };
      return said.startsWith("name ")
        ? { message: "Done.", data: { name: said.slice(5) } }
        : `${history.length}`;
    }),
    schema,
    routes: [
      {
        id: "reserve",
        steps: [
          { id: "which", prompt: "Which?", collect: ["table"] },
          { id: "who", prompt: "Who?", collect: ["name"] },
        ],
      },
    ],
    persistence: { adapter, ...options },
  });
}

const contents = async (session: SessionHandle<Data>) =>
  (await session.messages()).map(({ role, content }) => `${role}: ${content}`);

const kinds = [
  ...eachStore().map(([name, open]) => {
    const handleOn = () => agentOn(open()).session("s");
    return [name, handleOn] as const;
  }),
  ["memory", () => agentOn(mapAdapter()).session()] as const,
];

describe.each(kinds)("a handle over %s", (_name, open) => {
  it("adds messages, which the model sees, and gives them back", async () => {
    const session = open();
    const createdAt = new Date(5);
    const added = await session.addMessage("user", "Is there parking?", {
      createdAt,
      event: { via: "mail" },
    });
    expect(added).toMatchObject({ role: "user", sequence: 1, createdAt, event: { via: "mail" } });
    expect(await session.addMessage("assistant", "Behind the house.")).toMatchObject({ sequence: 2 });
    expect((await session.chat("thanks")).message).toBe("3");
    expect(await contents(session)).toEqual([
      "user: Is there parking?",
      "assistant: Behind the house.",
      "user: thanks",
      "assistant: 3",
    ]);
    expect((await session.messages({ limit: 1 })).map(({ sequence }) => sequence)).toEqual([4]);
    // @ts-expect-error there is no such role
    expect((await refusal(session.addMessage("root", "x"))).code).toBe("INVALID_ARGUMENT");
  });

  it("keeps values and preferences, and removes them", async () => {
    const session = open();
    expect(await session.get("city")).toBeUndefined();
    await session.set("city", "Turin");
    await session.set("seen", new Map([["menu", new Date(3)]]));
    await session.updatePreference("theme", "dark");
    await session.updatePreference("language", "it");
    await session.updatePreference("theme", undefined);
    await session.set("__proto__", { polluted: true });
    await session.chat("hello");
    expect(await session.get("city")).toBe("Turin");
    expect(await session.get("seen")).toEqual(new Map([["menu", new Date(3)]]));
    expect(await session.get("preferences")).toEqual({ language: "it" });
    expect(await session.get("__proto__")).toEqual({ polluted: true });
    expect(await session.get("toString")).toBeUndefined();
    await session.set("city", undefined);
    expect(await session.get("city")).toBeUndefined();
    expect(await session.get("createdAt")).toBeInstanceOf(Date);
  });

  it("refuses keys that are its own, and preferences where there can be none", async () => {
    const session = open();
    expect((await refusal(session.set("createdAt", 1))).code).toBe("INVALID_ARGUMENT");
    // @ts-expect-error a key is a text
    expect((await refusal(session.set(1, 1))).code).toBe("INVALID_ARGUMENT");
    await session.set("preferences", "none");
    expect((await refusal(session.updatePreference("theme", "dark"))).code).toBe("INVALID_ARGUMENT");
    expect(await session.get("preferences")).toBe("none");
  });

  it("clears messages and keeps what was collected; gives no sequence twice", async () => {
    const session = open();
    expect(await session.clear()).toBe(0);
    await session.chat("table 4");
    await session.set("city", "Turin");
    expect(await session.clear()).toBe(2);
    expect(await session.messages()).toEqual([]);
    expect((await session.state()).data).toEqual({ table: 4 });
    expect(await session.get("city")).toBe("Turin");
    expect((await session.addMessage("user", "again")).sequence).toBe(3);
    expect([await session.delete(), await session.delete()]).toEqual([true, false]);
    expect((await session.state()).data).toEqual({});
  });

  it("tells its events, in their order, until a listener leaves", async () => {
    const session = open();
    const told: string[] = [];
    const leave = session.on("messageAdded", ({ role, content, sequence }) =>
      told.push(`${sequence} ${role} ${content}`),
    );
    session.on("routeEntered", ({ route }) => told.push(`route ${route}`));
    session.on("stepEntered", ({ route, step }) => told.push(`step ${route}/${step}`));
    session.on("cleared", ({ removed }) => told.push(`cleared ${removed}`));
    session.on("messageAdded", () => {
      throw new Error("of a listener");
    });
    await session.chat("hello");
    await session.chat("table 4");
    leave();
    await session.chat("name Ada");
    await session.addMessage("user", "bye");
    await session.clear();
    expect(told).toEqual([
      ...["1 user hello", "2 assistant 1", "route reserve", "step reserve/which"],
      ...["3 user table 4", "4 assistant Whose name?", "step reserve/who"],
      "cleared 7",
    ]);
    // @ts-expect-error there is no such event
    expect(() => session.on("messageadded", () => {})).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });

  it("is exported, and imported into each other kind", async () => {
    const from = open();
    await from.chat("table 4");
    await from.set("city", "Turin");
    const data: unknown = JSON.parse(JSON.stringify(await from.export()));
    for (const [, openOther] of kinds) {
      const to = openOther();
      await to.import(data);
      expect(await contents(to)).toEqual(["user: table 4", "assistant: Whose name?"]);
      expect(await to.get("city")).toBe("Turin");
      const { data: collected, dataByRoute, currentStep, routeHistory } = await to.state();
      const before = await from.state();
      expect({ collected, dataByRoute, currentStep, routeHistory }).toEqual({
        ...{ collected: { table: 4 }, dataByRoute: before.dataByRoute },
        ...{ currentStep: before.currentStep, routeHistory: before.routeHistory },
      });
      expect((await to.chat("name Ada")).completed).toBe("reserve");
      expect((await refusal(to.import(data))).code).toBe("SESSION_EXISTS");
      expect(await to.messages()).toHaveLength(4);
    }
  });

  it("imports nothing that is damaged, too new, or against the schema", async () => {
    const from = open();
    await from.chat("table 4");
    const whole = await from.export();
    const to = open();
    const saved = jest.fn();
    to.on("saved", saved);
    expect((await refusal(to.import({ ...whole, messages: [] }))).code).toBe("EXPORT_DAMAGED");
    expect((await refusal(to.import({ ...whole, version: 2 }))).code).toBe("EXPORT_TOO_NEW");
    const other = new Agent({
      name: "Other",
      provider: scriptedModel([]),
      schema: { table: z.number().max(3) },
      persistence: { adapter: mapAdapter() },
    });
    const strict = to.id === undefined ? other.session() : other.session(to.id);
    expect((await refusal(strict.import(whole))).code).toBe("INVALID_STATE");
    expect([await to.delete(), await strict.delete(), saved.mock.calls]).toEqual([false, false, []]);
  });

  it("is saved into a file and loaded from it", async () => {
    const path = join(mkdtempSync(join(folder, "f-")), "session.json");
    const from = open();
    await from.chat("table 4");
    await from.save(path);
    await from.chat("hello");
    await from.save(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, ".."))).toEqual(["session.json"]);
    const to = open();
    await to.load(path);
    expect(await contents(to)).toEqual(await contents(from));
    writeFileSync(path, readFileSync(path, "utf8").slice(0, -20));
    const error = await refusal(open().load(path));
    expect([error.code, error.cause]).toEqual(["EXPORT_DAMAGED", undefined]);
    writeFileSync(path, '"table 4"');
    expect((await refusal(open().load(path))).code).toBe("EXPORT_DAMAGED");
    expect((await refusal(open().load(`${path}.none`))).code).toBe("STORAGE_FAILED");
    expect((await refusal(from.save(join(path, "no", "folder")))).code).toBe("STORAGE_FAILED");
  });
});

describe("a handle of a stored session", () => {
  it("adds what others changed meanwhile to its own values", async () => {
    const adapter = mapAdapter();
    const [one, two] = [agentOn(adapter).session("s"), agentOn(adapter).session("s")];
    await Promise.all([
      ...Array.from({ length: 5 }, (_, i) => one.updatePreference(`one${i}`, i)),
      ...Array.from({ length: 5 }, (_, i) => two.updatePreference(`two${i}`, i)),
      ...[one.set("a", 1), two.set("b", 2), one.addMessage("user", "x"), two.addMessage("user", "y")],
    ]);
    expect(Object.keys(Object(await one.get("preferences")))).toHaveLength(10);
    expect([await two.get("a"), await one.get("b"), (await two.messages()).length]).toEqual([1, 2, 2]);
  });

  it("tells what was saved, and conflicts", async () => {
    const adapter = mapAdapter();
    const session = agentOn(adapter, { conflict: "reject" }).session("s");
    const versions: string[] = [];
    const conflicts: SessionEvents["conflict"][] = [];
    session.on("saved", ({ version }) => versions.push(version));
    session.on("conflict", (error) => conflicts.push(error));
    const first = await session.chat("table 4");
    await session.set("city", "Turin");
    expect(versions).toEqual([first.saved?.version, (await session.state()).version]);
    const other = agentOn(adapter).session("s");
    let updates = 0;
    adapter.before = async (call) => {
      if (call === "update" && ++updates === 1) await other.set("city", "Rome");
    };
    const error = await refusal(session.chat("name Ada"));
    expect([error.code, conflicts]).toEqual(["TURN_NOT_SAVED", [error.cause]]);
    expect(versions).toHaveLength(2);
  });

  it("tells that it has expired, once, and begins anew", async () => {
    let now = Date.now();
    jest.spyOn(Date, "now").mockImplementation(() => now);
    const adapter = mapAdapter();
    const session = agentOn(adapter, { expireAfterMs: 1000 }).session("s");
    const ends: number[] = [];
    session.on("expired", ({ at }) => ends.push(at.getTime()));
    const ended = [now + 1000];
    await session.chat("one");
    now += 999;
    await session.get("city");
    now += 1;
    expect(await session.get("city")).toBeUndefined();
    expect((await session.chat("two")).message).toBe("1");
    expect(ends).toEqual(ended);
    now += 1000;
    await session.addMessage("user", "three");
    expect(ends).toEqual([...ended, now]);
    await session.delete();
    now += 1000;
    await session.state();
    expect(ends).toHaveLength(2);
  });

  it("of one user cannot be cleared, written to, or exported by another", async () => {
    const agent = agentOn(mapAdapter());
    const mine = agent.session("s", { userId: "ada" });
    await mine.addMessage("user", "mine");
    const stranger = agent.session("s", { userId: "grace" });
    expect((await refusal(stranger.addMessage("user", "x"))).code).toBe("SESSION_EXISTS");
    expect((await refusal(stranger.set("a", 1))).code).toBe("SESSION_EXISTS");
    expect((await refusal(stranger.export())).code).toBe("SESSION_NOT_FOUND");
    expect([await stranger.clear(), await stranger.get("a")]).toEqual([0, undefined]);
    const other = agent.session("t", { userId: "grace" });
    expect((await refusal(other.import(await mine.export()))).code).toBe("OWNER_MISMATCH");
    expect(await contents(mine)).toEqual(["user: mine"]);
  });

  it("is saved on exit, also when an error is thrown", async () => {
    const adapter = mapAdapter();
    let flushed = 0;
    const flush = async () => void flushed++;
    const agent = agentOn({ ...adapter, flush });
    const failed = (async () => {
      await using session = agent.session("s");
      void session.set("city", "Turin");
      void session.addMessage("user", "hello");
      throw new Error("of the application");
    })();
    await expect(failed).rejects.toThrow("of the application");
    expect(flushed).toBe(1);
    const other = agentOn(adapter).session("s");
    expect([await other.get("city"), await contents(other)]).toEqual(["Turin", ["user: hello"]]);
  });

  it("that was not used leaves nothing to be saved; one that cannot be saved says so", async () => {
    const adapter = mapAdapter();
    let flushed = 0;
    const down = new StorageError("STORAGE_FAILED", "down", { operation: "flush" });
    const agent = agentOn({
      ...adapter,
      flush: async () => {
        flushed++;
        throw down;
      },
    });
    await agent.session("s")[Symbol.asyncDispose]();
    expect(flushed).toBe(0);
    const used = agent.session("s");
    await used.set("city", "Turin");
    expect(await refusal(used[Symbol.asyncDispose]())).toBe(down);
  });
});

it("files are refused by name where there is no Node", async () => {
  expect((await refusal(writeJson("x", {}))).code).toBe("CAPABILITY_MISSING");
  expect((await refusal(readJson("x"))).code).toBe("CAPABILITY_MISSING");
});
