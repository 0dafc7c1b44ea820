import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import {
  type ErrorCode,
  type Json,
  type SessionRow,
  StorageError,
  systemEnvironment,
} from "@waymark/core/adapter";
import { withRetry } from "@waymark/core/wrap";
import * as fc from "fast-check";
import { MemoryAdapter } from "../src/index.js";
import { type Loss, losing, noAnswer, over, testTime } from "./lossy.js";

const said = (content: string) => ({ role: "user", content }) as const;
const always = (loss: Loss) => losing(() => loss);

let names = 0;

function makeRow(fields: Partial<SessionRow> = {}): SessionRow {
  const life = `life${names++}`;
  const system: Json = { pending: [], operations: [], count: 0 };
  return {
    ...{ id: "s", life, revision: `r${names++}`, version: `${life}.0`, userId: null, agentName: null },
    ...{ status: "active", first: 1, last: 0, lastMessageAt: null, createdAt: 1, updatedAt: 1 },
    ...{ completedAt: null, expiresAt: null, route: null, step: null, state: {}, dirty: false, system },
    ...fields,
  };
}

/** A server that is away for a while, and what is told of it meanwhile. */
function restarting(ms: number) {
  const time = testTime();
  const back = time.now() + ms;
  const memory = new MemoryAdapter();
  const away = over(memory, (name, run) => (time.now() < back ? Promise.reject(noAnswer(name)) : run()));
  return { memory, time, away };
}

describe("a server that is away for ten seconds", () => {
  it("is waited for, in pauses that grow, by turns and reads", async () => {
    const { away, memory, time } = restarting(10_000);
    const manager = new PersistenceManager({ adapter: withRetry(away, { environment: time }) });
    await manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("Hello")] });
    expect(await manager.loadSessionHistory("s")).toHaveLength(1);
    expect(time.pauses.slice(0, 8)).toEqual([25, 50, 100, 200, 400, 800, 1000, 1000]);
    expect(memory.getSnapshot().messages).toHaveLength(1);
  });

  it("is not waited for by core alone", async () => {
    const { away } = restarting(10_000);
    const manager = new PersistenceManager({ adapter: away });
    const turn = { session: createSession({ id: "s" }) };
    await expect(manager.saveTurn(turn)).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    await expect(manager.loadSessionState("s")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });

  it("is given up after the time and after the tries that are allowed, with the last error", async () => {
    const few = restarting(10_000);
    const three = withRetry(few.away, { tries: 3, environment: few.time });
    await expect(three.sessionRepository.findById("s")).rejects.toMatchObject({
      code: "STORAGE_UNAVAILABLE",
    });
    expect(few.time.pauses).toEqual([25, 50]);

    const short = restarting(10_000);
    const second = withRetry(short.away, { forMs: 1000, environment: short.time });
    await expect(second.turns?.load("s", { last: 1 })).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    expect(short.time.pauses.reduce((sum, ms) => sum + ms)).toBe(1000);
  });

  it("is not waited for when the signal is aborted, and a pause ends", async () => {
    const { away, time } = restarting(10_000);
    const controller = new AbortController();
    const pause = async () => controller.abort();
    const adapter = withRetry(away, { signal: controller.signal, environment: { ...time, pause } });
    await expect(adapter.sessionRepository.findById("s")).rejects.toMatchObject({
      code: "STORAGE_UNAVAILABLE",
    });
    const real = withRetry(away, { signal: AbortSignal.abort() });
    await expect(real.sessionRepository.findById("s")).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });

  it("ends a real pause at the signal", async () => {
    const controller = new AbortController();
    const adapter = withRetry(over(new MemoryAdapter(), always("request")), {
      signal: controller.signal,
      environment: undefined,
    });
    const call = adapter.sessionRepository.findById("s");
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
  });

  it("is waited for by initialize, and not by describe", async () => {
    const { time, memory } = restarting(0);
    const asked = { initialize: 0, describe: 0 };
    const { sessionRepository, messageRepository, limits } = memory;
    const adapter = withRetry(
      {
        ...{ name: "m", durability: "process", limits, sessionRepository, messageRepository },
        initialize: async () => {
          if (asked.initialize++ < 5) throw noAnswer("initialize");
        },
        describe: async () => {
          asked.describe++;
          throw noAnswer("describe");
        },
      },
      { environment: time },
    );
    const manager = new PersistenceManager({ adapter });
    expect(await manager.loadSessionState("s")).toBeNull();
    expect(await manager.health()).toMatchObject({ reachable: false });
    expect(asked).toEqual({ initialize: 6, describe: 1 });
  });
});

