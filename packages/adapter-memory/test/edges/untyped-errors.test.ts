import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

/** Memory of which one method fails with a driver's error. */
function failing(broken: { method: string }, without: readonly "turns"[]): PersistenceAdapter {
  const memory = new MemoryAdapter({ without });
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, key) {
        const value: unknown = Reflect.get(object, key);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]) => {
          if (broken.method === key) throw new Error("ECONNRESET");
          return Reflect.apply(value, object, args) as unknown;
        };
      },
    });
  const { name, durability, limits, sessionRepository, messageRepository, turns } = memory;
  return {
    ...{ name, durability, limits },
    sessionRepository: wrap(sessionRepository),
    messageRepository: wrap(messageRepository),
    ...(turns === undefined ? {} : { turns: wrap(turns) }),
  };
}

const calls: [string, readonly "turns"[], string, (m: PersistenceManager) => Promise<unknown>][] = [
  ["loadSessionState", [], "load", (m) => m.loadSessionState("s")],
  ["loadSessionState", ["turns"], "findById", (m) => m.loadSessionState("s")],
  ["findMessages", [], "findBySessionId", (m) => m.findMessagesBySessionId("s", { after: 0 })],
  [
    "saveTurn of a new manager",
    ["turns"],
    "findById",
    (m) => m.saveMessage({ sessionId: "s", role: "user", content: "x" }),
  ],
  ["deleteSession", [], "deleteBySessionId", (m) => m.deleteSession("s")],
  ["deleteSession", [], "findById", (m) => m.deleteSession("s")],
  [
    "flush",
    ["turns"],
    "findById",
    async (m) => {
      await m.flush();
    },
  ],
];

describe("a plain error of a driver", () => {
  it.each(calls)(
    "reaches the caller of %s (without %j, %s fails) as a typed error",
    async (_n, without, method, call) => {
      const broken = { method: "" };
      const adapter = failing(broken, without);
      const manager = new PersistenceManager({ adapter });
      await manager.saveTurn({
        session: createSession({ id: "s" }),
        messages: [{ role: "user", content: "a" }],
      });
      const other = method === "findById" && _n !== "flush" ? new PersistenceManager({ adapter }) : manager;
      broken.method = method;
      const error: unknown = await call(other).catch((thrown: unknown) => thrown);
      expect(isWaymarkError(error)).toBe(true);
    },
  );
});
