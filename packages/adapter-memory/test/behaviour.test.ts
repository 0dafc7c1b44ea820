import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import {
  type ConflictPolicy,
  type ErrorCode,
  type ManagerOptions,
  type PersistenceAdapter,
  PersistenceManager,
  SessionConflictError,
  type SessionState,
  createSession,
} from "@waymark/core";
import { limited, stores } from "./stores.js";

interface Booking {
  name: string;
  guests: number;
  email: string | null;
  when: Date;
}

const said = (content: string) => ({ role: "user", content }) as const;

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | "no error"> {
  try {
    await work;
    return "no error";
  } catch (error) {
    return error !== null && typeof error === "object" && "code" in error
      ? (error.code as ErrorCode)
      : "no error";
  }
}

describe.each(stores)("a session on $name", (store) => {
  let connect: () => PersistenceAdapter;
  let remove: () => Promise<void>;
  let managers: PersistenceManager<Booking>[] = [];
  let manager: PersistenceManager<Booking>;

  function open(options: Omit<ManagerOptions<Booking>, "adapter"> = {}): PersistenceManager<Booking> {
    const made = new PersistenceManager<Booking>({ adapter: connect(), ...options });
    managers.push(made);
    return made;
  }

  beforeEach(async () => {
    ({ connect, remove } = await store.open());
    manager = open();
  });

  afterEach(async () => {
    await Promise.all(managers.map((one) => one.close()));
    managers = [];
    await remove();
  });

  async function saved(id = "s", data: Partial<Booking> = {}): Promise<SessionState<Booking>> {
    const session = createSession<Booking>({ id, data });
    await manager.saveTurn({ session, messages: [said("hello"), { role: "assistant", content: "hi" }] });
    return session;
  }

  async function loaded(id = "s", from = manager): Promise<SessionState<Booking>> {
    const session = await from.loadSessionState(id);
    if (session === null) throw new Error("no session");
    return session;
  }

  it("comes back as it was saved, from another process", async () => {
    const session = createSession<Booking>({
      id: "s",
      data: { name: "Ann", guests: 2, email: null, when: new Date(1e12) },
      metadata: { source: "web" },
    });
    session.currentRoute = { id: "book", title: "Book" };
    session.currentStep = { id: "who", routeId: "book" };
    session.routeHistory.push({ routeId: "book", enteredAt: new Date(1e12), completed: false });
    session.dataByRoute["book"] = { name: "Ann" };
    await manager.saveSessionState("s", session);
    expect(await loaded("s", open())).toEqual(session);
  });

  it("is null where there is none, and not an error", async () => {
    expect(await manager.loadSessionState("nobody")).toBeNull();
    expect(await manager.loadSessionHistory("nobody")).toEqual([]);
    expect(await manager.deleteSession("nobody")).toBe(false);
    expect(await manager.updateSessionStatus("nobody", "completed")).toBe(false);
  });

  it("gives messages gapless sequences, whatever the clock says", async () => {
    const session = await saved();
    const late = { ...said("third"), createdAt: new Date(5) };
    const result = await manager.saveTurn({
      session,
      messages: [late, { ...said("fourth"), createdAt: new Date(1) }],
    });
    expect(result).toMatchObject({ first: 3, last: 4, replayed: false });
    const history = await manager.loadSessionHistory("s");
    expect(history.map(({ sequence, content }) => [sequence, content])).toEqual([
      [1, "hello"],
      [2, "hi"],
      [3, "third"],
      [4, "fourth"],
    ]);
  });

  it("reads pages of messages from both ends", async () => {
    const session = await saved();
    for (let turn = 0; turn < 4; turn++)
      await manager.saveTurn({ session, messages: [said(`${turn}`), said("ok")] });
    const sequences = async (query: object) =>
      (await manager.findMessagesBySessionId("s", query)).map(({ sequence }) => sequence);
    expect(await sequences({ limit: 3 })).toEqual([8, 9, 10]);
    expect(await sequences({ limit: 3, order: "desc" })).toEqual([10, 9, 8]);
    expect(await sequences({ limit: 3, before: 8 })).toEqual([5, 6, 7]);
    expect(await sequences({ limit: 3, after: 2 })).toEqual([3, 4, 5]);
    expect(await sequences({ after: 3, before: 6 })).toEqual([4, 5]);
    expect(await sequences({ after: 10 })).toEqual([]);
    for (const limit of [0, -1, 1001, 1.5]) {
      expect(await codeOf(manager.findMessagesBySessionId("s", { limit }))).toBe("INVALID_ARGUMENT");
    }
  });

  it("keeps what a message carries", async () => {
    await saved();
    const message = {
      role: "assistant" as const,
      content: "text with \0 and \ud800",
      route: "book",
      step: "who",
      toolCalls: [{ id: "1", name: "find", input: { at: new Date(7) }, result: new Map([["a", 1n]]) }],
      event: { kind: Number.NaN },
    };
    await manager.saveMessage({ sessionId: "s", ...message });
    expect((await manager.loadSessionHistory("s")).at(-1)).toEqual({
      ...message,
      sequence: 3,
      createdAt: expect.any(Date),
    });
  });

  it("lets a field be cleared", async () => {
    const session = await saved("s", { name: "Ann", email: "a@b.c" });
    session.data.email = null;
    delete session.data.name;
    await manager.saveSessionState("s", session);
    expect((await loaded()).data).toEqual({ email: null });
  });

  it("moves the version with the state and with nothing else", async () => {
    const session = await saved();
    const { version } = session;
    await manager.saveMessage({ sessionId: "s", ...said("more") });
    await manager.updateSessionStatus("s", "active");
    await manager.saveTurn({ session, messages: [said("and more")] });
    expect(session.version).toBe(version);
    session.data.guests = 3;
    await manager.saveTurn({ session });
    expect(session.version).not.toBe(version);
    expect((await loaded()).version).toBe(session.version);
  });

  describe("when somebody else was first", () => {
    async function two(): Promise<
      [SessionState<Booking>, SessionState<Booking>, PersistenceManager<Booking>]
    > {
      const other = open();
      await saved("s", { name: "Ann", guests: 2 });
      return [await loaded(), await loaded("s", other), other];
    }

    it("rejects a stale state, and says which versions", async () => {
      const [mine, theirs, other] = await two();
      theirs.data.guests = 3;
      await other.saveTurn({ session: theirs });
      const before = mine.version;
      mine.data.name = "Bo";
      const failed = manager.saveTurn({ session: mine, conflict: "reject", messages: [said("lost?")] });
      await expect(failed).rejects.toBeInstanceOf(SessionConflictError);
      await expect(failed).rejects.toMatchObject({
        code: "SESSION_CONFLICT",
        expected: before,
        actual: theirs.version,
        sessionId: "s",
      });
      expect(await manager.loadSessionHistory("s")).toHaveLength(2);
      expect((await loaded()).data).toEqual({ name: "Ann", guests: 3 });
    });

    it("rejects a copy of a state that was saved since", async () => {
      const session = await saved();
      const copy = { ...session, data: { ...session.data, name: "copy" } };
      session.data.name = "first";
      await manager.saveTurn({ session });
      expect(await codeOf(manager.saveTurn({ session: copy }))).toBe("SESSION_CONFLICT");
    });

    it("keeps the keys of both, also in the object that was saved", async () => {
      const [mine, theirs, other] = await two();
      theirs.data.guests = 3;
      theirs.data.email = "t@h.e";
      await other.saveTurn({ session: theirs, messages: [said("theirs")] });
      mine.data.name = "Bo";
      await manager.saveTurn({ session: mine, messages: [said("mine")] });
      expect(mine.data).toEqual({ name: "Bo", guests: 3, email: "t@h.e" });
      expect(await loaded()).toEqual(mine);
      mine.data.guests = 4;
      await manager.saveTurn({ session: mine });
      expect((await loaded()).data).toEqual({ name: "Bo", guests: 4, email: "t@h.e" });
      expect((await manager.loadSessionHistory("s")).map(({ content }) => content)).toEqual([
        "hello",
        "hi",
        "theirs",
        "mine",
      ]);
    });

    it("names a key that both changed, and takes the same change for one", async () => {
      const [mine, theirs, other] = await two();
      theirs.data.guests = 3;
      theirs.data.name = "Bo";
      await other.saveTurn({ session: theirs });
      mine.data.name = "Bo";
      await manager.saveTurn({ session: mine });
      mine.data.guests = 5;
      theirs.data.guests = 6;
      await other.saveTurn({ session: theirs });
      await expect(manager.saveTurn({ session: mine })).rejects.toMatchObject({ keys: ["data.guests"] });
    });

    it("goes on without a wrong merge where names of fields are those of Object", async () => {
      const [mine, theirs, other] = await two();
      Object.assign(mine.data, { toString: "mine" });
      theirs.data.guests = 9;
      await other.saveTurn({ session: theirs });
      await manager.saveTurn({ session: mine });
      expect((await loaded()).data).toEqual({ name: "Ann", guests: 9, toString: "mine" });
    });

    it("merges by a function", async () => {
      const [mine, theirs, other] = await two();
      theirs.data.guests = 3;
      await other.saveTurn({ session: theirs });
      mine.data.guests = 5;
      const conflict: ConflictPolicy<Booking> = ({ base, mine, theirs }) => ({
        ...theirs,
        data: {
          ...theirs.data,
          guests: (mine.data.guests ?? 0) + (theirs.data.guests ?? 0) - (base?.data.guests ?? 0),
        },
      });
      await manager.saveTurn({ session: mine, conflict });
      expect((await loaded()).data.guests).toBe(6);
      expect(mine.data.guests).toBe(6);
    });

    it("queues turns of one process, the later winning, and rejects another process", async () => {
      const first = await saved("s", { guests: 1 });
      const second = await loaded();
      const third = await loaded();
      first.data.guests = 2;
      second.data.guests = 3;
      await Promise.all([
        manager.saveTurn({ session: first, conflict: "queue" }),
        manager.saveTurn({ session: second, conflict: "queue" }),
      ]);
      expect((await loaded()).data.guests).toBe(3);
      const other = open();
      const theirs = await loaded("s", other);
      theirs.data.guests = 4;
      await other.saveTurn({ session: theirs });
      third.data.name = "x";
      expect(await codeOf(manager.saveTurn({ session: third, conflict: "queue" }))).toBe("SESSION_CONFLICT");
    });

    it("loses nothing when eight of them race", async () => {
      await saved("s", {});
      const racers = Array.from({ length: 8 }, () => open());
      await Promise.all(
        racers.map(async (racer, index) => {
          const session = await loaded("s", racer);
          for (let turn = 0; turn < 5; turn++) {
            Object.assign(session.data, { [`racer${index}`]: turn });
            await racer.saveTurn({ session, messages: [said(`${index}:${turn}`)] });
          }
        }),
      );
      const { data } = await loaded();
      for (let index = 0; index < 8; index++) expect(data).toHaveProperty(`racer${index}`, 4);
      const history = await manager.loadSessionHistory("s");
      expect(history.map(({ sequence }) => sequence)).toEqual(
        Array.from({ length: 42 }, (_, index) => index + 1),
      );
      for (let index = 0; index < 8; index++) {
        const own = history
          .filter(({ content }) => content.startsWith(`${index}:`))
          .map(({ content }) => content);
        expect(own).toEqual([0, 1, 2, 3, 4].map((turn) => `${index}:${turn}`));
      }
    });
  });

  it("saves one object twice at once, one after the other", async () => {
    const session = await saved();
    session.data.guests = 1;
    const first = manager.saveTurn({ session, messages: [said("a")] });
    session.data.guests = 2;
    const second = manager.saveTurn({ session, messages: [said("b")] });
    expect((await first).first).toBe(3);
    expect((await second).first).toBe(4);
    expect((await loaded()).data.guests).toBe(2);
  });

  it("keeps the order of messages that are saved at once", async () => {
    await saved();
    const contents = Array.from({ length: 20 }, (_, index) => `m${index}`);
    const stored = await Promise.all(
      contents.map((content) => manager.saveMessage({ sessionId: "s", ...said(content) })),
    );
    expect(stored.map(({ sequence }) => sequence)).toEqual(contents.map((_, index) => index + 3));
    const history = await manager.loadSessionHistory("s");
    expect(history.slice(2).map(({ content }) => content)).toEqual(contents);
  });

  describe("an operation that is sent again", () => {
    it("writes nothing and gives the first result", async () => {
      const session = await saved();
      session.data.guests = 2;
      const turn = { session, messages: [said("once")], operationId: "op" };
      const first = await manager.saveTurn(turn);
      expect(await manager.saveTurn(turn)).toEqual({ ...first, replayed: true });
      const fresh = open();
      const again = { ...turn, session: { ...(await loaded("s", fresh)), version: first.version } };
      expect(await fresh.saveTurn(again)).toEqual({ ...first, replayed: true });
      expect(await manager.loadSessionHistory("s")).toHaveLength(3);
    });

    it("is refused with other contents", async () => {
      const session = await saved();
      await manager.saveTurn({ session, messages: [said("once")], operationId: "op" });
      const other = manager.saveTurn({ session, messages: [said("other")], operationId: "op" });
      expect(await codeOf(other)).toBe("OPERATION_MISMATCH");
      expect(await manager.loadSessionHistory("s")).toHaveLength(3);
    });

    it("is refused when it is too old to be known", async () => {
      const session = await saved();
      const copy = { ...session, data: { ...session.data, guests: 1 } };
      await manager.saveTurn({ session: copy, messages: [said("once")], operationId: "op" });
      const others = await loaded();
      for (let turn = 0; turn < 17; turn++)
        await manager.saveTurn({ session: others, messages: [said("more")] });
      session.data.guests = 1;
      const again = manager.saveTurn({ session, messages: [said("once")], operationId: "op" });
      expect(await codeOf(again)).toBe("OPERATION_UNKNOWN");
      expect(await manager.loadSessionHistory("s", { limit: 1000 })).toHaveLength(20);
    });

    it("leaves the object as the store has it, also where the first try was rebased", async () => {
      const other = open();
      await saved("s", { name: "Ann" });
      const mine = await loaded();
      const twin = await loaded();
      const theirs = await loaded("s", other);
      theirs.data.guests = 7;
      await other.saveTurn({ session: theirs });
      mine.data.name = "Bo";
      twin.data.name = "Bo";
      await manager.saveTurn({ session: mine, operationId: "op" });
      expect(await manager.saveTurn({ session: twin, operationId: "op" })).toMatchObject({ replayed: true });
      expect(twin).toEqual(mine);
      twin.data.email = "x";
      await manager.saveTurn({ session: twin });
      expect((await loaded()).data).toEqual({ name: "Bo", guests: 7, email: "x" });
    });
  });

  it("is not created twice", async () => {
    await saved();
    const again = createSession<Booking>({ id: "s", data: { name: "intruder" } });
    expect(await codeOf(manager.saveSessionState("s", again))).toBe("SESSION_EXISTS");
    expect((await loaded()).data).toEqual({});
  });

  it("is not created by a message or a stale save", async () => {
    expect(await codeOf(manager.saveMessage({ sessionId: "none", ...said("x") }))).toBe("SESSION_NOT_FOUND");
    const session = await saved();
    await manager.deleteSession("s");
    session.data.name = "ghost";
    expect(await codeOf(manager.saveTurn({ session }))).toBe("SESSION_NOT_FOUND");
    expect(await manager.loadSessionState("s")).toBeNull();
  });

  it("is closed when it is completed, until it is opened again", async () => {
    const session = await saved();
    expect(await manager.updateSessionStatus("s", "completed", new Date(9))).toBe(true);
    session.data.name = "late";
    expect(await codeOf(manager.saveTurn({ session }))).toBe("SESSION_CLOSED");
    expect(await codeOf(manager.saveMessage({ sessionId: "s", ...said("x") }))).toBe("SESSION_CLOSED");
    await manager.saveTurn({ session, reopen: true });
    session.data.name = "later";
    await manager.saveTurn({ session });
    expect((await loaded()).data.name).toBe("later");
  });

  it("is gone with all its messages, and begins anew under its id", async () => {
    await saved();
    expect(await manager.deleteSession("s")).toBe(true);
    expect(await manager.deleteSession("s")).toBe(false);
    expect(await manager.loadSessionHistory("s")).toEqual([]);
    await saved("s", { name: "new" });
    expect(await manager.loadSessionHistory("s")).toHaveLength(2);
    expect((await loaded("s", open())).data).toEqual({ name: "new" });
  });

  it("is absent for another owner on every path", async () => {
    const ann = open({ userId: "ann" });
    const bo = open({ userId: "bo" });
    const session = createSession<Booking>({ id: "s", data: { name: "Ann" } });
    await ann.saveTurn({ session, messages: [said("secret")] });
    expect(await bo.loadSessionState("s")).toBeNull();
    expect(await bo.loadSessionHistory("s")).toEqual([]);
    expect(await bo.findMessagesBySessionId("s", { after: 0 })).toEqual([]);
    expect(await bo.deleteSession("s")).toBe(false);
    expect(await bo.updateSessionStatus("s", "completed")).toBe(false);
    expect(await codeOf(bo.saveMessage({ sessionId: "s", ...said("x") }))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(bo.saveTurn({ session }))).toBe("SESSION_NOT_FOUND");
    expect(await codeOf(bo.saveTurn({ session: createSession<Booking>({ id: "s" }) }))).toBe(
      "SESSION_EXISTS",
    );
    expect(await bo.loadSessionState("s", { userId: "ann" })).toEqual(session);
    expect(await ann.loadSessionHistory("s")).toHaveLength(1);
  });

  it("keeps ids apart that look alike, and refuses those that no store can tell apart", async () => {
    const ids = [
      "A",
      "a",
      "\u00e9",
      "e\u0301",
      "..",
      ".",
      "a/b",
      "a\\b",
      "con",
      "a.json",
      "%2e",
      " ",
      "x".repeat(128),
    ];
    for (const id of ids) await saved(id, { name: id });
    for (const id of ids) expect((await loaded(id, manager)).data).toEqual({ name: id });
    for (const id of ["", "x".repeat(129), "é".repeat(65), "a\0b", "\ud800", 7, null, { $ne: null }]) {
      const bad = id as string;
      expect(await codeOf(manager.loadSessionState(bad))).toBe("INVALID_ID");
      expect(await codeOf(manager.loadSessionHistory(bad))).toBe("INVALID_ID");
      expect(await codeOf(manager.deleteSession(bad))).toBe("INVALID_ID");
      expect(await codeOf(manager.saveMessage({ sessionId: bad, ...said("x") }))).toBe("INVALID_ID");
      expect(await codeOf(manager.saveSessionState(bad, createSession()))).toBe("INVALID_ID");
    }
  });

  it("refuses bad input before anything is written, and stays usable", async () => {
    const session = await saved();
    const broken = session.data as Record<string, unknown>;
    broken["x"] = () => 1;
    expect(await codeOf(manager.saveTurn({ session, messages: [said("x")] }))).toBe("INVALID_VALUE");
    delete broken["x"];
    const message = { role: "robot", content: 7 } as never;
    expect(await codeOf(manager.saveTurn({ session, messages: [message] }))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(manager.saveTurn({ session: { ...session, data: [] as never } }))).toBe(
      "INVALID_STATE",
    );
    expect(await codeOf(manager.saveTurn({ session, operationId: "" }))).toBe("INVALID_ID");
    expect(await manager.loadSessionHistory("s")).toHaveLength(2);
    session.data.name = "fine";
    await manager.saveTurn({ session, messages: [said("x")] });
    expect(await loaded()).toEqual(session);
  });

  it("refuses a turn that is larger than the store takes, and stays usable", async () => {
    const small = new PersistenceManager<Booking>({ adapter: limited(connect(), 20_000) });
    managers.push(small);
    await saved();
    const session = await loaded("s", small);
    session.data.name = "y".repeat(30_000);
    expect(await codeOf(small.saveTurn({ session, messages: [said("x")] }))).toBe("COMMIT_TOO_LARGE");
    session.data.name = "fits";
    expect(await codeOf(small.saveTurn({ session, messages: [said("y".repeat(30_000))] }))).toBe(
      "COMMIT_TOO_LARGE",
    );
    const message = { sessionId: "s", ...said("y".repeat(30_000)) };
    expect(await codeOf(small.saveMessage(message))).toBe("COMMIT_TOO_LARGE");
    await small.saveTurn({ session, messages: [said("x")] });
    expect((await loaded()).data).toEqual({ name: "fits" });
    expect(await manager.loadSessionHistory("s")).toHaveLength(3);
  });

  it("keeps the newest of a long route history in the state", async () => {
    const session = await saved();
    for (let visit = 0; visit < 130; visit++) {
      session.routeHistory.push({ routeId: `r${visit}`, enteredAt: new Date(visit), completed: true });
      if (visit % 10 === 9) await manager.saveTurn({ session });
    }
    expect(session.routeHistory).toHaveLength(100);
    expect(session.routeHistory[0]?.routeId).toBe("r30");
    expect(await loaded()).toEqual(session);
  });

  it("stops at the caller's signal", async () => {
    const session = await saved();
    const { version } = session;
    session.data.guests = 3;
    expect(await codeOf(manager.saveTurn({ session, signal: AbortSignal.abort() }))).toBe("ABORTED");
    expect((await loaded()).version).toBe(version);
  });

  it("refuses calls after it was closed, and leaves other managers alone", async () => {
    const other = open();
    await saved();
    await manager.close();
    await manager.close();
    expect(await codeOf(manager.loadSessionState("s"))).toBe("CLOSED");
    expect(await other.loadSessionState("s")).not.toBeNull();
  });
});
