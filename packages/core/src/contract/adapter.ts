import type { Records, Search } from "./facets.js";
import type { MessageRepository, SessionRepository } from "./repositories.js";
import type { Turns } from "./turns.js";

/**
 * A database, as core sees it. The two repositories are enough to keep every promise; each facet is something that the
 * store does better by itself. Facets are final once `initialize` has resolved, and their presence is the declaration.
 */
export interface PersistenceAdapter {
  /** For errors and logs: `postgres`, `file`. */
  readonly name: string;
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  /** When an acknowledged write survives the end of the process: at once, after `flush`, or never. */
  readonly durability: "commit" | "flush" | "process";
  /**
   * True where all that is written is part of a transaction that the application has open, and is stored when it commits. States
   * that are saved through such an adapter are refused by every other one: they are loaded again. Default: false.
   */
  readonly provisional?: boolean | undefined;
  readonly limits: {
    /** The largest commit, in bytes of its JSON; larger ones are refused before anything is sent. */
    readonly commitBytes: number;
    /** The longest id of a session or user, in bytes of UTF-8: 36 to 128. Longer ones are refused, too. Default: 128. */
    readonly idBytes?: number | undefined;
  };
  readonly turns?: Turns | undefined;
  readonly records?: Records | undefined;
  readonly search?: Search | undefined;
  /** Connects, and creates or checks what the store needs. Safe to call more than once. */
  initialize?(): Promise<void>;
  /** Resolves when everything acknowledged so far is durable. */
  flush?(): Promise<void>;
  /** Releases what the adapter itself opened; never a client that it was given. */
  disconnect?(): Promise<void>;
  /** Reaches the store and says what it found. */
  describe?(): Promise<{ server: string; schemaVersion: number; writable: boolean }>;
}
