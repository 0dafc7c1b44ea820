import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { ModelReply } from "../../src/agent/provider.js";
import { createSession } from "../../src/state/session.js";
import { type ScriptedReply, scriptedModel } from "../../src/testing.js";

const schema = {
  name: z.string().min(2),
  guests: z.coerce.number().int().min(1, "at least one guest"),
  deposit: z.boolean(),
  email: z.email(),
};

function bookingAgent(script: readonly ScriptedReply[]) {
  const model = scriptedModel(script);
  const completions: unknown[] = [];
  const agent = new Agent({
    name: "Table",
    instructions: "Be brief.",
    provider: model,
    schema,
    routes: [
      {
        id: "booking",
        title: "Book a table",
        steps: [
          { id: "welcome", prompt: "Say hello." },
          { id: "name", prompt: "Ask for the name.", collect: ["name"] },
          {
            id: "guests",
            prompt: "Ask how many come.",
            collect: ["guests"],
            next: [{ when: ({ data }) => (data.guests ?? 0) > 8, to: "deposit" }, { to: "email" }],
          },
          { id: "deposit", prompt: "Ask for a deposit.", collect: ["deposit"] },
          { id: "email", prompt: "Ask for the e-mail address.", collect: ["email"] },
        ],
        onComplete: ({ data }) => void completions.push({ ...data }),
      },
    ],
  });
  const session = createSession<{ name: string; guests: number; deposit: boolean; email: string }>();
  const say = (content: string) => agent.respond({ history: [{ role: "user", content }], session });
  return { agent, model, session, say, completions };
}

