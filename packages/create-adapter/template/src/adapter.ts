import type { MessageRepository, PersistenceAdapter, SessionRepository } from "@waymark/core/adapter";
import { createMessages } from "./messages.js";
import { createSessions } from "./sessions.js";
import type { Store } from "./store.js";

/** Keeps sessions in my-store. */
export class MyStoreAdapter implements PersistenceAdapter {
  readonly name = "my-store";
  /** When an acknowledged write survives the end of the process: `commit` (at once), `flush` (after `flush()`), `process` (never). */
  readonly durability = "process";
  /** The largest turn, in bytes of JSON: the largest value that the store takes, or less. */
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;

  constructor(store: Store) {
    this.sessionRepository = createSessions(store);
    this.messageRepository = createMessages(store);
  }
}
