import { describe, expect, it } from "@jest/globals";
import { explore } from "./model/explore.js";
import { type Mutant, withMutant } from "./model/mutate.js";
import { mutants, shortMemory } from "./model/mutants.js";
import { small } from "./model/scenarios.js";

async function explored(mutant: Mutant) {
  const scenario = small.find(({ name }) => name === mutant.scenario);
  if (scenario === undefined) throw new Error(`no scenario "${mutant.scenario}"`);
  return withMutant(mutant, (rules) => explore(rules, scenario));
}

describe("rules that are almost right", () => {
  it.each(mutants)(
    "$name: caught",
    async (mutant) => {
      const started = performance.now();
      const { violation } = await explored(mutant);
      expect(violation).not.toBeNull();
      const seconds = ((performance.now() - started) / 1000).toFixed(2);
      process.stdout.write(`note: variant "${mutant.name}" caught in ${seconds} s\n`);
    },
    600_000,
  );

  it.each([
    "a lost answer and many others meanwhile",
    "a writer and an appender, each call of which may fail",
  ])(
    "the right rules with a short memory, %s: not caught",
    async (scenario) => {
      const { violation } = await explored({ name: "short memory", scenario, patches: [shortMemory] });
      expect(violation).toBeNull();
    },
    600_000,
  );
});
