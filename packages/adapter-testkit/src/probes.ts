import {
  type Outcome,
  type PersistenceAdapter,
  type StoredRecord,
  sessionScope,
  systemEnvironment,
  userScope,
} from "@waymark/core/adapter";
import { makeEntry, makeRow, nextRow } from "./generate.js";
import { again, appendTo, creation, turnOn } from "./turn-client.js";
import { secretText } from "./unavailable.js";

/** One call of the contract on a session of its own, ready to be made, made again and judged. */
export interface Probe {
  /** What an error has to name. */
  readonly sessionId?: string;
  call(adapter: PersistenceAdapter): Promise<unknown>;
  /** The same, by somebody who has had no answer. */
  repeat(adapter: PersistenceAdapter): Promise<unknown>;
  /** What the call answers. */
  readonly answer: unknown;
  /** What it may answer besides, where it was done before. */
  readonly again?: unknown;
  /** What of it is stored, as another adapter sees it. */
  stored(adapter: PersistenceAdapter): Promise<unknown>;
  readonly before: unknown;
  readonly after: unknown;
  /** A part of it may be stored until it is repeated. */
  readonly isInParts?: boolean;
  /** It may be answered without the server. */
  readonly mayBeLocal?: boolean;
}

export interface ProbeKind {
  readonly name: string;
  /** Stores what the call is about. */
  make(adapter: PersistenceAdapter, id: string): Promise<Probe>;
}

const { newId } = systemEnvironment;
const secret = (fields: object = {}) => ({ state: { data: { said: secretText } }, ...fields });
const log = "log";
const entriesOf = (id: string, ...sequences: readonly number[]) =>
  sequences.map((sequence) =>
    makeEntry(id, log, sequence, { content: secretText, body: { content: secretText, sequence } }),
  );
const stored = (id: string) => (adapter: PersistenceAdapter) => adapter.sessionRepository.findById(id);
const storedEntries = (id: string) => async (adapter: PersistenceAdapter) => {
  const found = await adapter.messageRepository.findBySessionId(id, { log, from: 1, to: 9 });
  return found.map(({ sequence }) => sequence);
};

/** A call that changes nothing. */
function read(
  name: string,
  make: (
    adapter: PersistenceAdapter,
    id: string,
  ) => Promise<Pick<Probe, "call" | "answer" | "sessionId" | "mayBeLocal">>,
): ProbeKind {
  const nothing = { stored: async () => null, before: null, after: null };
  return {
    name,
    make: async (adapter, id) => {
      const made = await make(adapter, id);
      return { ...nothing, ...made, repeat: made.call };
    },
  };
}

function write(
  name: string,
  make: (
    adapter: PersistenceAdapter,
    id: string,
  ) => Promise<Omit<Probe, "repeat"> & Partial<Pick<Probe, "repeat">>>,
): ProbeKind {
  return {
    name,
    make: async (adapter, id) => {
      const made = await make(adapter, id);
      return { repeat: made.call, ...made };
    },
  };
}

async function createdRow(adapter: PersistenceAdapter, id: string) {
  const row = makeRow(id, secret({ life: log }));
  await adapter.sessionRepository.create(row);
  return row;
}

