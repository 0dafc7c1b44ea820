import type { PersistenceAdapter } from "../../../src/contract/adapter.js";
import type { Entry, SessionRow } from "../../../src/contract/row.js";
import { StorageError } from "../../../src/errors.js";

/** One call of a process to the store, waiting for the scheduler. */
interface Call {
  readonly process: string;
  readonly label: string;
  /** Does what was asked, on the store; what it returns is the reply. */
  readonly apply: () => unknown;
  /** For an insert of several entries: does a part of it. */
  readonly tear?: () => void;
  readonly isWrite: boolean;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** One thing that the scheduler may let happen next. */
export interface Choice {
  readonly label: string;
  readonly run: () => void;
}

/** What the row of the session was at some time, and the operation that made it so. */
export interface Moment {
  readonly row: SessionRow | null;
  readonly operation: string | null;
}

export interface Faults {
  /** How many calls may lose their request, their reply, or be torn. */
  readonly replies: number;
  /** How many processes may stop for good. */
  readonly crashes: number;
}

/** How the fake store itself may be wrong, for mutants. */
export type StoreMutation = "delete ignores seen" | "delete of every log";

/**
 * A store whose every call is a yield point: nothing happens until the scheduler lets it. It keeps the truth beside: the
 * whole history of the row, against which an oracle judges what the processes were told.
 */
export class World {
  readonly history: Moment[] = [{ row: null, operation: null }];
  readonly entries = new Map<string, Entry>();
  readonly crashed = new Set<string>();
  faultsUsed = 0;
  crashesUsed = 0;
  /** Calls are answered at once: for setting up, and for looking afterwards. */
  isDirect = true;
  #parked: Call[] = [];
  #late: Call[] = [];
  readonly #replies = new Map<string, string[]>();

  constructor(
    readonly faults: Faults,
    readonly mutation: StoreMutation | null = null,
  ) {}

  get row(): SessionRow | null {
    return this.history.at(-1)?.row ?? null;
  }

