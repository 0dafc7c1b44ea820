import { CapabilityError } from "../errors.js";

/** Stands for the store of Node where there is no Node. @throws `CAPABILITY_MISSING` on construction. */
export class FileSessionStore {
  declare readonly directory: string;

  constructor() {
    throw new CapabilityError(
      "sessions can be kept in files only under Node; use a `PersistenceManager` with an adapter of a database",
      { operation: "new FileSessionStore" },
    );
  }
}
