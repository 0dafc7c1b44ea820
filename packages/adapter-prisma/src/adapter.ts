import type {
  MessageRepository,
  PersistenceAdapter,
  Records,
  SessionRepository,
  Turns,
} from "@waymark/core/adapter";
import { type PrismaClientLike, apart, asGiven, isInside, roundsNumbers } from "./client.js";
import { createEntries, createMessages } from "./messages.js";
import { checkMySql } from "./mysql.js";
import { createKeptRecords, createRecords } from "./records.js";
import { type Codec, createCodec } from "./row.js";
import {
  type NameOptions,
  type Names,
  checkModels,
  keepsRecords,
  modelsOf,
  namesOf,
  recordModelOf,
} from "./schema.js";
import { type Server, describeServer } from "./server.js";
import { createRows, createSessions } from "./sessions.js";
import { createTurns } from "./turns.js";

export interface PrismaAdapterOptions extends NameOptions {
  /** The application's own client, generated from a schema with the models of the fragment. The adapter never disconnects it. */
  readonly prisma: PrismaClientLike;
}

/**
 * Keeps sessions in models of the application's own Prisma schema; a turn is one call of its client. Where the schema has a
 * model for records (`AgentRecord`, or what `tables.records` names), it keeps these too.
 */
export class PrismaAdapter implements PersistenceAdapter {
  readonly name = "prisma";
  readonly durability = "commit";
  readonly provisional: boolean;
  readonly limits = { commitBytes: 8 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly records: Records | undefined;
  readonly #client: PrismaClientLike;
  readonly #names: Names;
  readonly #codec: Codec;
  /** Unknown before `initialize`. */
  #kind: Server["kind"] = null;

  /** @throws `INVALID_CONFIGURATION` for a mapping of what is no field, or of two fields to one. */
  constructor({ prisma: given, tables, fieldMappings }: PrismaAdapterOptions) {
    this.provisional = isInside(given);
    const prisma = asGiven(given);
    const names = namesOf({ tables, fieldMappings });
    const alone = apart(prisma);
    // Until `initialize` has looked, it may be SQLite.
    const isApart = () => !this.provisional && (this.#kind === null || this.#kind === "SQLite");
    const client = () => (isApart() ? alone : prisma);
    const models = () => modelsOf(client(), names);
    const codec = createCodec(names, roundsNumbers(prisma));
    const entries = createEntries(models, names, codec);
    const recordModel = () => recordModelOf(client(), names);
    const kept = createKeptRecords(names);
    const comparesAtOnce = () => this.#kind === "PostgreSQL" || this.#kind === "SQLite";
    const rows = createRows(prisma, models, names, codec, entries, kept, comparesAtOnce);
    this.#client = prisma;
    this.#names = names;
    this.#codec = codec;
    this.sessionRepository = createSessions(models, names, codec, rows);
    this.messageRepository = createMessages(models, names, codec, entries);
    this.turns = createTurns(prisma, models, names, codec, rows, entries, kept);
    this.records = keepsRecords(prisma, names) ? createRecords(recordModel, names) : undefined;
  }

  /**
   * Compares the client's models and the database with what the adapter uses. Changes nothing: tables are made by the
   * application's own migrations.
   * @throws `INVALID_CONFIGURATION` with the lines to paste into schema.prisma, or the statements to run.
   */
  async initialize(): Promise<void> {
    const server = await describeServer(this.#client, "initialize");
    await checkModels(this.#client, this.#names, server.kind);
    if (server.kind === "MySQL") await checkMySql(this.#client, this.#names, this.#codec, server);
    this.#kind = server.kind;
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    const { name, writable } = await describeServer(this.#client, "describe");
    return { server: name, schemaVersion: 1, writable };
  }
}
