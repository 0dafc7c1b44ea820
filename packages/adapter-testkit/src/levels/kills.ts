import assert from "node:assert/strict";
import { type Fate, withFaults } from "../faults.js";
import { numbers } from "../generate.js";
import type { Case, Level } from "../level.js";
import { judgeSessions, saveUntilKilled } from "../process/kill-worker.js";
import { type Worker, startWorker } from "../process/spawn.js";
import type { Judged, Reply } from "../process/task.js";
import type { World } from "../world.js";

type Acknowledged = Map<string, number>;

function assertJudged(seen: readonly Judged[], acknowledged: Acknowledged, when: string): void {
  for (const { session, turns, problem } of seen) {
    assert.equal(problem, null, `after ${when}, a turn is not there as a whole: ${problem}`);
    const least = acknowledged.get(session) ?? 0;
    assert.ok(turns >= least, `after ${when}, turn ${least} had been acknowledged and there are ${turns}`);
  }
}

/** Blocks this whole process: the instant of a kill must not be tied to anything that the other one sends. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

async function judgedBy(worker: Worker): Promise<readonly Judged[]> {
  const reply = await worker.next();
  return reply.kind === "judged" ? reply.seen : assert.fail(`a worker that was to judge said ${reply.kind}`);
}

/** One life of a process: it judges what the one before it left, saves, and is killed. */
async function liveAndDie(
  world: World,
  sessions: readonly string[],
  acknowledged: Acknowledged,
  when: string,
): Promise<void> {
  const { random } = world;
  const worker = await startWorker(world.harness, world.address, world.path);
  let rest: readonly Reply[] = [];
  try {
    worker.send({ kind: "save", sessions, bytes: random.pick([10, 1000, 20_000]) });
    assertJudged(await judgedBy(worker), acknowledged, when);
    for (let saves = random.int(1, 12); saves > 0; saves--) {
      const reply = await worker.next();
      if (reply.kind === "saved") acknowledged.set(reply.session, reply.n);
    }
    block(random.next() * 30);
  } finally {
    rest = await worker.kill();
  }
  for (const reply of rest) {
    if (reply.kind === "saved") acknowledged.set(reply.session, reply.n);
    if (reply.kind === "failed") throw new Error(`a worker process failed: ${reply.why}`);
  }
}

const killed: Case = {
  promise: "P1",
  name: "a process that is killed leaves every acknowledged turn, and no half of another",
  todo: "Acknowledge only what is durable as declared, and make the whole turn durable in one step; the next process repairs.",
  timeoutMs: 240_000,
  async run(world) {
    const kills = world.scale > 1 ? 1000 : 50;
    let turns = 0;
    let done = 0;
    const lane = async () => {
      while (done < kills) {
        // New sessions now and then, so that judging does not grow with the number of kills.
        const sessions = [world.newId(), world.newId()];
        const acknowledged: Acknowledged = new Map();
        for (let life = 1; life <= 12 && done < kills; life++) {
          done++;
          await liveAndDie(world, sessions, acknowledged, `kill ${life - 1}`);
        }
        const worker = await startWorker(world.harness, world.address, world.path);
        worker.send({ kind: "judge", sessions });
        assertJudged(await judgedBy(worker), acknowledged, "the last kill");
        await worker.kill();
        for (const n of acknowledged.values()) turns += n;
      }
    };
    // A store that one process holds cannot be shared by two.
    const lanes = world.harness.expects.durability === "commit" ? 2 : 1;
    await Promise.all(numbers(1, lanes).map(lane));
    world.note(
      `${world.harness.name}, ${world.path}: ${done} processes killed, ${turns} acknowledged turns all there`,
    );
  },
};

const stopped: Case = {
  promise: "P1",
  name: "nothing outlives the process, as declared; who stops inside it leaves whole turns",
  todo: "All that a turn changes has to change in one step, since anybody may look in between.",
  async run(world) {
    const { random } = world;
    for (let round = 0; round < 50 * world.scale; round++) {
      const sessions = [world.newId(), world.newId()];
      const acknowledged: Acknowledged = new Map();
      let left = random.int(1, 40);
      let stop: () => void = () => {};
      const isStopped = new Promise<void>((resolve) => (stop = resolve));
      const fateOf = (): Fate => {
        if (--left > 0) return "done";
        setTimeout(stop, 1);
        return left === 0 && random.once(2) ? "stopped after" : "stopped before";
      };
      const underWay = new Set<Promise<unknown>>();
      const saving = saveUntilKilled(
        withFaults(world.adapter, fateOf, underWay),
        { sessions, bytes: 10 },
        (session, n) => acknowledged.set(session, n),
      );
      await Promise.race([isStopped, saving]);
      // What the store is still doing for who has stopped would land between the reads of who looks.
      await Promise.allSettled(underWay);
      assertJudged(await judgeSessions(world.other, sessions), acknowledged, "a stop");
    }
  },
};

export const kills: Level = {
  name: "kills",
  runs: "each path",
  cases: ({ expects }) => [expects.durability === "process" ? stopped : killed],
};
