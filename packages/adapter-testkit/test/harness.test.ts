import { describe, expect, it } from "@jest/globals";
import type { PersistenceAdapter } from "@waymark/core";
import { type Harness, testAdapter } from "../src/index.js";
import { change } from "./faulty/tools.js";
import { type Result, runKit } from "./support/run.js";
import { type Spoil, memory } from "./support/stores.js";

const wrong = (spoil: Spoil) => memory("wrong", { spoil });

function failures(results: readonly Result[]): string[] {
  return results.flatMap(({ error }) => (error === null ? [] : [error.message]));
}

describe("a harness whose adapter", () => {
  it("hangs: the call is named, nothing more is tried, and every store is removed", async () => {
    const never = () => new Promise<never>(() => {});
    const { open, ...right } = wrong((adapter) => change(adapter, { sessions: () => ({ update: never }) }));
    const stores = { opened: 0, removed: 0 };
    const harness = {
      ...right,
      open: async () => {
        stores.opened++;
        const { remove, ...store } = await open();
        return { ...store, remove: () => remove().then(() => void stores.removed++) };
      },
    };
    const started = performance.now();
    const messages = failures(await runKit(harness, { callTimeoutMs: 200 }));
    expect(performance.now() - started).toBeLessThan(5000);
    expect(messages[0]).toMatch(/sessionRepository\.update gave no answer within 200 ms/);
    expect(messages.at(-1)).toMatch(/not run: sessionRepository\.update never ended/);
    expect(stores.removed).toBe(stores.opened);
  });

  it.each(["open", "connect", "remove"])("hangs in %s: it is named, and it ends", async (name) => {
    const right = memory("wrong");
    const never = () => new Promise<never>(() => {});
    const open = async () => ({ ...(await right.open()), ...(name === "open" ? {} : { [name]: never }) });
    const harness: Harness = { ...right, open: name === "open" ? never : open };
    const messages = failures(await runKit(harness, { callTimeoutMs: 50 }));
    expect(messages.some((message) => message.includes(`\`${name}\` did not end within 150 ms`))).toBe(true);
  });

  it("throws synchronously", async () => {
    const harness = wrong((right) =>
      change(right, {
        sessions: () => ({
          findById: () => {
            throw new Error("at once");
          },
        }),
      }),
    );
    const [message] = failures(await runKit(harness, { isBrief: true }));
    expect(message).toMatch(/sessionRepository\.findById threw synchronously \(Error: at once\)/);
  });

  it.each<[string, Spoil, RegExp]>([
    [
      "no promise",
      (right) => change(right, { sessions: () => ({ create: () => true as never }) }),
      /create returned true, which is not a promise/,
    ],
    [
      "undefined for a boolean",
      (right) => change(right, { sessions: () => ({ update: async () => undefined as never }) }),
      /update resolved to undefined: it has to be true/,
    ],
    [
      "undefined for null",
      (right) => change(right, { sessions: () => ({ findById: async () => undefined as never }) }),
      /findById resolved to undefined: it has to be a session row/,
    ],
    [
      "a text for a time",
      (right) =>
        change(right, {
          sessions: ({ findById }) => ({
            findById: async (id) => ({ ...(await findById(id)), createdAt: "1" }) as never,
          }),
        }),
      /`createdAt` of a session row is "1" \(string\)/,
    ],
    [
      "a Date in the state",
      (right) =>
        change(right, {
          sessions: ({ findById }) => ({
            findById: async (id) => ({ ...(await findById(id)), state: { at: new Date(0) } }) as never,
          }),
        }),
      /`state` of a session row is/,
    ],
    [
      "a field of its own",
      (right) =>
        change(right, {
          sessions: ({ findById }) => ({
            findById: async (id) => ({ ...(await findById(id)), _id: "1" }) as never,
          }),
        }),
      /has no field `_id`/,
    ],
    [
      "a list for a page",
      (right) => change(right, { sessions: () => ({ find: async () => [] as never }) }),
      /find resolved to \[\]: it has to be a page/,
    ],
    [
      "too few outcomes",
      (right) => change(right, { turns: () => ({ commit: async () => [] }) }),
      /commit resolved to \[\]: it has to be 1 outcomes/,
    ],
  ])(
    "answers with the wrong type, %s",
    async (_, spoil, message) => {
      const messages = failures(await runKit(wrong(spoil)));
      expect(messages.some((one) => message.test(one))).toBe(true);
    },
    60_000,
  );

  it("leaks a handle", async () => {
    const timers: NodeJS.Timeout[] = [];
    const harness = wrong((right) =>
      change(right, {
        adapter: () => ({ initialize: async () => void timers.push(setInterval(() => {}, 1000)) }),
      }),
    );
    const [message] = failures(await runKit(harness, { only: /keeps the process alive/ }));
    for (const timer of timers) clearInterval(timer);
    expect(message).toMatch(/each store that was opened and removed leaves a Timeout behind/);
  });

  it("shares state between stores", async () => {
    const harness = memory("wrong");
    const store = harness.open();
    const [message] = failures(
      await runKit(
        { ...harness, open: async () => ({ ...(await store), remove: async () => {} }) },
        { only: /two stores/ },
      ),
    );
    expect(message).toMatch(/another store has the row/);
  });

  it("is none", async () => {
    const harness: Harness = {
      ...memory("wrong"),
      open: async () => ({ connect: () => ({}) as PersistenceAdapter, remove: async () => {} }),
    };
    const [message] = failures(await runKit(harness, { isBrief: true }));
    expect(message).toMatch(/`connect` has to give an adapter, with its two repositories/);
  });

  it("cannot be opened", async () => {
    const harness: Harness = {
      ...memory("wrong"),
      open: () => Promise.reject(new Error("ECONNREFUSED 127.0.0.1:5432")),
    };
    const results = await runKit(harness);
    expect(failures(results)).toHaveLength(results.length);
    expect(failures(results)[0]).toMatch(/ECONNREFUSED/);
  });

  it("has or lacks a facet that it did not declare", async () => {
    const lost = wrong((right) => change(right, { adapter: () => ({ records: undefined }) }));
    const [message] = failures(await runKit(lost, { isBrief: true }));
    expect(message).toMatch(/what the adapter has: `records` is false, not true/);
    const proxied = {
      ...memory("wrong"),
      expects: { ...memory("wrong").expects, network: "proxy" as const },
    };
    const budget = { roundTrips: 1, bytes: 1 };
    const without = await runKit(
      { ...proxied, budgets: { turn: budget, resume: budget } },
      { isBrief: true },
    );
    expect(failures(without)[0]).toMatch(/whether the store has `network`, where `expects.network` is proxy/);
    const found = { ...memory("wrong"), expects: { ...memory("wrong").expects, turns: false } };
    expect(failures(await runKit(found, { isBrief: true }))[0]).toMatch(/`turns` is true, not false/);
  });
});

