import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { createOutbox } from "../../src/turn/outbox.js";
import { operationWindow } from "../../src/turn/system.js";
import { visibleRanges } from "../../src/turn/visible.js";
import { explore, runSchedule } from "./model/explore.js";
import { large, small } from "./model/scenarios.js";

const rules = { createOutbox, visibleRanges, operationWindow, store: null };

describe("the outbox, in every order of its calls", () => {
  let states = 0;

  it.each(small)(
    "$name",
    async (scenario) => {
      const explored = await explore(rules, scenario);
      expect(explored.violation).toBeNull();
      states += explored.states;
    },
    600_000,
  );

  it("has been through a number of states that is worth it", () => {
    process.stdout.write(
      `note: the outbox in every order of its calls: ${states} states, ${small.length} scenarios\n`,
    );
    expect(states).toBeGreaterThan(10_000);
  });
});

describe("the outbox, in generated orders", () => {
  it("keeps its promises with two lost answers and a crash", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1000), { minLength: 1, maxLength: 120 }), async (schedule) => {
        expect(await runSchedule(rules, large, schedule)).toBeNull();
      }),
      { numRuns: 3000 },
    );
  }, 600_000);
});
