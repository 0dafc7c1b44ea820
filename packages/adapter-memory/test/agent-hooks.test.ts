import { afterEach, describe, expect, it } from "@jest/globals";
import {
  Agent,
  type AgentHooks,
  type ConflictPolicy,
  type PersistenceAdapter,
  PersistenceManager,
  SessionConflictError,
  type SessionState,
  TurnNotSavedError,
  createSession,
} from "@waymark/core";
import { scriptedModel } from "@waymark/core/testing";
import * as fc from "fast-check";
import { type TestStore, stores } from "./stores.js";

// What an agent's hooks save in the session of their own turn, on each store and by each policy.

type Data = Record<string, unknown>;
interface Context {
  readonly theme: string;
}

const policies: Record<string, ConflictPolicy<Data>> = {
  reject: "reject",
  rebase: "rebase",
  queue: "queue",
  merge: () => {
    throw new Error("there was nothing to merge");
  },
};

function agentOn(
  adapter: PersistenceAdapter,
  hooks: AgentHooks<Data, Context>,
  options: { conflict?: ConflictPolicy<Data>; deadlineMs?: number } = {},
) {
  return new Agent({
    name: "Guests",
    provider: scriptedModel(({ history }) => ({
      message: `heard ${history.at(-1)?.content}`,
      data: { [`said ${history.length}`]: history.at(-1)?.content },
    })),
    context: { theme: "light" } as Context,
    hooks,
    routes: [
      {
        id: "talk",
        steps: [
          { id: "all", prompt: "?", collect: Array.from({ length: 60 }, (_, index) => `said ${index}`) },
        ],
      },
    ],
    persistence: { adapter, ...options },
  });
}

const user = (content: string) => ({ role: "user", content }) as const;

