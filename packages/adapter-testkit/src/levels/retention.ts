import assert from "node:assert/strict";
import {
  type ManagerOptions,
  PersistenceManager,
  type PruneReport,
  createSession,
  isWaymarkError,
} from "@waymark/core";
import {
  type PersistenceAdapter,
  type TurnEnvironment,
  historyLog,
  systemEnvironment,
} from "@waymark/core/adapter";
import { type CallInfo, type Fate, withFaults } from "../faults.js";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame, show } from "../same.js";
import { appendTo, rowOf, turnOn } from "../turn-client.js";
import type { OpenedStore, World } from "../world.js";

type Data = Record<string, unknown>;
type Manager = PersistenceManager<Data>;

/** A clock that stands still until it is moved. */
function clock(): TurnEnvironment & { time: number } {
  const environment = { ...systemEnvironment, time: Date.now(), now: () => environment.time };
  return environment;
}

const managerOf = (adapter: PersistenceAdapter, options: Partial<ManagerOptions<Data>> = {}): Manager =>
  new PersistenceManager<Data>({ adapter, ...options });

async function talk(manager: Manager, id: string, userId: string, count = 2): Promise<void> {
  const session = createSession<Data>({ id, data: { n: 1 } });
  const messages = numbers(1, count).map((n) => ({ role: "user" as const, content: `m${n}` }));
  await manager.saveTurn({ session, messages, userId });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    (answer) => assert.fail(`a call that has to be refused was answered ${show(answer)}`),
    (thrown: unknown) => thrown,
  );
  return isWaymarkError(error) ? error.code : String(error);
}

/** Nothing of these sessions is left, as the store itself says, or else the adapter. */
async function assertNothingLeft(
  adapter: PersistenceAdapter,
  raw: World["raw"],
  sessions: readonly { readonly id: string; readonly life: string }[],
): Promise<void> {
  for (const { id, life } of sessions) {
    assert.equal(await adapter.sessionRepository.findById(id), null, "the row of a session that was removed");
    for (const log of [life, historyLog(life)]) {
      const found = await adapter.messageRepository.findBySessionId(id, { log, from: 1, to: 100 });
      assertSame(found, [], "messages of a session that was removed");
    }
    if (raw === undefined) continue;
    assert.equal(
      await raw.session(id),
      false,
      "something of a session that was removed is left in the store",
    );
    assert.equal(await raw.messages(id), 0, "messages of a session that was removed are left in the store");
  }
}

async function pruneAll(manager: Manager, limit: number): Promise<PruneReport[]> {
  const reports: PruneReport[] = [];
  let cursor: string | undefined;
  do {
    const report = await manager.prune({ limit, cursor });
    reports.push(report);
    cursor = report.next ?? undefined;
    assert.ok(reports.length < 1000, "a prune that has no end");
  } while (cursor !== undefined);
  return reports;
}

/** Prunes in a process that stops at its n-th write. Whether it did. */
async function stoppedPrune(
  { connect }: Pick<OpenedStore, "connect">,
  environment: TurnEnvironment,
  write: number,
  fate: Fate,
): Promise<boolean> {
  let count = 0;
  let stop: () => void = () => {};
  const stopped = new Promise<true>((resolve) => (stop = () => resolve(true)));
  const underWay = new Set<Promise<unknown>>();
  const fateOf = ({ isWrite }: CallInfo): Fate => {
    if (!isWrite || ++count < write) return "done";
    if (count === write) setTimeout(stop, 0);
    return count === write ? fate : "stopped before";
  };
  const adapter = withFaults(await connect(), fateOf, underWay);
  const ended = pruneAll(managerOf(adapter, { environment }), 100).then(() => false);
  ended.catch(() => {});
  const isStopped = await Promise.race([ended, stopped]);
  // What a store is still doing for a process that has stopped is done before the next one comes.
  await Promise.allSettled(underWay);
  return isStopped;
}

