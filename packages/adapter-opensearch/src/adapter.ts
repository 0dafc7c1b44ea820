import type { MessageRepository, PersistenceAdapter, SessionRepository } from "@waymark/core/adapter";
import { type Cluster, type OpenSearchClient, createCluster } from "./client.js";
import { type Names, describeIndices, namesOf, prepareIndices } from "./indices.js";
import { createMessages } from "./messages.js";
import { createSessions } from "./sessions.js";

export interface OpenSearchAdapterOptions {
  /** Names of the two indices, or of aliases of one index each. Default: `agent_sessions` and `agent_messages`. */
  readonly indices?: { readonly sessions?: string; readonly messages?: string };
  /** Whether `initialize` makes an index that is missing. Default: true. */
  readonly autoCreateIndices?: boolean;
}

/** Keeps sessions in OpenSearch: a turn is one conditional write of the session's document, and one bulk of its messages. */
export class OpenSearchAdapter implements PersistenceAdapter {
  readonly name = "opensearch";
  readonly durability = "commit";
  readonly limits = { commitBytes: 16 * 1024 * 1024 };
  readonly sessionRepository: SessionRepository;
  readonly messageRepository: MessageRepository;
  readonly #cluster: Cluster;
  readonly #names: Names;
  readonly #isCreating: boolean;

  /**
   * @param client a `Client` of `@opensearch-project/opensearch`. It stays yours: the adapter never closes it.
   * @throws `INVALID_CONFIGURATION` for a name that cannot be that of an index.
   */
  constructor(client: OpenSearchClient, options: OpenSearchAdapterOptions = {}) {
    const { indices, autoCreateIndices = true } = options;
    const names = namesOf(indices);
    const cluster = createCluster(client);
    this.#cluster = cluster;
    this.#names = names;
    this.#isCreating = autoCreateIndices;
    this.sessionRepository = createSessions(cluster, names.sessions);
    this.messageRepository = createMessages(cluster, names.messages);
  }

  /**
   * Makes the indices where they are missing, and checks those that are there. Any number of processes may call it at once.
   * @throws `STORAGE_FAILED` for an index that is not one of this adapter, that is missing and may not be made, or that
   * acknowledges writes before they are on disk.
   */
  async initialize(): Promise<void> {
    await prepareIndices(this.#cluster, this.#names, this.#isCreating);
  }

  async describe(): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
    return describeIndices(this.#cluster, this.#names);
  }
}
