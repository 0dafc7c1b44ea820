import assert from "node:assert/strict";
import { type PersistenceAdapter, historyLog } from "@waymark/core/adapter";
import { type CallInfo, type Fate, withFaults } from "../faults.js";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame } from "../same.js";
import {
  type TurnClient,
  appendTo,
  createTurnClient,
  creation,
  patience,
  rowOf,
  said,
  turnOn,
} from "../turn-client.js";
import type { World } from "../world.js";

/** Stops the process that uses the adapter at its n-th write. Resolves when it has stopped or ended. */
async function stoppedAt(
  adapter: PersistenceAdapter,
  write: number,
  fate: Fate,
  work: (client: TurnClient) => Promise<unknown>,
): Promise<boolean> {
  let count = 0;
  let stop: (isStopped: boolean) => void = () => {};
  const stopped = new Promise<boolean>((resolve) => (stop = resolve));
  const underWay = new Set<Promise<unknown>>();
  const fateOf = ({ isWrite }: CallInfo): Fate => {
    if (!isWrite || ++count !== write) return count > write ? "stopped before" : "done";
    setTimeout(() => stop(true), 0);
    return fate;
  };
  const client = createTurnClient(withFaults(adapter, fateOf, underWay));
  void work(client).then(
    () => client.store.flush().then(() => stop(false)),
    () => stop(false),
  );
  const isStopped = await stopped;
  // What a store is still doing for a process that has stopped is done before the next one comes.
  await Promise.allSettled(underWay);
  return isStopped;
}

async function assertGone(world: World, id: string, lives: readonly string[]): Promise<void> {
  for (const adapter of [world.adapter, world.other]) {
    assert.equal(
      await world.client(adapter).store.load(id, 10),
      null,
      "the load of a session that was deleted",
    );
    assert.equal(await adapter.sessionRepository.findById(id), null, "the row of a session that was deleted");
    for (const log of lives.flatMap((life) => [life, historyLog(life)])) {
      const found = await adapter.messageRepository.findBySessionId(id, { log, from: 1, to: 100 });
      assertSame(found, [], "the messages of a session that was deleted");
    }
  }
  if (world.raw === undefined) return;
  assert.equal(await world.raw.session(id), false, "something of a deleted session is left in the store");
  assert.equal(await world.raw.messages(id), 0, "messages of a deleted session are left in the store");
}

const full = (id: string) =>
  creation(id, {
    state: { n: 1 },
    messages: ["a", "b"],
    history: [{ ...said("h", { role: "route" }), sequence: 1 }],
  });

