import { run, type Rules, type Run, type Scenario } from "./scenario.js";

/** A schedule that led to something that must not happen. */
export interface Violation {
  readonly scenario: string;
  readonly problem: string;
  /** What happened, in order. */
  readonly schedule: readonly string[];
}

export interface Explored {
  readonly states: number;
  readonly runs: number;
  readonly violation: Violation | null;
}

/**
 * Lets a scenario happen in every order of its calls, with every fault that it allows, and judges each. A state that was
 * met before is not gone on with. Stops at the first violation.
 */
export async function explore(rules: Rules, scenario: Scenario, mostStates = Infinity): Promise<Explored> {
  const seen = new Set<string>();
  const open: number[][] = [[]];
  let runs = 0;
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    runs++;
    const violation = await follow(rules, scenario, path, seen, open);
    if (violation !== null) return { states: seen.size, runs, violation };
    if (seen.size >= mostStates) break;
  }
  return { states: seen.size, runs, violation: null };
}

async function follow(
  rules: Rules,
  scenario: Scenario,
  path: readonly number[],
  seen: Set<string>,
  open: number[][],
): Promise<Violation | null> {
  const one = await run(rules, scenario);
  const taken: number[] = [];
  for (const index of path) {
    await one.step(index);
    taken.push(index);
  }
  for (;;) {
    const broken = one.problem();
    if (broken !== null) return violation(one, scenario, broken);
    const key = one.key();
    if (seen.has(key)) return null;
    seen.add(key);
    const { choices, isOver } = one.choices();
    for (let other = choices.length - 1; other >= (isOver ? 0 : 1); other--) open.push([...taken, other]);
    if (isOver) {
      const problem = await one.finish();
      return problem === null ? null : violation(one, scenario, problem);
    }
    await one.step(0);
    taken.push(0);
  }
}

/** One run by a given schedule: each number picks among the choices that there are then. */
export async function runSchedule(
  rules: Rules,
  scenario: Scenario,
  schedule: readonly number[],
): Promise<Violation | null> {
  const one = await run(rules, scenario);
  for (let i = 0; ; i++) {
    const broken = one.problem();
    if (broken !== null) return violation(one, scenario, broken);
    const { choices, isOver } = one.choices();
    if (isOver) break;
    await one.step((schedule[i % schedule.length] ?? 0) % choices.length);
  }
  const problem = await one.finish();
  return problem === null ? null : violation(one, scenario, problem);
}

function violation(one: Run, scenario: Scenario, problem: string): Violation {
  return { scenario: scenario.name, problem, schedule: one.schedule };
}
