import type {
  Entry,
  MessageRepository,
  PersistenceAdapter,
  Records,
  Search,
  SessionRepository,
  SessionRow,
  StoredRecord,
  Turns,
} from "@waymark/core/adapter";
import { createMessages } from "./messages.js";
import { createRecords } from "./records.js";
import { createSearch } from "./search.js";
import { createSessions } from "./sessions.js";
import { type Store, createStore } from "./store.js";
import { createTurns } from "./turns.js";

/** What a store can do beyond the two repositories. */
export type Facet = "turns" | "records" | "search";

export interface MemoryAdapterOptions {
  /** Facets to leave out, to see what core does for a store that does not have them. Default: none. */
  readonly without?: readonly Facet[];
}

/** Everything that a memory adapter holds, as copies. */
export interface MemorySnapshot {
  readonly sessions: SessionRow[];
  readonly messages: Entry[];
  readonly records: StoredRecord[];
}

/**
 * Keeps sessions in the memory of the process, under the same rules and with the same errors as a database: for tests,
 * for development, and as the reference for other adapters. Nothing survives the process.
 */
export class MemoryAdapter implements PersistenceAdapter {
  readonly name = "memory";
  readonly durability = "process";
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns | undefined;
  readonly records: Records | undefined;
  readonly search: Search | undefined;
  readonly #store: Store = createStore();

  constructor({ without = [] }: MemoryAdapterOptions = {}) {
    const store = this.#store;
    const has = (facet: Facet) => !without.includes(facet);
    this.sessionRepository = createSessions(store);
    this.messageRepository = createMessages(store);
    this.turns = has("turns") ? createTurns(store) : undefined;
    this.records = has("records") ? createRecords(store) : undefined;
    this.search = has("search") ? createSearch(store) : undefined;
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    return { server: "memory", schemaVersion: 1, writable: true };
  }

  /** Copies of everything that is stored. Changing them changes nothing here. */
  getSnapshot(): MemorySnapshot {
    const { sessions, entries, records } = this.#store;
    const messages = [...entries.values()].flatMap((logs) =>
      [...logs.values()].flatMap((log) => [...log.values()]),
    );
    const stored = [...records.values()]
      .flatMap((scope) => [...scope.values()])
      .filter(({ value }) => value !== null);
    return structuredClone({ sessions: [...sessions.values()], messages, records: stored });
  }

  /** Forgets everything. */
  clear(): void {
    for (const map of Object.values(this.#store)) map.clear();
  }
}
