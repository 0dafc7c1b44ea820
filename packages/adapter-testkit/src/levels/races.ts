import assert from "node:assert/strict";
import { PersistenceManager } from "@waymark/core";
import { type Call, explain } from "../explain.js";
import { type Fate, withFaults } from "../faults.js";
import { numbers } from "../generate.js";
import type { Harness } from "../harness.js";
import type { Case, Level } from "../level.js";
import { countUp } from "../process/count.js";
import { runInProcesses, startWorker } from "../process/spawn.js";
import type { CountPlan, Task } from "../process/task.js";
import { assertSame } from "../same.js";
import { createTurnClient } from "../turn-client.js";
import type { World } from "../world.js";
import { type WriterPlan, byOf, runWriter } from "../writer.js";

/** Makes the sessions that writers are about to meet in; answers the first version of each. */
async function makeSessions(world: World, count: number): Promise<Map<string, string>> {
  const versions = new Map<string, string>();
  for (const id of numbers(1, count).map(() => world.newId())) {
    const { version } = await world.client().create(id, { state: { by: "" } });
    versions.set(id, version);
  }
  return versions;
}

/** Asks for one order of the turns that explains what everybody was told, session by session. */
async function judge(
  world: World,
  sessions: ReadonlyMap<string, string>,
  calls: readonly Call[],
): Promise<string> {
  const reader = world.client(await world.connect());
  let stored = 0;
  for (const [id, version] of sessions) {
    const read = await reader.store.read(id, ({ last }) => (last === 0 ? [] : [[1, last]]));
    if (read === null) assert.fail("a session that nobody deleted is gone");
    const { row, entries } = read;
    const texts = entries.map(({ content }) => content);
    const final = { version: row.version, last: row.last, by: byOf(row.state), texts };
    const own = calls.filter(({ session }) => session === id);
    const problem = explain(own, version, final);
    if (problem !== null)
      assert.fail(`no order of the turns explains what the writers were told: ${problem}`);
    stored += entries.length;
  }
  const conflicts = calls.filter(({ told }) => told.status === "conflict").length;
  const open = calls.filter(({ told }) => told.status === "open").length;
  return `${calls.length} calls, ${stored} messages, ${conflicts} conflicts, ${open} without an answer`;
}

/** Eight writers, each in a process of its own where the store can be reached from there. */
async function race(world: World, plans: readonly WriterPlan[]): Promise<Call[]> {
  if (world.harness.expects.durability !== "commit") {
    const clients = await Promise.all(plans.map(async () => createTurnClient(await world.connect())));
    const calls = await Promise.all(
      plans.map((plan, index) => runWriter(clients[index] ?? assert.fail("there is no writer"), plan)),
    );
    return calls.flat();
  }
  const tasks = plans.map((plan): Task => ({ kind: "write", plan }));
  const replies = await runInProcesses(world, tasks);
  return replies.flatMap((reply) =>
    reply.kind === "written" ? reply.calls : assert.fail(`a writer said ${reply.kind}`),
  );
}

function countOn(
  where: string,
  makeOwner: (world: World) => Promise<CountPlan["of"]>,
  harness: Harness,
): Case {
  const isShared = harness.expects.durability === "commit";
  const who = isShared ? "8 processes" : "8 writers of one process";
  return {
    promise: "P4",
    name: `${who} that count in one record ${where}: each number is stored once, by who was told so`,
    todo: "`put` (for a session's record, the turn) compares the revision in the write itself, and says who won.",
    timeoutMs: 120_000,
    async run(world) {
      const plan: CountPlan = {
        of: await makeOwner(world),
        key: "count",
        times: 10 * Math.min(world.scale, 5),
      };
      const counted = isShared
        ? await runInProcesses(
            world,
            numbers(1, 8).map((): Task => ({ kind: "count", plan })),
          )
        : await Promise.all(
            numbers(1, 8).map(async () => {
              const stored = await countUp(await world.connect(), plan);
              return { kind: "counted", numbers: stored } as const;
            }),
          );
      const told = counted.flatMap((reply) =>
        reply.kind === "counted" ? reply.numbers : assert.fail(`a worker said ${reply.kind}`),
      );
      assertSame(
        told.toSorted((a, b) => a - b),
        numbers(1, 8 * plan.times),
        "the numbers that 8 writers were told to have stored",
      );
      const records = new PersistenceManager({ adapter: world.other }).records(plan.of ?? "application");
      assert.equal((await records.get(plan.key))?.value, 8 * plan.times, "the number in the end");
    },
  };
}