describe("a route", () => {
  it("is entered without a question when it is the only one, and begins with its first step", async () => {
    const { model, session, say } = bookingAgent(["Hello!"]);
    const response = await say("Hi");
    expect(response.message).toBe("Hello!");
    expect(response.session).toBe(session);
    expect(session.currentRoute).toEqual({ id: "booking", title: "Book a table" });
    expect(session.currentStep).toEqual({ id: "welcome", routeId: "booking" });
    expect(session.routeHistory).toMatchObject([{ routeId: "booking", completed: false }]);
    expect(model.requests).toHaveLength(1);
    expect(model.requests[0]).toMatchObject({
      agent: "Table",
      instructions: "Be brief.",
      route: { id: "booking" },
      step: { id: "welcome", prompt: "Say hello.", collect: [] },
      fields: [{ name: "name" }, { name: "guests" }, { name: "deposit" }, { name: "email" }],
      refused: [],
    });
    expect(model.requests[0]?.later.map(({ id }) => id)).toEqual(["name", "guests", "deposit", "email"]);
  });

  it("goes on from a step that only says something when the person has answered it", async () => {
    const { model, session, say } = bookingAgent(["Hello!", "Your name?"]);
    await say("Hi");
    await say("I want a table");
    expect(model.requests[1]?.step?.id).toBe("name");
    expect(session.currentStep?.id).toBe("name");
  });

  it("asks the model again when what it found makes its message wrong", async () => {
    const { model, session, say } = bookingAgent([
      "Hello!",
      { message: "Your name?", data: { name: "Ada", guests: "4" } },
      "Your e-mail address?",
    ]);
    await say("Hi");
    const response = await say("Ada, for 4");
    expect(response.message).toBe("Your e-mail address?");
    expect(response.collected).toEqual({ name: "Ada", guests: 4 });
    expect(session.data).toEqual({ name: "Ada", guests: 4 });
    expect(session.dataByRoute).toEqual({ booking: { name: "Ada", guests: 4 } });
    expect(model.requests[2]?.step?.id).toBe("email");
    expect(model.requests[2]?.fields).toContainEqual({ name: "guests", known: 4 });
  });

  it("does not ask again when the model foresaw the step that it speaks for", async () => {
    const { model, say } = bookingAgent([
      "Hello!",
      { message: "Your e-mail address?", data: { name: "Ada", guests: 4 }, step: "email" },
    ]);
    await say("Hi");
    expect((await say("Ada, for 4")).message).toBe("Your e-mail address?");
    expect(model.requests).toHaveLength(2);
  });

  it("takes a later correction and the way that follows from it", async () => {
    const { session, say } = bookingAgent([
      "Hello!",
      { message: "Your e-mail address?", data: { name: "Ada", guests: 4 }, step: "email" },
      { message: "With so many we need a deposit. Is that fine?", data: { guests: 12 }, step: "deposit" },
      { message: "Your e-mail address?", data: { guests: 5 }, step: "email" },
    ]);
    await say("Hi");
    await say("Ada, for 4");
    await say("No, we are 12");
    expect(session.data.guests).toBe(12);
    expect(session.currentStep?.id).toBe("deposit");
    await say("Sorry, 5");
    expect(session.data.guests).toBe(5);
    expect(session.dataByRoute["booking"]).toEqual({ name: "Ada", guests: 5 });
    expect(session.currentStep?.id).toBe("email");
  });

  it("does not say again what was said before a correction", async () => {
    const { model, say } = bookingAgent([
      "Hello!",
      { message: "How many?", data: { name: "Ada" }, step: "guests" },
      { message: "How many, Grace?", data: { name: "Grace" } },
    ]);
    await say("Hi");
    await say("Ada");
    await say("No, Grace");
    expect(model.requests.map(({ step }) => step?.id)).toEqual(["welcome", "name", "guests"]);
  });

  it("stores no value that the schema refuses, and tells the model why", async () => {
    const { model, session, say } = bookingAgent([
      "Hello!",
      { message: "And your e-mail address?", data: { name: "Ada", guests: 0 }, step: "email" },
      { message: "At least one has to come. How many?" },
    ]);
    await say("Hi");
    const response = await say("Ada, for nobody");
    expect(response.message).toBe("At least one has to come. How many?");
    expect(response.collected).toEqual({ name: "Ada" });
    expect(session.data).toEqual({ name: "Ada" });
    expect(model.requests[2]?.refused).toEqual([
      { field: "guests", value: 0, problems: ["at least one guest"] },
    ]);
    expect(model.requests[2]?.step?.id).toBe("guests");
  });

  it("keeps the earlier answer when its correction is refused", async () => {
    const { session, say } = bookingAgent([
      "Hello!",
      { message: "Your e-mail address?", data: { name: "Ada", guests: 4 }, step: "email" },
      { message: "?", data: { guests: -1 } },
      { message: "That is not possible.", data: { guests: -1 } },
    ]);
    await say("Hi");
    await say("Ada, 4");
    expect((await say("make it -1")).message).toBe("That is not possible.");
    expect(session.data.guests).toBe(4);
  });

  it("takes null for what was not said, and ignores names that the route does not collect", async () => {
    const { session, say } = bookingAgent([
      "Hello!",
      { message: "How many?", data: { name: "Ada", guests: null, colour: "red" }, step: "guests" },
    ]);
    await say("Hi");
    expect((await say("Ada")).collected).toEqual({ name: "Ada" });
    expect(session.data).toEqual({ name: "Ada" });
  });

  it("is completed with its last field, told so to the model, and does not begin again", async () => {
    const { model, session, say, completions } = bookingAgent([
      "Hello!",
      { message: "?", data: { name: "Ada", guests: 4, email: "ada@example.org" } },
      "Done, see you.",
      { message: "You are welcome.", data: { guests: 5 } },
    ]);
    await say("Hi");
    const response = await say("Ada, 4, ada@example.org");
    expect(response.message).toBe("Done, see you.");
    expect(response.completed).toBe("booking");
    expect(model.requests[2]).toMatchObject({ completed: { id: "booking" }, routes: [], later: [] });
    expect(session.currentRoute).toBeUndefined();
    expect(session.currentStep).toBeUndefined();
    expect(session.routeHistory).toMatchObject([{ routeId: "booking", completed: true }]);
    expect(completions).toEqual([{ name: "Ada", guests: 4, email: "ada@example.org" }]);
    const after = await say("Thanks");
    expect(after.message).toBe("You are welcome.");
    expect(after.completed).toBeUndefined();
    expect(session.data.guests).toBe(4);
    expect(completions).toHaveLength(1);
  });

  it("stops asking a model that leads the turn on with every answer", async () => {
    const next = (data: Record<string, unknown>): ModelReply => ({ message: "Hm", data });
    const { model, say } = bookingAgent([
      "Hello!",
      next({ name: "Ada" }),
      next({ guests: 12 }),
      next({ deposit: true }),
      next({ email: "ada@example.org" }),
      "never asked",
    ]);
    await say("Hi");
    expect((await say("Ada")).message).toBe("Hm");
    expect(model.requests).toHaveLength(5);
  });
});

