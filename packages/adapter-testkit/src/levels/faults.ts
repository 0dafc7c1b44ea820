import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { PersistenceManager, type SessionState, createSession } from "@waymark/core";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import { explain } from "../explain.js";
import { numbers } from "../generate.js";
import type { Harness } from "../harness.js";
import type { Case, Level, Path } from "../level.js";
import { type Probe, type ProbeKind, probesOf } from "../probes.js";
import type { Proxy } from "../proxy.js";
import { createRandom } from "../random.js";
import { differenceOf, assertSame, show } from "../same.js";
import { createTurnClient } from "../turn-client.js";
import { assertUnavailable, secretText } from "../unavailable.js";
import type { Proxied, World } from "../world.js";
import { byOf, runWriter } from "../writer.js";

/** How long an adapter may take to be of use again when its server is. Clients wait before they connect again. */
const recoveryMs = 8000;

type Settled = { readonly answer: unknown } | { readonly error: unknown };

async function settled(work: Promise<unknown>): Promise<Settled> {
  return work.then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error }),
  );
}

/** Makes calls until one is answered: a client may hold connections that it does not know to be dead. */
async function recovered(world: World, { adapter }: Proxied, after: string): Promise<void> {
  const until = Date.now() + recoveryMs;
  for (;;) {
    const id = world.newId();
    const one = await settled(adapter.sessionRepository.findById(id));
    if ("answer" in one)
      return assert.equal(one.answer, null, `a session that nobody stored, after ${after}`);
    const what = `findById after ${after}`;
    assertUnavailable(one.error, { sessionId: id, secrets: world.secrets }, what);
    if (Date.now() > until)
      assert.fail(
        `${what} still fails ${recoveryMs} ms after the server can be reached again: ${String(one.error)}`,
      );
    await nextTurn();
  }
}

/** Whether it is there as a whole or not at all. */
async function assertWhole(world: World, probe: Probe, what: string): Promise<boolean> {
  const now = await probe.stored(world.other);
  const isDone = differenceOf(now, probe.after, "") === null;
  if (probe.isInParts !== true && !isDone) assertSame(now, probe.before, `what is stored after ${what}`);
  return isDone;
}

/** A call that a fault was to meet: it is right or says that it had no answer, and can be made again. */
async function judge(world: World, probe: Probe, one: Settled, what: string): Promise<void> {
  const isDone = await assertWhole(world, probe, what);
  if ("error" in one) {
    assertUnavailable(one.error, { sessionId: probe.sessionId, secrets: world.secrets }, what);
  } else if (!isDone) {
    assert.fail(`${what} was answered ${show(one.answer)}, and it is not done: an answer was lost`);
  } else if (probe.again === undefined || differenceOf(one.answer, probe.again, "") !== null) {
    // A client that sends by itself again what had no answer is told what the second call is told.
    assertSame(one.answer, probe.answer, `the answer of ${what}`);
  }
  const repeated = await probe.repeat(world.other);
  if (probe.again === undefined || differenceOf(repeated, probe.again, "") !== null)
    assertSame(repeated, probe.answer, `the answer when it is made again, after ${what}`);
  assertSame(
    await probe.stored(world.other),
    probe.after,
    `what is stored when it was made again, after ${what}`,
  );
}

async function eachProbe(
  world: World,
  work: (kind: ProbeKind, through: Proxied, make: () => Promise<Probe>) => Promise<void>,
): Promise<void> {
  const through = await world.throughProxy();
  for (const kind of probesOf(world.adapter))
    await work(kind, through, () => kind.make(world.other, world.newId()));
}

/** How many bytes a call moves on a line where nothing fails. */
async function sizeOf(
  world: World,
  { adapter, proxy }: Proxied,
  kind: ProbeKind,
  probe: Probe,
): Promise<{ readonly up: number; readonly down: number }> {
  const before = proxy.traffic();
  assertSame(await probe.call(adapter), probe.answer, `the answer of ${kind.name}, through a proxy`);
  assertSame(
    await probe.stored(world.other),
    probe.after,
    `what is stored after ${kind.name}, through a proxy`,
  );
  const after = proxy.traffic();
  return {
    up: after.bytesToServer - before.bytesToServer,
    down: after.bytesToClient - before.bytesToClient,
  };
}

const cutRounds = 6;