it.each<[ErrorCode, number]>([
  ["STORAGE_UNAVAILABLE", 3],
  ["STORAGE_LOCKED", 3],
  ["STORAGE_FAILED", 1],
  ["STORAGE_FULL", 1],
  ["STORAGE_DAMAGED", 1],
  ["CLIENT_IN_TRANSACTION", 1],
])("a call that fails with %s is sent %d times of 3", async (code, times) => {
  let sent = 0;
  const adapter = over(new MemoryAdapter(), async (operation) => {
    sent++;
    throw new StorageError(code, "no", { operation });
  });
  const retried = withRetry(adapter, { tries: 3, environment: testTime() });
  await expect(retried.sessionRepository.findById("s")).rejects.toMatchObject({ code });
  expect(sent).toBe(times);
  sent = 0;
  const [outcome] = (await retried.turns
    ?.commit([commitOf("op")])
    .catch((error: unknown) => [{ status: "failed", error }])) ?? [undefined];
  expect(outcome).toMatchObject({ status: "failed", error: { code } });
  expect(sent).toBe(times);
});

it("refuses bounds that cannot be", () => {
  for (const options of [{ tries: 0 }, { tries: 1.5 }, { forMs: -1 }, { forMs: Number.NaN }])
    expect(() => withRetry(new MemoryAdapter(), options)).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
});

function commitOf(id: string, fields: object = {}) {
  return {
    ...{ id: "s", expect: { kind: "append" as const }, operation: { id, digest: "" } },
    ...{ revision: `r${names++}`, at: 1, set: {}, history: [] },
    messages: [{ userId: null, role: "user", content: id, createdAt: 1, body: {} }],
    ...fields,
  };
}

describe("commits that travel together", () => {
  /** The commits of each call; those whose number `isLost` names have no answer, though they are applied. */
  async function together(isLost: (call: number, index: number) => boolean) {
    const memory = new MemoryAdapter();
    const { turns } = memory;
    if (turns === undefined) throw new Error("memory has turns");
    const sent: string[][] = [];
    const adapter = withRetry(
      {
        ...over(memory, (_, run) => run()),
        turns: {
          groups: true,
          load: turns.load,
          commit: async (commits) => {
            const call = sent.push(commits.map(({ id, retry }) => `${id}${retry === undefined ? "" : "?"}`));
            const outcomes = await turns.commit(commits);
            return outcomes.map((outcome, index) =>
              isLost(call, index) ? { status: "failed", error: noAnswer("commit") } : outcome,
            );
          },
        },
      },
      { environment: testTime() },
    );
    for (const id of "abcdefgh") await memory.sessionRepository.create(makeRow({ id }));
    return { memory, adapter, sent };
  }

  const three = () => ["a", "b", "c"].map((id) => commitOf(`op ${id}`, { id }));

  it("are sent again where none has an answer", async () => {
    const { adapter, memory, sent } = await together((call) => call < 3);
    const outcomes = await adapter.turns?.commit(three());
    expect(outcomes?.map(({ status }) => status)).toEqual(["replayed", "replayed", "replayed"]);
    expect(sent).toEqual([
      ["a", "b", "c"],
      ["a?", "b?", "c?"],
      ["a?", "b?", "c?"],
    ]);
    expect(memory.getSnapshot().messages).toHaveLength(3);
    expect(await adapter.turns?.commit([])).toEqual([]);
  });

  it("do not wait for those that have none: core sends these again", async () => {
    const { adapter, sent } = await together((call, index) => call === 1 && index > 0);
    const outcomes = await adapter.turns?.commit(three());
    expect(outcomes?.map(({ status }) => status)).toEqual(["committed", "failed", "failed"]);
    expect(sent).toHaveLength(1);

    const next = await together((_, index) => index > 0);
    const manager = new PersistenceManager({ adapter: next.adapter });
    const save = (sessionId: string) => manager.saveMessage({ sessionId, ...said("x") });
    await Promise.all([..."abcdefgh"].map(save));
    expect(next.sent.flat().filter((id) => id.endsWith("?"))).not.toEqual([]);
    expect(next.memory.getSnapshot().messages).toHaveLength(8);
  });

  it("are known in a long session, too, which forgets operations", async () => {
    const memory = new MemoryAdapter();
    let loss: Loss = "none";
    const next = (): Loss => {
      const now = loss;
      loss = "none";
      return now;
    };
    const adapter = withRetry(over(memory, losing(next)), { environment: testTime() });
    const manager = new PersistenceManager({ adapter });
    await manager.saveTurn({ session: createSession({ id: "s" }) });
    for (let n = 0; n < 40; n++) {
      loss = n % 2 === 0 ? "reply" : "request";
      await manager.saveMessage({ sessionId: "s", ...said(`${n}`) });
    }
    const { messages } = memory.getSnapshot();
    expect(messages.map(({ content }) => content)).toEqual(Array.from({ length: 40 }, (_, n) => `${n}`));
  });
});

