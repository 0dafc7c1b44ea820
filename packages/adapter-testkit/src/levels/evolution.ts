import assert from "node:assert/strict";
import {
  type ConflictPolicy,
  type ManagerOptions,
  type Migration,
  PersistenceManager,
  type SessionState,
  createSession,
  isWaymarkError,
} from "@waymark/core";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { assertSame, show } from "../same.js";
import { rowOf } from "../turn-client.js";

type Data = Record<string, unknown>;

/** Version 2 has a number where version 1 had a text, in what is collected and for each route. */
const toNumber: Migration = ({ data, dataByRoute }) => {
  for (const part of [data, ...Object.values(dataByRoute)]) {
    if (typeof part["people"] === "string") part["guests"] = Number(part["people"]);
    delete part["people"];
  }
};

const older = (adapter: PersistenceAdapter) => new PersistenceManager<Data>({ adapter });
const newer = (adapter: PersistenceAdapter, options: Partial<ManagerOptions<Data>> = {}) =>
  new PersistenceManager<Data>({ adapter, schemaVersion: 2, migrations: { 1: toNumber }, ...options });

async function loaded(manager: PersistenceManager<Data>, id: string): Promise<SessionState<Data>> {
  return (await manager.loadSessionState(id)) ?? assert.fail("a session that was stored is not found");
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    (answer) => assert.fail(`a call that has to be refused was answered ${show(answer)}`),
    (thrown: unknown) => thrown,
  );
  return isWaymarkError(error) ? error.code : String(error);
}

const booking = (id: string) =>
  Object.assign(createSession<Data>({ id, data: { people: "4", name: "Ada" } }), {
    dataByRoute: { book: { people: "4" } },
  });

const cases: readonly Case[] = [
  {
    promise: "P10",
    name: "an older state is migrated when it is read, and stored by the next save",
    todo: "The state is stored and given back whole: an adapter knows none of its parts.",
    async run(world) {
      const id = world.newId();
      const [before, now] = [older(world.adapter), newer(world.other)];
      await before.saveSessionState(id, booking(id));
      const stored = await rowOf(world.adapter, id);
      const session = await loaded(now, id);
      const migrated = { guests: 4, name: "Ada" };
      assertSame(
        [session.data, session.dataByRoute],
        [migrated, { book: { guests: 4 } }],
        "a migrated state",
      );
      assertSame(await rowOf(world.adapter, id), stored, "the row after its state was migrated for a reader");
      await now.saveTurn({ session, messages: [{ role: "user", content: "Hi" }] });
      const saved = await rowOf(world.adapter, id);
      assert.notEqual(saved.version, stored.version, "the version after an older state was replaced");
      // A second migration would make NaN of the number.
      assertSame(
        (await loaded(newer(world.adapter), id)).data,
        migrated,
        "a state that was migrated and saved",
      );
      assert.equal(await codeOf(before.loadSessionState(id)), "STATE_TOO_NEW", "the read of a newer state");
      assertSame(await rowOf(world.adapter, id), saved, "the row after a reader was refused");
      await Promise.all([before.flush(), now.flush()]);
    },
  },
  {
    promise: "P10",
    name: "an older process writes nothing over a newer state, by no conflict policy",
    todo: "A stale version is a conflict that stores nothing, messages included.",
    async run(world) {
      const merge: ConflictPolicy<Data> = ({ mine }) => mine;
      for (const conflict of ["reject", "rebase", "queue", merge] as const) {
        const id = world.newId();
        const [before, now] = [older(world.adapter), newer(world.other)];
        const session = await before.saveSessionState(id, booking(id));
        await now.saveSessionState(id, await loaded(now, id));
        const stored = await rowOf(world.adapter, id);
        session.data["phone"] = "123";
        const turn = { session, messages: [{ role: "user", content: "late" }] as const, conflict };
        assert.equal(await codeOf(before.saveTurn(turn)), "STATE_TOO_NEW", "a turn onto a newer state");
        assertSame(await rowOf(world.other, id), stored, "the row after an older process was refused");
        assertSame(
          await before.loadSessionHistory(id),
          [],
          "the messages after an older process was refused",
        );
        await Promise.all([before.flush(), now.flush()]);
      }
    },
  },
  {
    promise: "P10",
    name: "older and newer processes at once: what was acknowledged is there, migrated once",
    todo: "Each write is bound to the version that it was made from.",
    async run(world) {
      for (let round = 0; round < 3 * world.scale; round++) {
        const id = world.newId();
        await older(world.adapter).saveSessionState(id, booking(id));
        const expected: Data = { guests: 4, name: "Ada" };
        const write = async (manager: PersistenceManager<Data>, name: string) => {
          const session = await manager.loadSessionState(id).catch(refusedAsTooNew);
          if (session == null) return;
          session.data[name] = name;
          const saved = await manager.saveTurn({ session }).catch(refusedAsTooNew);
          if (saved !== undefined) expected[name] = name;
          await manager.flush();
        };
        const adapters = [world.adapter, world.other];
        await Promise.all(
          numbers(1, 8).map(async (n) => {
            const adapter = adapters[n % 2] ?? world.adapter;
            const manager = n % 3 === 0 ? newer(adapter) : older(adapter);
            for (const part of ["a", "b", "c"]) await write(manager, `${n}${part}`);
          }),
        );
        assertSame((await loaded(newer(world.other), id)).data, expected, "the data in the end");
      }
    },
  },
];

function refusedAsTooNew(error: unknown): undefined {
  if (!isWaymarkError(error) || error.code !== "STATE_TOO_NEW") throw error;
}

export const evolution: Level = { name: "evolution", runs: "each path", cases: () => cases };
