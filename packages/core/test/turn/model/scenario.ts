import type { PersistenceAdapter } from "../../../src/contract/adapter.js";
import type { Json } from "../../../src/contract/json.js";
import type { SessionRow } from "../../../src/contract/row.js";
import type { Commit, Expectation, Outcome } from "../../../src/contract/turns.js";
import type { TurnEnvironment } from "../../../src/turn/environment.js";
import type { Merged } from "../../../src/turn/merge.js";
import type { Outbox } from "../../../src/turn/outbox.js";
import type { Range } from "../../../src/turn/visible.js";
import { type Told, judge, judgeEnd } from "./oracle.js";
import { type Faults, type StoreMutation, World, type Choice } from "./world.js";

/** The code under test: the shipped files, or a mutant of them. */
export interface Rules {
  createOutbox(adapter: PersistenceAdapter, environment: TurnEnvironment): Outbox;
  visibleRanges(row: SessionRow): readonly Range[];
  readonly operationWindow: number;
  readonly store: StoreMutation | null;
}

/** What one process does. */
export type Script = (process: Process) => Promise<void>;

export interface Scenario {
  readonly name: string;
  readonly faults: Faults;
  /** Whether a session with one turn is there at the start. Default: true. */
  readonly isEmpty?: boolean;
  readonly processes: Readonly<Record<string, Script>>;
}

/** A process of its own: its own outbox over the shared store. */
export interface Process {
  /** Commits a turn of two messages on the version that this process knows, loading it where it knows none. */
  turn(id: string): Promise<void>;
  /** Adds one message. */
  append(id: string): Promise<void>;
  /** The same operation as before, sent again after a failure. */
  again(id: string): Promise<void>;
  /** Hides all messages but the first. */
  rewind(id: string): Promise<void>;
  create(id: string): Promise<void>;
  load(): Promise<void>;
  delete(): Promise<void>;
  prune(): Promise<void>;
  flush(): Promise<void>;
}

const id = "s";
const patience = { deadline: 1 };

function environmentOf(process: string): TurnEnvironment {
  let made = 0;
  return {
    now: () => 0,
    newId: () => `${process}${++made}`,
    pause: () => Promise.resolve(),
    waitUntil: () => {},
  };
}

/** One way of a scenario through its calls. */
export interface Run {
  readonly schedule: readonly string[];
  choices(): { readonly choices: readonly Choice[]; readonly isOver: boolean };
  step(index: number): Promise<void>;
  key(): string;
  problem(): string | null;
  finish(): Promise<string | null>;
}

export async function run(rules: Rules, scenario: Scenario): Promise<Run> {
  const world = new World(scenario.faults, rules.store);
  const told: Told[] = [];
  const commits = new Map<string, Commit>();
  const schedule: string[] = [];
  const context = { rules, world, told, commits };
  if (scenario.isEmpty !== true) {
    const setup = processOf(context, "0");
    await setup.create("o0");
    await setup.append("o1");
    await setup.flush();
  }
  world.isDirect = false;
  for (const [name, script] of Object.entries(scenario.processes)) void script(processOf(context, name));
  await settle();
  let judged = 0;
  return {
    schedule,
    choices: () => world.choices(),
    step: async (index) => {
      const choice = world.choices().choices[index];
      if (choice === undefined) throw new Error(`the scenario is not deterministic: no choice ${index}`);
      schedule.push(choice.label);
      choice.run();
      await settle();
    },
    key: () => world.key(told.map(({ start, end }) => `${start}-${end ?? ""}`).join()),
    problem: () => {
      for (; judged < told.length; judged++) {
        const next = told[judged];
        if (next === undefined || next.end === null) break;
        const problem = judge(world, commits, next, rules.operationWindow);
        if (problem !== null) return problem;
      }
      return null;
    },
    finish: async () => {
      for (const one of told) {
        const problem = one.end === null ? null : judge(world, commits, one, rules.operationWindow);
        if (problem !== null) return problem;
      }
      world.isDirect = true;
      const fresh = rules.createOutbox(world.adapter("z"), environmentOf("z"));
      return judgeEnd(world, commits, fresh, rules.visibleRanges);
    },
  };
}

