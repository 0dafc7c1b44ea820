import { describe, expect, it } from "@jest/globals";
import { z } from "zod";
import { PersistenceManager } from "../../src/persistence/manager.js";
import type { ConflictPolicy } from "../../src/persistence/options.js";
import { createSession } from "../../src/state/session.js";
import { eachStore, refusal } from "../support/stores.js";

type Data = { name: string; guests: number; note: string | null };
const schema = { name: z.string(), guests: z.number(), note: z.string().nullable() };

describe.each(eachStore())("collected data on %s", (_name, open) => {
  async function begun() {
    const adapter = open();
    const persistence = new PersistenceManager<Data>({ adapter, schema });
    const session = createSession<Data>({ id: "s", data: { name: "Ada", guests: 4 } });
    session.currentRoute = { id: "book" };
    await persistence.saveTurn({ session, messages: [{ role: "user", content: "Hi" }] });
    return { adapter, persistence, session };
  }

  it("is merged key by key: null is a value, undefined removes", async () => {
    const { persistence } = await begun();
    const updated = await persistence.updateCollectedData("s", { guests: 5, note: null });
    expect(updated.data).toEqual({ name: "Ada", guests: 5, note: null });
    expect(updated.dataByRoute).toEqual({ book: { guests: 5, note: null } });
    expect(await persistence.loadSessionState("s")).toEqual(updated);
    await persistence.updateCollectedData("s", { guests: undefined as never });
    expect((await persistence.loadSessionState("s"))?.data).toEqual({ name: "Ada", note: null });
    expect(await persistence.loadSessionHistory("s")).toHaveLength(1);
  });

  it("that others change at the same time is kept", async () => {
    const { adapter, persistence } = await begun();
    const other = new PersistenceManager<Data>({ adapter, schema });
    await Promise.all([
      persistence.updateCollectedData("s", { name: "Grace" }),
      other.updateCollectedData("s", { guests: 9 }),
      persistence.updateCollectedData("s", { note: "window" }),
    ]);
    expect((await other.loadSessionState("s"))?.data).toEqual({ name: "Grace", guests: 9, note: "window" });
  });

  it("is taken into a turn that is under way on the same session", async () => {
    const { persistence, session } = await begun();
    session.data.guests = 6;
    await persistence.updateCollectedData("s", { note: "window" });
    await persistence.saveTurn({ session });
    expect(session.data).toEqual({ name: "Ada", guests: 6, note: "window" });
    expect(await persistence.loadSessionState("s")).toEqual(session);
  });

  it("is refused where the schema does, where there is no session, and where it is closed", async () => {
    const { persistence } = await begun();
    expect((await refusal(persistence.updateCollectedData("s", { guests: "many" as never }))).code).toBe(
      "INVALID_STATE",
    );
    expect((await refusal(persistence.updateCollectedData("none", { guests: 1 }))).code).toBe(
      "SESSION_NOT_FOUND",
    );
    for (const patch of [null, "text", [1], undefined])
      expect((await refusal(persistence.updateCollectedData("s", patch as never))).code).toBe(
        "INVALID_ARGUMENT",
      );
    await persistence.updateSessionStatus("s", "abandoned");
    expect((await refusal(persistence.updateCollectedData("s", { guests: 1 }))).code).toBe("SESSION_CLOSED");
    await persistence.updateCollectedData("s", { guests: 1 }, { reopen: true });
    expect(await persistence.findSessionById("s")).toMatchObject({ status: "active" });
  });

  it("is that of the moment when the call was made", async () => {
    const { persistence } = await begun();
    const patch: Partial<Data> = { guests: 5 };
    const call = persistence.updateCollectedData("s", patch);
    patch.guests = 6;
    expect((await call).data.guests).toBe(5);
  });
});

describe.each(eachStore())("the status on %s", (_name, open) => {
  it("is set, and says whether the session was there", async () => {
    const persistence = new PersistenceManager({ adapter: open() });
    const session = await persistence.saveSessionState("s", createSession());
    const { version } = session;
    expect(await persistence.updateSessionStatus("s", "completed", new Date(5))).toBe(true);
    expect(await persistence.findSessionById("s")).toMatchObject({ completedAt: new Date(5), version });
    expect(await persistence.updateSessionStatus("s", "active")).toBe(true);
    expect(await persistence.findSessionById("s")).toMatchObject({ status: "active", completedAt: null });
    expect(await persistence.updateSessionStatus("none", "completed")).toBe(false);
    for (const status of ["deleting", "", undefined])
      expect((await refusal(persistence.updateSessionStatus("s", status as never))).code).toBe(
        "INVALID_ARGUMENT",
      );
    const never = new Date(Number.NaN);
    expect((await refusal(persistence.updateSessionStatus("s", "completed", never))).code).toBe(
      "INVALID_ARGUMENT",
    );
  });
});

describe.each(eachStore())("a delete on %s", (_name, open) => {
  it("says whether the session was there, and leaves nothing", async () => {
    const persistence = new PersistenceManager({ adapter: open(), userId: "ada" });
    await persistence.saveTurn({
      session: createSession({ id: "s" }),
      messages: [{ role: "user", content: "Hi" }],
    });
    expect(await persistence.deleteSession("s", { userId: "bob" })).toBe(false);
    expect(await persistence.deleteSession("s")).toBe(true);
    expect(await persistence.deleteSession("s")).toBe(false);
    expect(await persistence.loadSessionState("s")).toBeNull();
    expect(await persistence.findSessionById("s")).toBeNull();
    expect(await persistence.loadSessionHistory("s")).toHaveLength(0);
    expect(await persistence.findSessionsByUserId("ada")).toHaveLength(0);
  });

  it("is waited for by a close, with all other calls that were made", async () => {
    const adapter = open();
    const persistence = new PersistenceManager<Data>({ adapter });
    await persistence.saveSessionState("s", createSession<Data>({ data: { guests: 1 } }));
    const conflict: ConflictPolicy<Data> = "reject";
    const calls = [
      persistence.updateCollectedData("s", { guests: 2 }),
      persistence.saveTurn({ session: createSession<Data>({ id: "t" }), conflict }),
      persistence.findSessionById("s"),
    ];
    await persistence.close();
    await Promise.all(calls);
    expect((await refusal(persistence.findSessionById("s"))).code).toBe("CLOSED");
    const again = new PersistenceManager<Data>({ adapter });
    expect((await again.loadSessionState("s"))?.data).toEqual({ guests: 2 });
    expect(await again.deleteSession("t")).toBe(true);
  });
});