/** Tries again and believes whatever comes back: what `withRetry` must not be. */
function credulous(adapter: PersistenceAdapter): PersistenceAdapter {
  return over(adapter, async (_, run) => {
    for (let tries = 1; ; tries++) {
      try {
        return await run();
      } catch (error) {
        if (tries === 9) throw error;
      }
    }
  });
}

const kinds = ["create", "update", "delete", "put", "records.delete", "remove"] as const;
type Kind = (typeof kinds)[number];

/** A call, what is lost of its tries, and what somebody else does each time before it is tried again. */
const step = fc.record({
  kind: fc.constantFrom<Kind>(...kinds),
  isStale: fc.constantFrom(false, false, false, true),
  losses: fc.array(
    fc.record({
      loss: fc.constantFrom<Loss>("request", "reply"),
      meanwhile: fc.constantFrom("nothing", "nothing", "write", "remove", "make anew"),
    }),
    { maxLength: 3 },
  ),
});

/** @throws where an answer is not so. */
async function judge(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  retrying: (adapter: PersistenceAdapter) => PersistenceAdapter,
): Promise<void> {
  const memory = new MemoryAdapter();
  const { sessionRepository: rows, records, turns } = memory;
  if (records === undefined || turns?.remove === undefined) throw new Error("memory has records and turns");
  const place = ["application", "k"] as const;
  const makeRecord = () => ({
    ...{ scope: place[0], key: place[1], value: 1, revision: `r${names++}`, stamp: "0" },
  });
  let left: (typeof steps)[number]["losses"][number][] = [];
  let meanwhile = "nothing";
  let applied = 0;

  async function somebodyElse(): Promise<void> {
    const [row, record] = [await rows.findById("s"), await records?.get(...place)];
    if (meanwhile === "write") {
      if (row !== null) await rows.update({ ...row, revision: `r${names++}` }, row.revision);
      await records?.put(makeRecord(), record?.revision ?? null);
    } else if (meanwhile !== "nothing") {
      if (row !== null) await rows.delete("s", row.revision);
      if (record) await records?.delete(...place, record.revision);
      if (meanwhile === "make anew") {
        await rows.create(makeRow());
        await records?.put(makeRecord(), null);
      }
    }
  }

  const counting = over(memory, async (name, run) => {
    const answer = await run();
    if (kinds.some((kind) => kind.endsWith(name)) && (Array.isArray(answer) ? answer[0] : answer) === true)
      applied++;
    return answer;
  });
  const lossy = over(
    counting,
    losing(() => {
      const now = left.shift();
      meanwhile = now?.meanwhile ?? "nothing";
      return now?.loss ?? "none";
    }, somebodyElse),
  );
  const adapter = retrying(lossy);

  for (const { kind, isStale, losses } of steps) {
    const row = await rows.findById("s");
    const record = await records.get(...place);
    const seen = isStale ? "stale" : (row?.revision ?? "none");
    const seenRecord = isStale ? "stale" : (record?.revision ?? null);
    const calls: Record<Kind, () => Promise<boolean | undefined>> = {
      create: () => adapter.sessionRepository.create(makeRow()),
      update: () =>
        adapter.sessionRepository.update({ ...(row ?? makeRow()), revision: `r${names++}` }, seen),
      delete: () => adapter.sessionRepository.delete("s", seen),
      put: async () => adapter.records?.put(makeRecord(), seenRecord),
      "records.delete": async () => adapter.records?.delete(...place, seenRecord ?? "none"),
      remove: async () => (await adapter.turns?.remove?.([{ id: "s", revision: seen }]))?.[0],
    };
    left = [...losses];
    applied = 0;
    const told = await calls[kind]().catch((error: unknown) => error);
    left = [];
    const isAlone = losses.every((one) => one.meanwhile === "nothing");
    const context = JSON.stringify({ kind, isStale, losses, told, applied });
    if (typeof told !== "boolean") {
      if (losses.length === 0 || (isAlone && applied > 0)) throw new Error(`no answer: ${context}`);
      expect(told).toMatchObject({ code: "STORAGE_UNAVAILABLE" });
      continue;
    }
    const isRemoval = kind.endsWith("delete") || kind === "remove";
    const isThere =
      kind === "records.delete"
        ? (await records.get(...place)) !== null
        : (await rows.findById("s")) !== null;
    const isSo = isRemoval
      ? told
        ? applied === 1 || (!isThere && losses.length > 0)
        : applied === 0 || isThere
      : told === applied > 0;
    // What somebody removed between two tries is there again: the second could not know of the first.
    const isAnew = (kind === "create" || kind === "put") && losses.some((one) => one.meanwhile === "remove");
    if (!isSo || (applied > 1 && !isAnew)) throw new Error(`not so: ${context}`);
  }
}

