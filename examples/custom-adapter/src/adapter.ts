import type { MessageRepository, PersistenceAdapter, SessionRepository } from "@waymark/core/adapter";
import { createMessages } from "./messages.js";
import { createSessions } from "./sessions.js";
import { type Database, openStore } from "./store.js";

/**
 * Keeps sessions in LMDB, which any number of processes on one machine may share. The application opens the database, with
 * `overlappingSync: false` (or a process that is killed can stop it for all others), and closes it.
 */
export class LmdbAdapter implements PersistenceAdapter {
  readonly name = "lmdb";
  readonly durability = "commit";
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;

  constructor(database: Database) {
    const store = openStore(database);
    this.sessionRepository = createSessions(store);
    this.messageRepository = createMessages(store);
  }
}
