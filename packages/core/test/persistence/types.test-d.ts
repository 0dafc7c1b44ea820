import { expectTypeOf } from "expect-type";
import { z } from "zod";
import { PersistenceManager, createSession } from "../../src/index.js";
import { mapAdapter } from "../support/map-adapter.js";

const adapter = mapAdapter();

// TData follows from the schema of a manager that is used by itself.
const manager = new PersistenceManager({ adapter, schema: { name: z.string(), guests: z.coerce.number() } });
const session = await manager.loadSessionState("s");
expectTypeOf(session?.data).toEqualTypeOf<Partial<{ name: string; guests: number }> | undefined>();

// Without a schema it is what the caller says.
interface Booking {
  when: Date;
}
const typed = new PersistenceManager<Booking>({ adapter });
expectTypeOf((await typed.loadSessionState("s"))?.data.when).toEqualTypeOf<Date | undefined>();
await typed.saveTurn({ session: createSession<Booking>({ id: "s" }) });

// @ts-expect-error: a session of other data is refused
await typed.saveTurn({ session: createSession<{ when: string }>({ id: "s" }) });

const untyped = new PersistenceManager({ adapter });
expectTypeOf((await untyped.loadSessionState("s"))?.data["x"]).toEqualTypeOf<unknown>();

// A field with a schema for what comes in and one for what is stored.
const date = { input: z.iso.date().transform((text) => new Date(text)), stored: z.date() };
const dated = new PersistenceManager({
  adapter,
  schema: { when: date, name: z.string() },
  schemaVersion: 2,
  migrations: {
    1: (state) => {
      expectTypeOf(state.data["when"]).toEqualTypeOf<unknown>();
      state.data["name"] = String(state.data["name"]);
    },
  },
});
const datedSession = await dated.loadSessionState("s");
expectTypeOf(datedSession?.data).toEqualTypeOf<Partial<{ when: Date; name: string }> | undefined>();

// @ts-expect-error: a migration is not async
void new PersistenceManager({ adapter, schemaVersion: 2, migrations: { 1: async () => {} } });