const cases: readonly Case[] = [
  {
    promise: "P8",
    name: "a session whose time is over is absent from that moment on, for whoever reads or writes",
    todo: "A commit at or after `expiresAt` is `absent`, as `applyCommit` says: look at the statements that decide it in the store.",
    async run(world) {
      const environment = clock();
      const [manager, other] = [world.adapter, world.other].map((adapter) =>
        managerOf(adapter, { environment, expireAfterMs: 1000 }),
      );
      if (manager === undefined || other === undefined) return;
      const [id, userId] = [world.newId(), world.newId()];
      await talk(manager, id, userId);
      await manager.flush();
      const { version, life } = await rowOf(world.adapter, id);
      environment.time += 999;
      assert.equal((await other.loadSessionHistory(id)).length, 2, "messages a moment before the end");
      assert.equal((await other.findSessionsByUserId(userId)).length, 1, "sessions a moment before the end");
      environment.time += 1;
      assert.equal(await other.loadSessionState(id), null, "the load of a session whose time is over");
      assert.equal((await other.findSessionsByUserId(userId)).length, 0, "sessions whose time is over");
      assert.equal(
        await other.findActiveSessionByUserId(userId),
        null,
        "an active session whose time is over",
      );
      const late = other.saveMessage({ sessionId: id, role: "user", content: "late" });
      assert.equal(await codeOf(late), "SESSION_NOT_FOUND", "a message for a session whose time is over");
      const at = environment.time;
      for (const commit of [appendTo(id, "late"), turnOn(id, version, { state: { late: true } })]) {
        const { status } = await world.client().commit({ ...commit, at });
        assert.equal(status, "absent", "a commit on a session whose time is over");
      }
      assert.equal(
        await other.updateSessionStatus(id, "completed"),
        false,
        "the status of a session that is over",
      );
      await talk(other, id, world.newId(), 1);
      await other.flush();
      assert.equal((await manager.loadSessionHistory(id)).length, 1, "messages of a session made again");
      const old = await world.adapter.messageRepository.findBySessionId(id, { log: life, from: 1, to: 9 });
      assertSame(old, [], "messages of the session that was over");
    },
  },
  {
    promise: "P8",
    name: "each write sets the time anew, and for ever where that is said",
    todo: "`expiresAt` in a commit's `set` is stored with it; null clears it.",
    async run(world) {
      const environment = clock();
      const manager = managerOf(world.adapter, { environment, expireAfterMs: 1000 });
      const id = world.newId();
      await talk(manager, id, world.newId());
      environment.time += 900;
      await manager.saveMessage({ sessionId: id, role: "user", content: "still here" });
      assert.equal((await rowOf(world.other, id)).expiresAt, environment.time + 1000, "after a message");
      environment.time += 900;
      await manager.updateSessionStatus(id, "completed");
      assert.equal((await rowOf(world.other, id)).expiresAt, environment.time + 1000, "after a status");
      const forEver = managerOf(world.other, { environment, expireAfterMs: Infinity });
      await forEver.updateSessionStatus(id, "active");
      assert.equal((await rowOf(world.adapter, id)).expiresAt, null, "after a write of who keeps for ever");
      await Promise.all([manager.flush(), forEver.flush()]);
    },
  },
  {
    promise: "P8",
    name: "a prune removes what is over in bounded parts, and nothing else",
    todo: "`find` selects by `expiresBefore`, and goes on from its cursor when rows behind it are gone.",
    async run(world) {
      const opened = await world.openStore();
      const adapter = await opened.connect();
      const environment = clock();
      const brief = managerOf(adapter, { environment, expireAfterMs: 1000 });
      const lasting = managerOf(adapter, { environment });
      const over: { id: string; life: string }[] = [];
      for (const n of numbers(1, 25)) {
        await talk(brief, `over ${n}`, "ann");
        over.push(await rowOf(adapter, `over ${n}`));
      }
      for (const n of numbers(1, 5)) await talk(lasting, `stays ${n}`, "ann");
      await Promise.all([brief.flush(), lasting.flush()]);
      environment.time += 1000;
      const reports = await pruneAll(lasting, 10);
      const deleted = reports.map((report) => report.deleted);
      assert.ok(
        deleted.every((count) => count <= 10),
        `sessions removed in parts of 10: ${show(deleted)}`,
      );
      assert.equal(
        deleted.reduce((sum, count) => sum + count, 0),
        25,
        "sessions removed by a prune",
      );
      await assertNothingLeft(adapter, opened.store.raw, over);
      const left = await lasting.findSessionsByUserId("ann");
      assert.equal(left.length, 5, "sessions that a prune left");
      for (const { id } of left)
        assert.equal((await lasting.loadSessionHistory(id)).length, 2, "their messages");
    },
  },
  {
    promise: "P8",
    name: "a prune that stops at any write is finished by the next one",
    todo: "The tombstone is found by the status `deleting`, and holds the id until the messages are gone.",
    async run(world) {
      for (const fate of ["stopped before", "stopped after"] as const) {
        for (let write = 1; ; write++) {
          const opened = await world.openStore();
          const adapter = await opened.connect();
          const environment = clock();
          const manager = managerOf(adapter, { environment, expireAfterMs: 1000 });
          for (const id of ["a", "b"]) await talk(manager, id, "ann");
          await manager.flush();
          const over = [await rowOf(adapter, "a"), await rowOf(adapter, "b")];
          environment.time += 1000;
          const isStopped = await stoppedPrune(opened, environment, write, fate);
          const finishing = managerOf(await opened.connect(), { environment });
          const reports = await pruneAll(finishing, 100);
          assert.equal(
            reports.every(({ skipped }) => skipped === 0),
            true,
            "nobody was there to win against the prune",
          );
          await finishing.flush();
          await assertNothingLeft(adapter, opened.store.raw, over);
          await opened.close();
          if (!isStopped) break;
        }
      }
    },
  },
  {
    promise: "P8",
    name: "a trim keeps the newest messages, also among turns of others",
    todo: "`deleteBySessionId` with `to` removes that log up to and including it; `update` stores `first`.",
    async run(world) {
      const [manager, other] = [managerOf(world.adapter), managerOf(world.other)];
      const id = world.newId();
      await talk(manager, id, world.newId(), 30);
      assert.equal(await manager.trimMessages(id, 10), 20, "messages that a trim removed");
      assert.equal(await other.trimMessages(id, 10), 0, "messages that the same trim removed again");
      const sequencesOf = async () => (await other.loadSessionHistory(id)).map(({ sequence }) => sequence);
      assertSame(await sequencesOf(), numbers(21, 30), "the messages after a trim");
      await manager.flush();
      const stored = await world.raw?.messages(id);
      if (stored !== undefined) assert.equal(stored, 10, "messages that are stored after a trim");
      const said = (n: number) => ({ sessionId: id, role: "user" as const, content: `later ${n}` });
      await Promise.all([
        ...numbers(1, 8).map((n) => (n % 2 === 0 ? manager : other).saveMessage(said(n))),
        manager.trimMessages(id, 5),
      ]);
      await Promise.all([manager.flush(), other.flush()]);
      const sequences = await sequencesOf();
      assert.ok(sequences.length >= 5 && sequences.length <= 13, `${sequences.length} messages after a trim`);
      assertSame(sequences, numbers(39 - sequences.length, 38), "the messages after a trim among turns");
    },
  },
  {
    promise: "P8",
    name: "the erasure of a user finds all that is theirs, and what is begun meanwhile",
    todo: "`find` by `userId` sees every acknowledged create, in each status, `deleting` too where it is named.",
    async run(world) {
      const opened = await world.openStore();
      const adapter = await opened.connect();
      const environment = clock();
      const manager = managerOf(adapter, { environment });
      const lives: { id: string; life: string }[] = [];
      for (const n of numbers(1, 9)) {
        await talk(manager, `ann ${n}`, "ann");
        lives.push(await rowOf(adapter, `ann ${n}`));
      }
      await talk(managerOf(adapter, { environment, expireAfterMs: 1 }), "ann over", "ann");
      await talk(manager, "bob", "bob");
      await manager.updateSessionStatus("ann 1", "completed");
      await manager.updateSessionStatus("ann 2", "abandoned");
      await manager.flush();
      const row = await rowOf(adapter, "ann 3");
      await adapter.sessionRepository.update({ ...row, status: "deleting", revision: "gone" }, row.revision);
      environment.time += 1;
      const [writer, eraser] = [await opened.connect(), await opened.connect()].map((one) =>
        managerOf(one, { environment }),
      );
      if (writer === undefined || eraser === undefined) return;
      const [report] = await Promise.all([
        eraser.eraseUser("ann"),
        ...numbers(1, 5).map((n) => talk(writer, `late ${n}`, "ann")),
      ]);
      assert.ok(report.sessions >= 10, `${report.sessions} sessions were erased, of 10 or more`);
      await writer.flush();
      await eraser.eraseUser("ann");
      await assertNothingLeft(adapter, opened.store.raw, lives);
      const status = ["active", "completed", "abandoned", "deleting"] as const;
      const left = await adapter.sessionRepository.find({ userId: "ann", status }, { limit: 100 });
      assertSame(left.items, [], "rows of a user who was erased");
      assert.equal((await eraser.loadSessionHistory("bob")).length, 2, "the messages of another user");
    },
  },
];

export const retention: Level = { name: "retention", runs: "each path", cases: () => cases };