  /** What may happen next. Late calls may also never happen, so they alone keep nothing going. */
  choices(): { readonly choices: readonly Choice[]; readonly isOver: boolean } {
    const choices: Choice[] = [];
    for (const call of this.#parked) {
      choices.push({ label: call.label, run: () => this.#answer(call) });
    }
    const isOver = choices.length === 0;
    for (const call of this.#late) {
      choices.push({ label: `late: ${call.label}`, run: () => this.#land(call) });
    }
    if (this.faultsUsed < this.faults.replies) {
      for (const call of this.#parked) choices.push(...this.#faultsOf(call));
    }
    if (this.crashesUsed < this.faults.crashes) {
      for (const process of new Set(this.#parked.map((call) => call.process))) {
        choices.push({ label: `crash of ${process}`, run: () => this.#crash(process) });
      }
    }
    return { choices, isOver };
  }

  /** Two worlds with one key go on alike: a process is what it was told, since it has no other source of change. */
  key(told: string): string {
    const parts = [told, String(this.faultsUsed), String(this.crashesUsed), [...this.crashed].join()];
    for (const { row } of this.history) parts.push(row === null ? "-" : row.revision);
    for (const call of this.#parked) parts.push(`p ${call.label}`);
    for (const call of this.#late) parts.push(`l ${call.label}`);
    parts.push([...this.entries].map(([key, { content }]) => `${key}=${content}`).join());
    for (const [process, replies] of this.#replies) parts.push(`${process}: ${replies.join()}`);
    return parts.join("|");
  }

  adapter(process: string): PersistenceAdapter {
    const call = <T>(label: string, isWrite: boolean, apply: () => T, tear?: () => void): Promise<T> => {
      if (this.isDirect) return Promise.resolve().then(apply);
      return new Promise<T>((resolve, reject) => {
        this.#parked.push({
          process,
          label: `${process} ${label}`,
          apply,
          ...(tear === undefined ? {} : { tear }),
          isWrite,
          // The reply is what `apply` returned: the world keeps calls of all types in one list.
          resolve: (reply) => resolve(reply as T),
          reject,
        });
      });
    };
    return {
      name: "model",
      durability: "process",
      limits: { commitBytes: 1_000_000 },
      sessionRepository: {
        create: (row) =>
          call(`create ${row.revision}`, true, () => {
            if (this.row !== null) return false;
            this.#set(row);
            return true;
          }),
        findById: () => call("findById", false, () => this.row),
        update: (row, seen) =>
          call(`update ${seen} to ${row.revision}`, true, () => {
            const before = this.row;
            if (before?.revision !== seen) return false;
            if (row.id !== before.id || row.life !== before.life || row.createdAt !== before.createdAt)
              throw new Error("an update gave the row another id, life or createdAt");
            this.#set(row);
            return true;
          }),
        delete: (_, seen) =>
          call(`delete ${seen}`, true, () => {
            if (this.row === null) return false;
            if (this.row.revision !== seen && this.mutation !== "delete ignores seen") return false;
            this.#set(null);
            return true;
          }),
        find: () => Promise.reject(new Error("not part of the model")),
      },
      messageRepository: {
        insert: (entries) =>
          call(
            `insert ${entries.map(keyOf).join("+")}`,
            true,
            () => this.#insert(entries),
            entries.length > 1 ? () => this.#insert(entries.slice(0, 1)) : undefined,
          ),
        findBySessionId: (_, { log, from, to }) =>
          call(`read ${log} ${from}..${to}`, false, () =>
            [...this.entries.values()]
              .filter((entry) => entry.log === log && entry.sequence >= from && entry.sequence <= to)
              .toSorted((a, b) => a.sequence - b.sequence),
          ),
        deleteBySessionId: (_, { log }) =>
          call(`empty ${log}`, true, () => {
            let removed = 0;
            for (const [key, entry] of this.entries) {
              if (entry.log !== log && this.mutation !== "delete of every log") continue;
              this.entries.delete(key);
              removed++;
            }
            return removed;
          }),
      },
    };
  }

  #set(row: SessionRow | null): void {
    const before = this.row;
    const count = (of: SessionRow | null) => operationsOf(of).count;
    const isNew =
      row !== null &&
      row.status !== "deleting" &&
      count(row) > (before?.life === row.life ? count(before) : 0);
    this.history.push({ row, operation: isNew ? (operationsOf(row).last ?? null) : null });
  }

  #insert(entries: readonly Entry[]): void {
    for (const entry of entries) if (!this.entries.has(keyOf(entry))) this.entries.set(keyOf(entry), entry);
  }

  #answer(call: Call): void {
    this.#take(call);
    const reply = call.apply();
    this.#told(call, JSON.stringify(reply) ?? "done");
    call.resolve(reply);
  }

  #faultsOf(call: Call): Choice[] {
    const fail = (how: string, before: () => void): Choice => ({
      label: `${how}: ${call.label}`,
      run: () => {
        this.faultsUsed++;
        this.#take(call);
        before();
        this.#told(call, "no answer");
        call.reject(new StorageError("STORAGE_UNAVAILABLE", "no answer", { operation: call.label }));
      },
    });
    const faults = [fail("request lost", () => {})];
    if (!call.isWrite) return faults;
    faults.push(fail("reply lost", () => call.apply()));
    faults.push(fail("no answer yet", () => this.#late.push(call)));
    if (call.tear !== undefined) faults.push(fail("torn", () => call.tear?.()));
    return faults;
  }

  #land(call: Call): void {
    this.#late = this.#late.filter((other) => other !== call);
    call.apply();
  }

  /** What the process had sent may still arrive. */
  #crash(process: string): void {
    this.crashesUsed++;
    this.crashed.add(process);
    this.#late.push(...this.#parked.filter((call) => call.process === process && call.isWrite));
    this.#parked = this.#parked.filter((call) => call.process !== process);
  }

  #take(call: Call): void {
    this.#parked = this.#parked.filter((other) => other !== call);
  }

  #told(call: Call, reply: string): void {
    const replies = this.#replies.get(call.process) ?? [];
    replies.push(`${call.label}=${reply}`);
    this.#replies.set(call.process, replies);
  }
}

function keyOf(entry: Entry): string {
  return `${entry.log}/${entry.sequence}`;
}

interface Operations {
  readonly count: number;
  readonly last: string | undefined;
}

/** Read by hand, not by the code under test. */
function operationsOf(row: SessionRow | null): Operations {
  const system: unknown = row?.system;
  if (typeof system !== "object" || system === null || !("count" in system) || !("operations" in system)) {
    return { count: 0, last: undefined };
  }
  const { count, operations } = system;
  const last: unknown = Array.isArray(operations) ? operations.at(-1) : undefined;
  const id = typeof last === "object" && last !== null && "id" in last ? last.id : undefined;
  return { count: Number(count), last: typeof id === "string" ? id : undefined };
}
