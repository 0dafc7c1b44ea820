import { describe, expect, it } from "@jest/globals";
import { StorageError, type PersistenceAdapter } from "@waymark/core/adapter";
import { turnsBy } from "./faulty/tools.js";
import { type LineOptions, lines, password } from "./support/lines.js";
import { runKit } from "./support/run.js";

const ofNetwork = (path: readonly string[]) => path.some((name) => name === "faults" || name === "budgets");

/** Changes the `turns` facet. */
const turnsOf =
  (change: (right: NonNullable<PersistenceAdapter["turns"]>, adapter: PersistenceAdapter) => object) =>
  (right: PersistenceAdapter): PersistenceAdapter => ({
    ...right,
    turns: right.turns && { ...right.turns, ...change(right.turns, right) },
  });

/** Sends again what had no answer. */
async function twice<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  return work(1).catch((error: unknown) => {
    if (error instanceof StorageError) return work(2);
    throw error;
  });
}

const inRequest = /cut inside the request/;
const inReply = /cut inside the reply/;
const refused = /refuses connections/;
const restarted = /killed and stopped under load/;
const costs = /cost at turn/;

const mutants: readonly { name: string; only: RegExp; says: RegExp; wrong: LineOptions }[] = [
  {
    name: "says that a session is not there when the connection is lost",
    only: inRequest,
    says: /findById .*null/,
    wrong: {
      spoil: (right) => ({
        ...right,
        sessionRepository: {
          ...right.sessionRepository,
          findById: (id) => right.sessionRepository.findById(id).catch(() => null),
        },
      }),
    },
  },
  {
    name: "says that a write was not done when the connection is lost",
    only: inRequest,
    says: /create .*false, and it is not done/,
    wrong: {
      spoil: (right) => ({
        ...right,
        sessionRepository: {
          ...right.sessionRepository,
          create: (row) => right.sessionRepository.create(row).catch(() => false),
        },
      }),
    },
  },
  {
    name: "says that a write was done before the server has it",
    only: inRequest,
    says: /update .*true, and it is not done: an answer was lost/,
    wrong: {
      spoil: (right) => ({
        ...right,
        sessionRepository: {
          ...right.sessionRepository,
          update: (row, seen) => right.sessionRepository.update(row, seen).catch(() => true),
        },
      }),
    },
  },
  {
    name: "sends a turn again by itself as another operation",
    only: inReply,
    says: /turns\.commit of .*cut after/,
    wrong: {
      spoil: turnsOf(({ commit }) => ({
        commit: (commits: Parameters<typeof commit>[0]) =>
          twice((attempt) =>
            commit(
              commits.map((one) => ({
                ...one,
                operation: { ...one.operation, id: `${one.operation.id} ${attempt}` },
              })),
            ),
          ),
      })),
    },
  },
  {
    name: "writes a turn in two requests",
    only: inRequest,
    says: /what is stored after turns\.commit of .*cut after/,
    wrong: {
      spoil: turnsOf((_, right) => turnsBy(right, {})),
    },
  },
  {
    name: "has an error of its own for a connection that is lost",
    only: refused,
    says: /not of the family/,
    wrong: { lost: () => new Error("socket hang up") },
  },
  {
    name: "says of a connection that is lost that the call must not be made again",
    only: refused,
    says: /STORAGE_FAILED, not retryable/,
    wrong: {
      lost: (_, { operation, sessionId, message }) =>
        new StorageError("STORAGE_FAILED", message, { operation, sessionId }),
    },
  },
  {
    name: "does not say of which session an error is",
    only: refused,
    says: /the session that the error of .* names/,
    wrong: {
      lost: (_, { operation, message }) => new StorageError("STORAGE_UNAVAILABLE", message, { operation }),
    },
  },
  {
    name: "has the request in the cause of its error",
    only: inReply,
    says: /what people said or a password/,
    wrong: {
      lost: ({ args }, { operation, sessionId, message }) =>
        new StorageError("STORAGE_UNAVAILABLE", message, {
          operation,
          sessionId,
          cause: Object.assign(new Error("lost"), { args }),
        }),
    },
  },
  {
    name: "has the password in its error",
    only: refused,
    says: /what people said or a password/,
    wrong: {
      lost: (_, { operation, sessionId }) =>
        new StorageError("STORAGE_UNAVAILABLE", `lines://ann:${password}@server is gone`, {
          operation,
          sessionId,
        }),
    },
  },
  {
    name: "forgets who waits when the connection is lost",
    only: inReply,
    says: /gave no answer within/,
    wrong: { lost: () => undefined },
  },
  {
    name: "never connects again",
    only: refused,
    says: /still fails/,
    wrong: { isOnce: true },
  },
  {
    name: "takes a piece of a reply for the whole",
    only: /slow line/,
    says: /connection was lost/,
    wrong: { isUnbuffered: true },
  },
  {
    name: "is on a server that loses what it has acknowledged",
    only: restarted,
    says: /had been acknowledged and there are|STORAGE|not found|SESSION/,
    wrong: { kind: "memory" },
  },
  {
    name: "looks at the row before each turn",
    only: costs,
    says: /a turn takes 2 round trips .* says at most 1/,
    wrong: {
      spoil: turnsOf(({ commit }, { sessionRepository }) => ({
        commit: async (commits: Parameters<typeof commit>[0]) => {
          for (const { id } of commits) await sessionRepository.findById(id);
          return commit(commits);
        },
      })),
    },
  },
  {
    name: "sends the history with each turn",
    only: costs,
    says: /a turn takes \d+ bytes at turn 1000, where it took \d+: more than digits explain/,
    wrong: {
      spoil: (right, client) =>
        turnsOf(({ load }) => {
          const lasts = new Map<string, number>();
          return {
            load: async (id: string, options: { last: number }) => {
              const loaded = await load(id, options);
              lasts.set(id, loaded?.row.last ?? 0);
              return loaded;
            },
            commit: (commits: readonly { readonly id: string }[]) => {
              const history = commits.map(({ id }) => "m".repeat(lasts.get(id) ?? 0));
              return client.send({ path: ["turns", "commit"], args: [commits, history] });
            },
          };
        })(right),
    },
  },
  {
    name: "reads all messages where the last are wanted",
    only: costs,
    says: /a resume takes \d+ (round trips and \d+ )?bytes at turn 1000/,
    wrong: {
      spoil: turnsOf(({ load }) => ({
        load: async (id: string, { last }: { last: number }) => {
          const loaded = await load(id, { last: 1000 });
          return loaded && { ...loaded, entries: last === 0 ? [] : loaded.entries.slice(-last) };
        },
      })),
      budgets: { turn: { roundTrips: 1, bytes: 4000 }, resume: { roundTrips: 1, bytes: 1_000_000 } },
    },
  },
];

describe("an adapter whose server is reached over a network", () => {
  it("passes the levels faults and budgets", async () => {
    const results = await runKit(lines("lines"), {
      only: new RegExp([inRequest, inReply, refused, restarted, costs].map(({ source }) => source).join("|")),
    });
    expect(results.flatMap(({ error }) => error ?? [])).toEqual([]);
    expect(results.every(({ path }) => ofNetwork(path))).toBe(true);
    expect(results.length).toBe(6);
  }, 120_000);

  it.each(mutants)(
    "that $name: caught",
    async ({ only, says, wrong }) => {
      const results = await runKit(lines("mutant", wrong), { only, isBrief: true, callTimeoutMs: 2000 });
      const caught = results.find(({ error }) => error !== null);
      expect(caught?.error?.message).toMatch(says);
      expect(ofNetwork(caught?.path ?? [])).toBe(true);
    },
    60_000,
  );
});