function cutCase(
  name: string,
  todo: string,
  cut: (proxy: Proxy, bytes: number) => Promise<void>,
  sizeOfCut: (size: { up: number; down: number }) => number,
): Case {
  return {
    promise: "P5",
    name,
    todo,
    timeoutMs: 120_000,
    async run(world) {
      const { random } = world;
      let cuts = 0;
      let lost = 0;
      await eachProbe(world, async (kind, through, make) => {
        const { proxy, adapter } = through;
        await recovered(world, through, "a cut");
        const size = Math.max(1, sizeOfCut(await sizeOf(world, through, kind, await make())));
        for (let round = 0; round < cutRounds * world.scale; round++) {
          const probe = await make();
          // Otherwise the connection is made anew, and the cut may be in its beginning.
          if (!random.once(4)) await recovered(world, through, "a cut");
          const before = proxy.traffic().cuts;
          const bytes = round === 0 ? 0 : random.int(0, size - 1);
          void cut(proxy, bytes);
          const one = await settled(probe.call(adapter));
          await proxy.heal();
          cuts += proxy.traffic().cuts - before;
          if ("error" in one) lost++;
          await judge(world, probe, one, `${kind.name} whose connection was cut after ${bytes} bytes`);
        }
      });
      assert.ok(
        cuts > 0,
        "no connection was cut: does `network.connect` connect to the address that it is given?",
      );
      world.note(`${world.harness.name}, ${name}: ${cuts} cuts, ${lost} calls failed`);
    },
  };
}

const calls: readonly Case[] = [
  cutCase(
    "a call whose connection is cut inside the request",
    "Reject with STORAGE_UNAVAILABLE when the connection is lost; answer `false` and `null` only where the store has looked.",
    (proxy, bytes) => proxy.cutRequest(bytes),
    ({ up }) => up,
  ),
  cutCase(
    "a call whose connection is cut inside the reply",
    "Reject with STORAGE_UNAVAILABLE when the connection is lost; what is sent again by itself must not be stored twice.",
    (proxy, bytes) => proxy.cutReply(bytes),
    ({ down }) => down,
  ),
  {
    promise: "P7",
    name: "a server that refuses connections is told as such by every call, and is used when it is there again",
    todo: "Reject with STORAGE_UNAVAILABLE, name the session, and let the client connect anew.",
    timeoutMs: 120_000,
    async run(world) {
      await eachProbe(world, async (kind, through, make) => {
        const [probe, idle] = [await make(), world.random.once(2)];
        // A client that has connected notices the end at another place than one that has not.
        if (idle) await recovered(world, through, "a refusal");
        await through.proxy.refuse();
        const one = await settled(probe.call(through.adapter));
        await through.proxy.heal();
        const what = `${kind.name} with a server that refuses connections`;
        if ("answer" in one && probe.mayBeLocal !== true)
          assert.fail(`${what} was answered ${show(one.answer)}`);
        await judge(world, probe, one, what);
        await recovered(world, through, "a refusal");
      });
    },
  },
  {
    promise: "P9",
    name: "a call on a slow line is answered rightly",
    todo: "Pieces of a request and of a reply may arrive one by one: wait for the whole.",
    timeoutMs: 120_000,
    async run(world) {
      await eachProbe(world, async (kind, through, make) => {
        through.proxy.delay(0);
        await recovered(world, through, "nothing");
        const probe = await make();
        through.proxy.delay(world.random.int(5, 40));
        assertSame(
          await probe.call(through.adapter),
          probe.answer,
          `the answer of ${kind.name} on a slow line`,
        );
        assertSame(
          await probe.stored(world.other),
          probe.after,
          `what is stored after ${kind.name} on a slow line`,
        );
      });
    },
  },
];

type Data = { n: number; said: string };

/** What one session's writer wants stored, and what it was told. */
interface Line {
  readonly session: SessionState<Data>;
  /** Turns that were acknowledged. */
  turns: number;
}

const lineOf = (id: string): Line => ({
  session: createSession<Data>({ id, data: { n: 0, said: secretText } }),
  turns: 0,
});
const textsOf = (n: number): string[] => [`${secretText} ${n}a`, `${secretText} ${n}b`];

function save(manager: PersistenceManager<Data>, { session, turns }: Line): Promise<unknown> {
  const n = turns + 1;
  session.data.n = n;
  const [a = "", b = ""] = textsOf(n);
  return manager.saveTurn({
    session,
    messages: [
      { role: "user", content: a },
      { role: "assistant", content: b },
    ],
    operationId: `turn ${n}`,
  });
}

