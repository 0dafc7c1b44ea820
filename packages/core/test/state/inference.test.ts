import { describe, it } from "@jest/globals";
import { type } from "arktype";
import { expectTypeOf } from "expect-type";
import * as v from "valibot";
import { z } from "zod";
import { enterStep, mergeCollected } from "../../src/state/helpers.js";
import type { InferData, Schema } from "../../src/state/schema.js";
import { createSession, type SessionState } from "../../src/state/session.js";

/** As an agent does: the schema is passed once, and nobody writes a type argument. */
function sessionOf<S extends Schema>(_schema: S): SessionState<InferData<S>> {
  return createSession<InferData<S>>();
}

type Expected = { email: string; guests: number; when: Date };

describe("types flow from the schema", () => {
  it("of zod", () => {
    const session = sessionOf({ email: z.string(), guests: z.coerce.number(), when: z.date() });
    expectTypeOf(session.data).toEqualTypeOf<Partial<Expected>>();
    expectTypeOf(session.dataByRoute).toEqualTypeOf<Record<string, Partial<Expected>>>();
  });

  it("of valibot", () => {
    const session = sessionOf({
      email: v.string(),
      guests: v.pipe(v.string(), v.transform(Number)),
      when: v.date(),
    });
    expectTypeOf(session.data).toEqualTypeOf<Partial<Expected>>();
  });

  it("of arktype", () => {
    const session = sessionOf({
      email: type("string"),
      guests: type("number"),
      when: type("string.date.parse"),
    });
    expectTypeOf(session.data).toEqualTypeOf<Partial<Expected>>();
  });

  it("of several libraries, and of a constant", () => {
    const schema = { email: z.string(), guests: v.number(), when: type("Date") } as const;
    expectTypeOf<InferData<typeof schema>>().toEqualTypeOf<Expected>();
  });

  it("of fields with a schema for what is stored", () => {
    const session = sessionOf({
      email: { input: z.string().toLowerCase(), stored: v.string() },
      guests: { input: z.string().transform(Number), stored: z.number() },
      when: { input: type("string.date.parse"), stored: type("Date") },
    });
    expectTypeOf(session.data).toEqualTypeOf<Partial<Expected>>();
    // @ts-expect-error a field of two schemas names both
    sessionOf({ email: { input: z.string() } });
  });

  it("into the helpers", () => {
    const session = sessionOf({ email: z.string(), guests: z.number() });
    session.data.email = "a@b.c";
    mergeCollected(session, { guests: 2 });
    // @ts-expect-error a field of another type
    session.data.guests = "2";
    // @ts-expect-error a field that the schema does not have
    mergeCollected(session, { city: "Oslo" });
    // @ts-expect-error a schema is made of schemas
    sessionOf({ email: "string" });
    expectTypeOf(enterStep<{ email: string }>)
      .parameter(0)
      .toEqualTypeOf<SessionState<{ email: string }>>();
  });
});