const repositories: readonly ProbeKind[] = [
  write("sessionRepository.create", async (_, id) => {
    const row = makeRow(id, secret());
    return {
      sessionId: id,
      call: (adapter) => adapter.sessionRepository.create(row),
      ...{ answer: true, again: false, stored: stored(id), before: null, after: row },
    };
  }),
  read("sessionRepository.findById", async (adapter, id) => {
    const row = await createdRow(adapter, id);
    return { sessionId: id, call: ({ sessionRepository: rows }) => rows.findById(id), answer: row };
  }),
  write("sessionRepository.update", async (adapter, id) => {
    const row = await createdRow(adapter, id);
    const next = nextRow(row, secret({ userId: "bob" }));
    return {
      sessionId: id,
      call: ({ sessionRepository: rows }) => rows.update(next, row.revision),
      ...{ answer: true, again: false, stored: stored(id), before: row, after: next },
    };
  }),
  write("sessionRepository.delete", async (adapter, id) => {
    const row = await createdRow(adapter, id);
    return {
      sessionId: id,
      call: ({ sessionRepository: rows }) => rows.delete(id, row.revision),
      ...{ answer: true, again: false, stored: stored(id), before: row, after: null },
    };
  }),
  read("sessionRepository.find", async (adapter, id) => {
    const row = makeRow(id, secret({ userId: id }));
    await adapter.sessionRepository.create(row);
    return {
      call: ({ sessionRepository: rows }) => rows.find({ userId: id }, { limit: 2 }),
      answer: { items: [row], next: null },
    };
  }),
  write("messageRepository.insert", async (adapter, id) => {
    await createdRow(adapter, id);
    const entries = entriesOf(id, 1, 2, 3);
    return {
      sessionId: id,
      call: ({ messageRepository: messages }) => messages.insert(entries),
      ...{ answer: undefined, stored: storedEntries(id), before: [], after: [1, 2, 3], isInParts: true },
    };
  }),
  read("messageRepository.findBySessionId", async (adapter, id) => {
    await createdRow(adapter, id);
    const entries = entriesOf(id, 1, 2, 3);
    await adapter.messageRepository.insert(entries);
    return {
      sessionId: id,
      call: ({ messageRepository: messages }) => messages.findBySessionId(id, { log, from: 2, to: 3 }),
      answer: entries.slice(1),
    };
  }),
  write("messageRepository.deleteBySessionId", async (adapter, id) => {
    await createdRow(adapter, id);
    await adapter.messageRepository.insert(entriesOf(id, 1, 2, 3));
    return {
      sessionId: id,
      call: ({ messageRepository: messages }) => messages.deleteBySessionId(id, { log, to: 2 }),
      ...{ answer: 2, again: 0, stored: storedEntries(id), before: [1, 2, 3], after: [3], isInParts: true },
    };
  }),
  read("initialize", async () => ({
    call: async (adapter) => adapter.initialize?.(),
    answer: undefined,
    mayBeLocal: true,
  })),
  read("describe", async (adapter) => ({
    call: async (one) => one.describe?.(),
    answer: await adapter.describe?.(),
    mayBeLocal: true,
  })),
];

/** The facet's answer to a single commit; an outcome that failed is thrown. */
function committed(outcomes: readonly Outcome[] | undefined): unknown {
  const outcome = outcomes?.[0];
  if (outcome?.status === "failed") throw outcome.error;
  if (outcome?.status !== "committed" && outcome?.status !== "replayed") return outcome;
  return { stored: [outcome.first, outcome.last] };
}

const storedTexts = (id: string) => async (adapter: PersistenceAdapter) => {
  const loaded = await adapter.turns?.load(id, { last: 9 });
  if (loaded == null) return null;
  return { last: loaded.row.last, state: loaded.row.state, texts: loaded.entries.map((one) => one.content) };
};

const said = secret({ messages: [secretText, "b"] });
const texts = [secretText, "b"];

const turns: readonly ProbeKind[] = [
  write("turns.commit of a new session", async (_, id) => {
    const turn = creation(id, said);
    return {
      sessionId: id,
      call: async (adapter) => committed(await adapter.turns?.commit([turn])),
      repeat: async (adapter) => committed(await adapter.turns?.commit([again(turn)])),
      ...{ answer: { stored: [1, 2] }, stored: storedTexts(id) },
      ...{ before: null, after: { last: 2, state: turn.set.state, texts } },
    };
  }),
  write("turns.commit of a turn", async (adapter, id) => {
    const made = creation(id, { state: { first: true } });
    const [first] = (await adapter.turns?.commit([made])) ?? [];
    const turn = turnOn(id, first?.status === "committed" ? first.version : "", said);
    return {
      sessionId: id,
      call: async (one) => committed(await one.turns?.commit([turn])),
      repeat: async (one) => committed(await one.turns?.commit([again(turn)])),
      ...{ answer: { stored: [1, 2] }, stored: storedTexts(id) },
      ...{
        before: { last: 0, state: { first: true }, texts: [] },
        after: { last: 2, state: turn.set.state, texts },
      },
    };
  }),
  write("turns.commit of messages alone", async (adapter, id) => {
    await adapter.turns?.commit([creation(id, { state: {} })]);
    const turn = appendTo(id, ...texts);
    return {
      sessionId: id,
      call: async (one) => committed(await one.turns?.commit([turn])),
      repeat: async (one) => committed(await one.turns?.commit([again(turn)])),
      ...{ answer: { stored: [1, 2] }, stored: storedTexts(id) },
      ...{ before: { last: 0, state: {}, texts: [] }, after: { last: 2, state: {}, texts } },
    };
  }),
  read("turns.load", async (adapter, id) => {
    await adapter.turns?.commit([creation(id, said)]);
    return {
      sessionId: id,
      call: async (one) => one.turns?.load(id, { last: 1 }),
      answer: await adapter.turns?.load(id, { last: 1 }),
    };
  }),
];

