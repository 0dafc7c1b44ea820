/** A server of a test's own. It makes what it acknowledges durable. */
export interface PrivateServer {
  readonly host: string;
  readonly port: number;
  /** Ends it at once, as a power cut of the process would. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Has it end by itself, without waiting for its clients. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Starts it again, with its data and at its address. Resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

/**
 * Starts a server that `scripts/servers/` knows.
 * @param settings for `postgres` the password of its user; for `redis` further arguments of its command line
 * @throws Error where it does not come up
 */
export function startPrivate(
  name: "opensearch" | "postgres" | "redis",
  ...settings: readonly string[]
): Promise<PrivateServer>;
