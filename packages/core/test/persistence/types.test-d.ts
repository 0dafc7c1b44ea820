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
