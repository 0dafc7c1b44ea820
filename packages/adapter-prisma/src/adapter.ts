import type { MessageRepository, PersistenceAdapter, SessionRepository, Turns } from "@waymark/core/adapter";
import type { PrismaClientLike } from "./client.js";
import { createEntries, createMessages } from "./messages.js";
import { createCodec } from "./row.js";
import { type Models, type NameOptions, type Names, checkModels, modelsOf, namesOf } from "./schema.js";
import { describeServer } from "./server.js";
import { createRows, createSessions } from "./sessions.js";
import { createTurns } from "./turns.js";

export interface PrismaAdapterOptions extends NameOptions {
  /** The application's own client, generated from a schema with the two models. The adapter never disconnects it. */
  readonly prisma: PrismaClientLike;
}

/** Keeps sessions in two models of the application's own Prisma schema; a turn is one call of its client. */
export class PrismaAdapter implements PersistenceAdapter {
  readonly name = "prisma";
  readonly durability = "commit";
  readonly limits = { commitBytes: 8 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly turns: Turns;
  readonly #client: PrismaClientLike;
  readonly #names: Names;

  /** @throws `INVALID_CONFIGURATION` for a mapping of what is no field, or of two fields to one. */
  constructor({ prisma, tables, fieldMappings }: PrismaAdapterOptions) {
    const names = namesOf({ tables, fieldMappings });
    let found: Models | undefined;
    const models = () => (found ??= modelsOf(prisma, names));
    const codec = createCodec(names);
    const entries = createEntries(models, names, codec);
    const rows = createRows(models, names, codec, entries);
    this.#client = prisma;
    this.#names = names;
    this.sessionRepository = createSessions(models, names, codec, rows);
    this.messageRepository = createMessages(models, names, codec, entries);
    this.turns = createTurns(prisma, models, names, codec, rows, entries);
  }

  /**
   * Compares the client's models and the database with what the adapter uses. Changes nothing: tables are made by the
   * application's own migrations.
   * @throws `INVALID_CONFIGURATION` with the lines to paste into schema.prisma.
   */
  async initialize(): Promise<void> {
    await checkModels(this.#client, this.#names);
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    return { ...(await describeServer(this.#client)), schemaVersion: 1 };
  }
}
