/** A server of a test's own. It makes what it acknowledges durable. */
export interface PrivateServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Ends it at once, as a power cut of the process would. Resolves when it is gone. */
  kill(): Promise<void>;
  /** Has it end by itself, without waiting for its clients. Resolves when it is gone. */
  stop(): Promise<void>;
  /** Starts it again, with its data and at its address. Resolves when it answers. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  remove(): Promise<void>;
}

export type PrivateName = "opensearch" | "postgres" | "redis";

/**
 * Whether tests that kill a server are to run: where its programs are on this machine, and not in a container. In CI they
 * always are, so that a server which cannot be started there is a failure.
 */
export function wantsPrivate(name: PrivateName): boolean;

/**
 * Starts a server that `scripts/servers/` knows.
 * @param settings for `postgres` the password of its user; for `redis` further arguments of its command line
 * @throws Error where it does not come up
 */
export function startPrivate(name: PrivateName, ...settings: readonly string[]): Promise<PrivateServer>;
