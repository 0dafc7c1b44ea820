import { expectTypeOf } from "expect-type";
import { z } from "zod";
import { Agent } from "../../src/agent/agent.js";
import type { Message } from "../../src/contract/message.js";
import type { AgentResponse } from "../../src/session/response.js";
import { type SessionState, createSession } from "../../src/state/session.js";
import { scriptedModel } from "../../src/testing.js";
import { mapAdapter } from "../support/map-adapter.js";

type Booking = { name: string; guests: number; at: Date; note: string | null };

const schema = {
  name: z.string(),
  guests: z.coerce.number(),
  at: z.iso.datetime().transform((text) => new Date(text)),
  note: { input: z.string().nullable(), stored: z.string().nullable() },
};
const provider = scriptedModel([]);
const adapter = mapAdapter();

const agent = new Agent({
  name: "Table",
  provider,
  schema,
  context: { plan: "free" },
  persistence: {
    adapter,
    conflict: ({ mine, theirs }) => {
      expectTypeOf(mine).toEqualTypeOf<SessionState<Booking>>();
      return theirs;
    },
  },
  hooks: {
    beforeRespond: async (context, { session, history }) => {
      expectTypeOf(context).toEqualTypeOf<{ plan: string }>();
      expectTypeOf(session).toEqualTypeOf<SessionState<Booking>>();
      expectTypeOf(history).toEqualTypeOf<readonly Message[]>();
      return { ...context, plan: "paid", more: true };
    },
    onContextUpdate: (next, previous, { userId }) => {
      expectTypeOf(next).toEqualTypeOf<{ plan: string }>();
      expectTypeOf(previous).toEqualTypeOf<{ plan: string }>();
      expectTypeOf(userId).toEqualTypeOf<string | undefined>();
    },
    afterRespond: (response, context) => {
      expectTypeOf(response).toEqualTypeOf<AgentResponse<Booking>>();
      expectTypeOf(context).toEqualTypeOf<{ plan: string }>();
    },
  },
  routes: [
    {
      id: "booking",
      when: ({ data, context }) => {
        expectTypeOf(data).toEqualTypeOf<Partial<Booking>>();
        expectTypeOf(context).toEqualTypeOf<{ plan: string }>();
        return true;
      },
      steps: [
        {
          id: "name",
          prompt: "?",
          collect: ["name", "guests"],
          skipWhen: ({ data }) => data.at !== undefined,
          next: [{ when: ({ data }) => (data.guests ?? 0) > 8, to: null }],
        },
        // @ts-expect-error a condition answers with a boolean
        { id: "wrong", prompt: "?", skipWhen: () => "yes" },
        // @ts-expect-error the schema has no field of this name
        { id: "other", prompt: "?", collect: ["gests"] },
      ],
      check: z.object({ name: z.string(), guests: z.number() }).refine(({ guests }) => guests > 0),
      onComplete: ({ data, session, updateContext }) => {
        updateContext({ plan: "paid" });
        // @ts-expect-error the context has no such field
        updateContext({ plant: "fern" });
        expectTypeOf(data.at).toEqualTypeOf<Date | undefined>();
        expectTypeOf(session).toEqualTypeOf<SessionState<Booking>>();
        // @ts-expect-error guests is a number
        session.data.guests = "four";
      },
    },
  ],
});

async function inferred(): Promise<void> {
  const session = agent.createSession({ id: "s", data: { name: "Ada" } });
  expectTypeOf(session).toEqualTypeOf<SessionState<Booking>>();
  const response = await agent.respond({ history: [], session });
  expectTypeOf(response).toEqualTypeOf<AgentResponse<Booking>>();
  expectTypeOf(response.session.data.guests).toEqualTypeOf<number | undefined>();
  expectTypeOf(response.collected.note).toEqualTypeOf<string | null | undefined>();
  expectTypeOf((await agent.session("s").chat("Hi")).collected).toEqualTypeOf<Partial<Booking>>();
  expectTypeOf((await agent.session().state()).data).toEqualTypeOf<Partial<Booking>>();
  expectTypeOf((await agent.chat("Hi")).session.dataByRoute).toEqualTypeOf<
    Record<string, Partial<Booking>>
  >();
  const loaded = await agent.getPersistenceManager().loadSessionState("s");
  expectTypeOf(loaded).toEqualTypeOf<SessionState<Booking> | null>();
  // A state of the right type needs no name for it.
  await agent.respond({ history: await agent.session("s").messages(), session: createSession({ id: "t" }) });
  // @ts-expect-error a state with other data
  await agent.respond({ history: [], session: createSession<{ name: number }>() });
  // @ts-expect-error a context of another type
  await agent.respond({ history: [], session, context: { plan: 1 } });
  // @ts-expect-error no such field
  agent.createSession({ data: { nam: "Ada" } });
}

async function withoutSchema(): Promise<void> {
  const plain = new Agent({
    name: "Plain",
    provider,
    routes: [
      {
        id: "any",
        steps: [{ id: "one", prompt: "?", collect: ["whatever"] }],
        onComplete: ({ data, context }) => {
          expectTypeOf(data["whatever"]).toEqualTypeOf<unknown>();
          expectTypeOf(context).toEqualTypeOf<undefined>();
        },
      },
    ],
  });
  const session = createSession();
  session.id = "session_123";
  const response = await plain.respond({ history: [{ role: "user", content: "Hi" }], session });
  expectTypeOf(response.session.data["whatever"]).toEqualTypeOf<unknown>();
}

/** A context that callbacks count on cannot be left out. */
function contextRequired(): unknown {
  const options = { name: "Table", provider, schema, routes: [] };
  return [
    // @ts-expect-error the context is missing
    new Agent<typeof schema, { plan: string }>(options),
    new Agent<typeof schema, { plan: string }>({ ...options, context: { plan: "free" } }),
    // @ts-expect-error an agent without a model
    new Agent({ name: "Table", routes: [] }),
  ];
}

void [inferred, withoutSchema, contextRequired];

// Hooks do not decide what the context is.
const hooked = [
  new Agent({
    name: "Hooked",
    provider,
    context: { plan: "free" },
    hooks: {
      // @ts-expect-error a context without its field
      beforeRespond: () => ({ plant: "fern" }),
    },
  }),
  new Agent({
    name: "Hooked",
    provider,
    hooks: {
      beforeRespond: (context: { plan: string } | undefined) => context ?? { plan: "free" },
      afterRespond: (_response, context) =>
        void expectTypeOf(context).toEqualTypeOf<{ plan: string } | undefined>(),
    },
  }),
  new Agent({ name: "Hooked", provider, hooks: { afterRespond: ({ message }) => console.log(message) } }),
];
void hooked;
