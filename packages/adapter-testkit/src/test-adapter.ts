import { randomInt } from "node:crypto";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import type { Harness, KitOptions, Runner, TimeoutMs } from "./harness.js";
import type { Case, Level, Path } from "./level.js";
import { levels } from "./levels.js";
import { type Monitor, createMonitor } from "./watch.js";
import { type OpenedStore, createWorld, openStore } from "./world.js";

/** What holds for a whole run. */
interface Run {
  readonly harness: Harness;
  readonly runner: Runner;
  readonly monitor: Monitor;
  readonly seed: number;
  readonly scale: number;
  readonly note: (line: string) => void;
}

const settingUpMs = 120_000 as TimeoutMs;
const caseMs = 60_000;

/**
 * Declares the whole conformance suite in the author's test runner: every level, and those about turns twice for an adapter
 * that writes whole turns itself, once with that facet and once with it hidden.
 * @throws TypeError where the harness is not complete.
 */
export function testAdapter(harness: Harness, runner: Runner, options: KitOptions = {}): void {
  checkHarness(harness);
  const seed = options.seed ?? seedOfEnvironment() ?? randomInt(1, 2 ** 31);
  const profile = options.profile ?? process.env["WAYMARK_KIT_PROFILE"] ?? "normal";
  if (profile !== "normal" && profile !== "long") {
    throw new TypeError(`the profile has to be "normal" or "long", not "${profile}"`);
  }
  const run: Run = {
    harness,
    runner,
    monitor: createMonitor(options.callTimeoutMs ?? 10_000),
    seed,
    scale: profile === "long" ? 20 : 1,
    note: options.note ?? ((line) => void process.stdout.write(`note: ${line}\n`)),
  };
  const full: Path = harness.expects.turns ? "with whole turns" : "through the outbox";
  runner.describe(harness.name, () => {
    runner.describe("the contract", () => {
      for (const level of levels) if (level.runs === "once") declareLevel(run, level, full);
    });
    for (const path of new Set<Path>([full, "through the outbox"])) {
      runner.describe(path, () => {
        for (const level of levels) if (level.runs === "each path") declareLevel(run, level, path);
      });
    }
  });
}

function declareLevel(run: Run, level: Level, path: Path): void {
  const { harness, runner, monitor } = run;
  const cases = level.cases(harness, path);
  if (cases.length === 0) return;
  runner.describe(level.name, () => {
    let opened: OpenedStore | undefined;
    let adapters: readonly [PersistenceAdapter, PersistenceAdapter] | undefined;
    let reason: unknown;

    // A store that does not open fails each test with the reason, in every runner alike.
    runner.beforeAll(async () => {
      if (monitor.hung !== null) return;
      try {
        opened = await openStore(harness, path, monitor);
        adapters = [await opened.connect(), await opened.connect()];
      } catch (error) {
        reason = error;
      }
    }, settingUpMs);

    runner.afterAll(async () => {
      const closed = opened?.close();
      // The test in which it hung has told it.
      await (monitor.hung === null ? closed : closed?.catch(() => {}));
    }, settingUpMs);

    for (const one of cases) {
      const name = `${one.promise}: ${one.name}`;
      const timeoutMs = (one.timeoutMs ?? caseMs) * (run.scale > 1 ? 10 : 1);
      const body = async () => {
        try {
          if (reason !== undefined) throw reason;
          if (monitor.hung !== null)
            throw new Error(`not run: ${monitor.hung} never ended in an earlier test`);
          if (opened === undefined || adapters === undefined)
            throw new Error("the runner did not run `beforeAll`");
          await runCase(one, run, { path, opened, adapters, name, timeoutMs });
        } catch (error) {
          throw explained(error, one, run, [harness.name, path, level.name, name]);
        }
      };
      runner.it(name, body, timeoutMs + 30_000);
    }
  });
}

interface Place {
  readonly path: Path;
  readonly opened: OpenedStore;
  readonly adapters: readonly [PersistenceAdapter, PersistenceAdapter];
  readonly name: string;
  readonly timeoutMs: number;
}

async function runCase(one: Case, run: Run, place: Place): Promise<void> {
  const { path, opened, name, timeoutMs } = place;
  const [adapter, other] = place.adapters;
  const { harness, monitor, scale, seed, note } = run;
  monitor.faults.length = 0;
  const world = createWorld(name, { harness, path, monitor, scale, seed, opened, adapter, other, note });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new Error(`the test did not end within ${timeoutMs} ms, though every call was answered in time`),
      );
    }, timeoutMs);
  });
  try {
    await Promise.race([one.run(world), late]);
    if (monitor.faults.length === 0) await world.end();
  } catch (error) {
    // What the test saw may only be the consequence of an answer that was wrong in itself.
    throw monitor.faults[0] ?? error;
  } finally {
    clearTimeout(timer);
    await world.abandon();
  }
  if (monitor.faults[0] !== undefined) throw monitor.faults[0];
}

function explained(error: unknown, one: Case, run: Run, names: readonly string[]): Error {
  const what = error instanceof Error ? error.message : String(error);
  const name = (names.at(-1) ?? "").replaceAll(/[^\w :,-]/g, ".");
  const message = [
    `${names.join(" > ")}`,
    "",
    what,
    "",
    `To do: ${one.todo}`,
    `Again: WAYMARK_KIT_SEED=${run.seed} and your runner's filter by name, -t "${name}" in jest and vitest, ` +
      `--test-name-pattern "${name}" in node`,
  ].join("\n");
  return new Error(message, { cause: error });
}

function seedOfEnvironment(): number | undefined {
  const text = process.env["WAYMARK_KIT_SEED"];
  if (text === undefined || text === "") return undefined;
  const seed = Number(text);
  if (Number.isSafeInteger(seed)) return seed;
  throw new TypeError(`WAYMARK_KIT_SEED has to be a whole number, not "${text}"`);
}

function checkHarness(harness: Harness): void {
  const problem = problemOf(harness);
  if (problem !== null) throw new TypeError(`testAdapter: the harness ${problem}`);
}

function problemOf(harness: Harness): string | null {
  const { name, open, expects, processEntry, budgets, openServer } = harness;
  if (typeof name !== "string" || name === "") return "has to have a name";
  if (typeof open !== "function") return "has to have `open`, which makes an empty store";
  if (typeof expects !== "object" || expects === null)
    return "has to say in `expects` what the adapter claims";
  for (const facet of ["turns", "records", "search"] as const) {
    if (typeof expects[facet] !== "boolean")
      return `has to say in \`expects.${facet}\` whether there is the facet`;
  }
  if (!["commit", "flush", "process"].includes(expects.durability)) {
    return "has to say in `expects.durability` when a write survives: commit, flush or process";
  }
  if (expects.durability !== "process" && processEntry === undefined) {
    return (
      "has to have `processEntry`, a JavaScript module whose default export makes an adapter for the address of a store: " +
      `what is durable on ${expects.durability} is tested from other processes`
    );
  }
  const { network } = expects;
  if (!["none", "proxy", "restart"].includes(network))
    return "has to say in `expects.network` how the kit can come between: none, proxy or restart";
  if ((network === "none") !== (budgets === undefined))
    return "has to have `budgets` where `expects.network` is proxy or restart, and only there";
  if ((network === "restart") !== (openServer !== undefined))
    return "has to have `openServer` where `expects.network` is restart, and only there";
  return null;
}
