import assert from "node:assert/strict";
import {
  type Commit,
  type Committed,
  type Expectation,
  type Json,
  type Merged,
  type NewEntry,
  type Outcome,
  type PersistenceAdapter,
  type SessionRow,
  type TurnStore,
  createTurnStore,
  systemEnvironment,
} from "@waymark/core/adapter";
import { show } from "./same.js";

/** What one turn is to store. */
export interface Turn extends Partial<Omit<Commit, "id" | "expect" | "messages" | "set">> {
  readonly state?: Json;
  /** Texts, or whole messages. */
  readonly messages?: readonly (string | NewEntry)[];
  readonly set?: Commit["set"];
}

/** Core's turns on one adapter, as one process has them. */
export interface TurnClient {
  readonly store: TurnStore;
  /** Sends a commit as core does, and answers what became of it. */
  commit(commit: Commit): Promise<Outcome>;
  /** The same, for a commit that has to be stored. */
  stored(commit: Commit): Promise<Committed>;
  /**
   * Appends among many other writers. Where they were so many that nobody can tell whether it was stored, the messages are
   * looked for, as an application would, and sent again where they are not there.
   */
  appended(id: string, ...texts: readonly string[]): Promise<void>;
  /** Stores a new session. */
  create(id: string, turn?: Turn): Promise<Committed>;
  /** The session with up to 1,000 of its messages, which has to be there. */
  load(id: string): Promise<Merged>;
  texts(id: string): Promise<string[]>;
}

const { newId } = systemEnvironment;

/** Long enough for every test, short enough to be told what went wrong. */
const patienceMs = 20_000;
export const patience = () => ({ deadline: Date.now() + patienceMs });

export function createTurnClient(adapter: PersistenceAdapter): TurnClient {
  const store = createTurnStore(adapter, systemEnvironment);
  const commit = (one: Commit) => store.inOrder(one.id, (commitNow) => commitNow(one, patience()));

  async function stored(one: Commit): Promise<Committed> {
    const outcome = await commit(one);
    if (outcome.status === "committed") return outcome;
    return assert.fail(`a turn that nothing stands against was answered ${show(outcome)}`);
  }

  async function load(id: string): Promise<Merged> {
    const loaded = await store.load(id, 1000);
    return loaded ?? assert.fail("a session that was stored is not found");
  }

  async function appended(id: string, ...texts: readonly string[]): Promise<void> {
    const outcome = await commit(appendTo(id, ...texts));
    if (outcome.status === "committed" || outcome.status === "replayed") return;
    if (outcome.status !== "unknown") assert.fail(`an append was answered ${show(outcome)}`);
    const { entries } = await load(id);
    if (!entries.some(({ content }) => content === texts[0])) await appended(id, ...texts);
  }

  return {
    store,
    commit,
    stored,
    appended,
    create: (id, turn = {}) => stored(creation(id, turn)),
    load,
    texts: async (id) => (await load(id)).entries.map(({ content }) => content),
  };
}

/** The commit of a session's first turn. */
export function creation(id: string, turn: Turn = {}): Commit {
  const expect: Expectation = { kind: "create", life: newId(), createdAt: Date.now() };
  return commitOf(id, expect, { state: {}, ...turn });
}

/** The commit of a turn that was made from a version. */
export function turnOn(id: string, version: string, turn: Turn): Commit {
  return commitOf(id, { kind: "version", version }, turn);
}

/** The commit of messages that do not depend on the state. */
export function appendTo(id: string, ...messages: readonly (string | NewEntry)[]): Commit {
  return commitOf(id, { kind: "append" }, { messages });
}

/** The same turn, sent again by somebody who does not know whether it was stored. */
export function again(commit: Commit): Commit {
  return { ...commit, revision: newId(), retry: { since: null } };
}

function commitOf(id: string, expect: Expectation, turn: Turn): Commit {
  const { state, messages = [], set = {}, ...rest } = turn;
  return {
    id,
    expect,
    operation: { id: newId(), digest: "digest" },
    revision: newId(),
    at: Date.now(),
    messages: messages.map((message) => (typeof message === "string" ? said(message) : message)),
    history: [],
    ...rest,
    set: { ...set, ...(state === undefined ? {} : { state }) },
  };
}

export function said(content: string, fields: Partial<NewEntry> = {}): NewEntry {
  return { userId: null, role: "user", content, createdAt: Date.now(), body: { content }, ...fields };
}

/** The fields of a row in which nothing may have changed when a turn was refused. */
export async function rowOf(adapter: PersistenceAdapter, id: string): Promise<SessionRow> {
  const row = await adapter.sessionRepository.findById(id);
  return row ?? assert.fail("the row of a session that was stored is not found");
}
