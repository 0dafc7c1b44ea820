import assert from "node:assert/strict";
import { PersistenceManager, type SessionState, createSession } from "@waymark/core";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import type { Budget } from "../harness.js";
import type { Case, Level } from "../level.js";
import type { World } from "../world.js";

type Data = { n: number; filler: string };

/** From here on a row remembers as many operations as it ever does. */
const early = 20;
const late = 1000;
const messagesResumed = 10;
/**
 * How many bytes more or less each round trip may take: two digits in each number that grows, which are the sequences and
 * versions of a turn, of the ten messages and of the 16 operations that a row remembers, and what a protocol says of lengths.
 */
const digitBytes = 256;

const texts = { user: "u".repeat(100), assistant: "a".repeat(300) };

interface Measured {
  readonly turn: Budget;
  readonly resume: Budget;
}

type Manager = PersistenceManager<Data>;

async function saveTurn(manager: Manager, session: SessionState<Data>, n: number): Promise<void> {
  // As many digits in each.
  session.data.n = 1_000_000 + n;
  await manager.saveTurn({
    session,
    messages: [
      { role: "user", content: texts.user },
      { role: "assistant", content: texts.assistant },
    ],
  });
}

async function resume(manager: Manager, id: string): Promise<SessionState<Data>> {
  const opened = await manager.open(id, { last: messagesResumed });
  if (opened === null) assert.fail("a session that was stored is not found");
  assert.equal(opened.messages.length, messagesResumed, "how many messages a resume gives");
  return opened.session;
}

/** Stores turns up to the n-th through an adapter that nobody counts. */
async function build(adapter: PersistenceAdapter, id: string, from: number, to: number): Promise<void> {
  const manager = new PersistenceManager<Data>({ adapter });
  const filler = "f".repeat(200);
  const session =
    from === 1 ? createSession<Data>({ id, data: { n: 0, filler } }) : await resume(manager, id);
  for (const n of numbers(from, to)) await saveTurn(manager, session, n);
  await manager.flush();
}

/**
 * Measures the n-th turn of a session that has n - 2, and a resume after it, on connections that have done the same before.
 */
async function createMeter(world: World): Promise<(id: string, n: number) => Promise<Measured>> {
  const { adapter, proxy } = await world.throughProxy();
  const manager = new PersistenceManager<Data>({ adapter });

  async function counted(work: () => Promise<unknown>): Promise<Budget> {
    const before = proxy.traffic();
    await work();
    const after = proxy.traffic();
    assert.equal(after.connections, before.connections, "connections, which a warm client has already made");
    return {
      roundTrips: after.roundTrips - before.roundTrips,
      bytes: after.bytesToServer + after.bytesToClient - before.bytesToServer - before.bytesToClient,
    };
  }

  const meter = async (id: string, n: number): Promise<Measured> => {
    const session = await resume(manager, id);
    // The turn before is of the same process, as in a conversation.
    await saveTurn(manager, session, n - 1);
    await manager.flush();
    const turn = await counted(async () => {
      await saveTurn(manager, session, n);
      await manager.flush();
    });
    return { turn, resume: await counted(() => resume(manager, id)) };
  };

  const warm = world.newId();
  await build(world.other, warm, 1, early);
  for (const n of numbers(1, 8)) {
    const session = await resume(manager, warm);
    await saveTurn(manager, session, early + n);
    await manager.flush();
  }
  return meter;
}

const show = ({ turn, resume }: Measured) =>
  `a turn ${turn.roundTrips} trips and ${turn.bytes} bytes, a resume ${resume.roundTrips} trips and ${resume.bytes} bytes`;

/** Asserts that something costs as much as before, but for digits. */
function assertEqual(now: Measured, before: Measured, when: string): void {
  for (const what of ["turn", "resume"] as const) {
    const [a, b] = [now[what], before[what]];
    assert.equal(
      a.roundTrips,
      b.roundTrips,
      `round trips of a ${what} ${when}, where it took ${b.roundTrips}`,
    );
    assert.ok(
      Math.abs(a.bytes - b.bytes) <= digitBytes * b.roundTrips,
      `a ${what} takes ${a.bytes} bytes ${when}, where it took ${b.bytes}: more than digits explain (${digitBytes} a trip)`,
    );
  }
}

function assertWithin(world: World, measured: Measured, when: string): void {
  const { budgets } = world.harness;
  for (const what of ["turn", "resume"] as const) {
    const [is, may] = [measured[what], budgets?.[what] ?? assert.fail("the harness has no `budgets`")];
    assert.ok(
      is.roundTrips <= may.roundTrips && is.bytes <= may.bytes,
      `a ${what} takes ${is.roundTrips} round trips and ${is.bytes} bytes ${when}; ` +
        `\`budgets.${what}\` says at most ${may.roundTrips} and ${may.bytes}`,
    );
  }
}

const todo =
  "Write what the turn changes and nothing that is there already, prepare statements once a connection, and read no more messages than are asked for.";

const cases: readonly Case[] = [
  {
    promise: "P2",
    name: `a turn and a resume cost at turn ${late} what they cost at turn ${early}, and no more than declared`,
    todo,
    timeoutMs: 240_000,
    async run(world) {
      const meter = await createMeter(world);
      const id = world.newId();
      await build(world.other, id, 1, early - 2);
      const first = await meter(id, early);
      await build(world.other, id, early + 1, late - 2);
      const last = await meter(id, late);
      world.note(`${world.harness.name}: at turn ${early}, ${show(first)}; at turn ${late}, ${show(last)}`);
      assertWithin(world, first, `at turn ${early}`);
      assertEqual(last, first, `at turn ${late}`);
      assertWithin(world, last, `at turn ${late}`);
    },
  },
  {
    promise: "P2",
    name: "a turn and a resume cost no more among 100 other sessions",
    todo: "Look for a session by its id, by an index: no call may read what belongs to others.",
    timeoutMs: 120_000,
    async run(world) {
      const meter = await createMeter(world);
      const id = world.newId();
      await build(world.other, id, 1, early - 2);
      const alone = await meter(id, early);
      const manager = new PersistenceManager<Data>({ adapter: world.other });
      for (const tens of numbers(1, 10)) {
        const sessions = numbers(1, 10).map(() =>
          createSession<Data>({ id: world.newId(), data: { n: tens, filler: "" } }),
        );
        await Promise.all(sessions.map((session) => saveTurn(manager, session, 1)));
      }
      await manager.flush();
      const among = await meter(id, early + 2);
      assertEqual(among, alone, "among 100 other sessions");
      assertWithin(world, among, "among 100 other sessions");
    },
  },
];

export const budgets: Level = {
  name: "budgets",
  runs: "once",
  cases: ({ expects }) => (expects.network === "none" ? [] : cases),
};
