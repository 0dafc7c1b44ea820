import type { MessageRepository, SessionRepository } from "../contract/repositories.js";
import type { PersistenceAdapter } from "../contract/adapter.js";
import { CapabilityError } from "../errors.js";

/** Options of the file store of Node. */
export interface FileAdapterOptions {
  readonly directory?: string;
  readonly lockTimeoutMs?: number;
}

/** Stands for the file store where there is no Node. @throws `CAPABILITY_MISSING` on construction. */
export class FileAdapter implements PersistenceAdapter {
  readonly name = "file";
  readonly durability = "commit";
  readonly limits = { commitBytes: 0 };
  declare readonly sessionRepository: SessionRepository;
  declare readonly messageRepository: MessageRepository;

  constructor(_options: FileAdapterOptions = {}) {
    throw new CapabilityError(
      "sessions can be kept in files only under Node; pass an adapter of a database, such as `persistence: { adapter }`",
      { operation: "new FileAdapter" },
    );
  }
}

/** @throws `CAPABILITY_MISSING` */
export async function writeJson(_path: string, _value: unknown): Promise<void> {
  throw noFiles("save");
}

/** @throws `CAPABILITY_MISSING` */
export async function readJson(_path: string): Promise<unknown> {
  throw noFiles("load");
}

function noFiles(operation: string): CapabilityError {
  const message = `${operation}: files can be read and written only under Node; use \`export\` and \`import\``;
  return new CapabilityError(message, { operation });
}
