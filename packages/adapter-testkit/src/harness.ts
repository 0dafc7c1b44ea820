import type { Json, PersistenceAdapter } from "@waymark/core/adapter";
import type { Address } from "./proxy.js";

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
  /** What a turn and a resume may cost at most. Needed where `expects.network` is not `none`. */
  readonly budgets?: Budgets;
  /** Starts a server of the kit's own, which it stops and starts again. Needed where `expects.network` is `restart`. */
  openServer?(): Promise<TestServer>;
}

/** What the kit counts between an adapter and its server: once connections are made and statements are prepared. */
export interface Budgets {
  /** One saved turn of two messages, until it is where it belongs. */
  readonly turn: Budget;
  /** A session's state with its last ten messages. */
  readonly resume: Budget;
}

export interface Budget {
  readonly roundTrips: number;
  /** Both ways together, with all that the protocol adds. */
  readonly bytes: number;
}

/** A server that nobody else uses, and that keeps what it has acknowledged when it is killed. */
export interface TestServer {
  /** An empty store on it. Its `remove` is called first. */
  readonly store: TestStore;
  /** Ends the server's process at once, as SIGKILL does. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Has the server end by itself, without waiting for its clients. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Starts it again, with its data and at its address. Resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
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
  /** Needed where `expects.network` is not `none`: the kit puts itself between adapter and server. */
  readonly network?: {
    /** Where the server listens. */
    readonly host: string;
    readonly port: number;
    /**
     * A further adapter on the same store, whose client connects to this address in place of the server's, and gives up by
     * itself where nobody answers there, well before `callTimeoutMs`.
     */
    connect(at: Address): PersistenceAdapter | Promise<PersistenceAdapter>;
    /** Texts that no error may have in it: the password that `connect` logs in with. */
    readonly secrets?: readonly string[];
  };
}

/** Declared by the author, so that a facet that is lost is a red test. */
export interface Expectations {
  readonly durability: PersistenceAdapter["durability"];
  readonly turns: boolean;
  readonly records: boolean;
  readonly search: boolean;
  /**
   * How the kit can come between the adapter and its store. `none`: there is no server, or none at one address that another
   * can stand for. `proxy`: there is, and stores have `network`. `restart`: besides, the harness has `openServer`.
   */
  readonly network: "none" | "proxy" | "restart";
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
