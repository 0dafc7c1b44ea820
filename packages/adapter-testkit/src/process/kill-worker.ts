import { type NewRecord, type PersistenceAdapter, historyLog, sessionScope } from "@waymark/core/adapter";
import { numbers } from "../generate.js";
import { differenceOf } from "../same.js";
import { createTurnClient, creation, patience, said, turnOn } from "../turn-client.js";
import type { Judged } from "./task.js";

/**
 * Saves turn after turn, each with state, two messages and an entry of route history, and says so after each that is as
 * durable as the adapter declares.
 */
export async function saveUntilKilled(
  adapter: PersistenceAdapter,
  { sessions, bytes }: { readonly sessions: readonly string[]; readonly bytes: number },
  acknowledge: (session: string, n: number) => void,
): Promise<void> {
  const client = createTurnClient(adapter);
  const filler = "x".repeat(bytes);
  for (;;) {
    for (const session of sessions) {
      const loaded = await client.store.load(session, 0);
      const n = loaded === null ? 1 : loaded.row.last / 2 + 1;
      const turn = {
        state: { n, filler },
        messages: [said(`${n}a`, { body: filler }), said(`${n}b`)],
        history: [{ ...said(`${n}h`, { role: "route" }), sequence: n }],
        ...(adapter.records === undefined ? {} : { records: recordsOf(n, filler) }),
      };
      const { status } = await client.commit(
        loaded === null ? creation(session, turn) : turnOn(session, loaded.row.version, turn),
      );
      if (status !== "committed") throw new Error(`the only writer of a session was answered ${status}`);
      if (adapter.durability === "flush") {
        await client.store.flush();
        await adapter.flush?.();
      }
      acknowledge(session, n);
    }
  }
}

/** A record of every turn, one that is removed by the next, and one that only the last ten have. */
function recordsOf(n: number, filler: string): NewRecord[] {
  const [odd, even] = n % 2 === 0 ? [null, n] : [n, null];
  return [
    { key: "n", value: n },
    { key: "odd", value: odd },
    { key: "even", value: even },
    { key: `turn ${n % 10}`, value: { n, filler } },
  ];
}

async function problemOfRecords(
  { records }: PersistenceAdapter,
  scope: string,
  turns: number,
): Promise<string | null> {
  if (records === undefined || turns === 0) return null;
  const found = await records.list(scope, { limit: 100 });
  const seen = found.map(({ key, value }) => {
    const inside: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "n") : value;
    return [key, inside];
  });
  const last = numbers(Math.max(1, turns - 9), turns).map((n) => [`turn ${n % 10}`, n]);
  const expected = [["n", turns], [turns % 2 === 0 ? "even" : "odd", turns], ...last];
  return differenceOf(Object.fromEntries(seen), Object.fromEntries(expected), "records");
}

/** Looks at sessions with nothing in memory: is each turn there as a whole? */
export async function judgeSessions(
  adapter: PersistenceAdapter,
  sessions: readonly string[],
): Promise<Judged[]> {
  return await Promise.all(sessions.map((session) => judge(adapter, session)));
}

async function judge(adapter: PersistenceAdapter, session: string): Promise<Judged> {
  const { store } = createTurnClient(adapter);
  const read = await store.read(session, ({ last }) => (last === 0 ? [] : [[1, last]]));
  if (read === null) return { session, turns: 0, problem: null };
  const { row, entries } = read;
  const turns = Math.floor(row.last / 2);
  const n = typeof row.state === "object" && row.state !== null ? Reflect.get(row.state, "n") : null;
  const texts = entries.map(({ content }) => content);
  const expected = numbers(1, turns).flatMap((turn) => [`${turn}a`, `${turn}b`]);
  await store.drain(session, patience());
  const log = historyLog(row.life);
  const history: string[] = [];
  for (let from = 1; from <= turns; from += 1000) {
    const range = { log, from, to: Math.min(turns, from + 999) };
    history.push(
      ...(await adapter.messageRepository.findBySessionId(session, range)).map(({ content }) => content),
    );
  }
  const problem =
    differenceOf({ n, last: row.last }, { n: turns, last: turns * 2 }, "row") ??
    differenceOf(texts, expected, "messages") ??
    differenceOf(
      history,
      numbers(1, turns).map((turn) => `${turn}h`),
      "history",
    ) ??
    (await problemOfRecords(adapter, sessionScope(session, row.life), turns));
  return { session, turns, problem };
}