describe("several routes", () => {
  function support(script: readonly ScriptedReply[], context: { isMember: boolean } = { isMember: false }) {
    const model = scriptedModel(script);
    const agent = new Agent({
      name: "Support",
      provider: model,
      context,
      schema: { topic: z.string(), order: z.string(), note: z.string() },
      routes: [
        {
          id: "question",
          description: "Anything else",
          steps: [{ id: "topic", prompt: "Ask.", collect: ["topic"] }],
        },
        {
          id: "return",
          when: "the person wants to send something back",
          steps: [
            { id: "order", prompt: "Ask for the order number.", collect: ["order"] },
            { id: "bye", prompt: "Say how to send it." },
          ],
        },
        {
          id: "member",
          when: ({ context }) => context.isMember,
          steps: [
            { id: "note", prompt: "Ask.", collect: ["note"], skipWhen: ({ data }) => data.topic === "short" },
          ],
        },
      ],
    });
    const session = createSession<{ topic: string; order: string; note: string }>();
    const say = (content: string) => agent.respond({ history: [{ role: "user", content }], session });
    return { agent, model, session, say };
  }

  it("are offered by their conditions, and the model chooses and collects in one answer", async () => {
    const { model, session, say } = support([
      { message: "Send it to us.", route: "return", data: { order: "A1" }, step: "bye" },
    ]);
    const response = await say("Order A1 goes back");
    expect(model.requests[0]?.routes.map(({ id }) => id)).toEqual(["question", "return"]);
    expect(model.requests[0]?.routes[1]?.when).toBe("the person wants to send something back");
    expect(model.requests[0]?.route).toBeUndefined();
    expect(session.data).toEqual({ order: "A1" });
    // The last step only says something, so the route ends with it.
    expect(response.completed).toBe("return");
    expect(session.currentRoute).toBeUndefined();
  });

  it("need not be chosen: the conversation goes on outside of them", async () => {
    const { session, say } = support(["How can I help?"]);
    expect((await say("Hi")).message).toBe("How can I help?");
    expect(session.currentRoute).toBeUndefined();
    expect(session.routeHistory).toEqual([]);
  });

  it("can be left in the middle and taken up again where they stood", async () => {
    const { session, say } = support([
      { message: "What about?", route: "question", step: "topic" },
      { message: "Which order?", route: "return", data: { topic: "post" }, step: "order" },
      { message: "Good.", route: "question", step: null },
      { message: "Which order?", route: "return", step: "order" },
    ]);
    await say("A question");
    await say("About post. But first a return");
    expect(session.dataByRoute).toEqual({ question: { topic: "post" } });
    expect(session.currentRoute?.id).toBe("return");
    expect((await say("The question again")).completed).toBe("question");
    await say("And the return");
    expect(session.routeHistory.map(({ routeId, completed }) => [routeId, completed])).toEqual([
      ["question", false],
      ["return", false],
      ["question", true],
      ["return", false],
    ]);
  });

  it("are entered again only with a route that is not completed", async () => {
    const { say } = support([
      { message: "Bye", route: "question", data: { topic: "x" }, step: null },
      { message: "Again", route: "question" },
    ]);
    await say("x");
    await expect(say("x again")).rejects.toMatchObject({ code: "MODEL_INVALID" });
  });

  it("begin one in a turn: what the model chooses while it closes another waits for the next message", async () => {
    const { model, session, say } = support([
      { message: "?", route: "question", data: { topic: "x" } },
      { message: "That was all.", route: "return" },
    ]);
    const response = await say("x");
    expect([response.message, response.completed]).toEqual(["That was all.", "question"]);
    expect(model.requests[1]).toMatchObject({ completed: { id: "question" }, routes: [] });
    expect(session.currentRoute).toBeUndefined();
  });

  it("see the context of the agent, or that of the call", async () => {
    const { agent, model, session } = support(["a", "b"]);
    const history = [{ role: "user", content: "Hi" }] as const;
    await agent.respond({ history, session });
    await agent.respond({ history, session, context: { isMember: true } });
    expect(model.requests.map(({ routes }) => routes.length)).toEqual([2, 3]);
  });

  it("skip steps by condition", async () => {
    const { say } = support(
      [
        { message: "Ok", route: "question", data: { topic: "short" }, step: null },
        { message: "Nothing to ask", route: "member", step: null },
      ],
      { isMember: true },
    );
    await say("short");
    expect((await say("member")).completed).toBe("member");
  });
});

