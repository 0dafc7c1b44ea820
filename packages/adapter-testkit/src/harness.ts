import type { Json, PersistenceAdapter } from "@waymark/core/adapter";

/** What the kit has to know of an adapter to test it. */
export interface Harness {
  /** Begins the name of every test. */
  readonly name: string;
  /** Makes a store that is empty and that nobody else uses: a folder, a schema, a key prefix, a database. */
  open(): Promise<TestStore>;
  /** What the adapter claims to be. The first test is that it is exactly this. */
  readonly expects: Expectations;
  /**
   * A JavaScript module whose default export makes an adapter, in another process, for the `address` of a store. The levels
   * `races` and `kills` need it, unless the adapter's durability is `process`.
   */
  readonly processEntry?: URL | string;
}

/** A store that the kit may fill. */
export interface TestStore {
  /**
   * A further adapter on the same store, with a connection of its own, as another process would have. The kit calls its
   * `initialize` and `disconnect`. A store that lives in the adapter itself gives the same one each time.
   */
  connect(): PersistenceAdapter | Promise<PersistenceAdapter>;
  /** Removes the store and closes what `open` and `connect` opened. All adapters are disconnected by then. */
  remove(): Promise<void>;
  /** What `processEntry` is called with. Has to pass through `JSON.stringify`. */
  readonly address?: Json;
  /** Reads the store beside the adapter, which catches an adapter that is wrong in the same way both times. */
  readonly raw?: {
    /** Whether anything is stored for the session besides its messages. */
    session(id: string): Promise<boolean>;
    /** How many messages, of all logs, are stored for the session. */
    messages(id: string): Promise<number>;
  };
}

/** Declared by the author, so that a facet that is lost is a red test. */
export interface Expectations {
  readonly durability: PersistenceAdapter["durability"];
  readonly turns: boolean;
  readonly records: boolean;
  readonly search: boolean;
}

/** Milliseconds. The type fits hooks that take options in this place, too, as node's do; those ignore a number. */
export type TimeoutMs = number & { readonly timeout?: number };

/** A test runner: jest, vitest, or `node:test` with `before` and `after`. */
export interface Runner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>, timeoutMs: number): unknown;
  beforeAll(body: () => Promise<void>, timeoutMs: TimeoutMs): unknown;
  afterAll(body: () => Promise<void>, timeoutMs: TimeoutMs): unknown;
}

export interface KitOptions {
  /** Where all generated cases begin. Default: `WAYMARK_KIT_SEED`, otherwise another one in every run. */
  readonly seed?: number;
  /** How much: `long` takes about twenty times as long. Default: `WAYMARK_KIT_PROFILE`, otherwise `normal`. */
  readonly profile?: "normal" | "long";
  /** After how long a call of the adapter counts as hanging, in milliseconds. Default: 10,000. */
  readonly callTimeoutMs?: number;
  /** Gets a line about what a level has done. Default: prints it, after `note: `. */
  readonly note?: (line: string) => void;
}