describe.each(stores)("hooks on $name", ({ open }: TestStore) => {
  const opened: { remove(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.remove();
  });
  async function connect(): Promise<() => PersistenceAdapter> {
    const store = await open();
    opened.push(store);
    return () => store.connect();
  }
  /** As another process sees it. */
  async function storedIn(adapter: PersistenceAdapter) {
    const seen = await new PersistenceManager<Data>({ adapter }).open("s");
    if (seen === null) throw new Error("is not stored");
    return { session: seen.session, said: seen.messages.map(({ content }) => content) };
  }

  describe.each(Object.entries(policies))("by the policy %s", (_policy, conflict) => {
    it("a patch in each hook is kept, with the turn, and the next turn does not conflict", async () => {
      const adapter = await connect();
      const patch = (content: Data) => agent.getPersistenceManager().updateCollectedData("s", content);
      let turn = 0;
      const agent = agentOn(
        adapter(),
        {
          beforeRespond: async () => {
            await patch({ before: ++turn });
            return { theme: `dark ${turn}` };
          },
          onContextUpdate: async ({ theme }, previous) => void (await patch({ theme, was: previous.theme })),
          afterRespond: async ({ message }) => void (await patch({ after: message })),
        },
        { conflict },
      );
      const session = agent.createSession({ id: "s" });
      for (const [content, length] of [
        ["one", 1],
        ["two", 2],
        ["three", 3],
      ] as const) {
        const history = Array.from({ length }, () => user(content));
        const response = await agent.respond({ history, session });
        expect(response.session).toBe(session);
        expect(session.data).toMatchObject({
          ...{ before: turn, theme: `dark ${turn}`, was: "light" },
          ...{ after: `heard ${content}`, [`said ${length}`]: content },
        });
        expect((await storedIn(adapter())).session).toEqual(session);
      }
      expect((await storedIn(adapter())).said).toEqual(
        ["one", "two", "three"].flatMap((content) => [content, `heard ${content}`]),
      );
    });

    it("the same holds for a handle", async () => {
      const adapter = await connect();
      const agent = agentOn(
        adapter(),
        {
          beforeRespond: () => ({ theme: "dark" }),
          onContextUpdate: async ({ theme }) => {
            await Promise.all([
              agent.getPersistenceManager().updateCollectedData("s", { theme }),
              agent.getPersistenceManager().updateCollectedData("s", { other: theme }),
            ]);
          },
        },
        { conflict },
      );
      const handle = agent.session("s");
      await handle.chat("one");
      const { session } = await handle.chat("two");
      expect(session.data).toMatchObject({ theme: "dark", other: "dark", "said 1": "one", "said 3": "two" });
      expect((await storedIn(adapter())).session).toEqual(session);
    });

    it("messages and a state that a hook saves are kept", async () => {
      const adapter = await connect();
      const manager = () => agent.getPersistenceManager();
      const agent: ReturnType<typeof agentOn> = agentOn(
        adapter(),
        {
          beforeRespond: async (_context, { session }) => {
            session.data["own"] = "object";
            await manager().saveSessionState("s", session);
            await manager().saveMessage({ sessionId: "s", role: "system", content: "before" });
            return { theme: "dark" };
          },
          onContextUpdate: async () => {
            const copy = await manager().loadSessionState("s");
            if (copy === null) throw new Error("is not stored");
            copy.data["copy"] = "saved";
            copy.metadata = { ...copy.metadata, channel: "mail" };
            await manager().saveSessionState("s", copy);
          },
          afterRespond: async (_response, _context, { session }) => {
            session.data["last"] = "word";
            await manager().saveMessages([{ sessionId: "s", role: "system", content: "after" }]);
            await manager().saveSessionState("s", session);
          },
        },
        { conflict },
      );
      const session = agent.createSession({ id: "s" });
      await agent.respond({ history: [user("one")], session });
      await agent.respond({ history: [user("one"), user("two")], session });
      expect(session.data).toMatchObject({ own: "object", copy: "saved", last: "word", "said 2": "two" });
      expect(session.metadata).toMatchObject({ channel: "mail" });
      const { session: stored, said } = await storedIn(adapter());
      expect(stored).toEqual(session);
      expect(said).toEqual([
        ...["before", "one", "heard one", "after"],
        ...["before", "two", "heard two", "after"],
      ]);
    });
  });

  it("somebody else's turn while a hook runs stays a conflict where that is the policy", async () => {
    const adapter = await connect();
    const other = new PersistenceManager<Data>({ adapter: adapter() });
    let isFirst = true;
    const somebodyElse = async (manager: PersistenceManager<Data>) => {
      if (!isFirst) return;
      isFirst = false;
      const theirs = await manager.loadSessionState("s");
      if (theirs === null) throw new Error("is not stored");
      theirs.data["theirs"] = manager === other ? "elsewhere" : "here";
      await manager.saveTurn({ session: theirs, messages: [user("elsewhere")] });
    };
    const hooksOf = (manager: () => PersistenceManager<Data>): AgentHooks<Data, Context> => ({
      beforeRespond: () => somebodyElse(manager()),
    });
    // In another process, and in this one.
    for (const isElsewhere of [true, false]) {
      isFirst = true;
      const agent = agentOn(
        adapter(),
        hooksOf(() => (isElsewhere ? other : agent.getPersistenceManager())),
        { conflict: "reject" },
      );
      const found = await other.loadSessionState("s");
      const session = found ?? createSession<Data>({ id: "s" });
      const error = await agent.respond({ history: [user("one")], session }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(TurnNotSavedError);
      expect(error).toMatchObject({ cause: expect.any(SessionConflictError), response: { session } });
    }
  });

  it("what hooks patch and the model finds is all there, whatever they are", async () => {
    const field = fc.constantFrom("a", "b", "said 1", "said 2", "__proto__", "toString");
    const value = fc.oneof(fc.integer(), fc.constant(null), fc.string(), fc.constant(undefined));
    const patch = fc.array(fc.tuple(field, value), { maxLength: 3 });
    const turns = fc.array(fc.record({ before: patch, update: patch, after: patch }), {
      minLength: 1,
      maxLength: 4,
    });
    const asPatch = (entries: [string, unknown][]): Data => {
      const made: Data = {};
      for (const [key, content] of entries)
        Object.defineProperty(made, key, {
          value: content,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      return made;
    };
    await fc.assert(
      fc.asyncProperty(turns, fc.constantFrom(...Object.keys(policies)), async (script, policy) => {
        const adapter = await connect();
        const expected = new Map<string, unknown>();
        const apply = async (entries: [string, unknown][]) => {
          const content = asPatch(entries);
          for (const [key, one] of Object.entries(content)) {
            if (one === undefined) expected.delete(key);
            else expected.set(key, one);
          }
          await agent.getPersistenceManager().updateCollectedData("s", content);
        };
        let turn = 0;
        const agent = agentOn(
          adapter(),
          {
            beforeRespond: async () => {
              await apply(script[turn]?.before ?? []);
              return { theme: String(turn) };
            },
            onContextUpdate: () => apply(script[turn]?.update ?? []),
            afterRespond: async ({ collected }) => {
              for (const [key, one] of Object.entries(collected)) expected.set(key, one);
              await apply(script[turn]?.after ?? []);
            },
          },
          { conflict: policies[policy] ?? "reject" },
        );
        const session: SessionState<Data> = agent.createSession({ id: "s" });
        for (; turn < script.length; turn++) {
          const history = Array.from({ length: turn + 1 }, () => user(`turn ${turn}`));
          await agent.respond({ history, session });
          expect(new Map(Object.entries(session.data))).toEqual(expected);
          const { session: stored } = await storedIn(adapter());
          expect(stored).toEqual(session);
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it("a hook that waits for a call of a handle of its session is given up, and nothing hangs", async () => {
    const adapter = await connect();
    const agent = agentOn(
      adapter(),
      { beforeRespond: () => agent.session("s").set("channel", "mail") },
      { deadlineMs: 60 },
    );
    const handle = agent.session("s");
    await expect(handle.chat("one")).rejects.toMatchObject({ code: "HOOK_FAILED" });
    // The call that it waited for went on.
    await handle[Symbol.asyncDispose]();
    expect(await handle.get("channel")).toBe("mail");
    expect((await storedIn(adapter())).said).toEqual([]);
  });
});
