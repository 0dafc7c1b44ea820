import {
  type MessageRepository,
  type PersistenceAdapter,
  type Records,
  type SessionRepository,
  type Turns,
  ValidationError,
} from "@waymark/core/adapter";
import { type RedisClient, createRun, guard } from "./client.js";
import { createKeys } from "./keys.js";
import { createLists } from "./lists.js";
import { createMessages } from "./messages.js";
import { createRecords } from "./records.js";
import { readRow } from "./scripts.js";
import { createSessions } from "./sessions.js";
import { createTurns } from "./turns.js";

export interface RedisAdapterOptions {
  /** A `Redis` or `Cluster` of ioredis. The application owns it: the adapter never closes it. */
  readonly redis: RedisClient;
  /** What the names of all keys begin with; without braces, which mean something on Cluster. Default: `waymark:`. */
  readonly keyPrefix?: string;
}

/**
 * Keeps sessions in Redis or Redis Cluster, without modules: a turn is one scripted call. An acknowledged turn is as durable
 * as the server makes its own writes (`appendonly`, `appendfsync`).
 */
export class RedisAdapter implements PersistenceAdapter {
  readonly name = "redis";
  readonly durability = "commit";
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly records: Records;
  readonly #client: RedisClient;
  readonly #check: () => Promise<void>;

  /** @throws `INVALID_CONFIGURATION` for a prefix with braces. */
  constructor({ redis, keyPrefix = "waymark:" }: RedisAdapterOptions) {
    if (typeof keyPrefix !== "string" || /[{}]/.test(keyPrefix)) {
      const message = "new RedisAdapter: `keyPrefix` must be a string without braces";
      throw new ValidationError("INVALID_CONFIGURATION", message, { operation: "new RedisAdapter" });
    }
    const run = createRun(redis);
    const keys = createKeys(keyPrefix);
    const store = { run, keys, lists: createLists(run, keys) };
    this.#client = redis;
    this.sessionRepository = createSessions(store);
    this.messageRepository = createMessages(store);
    this.turns = createTurns(store);
    this.records = createRecords(store);
    // An empty id is nobody's.
    this.#check = async () => void (await run({ script: readRow, keys: [keys.session("")], args: [] }));
  }

  /** Reaches the server and sees that it runs scripts. */
  async initialize(): Promise<void> {
    await guard("initialize", undefined, this.#check);
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    return guard("describe", undefined, async () => {
      const info = `${await this.#client.info("server")}\n${await this.#client.info("replication")}`;
      const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
      const kind = this.#client.isCluster === true ? "Redis Cluster" : "Redis";
      const writable = this.#client.isCluster === true || field("role") === "master";
      return { server: `${kind} ${field("redis_version") ?? ""}`.trimEnd(), schemaVersion: 1, writable };
    });
  }
}