/** Everything that a reply sets in motion without a further call is done when this resolves. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Context {
  readonly rules: Rules;
  readonly world: World;
  readonly told: Told[];
  readonly commits: Map<string, Commit>;
}

function processOf({ rules, world, told, commits }: Context, name: string): Process {
  const environment = environmentOf(name);
  const outbox = rules.createOutbox(world.adapter(name), environment);
  let known: { version: string; last: number } | null = null;

  async function tell<T>(
    what: Pick<Told, "kind" | "operation" | "seen">,
    work: () => Promise<T>,
  ): Promise<T | null> {
    const one: Told = {
      ...what,
      process: name,
      start: world.history.length - 1,
      end: null,
      result: null,
      error: null,
    };
    told.push(one);
    try {
      const result = await work();
      one.result = result;
      return result;
    } catch (error) {
      one.error = error;
      return null;
    } finally {
      one.end = world.history.length - 1;
    }
  }

  async function send(commit: Commit): Promise<void> {
    commits.set(commit.operation.id, commits.get(commit.operation.id) ?? commit);
    const outcome = await tell<Outcome>({ kind: "commit", operation: commit.operation.id, seen: null }, () =>
      outbox.commit(commit, patience),
    );
    if (outcome?.status === "committed" || outcome?.status === "replayed") {
      known = { version: outcome.version, last: outcome.last };
    } else known = null;
  }

  const read = () =>
    tell<Merged | null>({ kind: "load", operation: null, seen: null }, () =>
      outbox.load(id, rules.visibleRanges),
    );

  async function look(): Promise<{ version: string; last: number }> {
    if (known !== null) return known;
    const loaded = await read();
    // A session that is not there has no version: the commit is then told so.
    return loaded === null
      ? { version: "none.1", last: 0 }
      : { version: loaded.row.version, last: loaded.row.last };
  }

  function make(operation: string, expect: Expectation, messages: number, state?: Json): Commit {
    return {
      id,
      expect,
      operation: { id: operation, digest: operation },
      revision: environment.newId(),
      at: 0,
      set: state === undefined ? {} : { state },
      messages: Array.from({ length: messages }, (_, index) => ({
        userId: null,
        role: "user",
        content: `${operation}.${index}`,
        createdAt: 0,
        body: {},
      })),
      history: [],
    };
  }

  const turn = async (operation: string) => {
    const { version } = await look();
    await send(make(operation, { kind: "version", version }, 2, { turn: operation }));
  };

  return {
    turn,
    append: (operation) => send(make(operation, { kind: "append" }, 1)),
    again: async (operation) => {
      const before = commits.get(operation);
      if (before !== undefined)
        await send({ ...before, revision: environment.newId(), retry: { since: null } });
    },
    rewind: async (operation) => {
      const { version, last } = await look();
      const state = {
        turn: operation,
        visible: [
          [1, 1],
          [last + 1, null],
        ],
      };
      await send(make(operation, { kind: "version", version, last }, 1, state));
    },
    create: (operation) =>
      send(make(operation, { kind: "create", life: "unused", createdAt: 0 }, 1, { turn: operation })),
    load: async () => {
      await read();
    },
    delete: async () => {
      await tell({ kind: "delete", operation: null, seen: null }, () =>
        outbox.delete(id, undefined, patience),
      );
    },
    prune: async () => {
      const loaded = await read();
      if (loaded === null) return;
      await tell({ kind: "prune", operation: null, seen: loaded.row.revision }, () =>
        outbox.prune(loaded.row),
      );
    },
    flush: async () => {
      await tell({ kind: "flush", operation: null, seen: null }, () => outbox.flush());
    },
  };
}
