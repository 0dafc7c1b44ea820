import { expect, it } from "@jest/globals";
import {
  PersistenceManager,
  SessionConflictError,
  type SessionState,
  createSession,
  enterRoute,
} from "@waymark/core";
import * as fc from "fast-check";
import { MemoryAdapter } from "../src/index.js";

type Data = Record<string, unknown>;

const key = fc.constantFrom("a", "b", "toString", "__proto__", "a.b", "~k");
const value = fc.oneof(
  fc.integer({ min: 0, max: 2 }),
  fc.constant(null),
  fc.constant(new Date(5)),
  fc.constant(new Map([["x", 1n]])),
  fc.record({ n: fc.integer({ min: 0, max: 1 }) }),
);
const writer = fc.constantFrom(0, 1);

/** What one of two writers does next. */
const action = fc.oneof(
  fc.record({ type: fc.constant("set" as const), writer, key, value }),
  fc.record({ type: fc.constant("clear" as const), writer, key }),
  fc.record({ type: fc.constant("byRoute" as const), writer, route: key, key, value }),
  fc.record({ type: fc.constant("metadata" as const), writer, key, value }),
  fc.record({ type: fc.constant("move" as const), writer, route: fc.constantFrom("r", "q") }),
  fc.record({ type: fc.constant("message" as const), writer }),
  fc.record({ type: fc.constant("save" as const), writer }),
  fc.record({ type: fc.constant("load" as const), writer }),
);

function define(target: object, name: string, content: unknown): void {
  Object.defineProperty(target, name, {
    value: content,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}

function own(target: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(target, name)?.value;
}

it.each([true, false])(
  "what was saved is what is stored, whatever two writers do (rebase, whole turns: %s)",
  async (whole) => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
        const adapter = new MemoryAdapter(whole ? {} : { without: ["turns"] });
        const managers = [0, 1].map(() => new PersistenceManager<Data>({ adapter }));
        const at = (index: number) => managers[index] ?? Promise.reject(new Error("two writers"));
        const load = async (index: number): Promise<SessionState<Data>> => {
          const loaded = await (await at(index)).loadSessionState("s");
          if (loaded === null) throw new Error("no session");
          return loaded;
        };
        await (await at(0)).saveSessionState("s", createSession<Data>({ id: "s" }));
        const sessions = [await load(0), await load(1)];
        let said = 0;
        for (const next of actions) {
          const session = sessions[next.writer];
          const manager = await at(next.writer);
          if (session === undefined) continue;
          if (next.type === "set") define(session.data, next.key, next.value);
          if (next.type === "clear") Reflect.deleteProperty(session.data, next.key);
          if (next.type === "metadata") define((session.metadata ??= {}), next.key, next.value);
          if (next.type === "move") enterRoute(session, { id: next.route }, new Date(9));
          if (next.type === "byRoute") {
            const part = own(session.dataByRoute, next.route);
            if (typeof part === "object" && part !== null) define(part, next.key, next.value);
            else define(session.dataByRoute, next.route, { [next.key]: next.value });
          }
          if (next.type === "message")
            await manager.saveMessage({ sessionId: "s", role: "user", content: `${said++}` });
          if (next.type === "load") sessions[next.writer] = await load(next.writer);
          if (next.type === "save") {
            try {
              await manager.saveTurn({ session, messages: [{ role: "user", content: `${said}` }] });
              said++;
              expect(await load(0)).toEqual(session);
            } catch (error) {
              if (!(error instanceof SessionConflictError)) throw error;
              expect(error.keys.length).toBeGreaterThan(0);
              sessions[next.writer] = await load(next.writer);
            }
          }
        }
        const history = await (await at(0)).loadSessionHistory("s");
        expect(history.map(({ content }) => content)).toEqual(
          Array.from({ length: said }, (_, index) => `${index}`),
        );
      }),
      { numRuns: 300 },
    );
  },
);