describe("a harness", () => {
  const right = memory("m");
  it.each<[string, object, RegExp]>([
    ["without a name", { name: "" }, /has to have a name/],
    ["without open", { open: undefined }, /has to have `open`/],
    ["without a claim", { expects: { ...right.expects, search: undefined } }, /`expects.search`/],
    [
      "with a durability that there is not",
      { expects: { ...right.expects, durability: "always" } },
      /commit, flush or process/,
    ],
    [
      "that is durable and has no other process",
      { expects: { ...right.expects, durability: "commit" } },
      /has to have `processEntry`/,
    ],
    [
      "that does not say how the kit can come between",
      { expects: { ...right.expects, network: undefined } },
      /`expects.network`/,
    ],
    [
      "whose server has no budgets",
      { expects: { ...right.expects, network: "proxy" } },
      /has to have `budgets`/,
    ],
    ["with budgets and no server", { budgets: {} }, /has to have `budgets` .* and only there/],
    [
      "whose server cannot be started",
      { expects: { ...right.expects, network: "restart" }, budgets: {} },
      /has to have `openServer`/,
    ],
    ["with a server that it did not declare", { openServer: () => {} }, /and only there/],
  ])("%s is refused at once", (_, wrong, message) => {
    const runner = { describe: () => {}, it: () => {}, beforeAll: () => {}, afterAll: () => {} };
    expect(() => testAdapter({ ...right, ...wrong }, runner)).toThrow(message);
  });
});

describe("a failure", () => {
  const forgetful = wrong((right) =>
    change(right, { sessions: (rows) => ({ create: (row) => rows.create({ ...row, step: null }) }) }),
  );

  it("names the promise, says what to do and how to run that case alone", async () => {
    const [message = ""] = failures(await runKit(forgetful, { only: /generated rows/, seed: 7 }));
    expect(message).toContain("rows > P6: generated rows come back verbatim");
    expect(message).toContain("To do: ");
    expect(message).toContain(
      'WAYMARK_KIT_SEED=7 and your runner\'s filter by name, -t "P6: generated rows come back verbatim"',
    );
  });

  it("comes again with its seed, and another with another", async () => {
    const told = async (seed: number) =>
      (failures(await runKit(forgetful, { only: /generated rows/, seed }))[0] ?? "").split("\n")[2];
    expect(await told(7)).toBe(await told(7));
    expect(new Set([await told(1), await told(2), await told(3), await told(4)]).size).toBeGreaterThan(1);
  });
});