describe("what cannot work", () => {
  const provider = scriptedModel([]);

  it("is refused at once, all of it in one error", () => {
    const make = () =>
      new Agent({
        name: "Wrong",
        provider,
        schema,
        routes: [
          { id: "a", steps: [] },
          {
            id: "a",
            steps: [
              { id: "one", prompt: "" },
              // @ts-expect-error the schema has no such field
              { id: "one", prompt: "", collect: ["emial"], next: [{ to: "zero" }, { to: "one" }] },
            ],
          },
        ],
      });
    expect(make).toThrow(/given twice.*emial.*"zero".*not a later step/s);
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
  });

  it("is named when a JavaScript caller leaves things out", () => {
    for (const options of [
      { name: "" },
      { provider: {} },
      { routes: {} },
      { routes: [{}] },
      { historyLimit: 0 },
    ]) {
      const all: object = { name: "Wrong", provider, routes: [], ...options };
      expect(() => Reflect.construct(Agent, [all])).toThrow(
        expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
      );
    }
  });
});

describe("a check of the whole", () => {
  const dates = {
    from: z.coerce.date(),
    to: z.coerce.date(),
    note: z.string(),
  };

  function travel(script: readonly ScriptedReply[], path: string[] = ["to"]) {
    const model = scriptedModel(script);
    const completions: unknown[] = [];
    const agent = new Agent({
      name: "Travel",
      provider: model,
      schema: dates,
      routes: [
        {
          id: "trip",
          steps: [
            { id: "from", prompt: "Ask for the first day.", collect: ["from"] },
            { id: "to", prompt: "Ask for the last day.", collect: ["to"] },
            { id: "goodbye", prompt: "Say goodbye." },
          ],
          check: z
            .object({ from: z.date(), to: z.date() })
            .refine(({ from, to }) => from < to, { message: "ends before it begins", path }),
          onComplete: ({ data }) => void completions.push({ ...data }),
        },
      ],
    });
    const session = agent.createSession();
    const say = (content: string) => agent.respond({ history: [{ role: "user", content }], session });
    return { model, session, say, completions };
  }

  it("lets a route be completed that it accepts", async () => {
    const { session, say, completions } = travel([
      { message: "Goodbye", data: { from: "2026-01-01", to: "2026-01-05" }, step: "goodbye" },
    ]);
    expect((await say("From the 1st to the 5th")).completed).toBe("trip");
    expect(completions).toHaveLength(1);
    expect(session.dataByRoute["trip"]).toEqual({
      from: new Date("2026-01-01"),
      to: new Date("2026-01-05"),
    });
  });

  it("asks again for the field that it names, before the route says goodbye", async () => {
    const wrong = { from: "2026-01-05", to: "2026-01-01" };
    const { model, session, say, completions } = travel([
      { message: "Goodbye", data: wrong, step: "goodbye" },
      // The same history, so the model finds the same again.
      { message: "It ends before it begins. When does it end?", data: wrong },
      { message: "Goodbye", data: { to: "2026-01-09" }, step: "goodbye" },
    ]);
    const first = await say("From the 5th to the 1st");
    expect(first.message).toBe("It ends before it begins. When does it end?");
    expect(first.completed).toBeUndefined();
    expect(first.collected).toEqual({ from: new Date("2026-01-05") });
    expect(session.data).toEqual({ from: new Date("2026-01-05") });
    expect(session.dataByRoute).toEqual({ trip: { from: new Date("2026-01-05") } });
    expect(session.currentStep).toMatchObject({ id: "to" });
    expect(session.routeHistory).toMatchObject([{ routeId: "trip", completed: false }]);
    expect(completions).toHaveLength(0);
    expect(model.requests).toHaveLength(2);
    expect(model.requests[1]).toMatchObject({
      step: { id: "to" },
      refused: [{ field: "to", value: new Date("2026-01-01"), problems: ["ends before it begins"] }],
    });
    const second = await say("The 9th");
    expect(second.completed).toBe("trip");
    expect(model.requests[2]?.refused).toEqual([]);
    expect(completions).toEqual([{ from: new Date("2026-01-05"), to: new Date("2026-01-09") }]);
  });

  it("asks for the last step again where it names no field", async () => {
    const wrong = { from: "2026-01-05", to: "2026-01-01" };
    const reply = { message: "When does it end?", data: wrong, step: "to" };
    const { model, session, say } = travel([{ ...reply, step: "goodbye" }, reply], []);
    await say("From the 5th to the 1st");
    expect(session.currentStep).toMatchObject({ id: "to" });
    expect(session.data).toEqual({ from: new Date("2026-01-05") });
    expect(model.requests[1]?.refused).toMatchObject([{ field: "to", problems: ["ends before it begins"] }]);
  });

  it("goes back to an earlier step", async () => {
    const wrong = { from: "2026-01-05", to: "2026-01-01" };
    const { session, say } = travel(
      [
        { message: "Goodbye", data: wrong, step: "goodbye" },
        { message: "When does it begin?", data: wrong, step: "from" },
      ],
      ["from"],
    );
    await say("From the 5th to the 1st");
    expect(session.currentStep).toMatchObject({ id: "from" });
    expect(session.data).toEqual({ to: new Date("2026-01-01") });
  });

  it("finds what the application has put in, before anything is asked", async () => {
    const { model, session, say } = travel([{ message: "When does it end?", step: "to" }]);
    session.data = { from: new Date("2026-01-05"), to: new Date("2026-01-01") };
    expect((await say("Hi")).message).toBe("When does it end?");
    expect(model.requests[0]).toMatchObject({ step: { id: "to" }, refused: [{ field: "to" }] });
    expect(session.data).toEqual({ from: new Date("2026-01-05") });
  });

  it("stands where it has to ask although the step would be passed over", async () => {
    const model = scriptedModel(() => "Which?");
    const agent = new Agent({
      name: "Skip",
      provider: model,
      schema: { a: z.string(), b: z.string() },
      routes: [
        {
          id: "r",
          steps: [{ id: "a", prompt: "?", collect: ["a"], skipWhen: () => true }],
          check: z.object({ a: z.literal("right") }),
        },
      ],
    });
    const session = agent.createSession({ data: { a: "wrong" } });
    for (const text of ["one", "two"]) {
      const response = await agent.respond({ history: [{ role: "user", content: text }], session });
      expect(response.completed).toBeUndefined();
      expect(session.currentStep).toMatchObject({ id: "a" });
    }
    // Told once that it is wrong, and once that it is missing.
    expect(model.requests.map(({ refused }) => refused[0]?.value)).toEqual(["wrong", undefined, undefined]);
  });

  it("that cannot work is refused at once", () => {
    const make = (check: never, collect: readonly "note"[]) => () =>
      new Agent({
        name: "x",
        provider: scriptedModel([]),
        schema: dates,
        routes: [{ id: "r", steps: [{ id: "s", prompt: "?", collect }], check }],
      });
    expect(make((() => true) as never, ["note"])).toThrow("`check` that is not a schema");
    expect(make(z.object({}) as never, [])).toThrow("collects nothing");
  });
});
