import { describe, expect, test } from "@jest/globals";
import type { PersistenceAdapter } from "../../src/contract/adapter.js";
import { systemEnvironment } from "../../src/turn/environment.js";
import { createOutbox } from "../../src/turn/outbox.js";
import { operationWindow } from "../../src/turn/system.js";
import {
  commit,
  committed,
  creation,
  message,
  newAdapter,
  numbers,
  temporaryFolder,
  turn,
  unique,
} from "./support.js";

const next = { kind: "append" } as const;
const patience = { deadline: Number.POSITIVE_INFINITY };

describe("whole turns in files", () => {
  test("are stored with row and messages, and read in a new process's adapter", async () => {
    const directory = temporaryFolder();
    const first = newAdapter(directory);
    const created = await committed(first, turn("s", creation, { state: { n: 1 }, messages: ["a", "b"] }));
    expect(created).toMatchObject({ life: "life", version: "life.1", first: 1, last: 2, operations: 1 });
    const next = { kind: "version", version: created.version } as const;
    const history = [{ ...message("route"), sequence: 1 }];
    await committed(first, turn("s", next, { state: { n: 2 }, messages: ["c"], history }));
    const loaded = await newAdapter(directory).turns.load("s", { last: 2 });
    expect(loaded?.row).toMatchObject({ id: "s", version: "life.2", last: 3, state: { n: 2 } });
    expect(loaded?.entries.map(({ sequence, content }) => [sequence, content])).toEqual([
      [2, "b"],
      [3, "c"],
    ]);
    const old = await first.messageRepository.findBySessionId("s", { log: "lifer", from: 1, to: 10 });
    expect(old.map(({ content }) => content)).toEqual(["route"]);
  });

  test("answer as the rules say: replayed, mismatch, conflict, exists, absent, closed", async () => {
    const adapter = newAdapter();
    const one = turn("s", creation, { state: { n: 1 }, messages: ["a"] });
    const { version } = await committed(adapter, one);
    expect(await commit(adapter, one)).toMatchObject({ status: "replayed", version, first: 1, last: 1 });
    const other = { ...one, operation: { ...one.operation, digest: "other" } };
    expect(await commit(adapter, other)).toEqual({ status: "mismatch" });
    expect(await commit(adapter, turn("s", creation))).toEqual({ status: "exists" });
    expect(await commit(adapter, turn("t", { kind: "append" }))).toEqual({ status: "absent" });
    await committed(
      adapter,
      turn("s", { kind: "version", version }, { state: {}, set: { status: "completed" } }),
    );
    expect(await commit(adapter, turn("s", { kind: "version", version }))).toEqual({
      status: "conflict",
      version: "life.2",
    });
    expect(await commit(adapter, turn("s", { kind: "append" }))).toEqual({
      status: "closed",
      rowStatus: "completed",
    });
    expect((await adapter.turns.load("s", { last: 10 }))?.entries).toHaveLength(1);
  });

  test("keep the state where a commit does not set it, and share no object with the caller", async () => {
    const adapter = newAdapter();
    const state = { list: ["a"] };
    await committed(adapter, turn("s", creation, { state }));
    state.list.push("b");
    await committed(adapter, turn("s", { kind: "append" }, { messages: ["m"] }));
    const loaded = await adapter.turns.load("s", { last: 0 });
    expect(loaded?.row).toMatchObject({ state: { list: ["a"] }, version: "life.1", last: 1 });
    Object.assign(loaded?.row ?? {}, { revision: "changed", system: null });
    expect((await adapter.sessionRepository.findById("s"))?.revision).not.toBe("changed");
    expect((await newAdapter(adapter.directory).turns.load("s", { last: 0 }))?.row.state).toEqual({
      list: ["a"],
    });
  });

  test("of one call answer in their order, and a refused one does not touch its neighbours", async () => {
    const adapter = newAdapter();
    const bad = { ...turn("s1", creation), id: "a\0b" };
    const outcomes = await adapter.turns.commit([
      turn("s0", creation),
      bad,
      turn("s2", { kind: "append" }),
      turn("s3", creation),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["committed", "failed", "absent", "committed"]);
  });

  test("at the same moment on one session lose nothing", async () => {
    const adapter = newAdapter();
    await committed(adapter, turn("s", creation));
    await Promise.all(
      numbers(1, 50).map((n) => committed(adapter, turn("s", { kind: "append" }, { messages: [`${n}`] }))),
    );
    const loaded = await adapter.turns.load("s", { last: 50 });
    expect(loaded?.entries.map(({ sequence }) => sequence)).toEqual(numbers(1, 50));
    expect(new Set(loaded?.entries.map(({ content }) => content)).size).toBe(50);
  });

  test("of any kind and number are found from the end of the file as the whole file says", async () => {
    const adapter = newAdapter();
    await committed(adapter, turn("s", creation, { messages: ["1"] }));
    for (const n of numbers(2, 60)) {
      const { sessionRepository: sessions, messageRepository: messages } = adapter;
      const messagesOf = n % 7 === 0 ? [`${n}${"y".repeat(20_000)}`] : [`${n}`];
      await committed(
        adapter,
        turn("s", next, { messages: messagesOf, ...(n % 3 === 0 ? {} : { state: { n } }) }),
      );
      if (n % 11 === 0) await messages.deleteBySessionId("s", { log: "life", to: n - 5 });
      const [found] = (await newAdapter(adapter.directory).sessionRepository.find({}, { limit: 1 })).items;
      expect(found).toEqual(await newAdapter(adapter.directory).sessionRepository.findById("s"));
      expect(found).toEqual(await sessions.findById("s"));
      if (n % 25 !== 0 || found === undefined) continue;
      // A write of the row itself says all operations again.
      expect(await sessions.update({ ...found, revision: unique() }, found.revision)).toBe(true);
    }
    const { system } = (await newAdapter(adapter.directory).sessionRepository.findById("s")) ?? {};
    expect(system).toMatchObject({ count: 60, operations: { length: operationWindow } });
  });

  test("cost a record of their own size, however long the conversation, and the disk does not fill with rows", async () => {
    const adapter = newAdapter();
    await committed(adapter, turn("s", creation));
    const state = { text: "x".repeat(40_000) };
    for (const n of numbers(1, 60)) {
      await committed(
        adapter,
        turn("s", { kind: "append" }, { state, messages: [`${n}${"y".repeat(1_000)}`] }),
      );
    }
    const loaded = await newAdapter(adapter.directory).turns.load("s", { last: 1_000 });
    expect(loaded?.entries.map(({ content }) => Number.parseInt(content, 10))).toEqual(numbers(1, 60));
  });
});

describe("the outbox on the same files", () => {
  test("and the facet see one truth, each after the other", async () => {
    const adapter = newAdapter();
    const { sessionRepository, messageRepository, durability, limits } = adapter;
    const plain: PersistenceAdapter = {
      name: "plain",
      sessionRepository,
      messageRepository,
      durability,
      limits,
    };
    const outbox = createOutbox(plain, systemEnvironment);
    expect(
      await outbox.commit(turn("s", creation, { state: { n: 0 }, messages: ["0"] }), patience),
    ).toMatchObject({
      status: "committed",
    });
    for (let n = 1; n <= 20; n++) {
      const expectation = { kind: "append" } as const;
      const one = turn("s", expectation, { state: { n }, messages: [`${n}`] });
      if (n % 2 === 0) {
        expect(await outbox.commit(one, patience)).toMatchObject({ status: "committed" });
      } else {
        // The row of the outbox is dirty: core drains it first.
        expect(await commit(adapter, one)).toEqual({ status: "busy" });
        await outbox.drain("s", patience);
        await committed(adapter, one);
      }
      const merged = await outbox.load("s", (row) => [[row.first, row.last]]);
      expect(merged?.entries.map(({ content }) => content)).toEqual(numbers(0, n).map(String));
    }
    await outbox.flush();
    await outbox.drain("s", patience);
    expect((await adapter.turns.load("s", { last: 100 }))?.entries).toHaveLength(21);
    expect(await outbox.delete("s", undefined, patience)).toBe(true);
    expect(await adapter.turns.load("s", { last: 1 })).toBeNull();
  });

  test("two outboxes at once lose nothing", async () => {
    const directory = temporaryFolder();
    const outboxes = [1, 2, 3].map(() => {
      const { sessionRepository, messageRepository, durability, limits } = newAdapter(directory);
      return createOutbox(
        { name: "plain", sessionRepository, messageRepository, durability, limits },
        systemEnvironment,
      );
    });
    const [first] = outboxes;
    await first?.commit(turn("s", creation), patience);
    await Promise.all(
      outboxes.map(async (outbox) => {
        for (let n = 0; n < 15; n++) {
          const one = turn("s", { kind: "append" }, { messages: [unique()] });
          expect(await outbox.commit(one, patience)).toMatchObject({ status: "committed" });
        }
      }),
    );
    const merged = await first?.load("s", (row) => [[row.first, row.last]]);
    expect(merged?.entries.map(({ sequence }) => sequence)).toEqual(numbers(1, 45));
    expect(new Set(merged?.entries.map(({ content }) => content)).size).toBe(45);
    await Promise.all(outboxes.map((outbox) => outbox.flush()));
  });
});