function raceOn(where: string, sessionCount: number, turns: number, harness: Harness): Case {
  const who = harness.expects.durability === "commit" ? "8 processes" : "8 writers of one process";
  return {
    promise: "P4",
    name: `${who} on ${where}: one order of the turns explains what everybody was told`,
    todo: "Look at what the message names: a lost turn or update, a torn turn, a conflict or a read that could not be.",
    timeoutMs: 120_000,
    async run(world) {
      const sessions = await makeSessions(world, sessionCount);
      const plans = numbers(1, 8).map((n) => ({
        ...{ writer: `w${n}`, sessions: [...sessions.keys()], turns: turns * Math.min(world.scale, 10) },
        seed: world.random.int(1, 2 ** 31),
      }));
      const calls = await race(world, plans);
      const told = await judge(world, sessions, calls);
      world.note(`${harness.name}, ${world.path}: ${who} on ${where}: ${told}`);
    },
  };
}

const lostAnswers: Case = {
  promise: "P5",
  name: "writers whose calls and answers get lost store each turn once, and are told the truth",
  todo: "After an error the write may have been done: the operation id tells, and a second try must not be a second turn.",
  async run(world) {
    const { random } = world;
    let lost = 0;
    for (let round = 0; round < 4 * world.scale; round++) {
      const sessions = await makeSessions(world, 2);
      const fateOf = (): Fate => {
        if (!random.once(7)) return "done";
        lost++;
        return random.pick(["request lost", "reply lost"] as const);
      };
      const writers = await Promise.all(
        numbers(1, 3).map(async (n) => {
          const client = createTurnClient(withFaults(await world.connect(), fateOf));
          const plan = {
            writer: `w${n}`,
            sessions: [...sessions.keys()],
            turns: 6,
            seed: random.int(1, 2 ** 31),
          };
          return { client, plan };
        }),
      );
      const calls = await Promise.all(
        writers.map(({ client, plan }) => runWriter(client, plan, { mayFail: true })),
      );
      await judge(world, sessions, calls.flat());
    }
    world.note(`${world.harness.name}, ${world.path}: ${lost} calls or answers lost on purpose`);
  },
};

const foundAtOnce: Case = {
  promise: "P1",
  name: "what another process was told to be stored is found at once, by a reader that never rests",
  todo: "Read from the primary, and take a new snapshot for each call: no read transaction and no cache outlives it.",
  async run(world) {
    const session = world.newId();
    const reader = world.client();
    const worker = await startWorker(world.harness, world.address, world.path);
    const over = new AbortController();

    // Whoever reads rarely has a new snapshot each time.
    async function readOn(): Promise<void> {
      while (!over.signal.aborted) {
        await reader.store.load(session, 1);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }

    async function follow(): Promise<void> {
      worker.send({ kind: "save", sessions: [session], bytes: 10 });
      for (let turn = 0; turn < 100 * Math.min(world.scale, 4);) {
        const reply = await worker.next();
        if (reply.kind !== "saved") continue;
        turn = reply.n;
        const { length } = await reader.texts(session);
        const what = `turn ${turn} of another process was acknowledged, and ${length} messages are found`;
        assert.ok(length >= turn * 2, what);
      }
      over.abort();
    }

    try {
      await Promise.all([readOn(), follow()]);
    } finally {
      over.abort();
      await worker.kill();
    }
  },
};

async function makeCounted(world: World): Promise<CountPlan["of"]> {
  const [sessionId = ""] = (await makeSessions(world, 1)).keys();
  return { sessionId };
}

export const races: Level = {
  name: "races",
  runs: "each path",
  cases: (harness) => [
    lostAnswers,
    ...(harness.expects.durability === "commit" ? [foundAtOnce] : []),
    raceOn("one session", 1, 12, harness),
    raceOn("64 sessions", 64, 40, harness),
    ...(harness.expects.records
      ? [
          countOn("of a user", async (world) => ({ userId: world.newId() }), harness),
          countOn("of a session", makeCounted, harness),
        ]
      : []),
  ],
};
