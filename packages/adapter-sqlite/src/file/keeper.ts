/** What writes a database of sql.js to its file. */
export interface FileKeeper {
  /** Takes the file for this process. @throws `STORAGE_LOCKED` where another one has it. */
  open(): Promise<void>;
  /** Something was changed: the file is written a moment later. */
  changed(): void;
  /** Resolves when all that was changed before is on the disk. */
  flush(): Promise<void>;
  /** Writes what is left and gives the file up. */
  close(): Promise<void>;
}

/** What a keeper asks of the database. */
export interface Source {
  /** The whole database as the bytes of a file. Throws while a transaction is open. */
  bytes(): Uint8Array;
  /** A number that is another one after every change. */
  changes(): number;
}
