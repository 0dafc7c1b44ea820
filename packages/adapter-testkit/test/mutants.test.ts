import { describe, expect, it } from "@jest/globals";
import { mutants } from "./faulty/mutants.js";
import { runKit } from "./support/run.js";
import { memory } from "./support/stores.js";

describe("adapters that are almost right", () => {
  it.each(mutants)(
    "$name: caught",
    async ({ name, caughtBy, harness }) => {
      const started = performance.now();
      // The test that is meant for it has to catch it, whatever others would.
      const results = await runKit(harness("mutant"), { isBrief: true, only: caughtBy });
      const caught = results.find(({ error }) => error !== null);
      const ms = (performance.now() - started).toFixed(0);
      expect(results).not.toHaveLength(0);
      expect(caught).toBeDefined();
      const level = caught?.path.slice(1, -1).join(", ");
      process.stdout.write(`note: "${name}": caught in ${ms} ms by ${level}, ${caught?.path.at(-1)}\n`);
    },
    60_000,
  );

  it("each is looked for by the name of one test", async () => {
    const names = (await runKit(memory("memory"), { isList: true })).map(({ path }) => path.at(-1) ?? "");
    for (const { name, caughtBy } of mutants) {
      expect([name, new Set(names.filter((one) => caughtBy.test(one))).size]).toEqual([name, 1]);
    }
  });
});
