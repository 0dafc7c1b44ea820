import { type Commit, type Outcome, isWaymarkError, systemEnvironment } from "@waymark/core/adapter";
import { type Call, type Told, textOf } from "./explain.js";
import { createRandom } from "./random.js";
import { type TurnClient, again, appendTo, turnOn } from "./turn-client.js";

/** What one writer does; plain JSON, so that it can be sent to another process. */
export interface WriterPlan {
  readonly writer: string;
  readonly sessions: readonly string[];
  /** How many turns and appends it has to store. */
  readonly turns: number;
  readonly seed: number;
}

/** Microseconds of a clock that does not go back and that the processes of a machine share. */
export const now = (): number => Number(process.hrtime.bigint() / 1000n);

const mostTries = 200;
const seenAtMost = 6;

/**
 * Writes turns and appends to sessions at random, reads in between, and sends some again; keeps what it was told of each.
 * After a conflict it loads and makes the turn anew, as another operation.
 * @param options.mayFail a read may fail, and is made again.
 */
export async function runWriter(
  client: TurnClient,
  { writer, sessions, turns, seed }: WriterPlan,
  { mayFail = false }: { readonly mayFail?: boolean } = {},
): Promise<Call[]> {
  const random = createRandom(seed);
  const calls: Call[] = [];
  let made = 0;

  async function send(commit: Commit, kind: "turn" | "append"): Promise<Told> {
    const start = now();
    const told = await client.commit(commit).then(toldOf, (error: unknown): Told => {
      const isOpen = isWaymarkError(error) && error.retryable;
      return { status: isOpen ? "open" : "other", why: String(error) };
    });
    const expected = commit.expect.kind === "version" ? commit.expect.version : null;
    const of = { writer, session: commit.id, kind, operation: commit.operation.id, expected };
    calls.push({ ...of, count: commit.messages.length, start, end: now(), told });
    return told;
  }

  async function load(session: string, last: number): Promise<string> {
    const start = now();
    const loaded = await orAgain(() => client.store.load(session, last));
    if (loaded === null) throw new Error(`writer ${writer} was told that session ${session} is not there`);
    const { row, entries } = loaded;
    const told: Told = {
      ...{ status: "loaded", version: row.version, last: row.last, by: byOf(row.state) },
      texts: entries.map(({ content }) => content),
    };
    calls.push({
      writer,
      session,
      kind: "load",
      operation: "",
      expected: null,
      count: 0,
      start,
      end: now(),
      told,
    });
    return row.version;
  }

  async function orAgain<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!mayFail || !isWaymarkError(error) || !error.retryable) throw error;
      }
    }
  }

  async function store(session: string, kind: "turn" | "append"): Promise<void> {
    const count = random.int(1, 3);
    for (let tries = 1; tries <= mostTries; tries++) {
      const operation = `${writer}-${++made}-${systemEnvironment.newId()}`;
      const messages = Array.from({ length: count }, (_, index) => textOf(operation, index + 1, count));
      const turn = { operation: { id: operation, digest: operation }, messages };
      const commit =
        kind === "append"
          ? { ...appendTo(session, ...messages), operation: turn.operation }
          : turnOn(session, await load(session, random.int(0, seenAtMost)), {
              ...turn,
              state: { by: operation },
            });
      let told = await send(commit, kind);
      // The same operation id finds out what became of a turn without an answer.
      for (let resent = 0; told.status === "open" && told.why !== "unknown" && resent < 10; resent++)
        told = await send(again(commit), kind);
      if (told.status === "other" || told.status === "open") return;
      if (told.status !== "stored") continue;
      if (random.once(6)) await send(again(commit), kind);
      return;
    }
    throw new Error(
      `writer ${writer} met a conflict ${mostTries} times in a row: somebody has to win each time`,
    );
  }

  for (let turn = 0; turn < turns; turn++) {
    const session = random.pick(sessions);
    if (random.once(5)) await load(session, random.int(0, seenAtMost));
    await store(session, random.once(3) ? "append" : "turn");
  }
  await orAgain(() => client.store.flush());
  return calls;
}

function toldOf(outcome: Outcome): Told {
  switch (outcome.status) {
    case "committed":
    case "replayed":
      return { status: "stored", version: outcome.version, first: outcome.first, last: outcome.last };
    case "conflict":
      return { status: "conflict", version: outcome.version };
    case "unknown":
      return { status: "open", why: "unknown" };
    default:
      return { status: "other", why: outcome.status };
  }
}

/** The operation that made a state. */
export function byOf(state: unknown): string {
  const by: unknown = typeof state === "object" && state !== null ? Reflect.get(state, "by") : undefined;
  return typeof by === "string" ? by : "";
}