const runs = fc.array(step, { minLength: 1, maxLength: 12 });

describe("answers of writes among lost calls and other writers", () => {
  it("are so, or are not given", async () => {
    await fc.assert(
      fc.asyncProperty(runs, (steps) =>
        judge(steps, (adapter) => withRetry(adapter, { environment: testTime() })),
      ),
      { numRuns: 2000 },
    );
  });

  it("are not so where the first false is believed", async () => {
    const { failed } = await fc.check(
      fc.asyncProperty(runs, (steps) => judge(steps, credulous)),
      { numRuns: 2000 },
    );
    expect(failed).toBe(true);
  });
});

it.each([true, false])(
  "each turn that was acknowledged is there once, whatever gets lost (whole turns: %s)",
  async (whole) => {
    const losses = fc.array(fc.constantFrom<Loss>("none", "none", "request", "reply"), {
      minLength: 20,
      maxLength: 200,
    });
    await fc.assert(
      fc.asyncProperty(losses, async (given) => {
        const memory = new MemoryAdapter(whole ? {} : { without: ["turns"] });
        let next = 0;
        const line = losing(() => given[next++] ?? "none");
        const stored: string[] = [];
        const unsure: string[] = [];
        const setUp = new PersistenceManager({ adapter: memory });
        await setUp.saveTurn({ session: createSession({ id: "s" }) });
        const write = async (writer: number) => {
          const adapter = withRetry(over(memory, line), { environment: testTime() });
          const environment = { ...systemEnvironment, pause: async () => {} };
          const manager = new PersistenceManager({ adapter, environment });
          const save = async (n: number, text: string) => {
            if (n % 2 === 0) return manager.saveMessage({ sessionId: "s", ...said(text) });
            const session = await manager.loadSessionState("s");
            if (session === null) throw new Error("no session");
            session.metadata = { ...session.metadata, [`by ${writer}`]: text };
            const records = [{ key: `${n} of ${writer}`, value: text }];
            return manager.saveTurn({ session, messages: [said(text)], records });
          };
          for (let n = 0; n < 8; n++) {
            const text = `${writer}.${n}`;
            await save(n, text).then(
              () => stored.push(text),
              (error: unknown) => {
                // Others wrote again and again while this one had no answer: core says so.
                const codes = ["OPERATION_UNKNOWN", "STORAGE_UNAVAILABLE"];
                expect(codes).toContain(isWaymarkError(error) ? error.code : error);
                unsure.push(text);
              },
            );
          }
          await manager.flush();
        };
        await Promise.all([0, 1, 2].map(write));
        const history = await setUp.loadSessionHistory("s", { limit: 1000 });
        const texts = history.map(({ content }) => content);
        expect(texts).toHaveLength(new Set(texts).size);
        expect(texts.filter((text) => !unsure.includes(text)).toSorted()).toEqual(stored.toSorted());
        expect(stored.length).toBeGreaterThan(12);
        const records = (await setUp.records({ sessionId: "s" }).list()).map(({ value }) => value);
        const odd = texts.filter((text) => Number(text.split(".")[1]) % 2 === 1);
        expect(records.toSorted()).toEqual(odd.toSorted());
      }),
      { numRuns: 100 },
    );
  },
);
