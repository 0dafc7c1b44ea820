import { describe, expect, it } from "@jest/globals";
import * as fc from "fast-check";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { Step } from "../../src/agent/route.js";
import { scriptedModel } from "../../src/testing.js";

const fields = ["f0", "f1", "f2", "f3", "f4", "f5"] as const;
type Data = Record<(typeof fields)[number], number>;
type Known = Partial<Record<string, number>>;

/** 0 to 9 are values; -1 is refused by the schema. */
const schema = {
  f0: z.number().min(0),
  f1: z.number().min(0),
  f2: z.number().min(0),
  f3: z.number().min(0),
  f4: z.number().min(0),
  f5: z.number().min(0),
};

interface Plan {
  readonly collect: readonly (typeof fields)[number][];
  /** Skip when this field is even. */
  readonly skip: number | null;
  /** Jump over so many steps when this field is above 4. */
  readonly jump: { readonly field: number; readonly over: number } | null;
}

const planned: fc.Arbitrary<Plan> = fc.record({
  collect: fc.subarray([...fields], { minLength: 1, maxLength: 2 }),
  skip: fc.option(fc.nat(5), { freq: 4 }),
  jump: fc.option(fc.record({ field: fc.nat(5), over: fc.nat(3) })),
});
const said = fc.dictionary(fc.constantFrom(...fields), fc.integer({ min: -1, max: 9 }), { maxKeys: 3 });

const at = (data: Known, field: number) => data[`f${field}`];
const isSkipped = ({ skip }: Plan, data: Known) => skip !== null && (at(data, skip) ?? 1) % 2 === 0;
const isAbove = ({ jump }: Plan, data: Known) => jump !== null && (at(data, jump.field) ?? 0) > 4;

function stepsOf(plans: readonly Plan[]): Step<Data, undefined>[] {
  return plans.map((plan, index) => {
    const target = index + 1 + (plan.jump?.over ?? 0);
    return {
      id: `s${index}`,
      prompt: "?",
      collect: plan.collect,
      skipWhen: ({ data }) => isSkipped(plan, data),
      next: [{ when: ({ data }) => isAbove(plan, data), to: target < plans.length ? `s${target}` : null }],
    };
  });
}

/** The same rules, written down a second time and as plainly as possible. */
function expectedStep(plans: readonly Plan[], data: Known): string | null {
  for (let index = 0; index < plans.length;) {
    const plan = plans[index];
    if (plan === undefined) break;
    if (!isSkipped(plan, data) && plan.collect.some((field) => data[field] === undefined)) return `s${index}`;
    index += 1 + (plan.jump !== null && isAbove(plan, data) ? plan.jump.over : 0);
  }
  return null;
}

describe("any conversation on any route", () => {
  it("stands at the first open step, with the last good answer to everything asked, after every message", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(planned, { minLength: 1, maxLength: 5 }),
        fc.array(said, { maxLength: 8 }),
        async (plans, messages) => {
          let found: Known = {};
          const model = scriptedModel(() => ({ message: "", data: found }));
          const agent = new Agent({
            name: "Any",
            provider: model,
            schema,
            routes: [{ id: "r", steps: stepsOf(plans) }],
          });
          const session = agent.createSession();
          const collectable = new Set<string>(plans.flatMap(({ collect }) => collect));
          const known: Known = {};
          let isOver: boolean = false;
          for (found of messages) {
            const asked = model.requests.length;
            const { completed } = await agent.respond({ history: [{ role: "user", content: "" }], session });
            if (!isOver && expectedStep(plans, known) !== null) {
              for (const [field, value] of Object.entries(found)) {
                if (value !== undefined && value >= 0 && collectable.has(field)) known[field] = value;
              }
            }
            const step: string | null = isOver ? null : expectedStep(plans, known);
            expect(session.data).toEqual(known);
            expect(session.dataByRoute["r"] ?? {}).toEqual(known);
            expect(session.currentStep?.id ?? null).toBe(step);
            expect(session.currentRoute?.id).toBe(step === null ? undefined : "r");
            expect(completed).toBe(step === null && !isOver ? "r" : undefined);
            expect(model.requests.length - asked).toBeLessThanOrEqual(3);
            isOver = step === null;
          }
          expect(session.routeHistory.length).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 300 },
    );
  });
});