/** Asserts that what was acknowledged is there once and in order, and at most one whole turn more. */
async function assertLine(manager: PersistenceManager<Data>, line: Line, when: string): Promise<void> {
  const { session, turns } = line;
  const id = session.id ?? "";
  const loaded = await manager.loadSessionState(id);
  const texts: string[] = [];
  for (;;) {
    const page = await manager.findMessagesBySessionId(id, { after: texts.length, limit: 1000 });
    texts.push(...page.map(({ content }) => content));
    if (page.length < 1000) break;
  }
  const stored = texts.length / 2;
  assert.ok(
    stored === turns || stored === turns + 1,
    `${when}, ${turns} turns had been acknowledged and there are ${stored}`,
  );
  assertSame(texts, numbers(1, stored).flatMap(textsOf), `the messages, ${when}`);
  assert.equal(loaded?.data.n ?? 0, stored, `the turn whose state is stored, ${when}`);
}

const turnsAgain: Case = {
  promise: "P5",
  name: "turns whose connection is cut are whole or not there, and are stored once when they are sent again",
  todo: "Keep the operation with the row, in the same step; a group whose answer is lost is lost for all that are in it.",
  timeoutMs: 120_000,
  async run(world) {
    const { random } = world;
    const through = await world.throughProxy();
    const { proxy } = through;
    const manager = new PersistenceManager<Data>({ adapter: through.adapter });
    const healthy = new PersistenceManager<Data>({ adapter: world.other });
    let lost = 0;
    for (let round = 0; round < 24 * world.scale; round++) {
      const lines = numbers(1, random.pick([1, 1, 8])).map(() => lineOf(world.newId()));
      const before = proxy.traffic();
      for (const turn of [1, 2]) {
        for (const line of lines) line.turns = turn - 1;
        await Promise.all(lines.map((line) => again(() => save(manager, line), world, line, "before a cut")));
      }
      await manager.flush();
      for (const line of lines) line.turns = 2;
      const after = proxy.traffic();
      const up = Math.ceil((after.bytesToServer - before.bytesToServer) / 2);
      const down = Math.ceil((after.bytesToClient - before.bytesToClient) / 2);
      const isRequest = random.once(2);
      const bytes = random.int(0, isRequest ? up : down);
      const cut = isRequest ? proxy.cutRequest(bytes) : proxy.cutReply(bytes);
      // Nothing that core tries again by itself arrives.
      void cut.then(() => proxy.refuse());
      const told = await Promise.all(lines.map((line) => settled(save(manager, line))));
      await settled(manager.flush());
      await proxy.heal();
      const when = `after a cut ${isRequest ? "towards the server" : "towards the client"} at byte ${bytes}`;
      for (const [index, line] of lines.entries()) {
        const one = told[index];
        if (one !== undefined && "error" in one) {
          lost++;
          assertUnavailable(
            one.error,
            { sessionId: line.session.id, secrets: world.secrets },
            `saveTurn ${when}`,
          );
        } else line.turns++;
        await assertLine(healthy, line, when);
      }
      for (const [index, line] of lines.entries()) {
        const one = told[index];
        if (one === undefined || "answer" in one) continue;
        await again(() => save(manager, line), world, line, when);
        line.turns++;
        await assertLine(healthy, line, `${when}, sent again`);
      }
    }
    await manager.flush();
    world.note(`${world.harness.name}, ${world.path}: ${lost} turns without an answer, each stored once`);
  },
};

/** Until it is acknowledged; every failure before has to say that the server was not reached. */
async function again(work: () => Promise<unknown>, world: World, line: Line, when: string): Promise<void> {
  const until = Date.now() + recoveryMs;
  for (;;) {
    const one = await settled(work());
    if ("answer" in one) return;
    const about = { sessionId: line.session.id, secrets: world.secrets };
    assertUnavailable(one.error, about, `saveTurn ${when}`);
    if (Date.now() > until) throw one.error;
    await nextTurn();
  }
}