const cases: readonly Case[] = [
  {
    promise: "P8",
    name: "a delete leaves nothing, and is repeated without harm",
    todo: "The row, its messages and its route history go; look at what `deleteBySessionId` and `delete` leave behind.",
    async run(world) {
      const [client, other] = [world.client(), world.client(world.other)];
      const [id, neighbour] = [world.newId(), world.newId()];
      const { life } = await client.stored(full(id));
      await client.stored(appendTo(id, ...numbers(1, 150).map(String)));
      await client.create(neighbour, { messages: ["mine"] });
      assert.equal(await other.store.delete(id, undefined, patience()), true, "a delete");
      assert.equal(await client.store.delete(id, undefined, patience()), false, "a delete, repeated");
      await client.store.flush();
      await assertGone(world, id, [life]);
      assert.equal(
        (await client.commit(appendTo(id, "late"))).status,
        "absent",
        "an append to a session that was deleted",
      );
      assert.deepEqual(await client.texts(neighbour), ["mine"], "the messages of a neighbour");
    },
  },
  {
    promise: "P8",
    name: "a session made again under its id has nothing of the earlier one",
    todo: "The life is part of the key of messages; sequences begin at 1; a version of another life is `absent`, not a conflict.",
    async run(world) {
      const [client, slow] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const lives: string[] = [];
      const revisions: string[] = [];
      let version = "";
      for (const n of numbers(1, 4)) {
        const made = await client.create(id, { state: { n }, messages: [`${n}a`, `${n}b`] });
        assert.deepEqual([made.first, made.last], [1, 2], "sequences of a new life");
        if (version !== "") {
          const late = await slow.commit(turnOn(id, version, { state: { late: true }, messages: ["late"] }));
          assert.equal(late.status, "absent", "a turn made from a version of an earlier life");
        }
        const { row, entries } = await slow.load(id);
        assertSame(
          [row.state, entries.map(({ content }) => content)],
          [{ n }, [`${n}a`, `${n}b`]],
          `life ${n}`,
        );
        ({ version } = made);
        lives.push(made.life);
        revisions.push((await rowOf(world.other, id)).revision);
        if (n < 4) await client.store.delete(id, undefined, patience());
      }
      assert.equal(new Set(lives).size, 4, "lives of one id");
      assert.equal(
        new Set(revisions).size,
        4,
        "a revision is used again in another life: keep the one of the commit",
      );
    },
  },
  {
    promise: "P8",
    name: "a delete that stops at any write is hidden, and finished by the next delete or create",
    todo: "The tombstone comes first; it takes the id until the messages are gone; `find` does not show it.",
    async run(world) {
      for (const fate of ["stopped before", "stopped after"] as const) {
        for (let write = 1; ; write++) {
          const [id, userId] = [world.newId(), world.newId()];
          const made = await world.client().stored({ ...full(id), set: { userId, state: { n: 1 } } });
          await world.client().store.drain(id, patience());
          await world.client().store.flush();
          const isStopped = await stoppedAt(world.adapter, write, fate, (client) =>
            client.store.delete(id, undefined, patience()),
          );
          const fresh = world.client(world.other);
          const row = await world.other.sessionRepository.findById(id);
          const isBegun = row === null || row.status === "deleting";
          assert.equal(
            (await fresh.store.load(id, 10)) === null,
            isBegun,
            "the load of a session whose delete has begun",
          );
          const { items } = await world.other.sessionRepository.find({ userId }, { limit: 10 });
          assert.equal(items.length, isBegun ? 0 : 1, "`find` of a session whose delete has begun");
          if (write % 2 === 0) await fresh.store.delete(id, undefined, patience());
          else if (isBegun) {
            await fresh.create(id, { messages: ["new"] });
            assert.deepEqual(
              await world.client().texts(id),
              ["new"],
              "the messages of a session made after a delete",
            );
            assert.equal(await fresh.store.delete(id, undefined, patience()), true);
          } else assert.equal(await fresh.store.delete(id, undefined, patience()), true, "a delete");
          await assertGone(world, id, [made.life]);
          if (!isStopped) break;
        }
      }
    },
  },
  {
    promise: "P1",
    name: "a turn that stops at any write is there as a whole or not at all",
    todo: "One write decides: the statement of `turns.commit`, or the `update` that carries the messages as pending.",
    async run(world) {
      for (const fate of ["stopped before", "stopped after"] as const) {
        for (let write = 1; ; write++) {
          const id = world.newId();
          const { version } = await world.client().create(id, { state: { n: 0 }, messages: ["0"] });
          await world.client().store.drain(id, patience());
          const turn = turnOn(id, version, { state: { n: 1 }, messages: ["1a", "1b"] });
          const isStopped = await stoppedAt(world.adapter, write, fate, (client) => client.commit(turn));
          const fresh = world.client(world.other);
          const { row, entries } = await fresh.load(id);
          const isThere = row.last === 3;
          const texts = ["0", ...(isThere ? ["1a", "1b"] : [])];
          const seen = [row.state, entries.map(({ content }) => content)];
          assertSame(
            seen,
            [{ n: isThere ? 1 : 0 }, texts],
            `a turn that ${fate === "stopped before" ? "stopped before" : "stopped after"} write ${write}`,
          );
          const sent = await fresh.commit({ ...turn, retry: { since: 1 } });
          assert.equal(
            sent.status,
            isThere ? "replayed" : "committed",
            "the same turn, sent by another process",
          );
          await fresh.stored(appendTo(id, "2"));
          assert.deepEqual(await world.client().texts(id), ["0", "1a", "1b", "2"], "the messages in the end");
          if (!isStopped) break;
        }
      }
    },
  },
  {
    promise: "P8",
    name: "a prune removes the row that it saw, and no session that a turn has moved since",
    todo: "`update` and `delete` compare the revision that was seen: a turn that came first wins.",
    async run(world) {
      const [client, pruner] = [world.client(), world.client(world.other)];
      const id = world.newId();
      const { life, version } = await client.create(id, { messages: ["a"] });
      const seen = await rowOf(world.other, id);
      await client.stored(turnOn(id, version, { state: { n: 1 }, messages: ["b"] }));
      assert.equal(await pruner.store.prune(seen), false, "a prune of a row that moved");
      assert.deepEqual(await client.texts(id), ["a", "b"], "the messages after a prune that lost");
      await client.store.flush();
      assert.equal(
        await pruner.store.prune(await rowOf(world.other, id)),
        true,
        "a prune of the row that is there",
      );
      await pruner.store.flush();
      await assertGone(world, id, [life]);
      assert.equal((await client.commit(appendTo(id, "late"))).status, "absent", "a turn after a prune");
      for (let round = 0; round < 6 * world.scale; round++) {
        const id = world.newId();
        await client.create(id, { messages: ["a"] });
        const row = await rowOf(world.other, id);
        const [outcome, pruned] = await Promise.all([
          client.commit(appendTo(id, "b")),
          pruner.store.prune(row),
        ]);
        assert.equal(
          pruned ? outcome.status : "committed",
          pruned ? "absent" : outcome.status,
          "a prune and a turn at once: one wins",
        );
        if (!pruned)
          assert.deepEqual(await pruner.texts(id), ["a", "b"], "the messages after a prune that lost");
      }
    },
  },
  {
    promise: "P8",
    name: "deletes, turns and creates at once leave one session or none, and no messages of another life",
    todo: "Messages are deleted by their log only, and each write is bound to the row that it saw.",
    async run(world) {
      const adapters = await Promise.all([1, 2, 3].map(() => world.connect()));
      for (let round = 0; round < 5 * world.scale; round++) {
        const id = world.newId();
        const clients = adapters.map((adapter) => world.client(adapter));
        const [writer, deleter, maker] = clients;
        if (writer === undefined || deleter === undefined || maker === undefined) return;
        await maker.create(id, { messages: ["first"] });
        await Promise.all([
          (async () => {
            for (const n of numbers(1, 6)) {
              const { status } = await writer.commit(appendTo(id, `w${n}`));
              assert.ok(
                ["committed", "absent", "unknown"].includes(status),
                `an append among deletes and creates: ${status}`,
              );
            }
          })(),
          (async () => {
            for (let n = 0; n < 3; n++) await deleter.store.delete(id, undefined, patience());
          })(),
          (async () => {
            for (const n of numbers(1, 3)) await maker.commit(creation(id, { messages: [`m${n}`] }));
          })(),
        ]);
        for (const client of clients) await client.store.flush();
        const loaded = await world.client(world.other).store.load(id, 1000);
        const texts = loaded?.entries.map(({ content }) => content) ?? [];
        assert.equal(new Set(texts).size, texts.length, `a message is there twice: ${texts.join()}`);
        assert.equal(loaded?.row.last ?? 0, texts.length, "`last` of the row");
        const stored = await world.raw?.messages(id);
        if (stored !== undefined)
          assert.equal(stored, texts.length, "messages that are stored, of which the row knows");
        await world.client().store.delete(id, undefined, patience());
        assert.equal((await world.raw?.messages(id)) ?? 0, 0, "messages that a delete left");
      }
    },
  },
];

export const endings: Level = { name: "endings", runs: "each path", cases: () => cases };
