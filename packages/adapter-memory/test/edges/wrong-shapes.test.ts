import { describe, expect, it } from "@jest/globals";
import { type PersistenceAdapter, PersistenceManager, createSession, isWaymarkError } from "@waymark/core";
import { MemoryAdapter } from "../../src/index.js";

const wrong: [string, readonly "turns"[], string, unknown, boolean][] = [
  ["findById → undefined", ["turns"], "findById", undefined, true],
  ["update → null", ["turns"], "update", null, false],
  ["load → undefined", [], "load", undefined, true],
  ["commit → undefined", [], "commit", undefined, false],
  ["commit → [null]", [], "commit", [null], false],
  ["commit → [{ status: ok }]", [], "commit", [{ status: "ok" }], false],
];

describe("an adapter that answers with a wrong shape", () => {
  it.each(wrong)("%s: a typed error", async (_name, without, method, answer, isLoad) => {
    const memory = new MemoryAdapter({ without });
    let isWrong = false;
    const wrap = <T extends object>(target: T): T =>
      new Proxy(target, {
        get(object, key) {
          const value: unknown = Reflect.get(object, key);
          if (typeof value !== "function" || key !== method) return value;
          return async (...args: unknown[]) =>
            isWrong ? answer : (Reflect.apply(value, object, args) as unknown);
        },
      });
    const adapter: PersistenceAdapter = {
      ...{ name: "m", durability: "process", limits: memory.limits },
      sessionRepository: wrap(memory.sessionRepository),
      messageRepository: memory.messageRepository,
      ...(memory.turns === undefined ? {} : { turns: wrap(memory.turns) }),
    };
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session });
    isWrong = true;
    const result: unknown = await (
      isLoad ? manager.loadSessionState("s") : manager.saveTurn({ session })
    ).catch((error: unknown) => ({ error }));
    const { error } = Object(result) as { error: unknown };
    expect(isWaymarkError(error)).toBe(true);
  });
});