const remove: ProbeKind = write("turns.remove", async (adapter, id) => {
  const made = creation(id, said);
  await adapter.turns?.commit([made]);
  return {
    sessionId: id,
    call: async (one) => one.turns?.remove?.([{ id, revision: made.revision }]),
    ...{ answer: [true], again: [false], stored: storedTexts(id) },
    ...{ before: await storedTexts(id)(adapter), after: null },
  };
});

const records: readonly ProbeKind[] = [
  write("records.put", async (_, id) => {
    const record = recordOf(userScope(id));
    return {
      call: async (adapter) => adapter.records?.put(record, null),
      ...{ answer: true, again: false, stored: storedRecord(record), before: null, after: record },
    };
  }),
  read("records.get", async (adapter, id) => {
    const record = recordOf(userScope(id));
    await adapter.records?.put(record, null);
    return { call: async (one) => one.records?.get(record.scope, record.key), answer: record };
  }),
  read("records.list", async (adapter, id) => {
    const record = recordOf(userScope(id));
    await adapter.records?.put(record, null);
    return { call: async (one) => one.records?.list(record.scope, { limit: 2 }), answer: [record] };
  }),
  write("records.apply", async (_, id) => {
    const record = recordOf(sessionScope(id, newId()));
    return {
      call: async (adapter) => adapter.records?.apply([record]),
      ...{ answer: undefined, stored: storedRecord(record), before: null, after: record },
    };
  }),
  write("records.delete", async (adapter, id) => {
    const record = recordOf(userScope(id));
    await adapter.records?.put(record, null);
    return {
      call: async (one) => one.records?.delete(record.scope, record.key, record.revision),
      ...{ answer: true, again: false, stored: storedRecord(record), before: record, after: null },
    };
  }),
  write("records.deleteScope", async (adapter, id) => {
    const record = recordOf(userScope(id));
    await adapter.records?.put(record, null);
    return {
      call: async (one) => one.records?.deleteScope(record.scope),
      ...{ answer: 1, again: 0, stored: storedRecord(record), before: record, after: null },
    };
  }),
  read("records.scopes", async (adapter, id) => {
    const record = recordOf(userScope(id));
    await adapter.records?.put(record, null);
    const after = record.scope.slice(0, -1);
    return {
      call: async (one) => (await one.records?.scopes({ after, limit: 1 }))?.length,
      answer: 1,
    };
  }),
];

function recordOf(scope: string): StoredRecord {
  return { scope, key: "key", value: { said: secretText }, revision: newId(), stamp: "1" };
}

const storedRecord =
  ({ scope, key }: StoredRecord) =>
  async (adapter: PersistenceAdapter) =>
    adapter.records?.get(scope, key);

/** Each call of the contract that the adapter has. */
export function probesOf(adapter: PersistenceAdapter): readonly ProbeKind[] {
  return [
    ...repositories,
    ...(adapter.turns === undefined ? [] : turns),
    ...(adapter.turns?.remove === undefined ? [] : [remove]),
    ...(adapter.records === undefined ? [] : records),
  ];
}