const writers: Case = {
  promise: "P4",
  name: "writers whose connections are cut again and again: one order of the turns explains what each was told",
  todo: "What was acknowledged is there once and in order, whatever became of the connection after it.",
  timeoutMs: 120_000,
  async run(world) {
    const ids = [world.newId(), world.newId(), world.newId()];
    const versions = new Map<string, string>();
    for (const id of ids) {
      const { version } = await world.client(world.other).create(id, { state: { by: "" } });
      versions.set(id, version);
    }
    let cuts = 0;
    const plans = numbers(1, 4).map((n) => ({
      writer: `w${n}`,
      sessions: ids,
      turns: 12 * world.scale,
      seed: world.random.int(1, 1e9),
    }));
    const told = await Promise.all(
      plans.map(async (plan) => {
        const { proxy, adapter } = await world.throughProxy();
        const random = createRandom(plan.seed + 1);
        const over = new AbortController();
        const cutting = async () => {
          while (!over.signal.aborted) {
            const bytes = random.int(500, 12_000);
            await (random.once(2) ? proxy.cutRequest(bytes) : proxy.cutReply(bytes));
          }
        };
        void cutting();
        const calls = await runWriter(createTurnClient(adapter), plan, { mayFail: true });
        over.abort();
        await proxy.heal();
        cuts += proxy.traffic().cuts;
        return calls;
      }),
    );
    const judge = createTurnClient(world.other);
    for (const id of ids) {
      const read = await judge.store.read(id, ({ last }) => (last === 0 ? [] : [[1, last]]));
      const { row, entries } = read ?? assert.fail("a session that nobody deleted is gone");
      const final = {
        version: row.version,
        last: row.last,
        by: byOf(row.state),
        texts: entries.map((one) => one.content),
      };
      const own = told.flat().filter(({ session }) => session === id);
      const problem = explain(own, versions.get(id) ?? "", final);
      if (problem !== null)
        assert.fail(`no order of the turns explains what the writers were told: ${problem}`);
    }
    const open = told.flat().filter((one) => one.told.status === "open").length;
    world.note(
      `${world.harness.name}, ${world.path}: ${cuts} cuts, ${open} turns without an answer, all explained`,
    );
  },
};

/** Writes turns until it is told to stop, each until it is acknowledged. */
async function writeAll(
  world: World,
  manager: PersistenceManager<Data>,
  line: Line,
  signal: AbortSignal,
  acknowledged: () => void,
): Promise<void> {
  while (!signal.aborted) {
    let failed = 0;
    for (;;) {
      const one = await settled(save(manager, line));
      if ("answer" in one) break;
      const about = { sessionId: line.session.id, secrets: world.secrets };
      assertUnavailable(one.error, about, "saveTurn while the server is stopped and started");
      failed++;
      if (signal.aborted && failed > 1000) throw one.error;
      await nextTurn();
    }
    line.turns++;
    acknowledged();
  }
}

const restarts: Case = {
  promise: "P1",
  name: "a server that is killed and stopped under load has every acknowledged turn once, and is used again",
  todo: "Acknowledge only what the server has made durable, and let the client connect anew by itself.",
  timeoutMs: 180_000,
  async run(world) {
    const { server, opened } = await world.openServer();
    const adapters: PersistenceAdapter[] = [await opened.connect(), await opened.connect()];
    const managers = adapters.map((adapter) => new PersistenceManager<Data>({ adapter }));
    const lines = numbers(1, 8).map(() => lineOf(world.newId()));
    const stop = new AbortController();
    let count = 0;
    let awaited = Infinity;
    let wake = () => {};
    const acknowledged = () => {
      if (++count >= awaited) wake();
    };
    const untilMore = (more: number) => {
      awaited = count + more;
      return new Promise<void>((resolve) => (wake = resolve));
    };
    const writing = Promise.all(
      lines.map((line, index) =>
        // Five share a manager, so that their turns travel together where the store has groups.
        writeAll(
          world,
          managers[index < 5 ? 0 : 1] ?? assert.fail("no manager"),
          line,
          stop.signal,
          acknowledged,
        ),
      ),
    );
    const ended = { kill: 0, stop: 0 };
    const load = async () => {
      for (let round = 0; round < 4 * world.scale; round++) {
        await untilMore(world.random.int(20, 60));
        const how = round % 2 === 0 ? "kill" : "stop";
        await server[how]();
        ended[how]++;
        await server.start();
      }
      await untilMore(40);
    };
    try {
      // A writer that fails ends it all, though the others would go on.
      await Promise.race([load(), writing]);
    } finally {
      stop.abort();
    }
    await writing;
    const healthy = new PersistenceManager<Data>({ adapter: await opened.connect() });
    for (const line of lines) await assertLine(healthy, line, "after the server's restarts");
    for (const line of lines) {
      line.turns--;
      await again(() => save(healthy, line), world, line, "after the server's restarts");
      line.turns++;
      await assertLine(healthy, line, "after the last turn was sent again");
    }
    await Promise.all([...managers, healthy].map((manager) => manager.flush()));
    world.note(
      `${world.harness.name}, ${world.path}: server killed ${ended.kill} and stopped ${ended.stop} times, ${count} acknowledged turns all there once`,
    );
  },
};

function casesOf({ expects }: Harness, path: Path): readonly Case[] {
  if (expects.network === "none") return [];
  // What a call does, it does alike on both paths.
  const isFull = path === "with whole turns" || !expects.turns;
  return [
    ...(isFull ? calls : []),
    ...[turnsAgain, writers],
    ...(expects.network === "restart" ? [restarts] : []),
  ];
}

export const faults: Level = { name: "faults", runs: "each path", cases: casesOf };
