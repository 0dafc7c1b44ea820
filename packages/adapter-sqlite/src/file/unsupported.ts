import { CapabilityError } from "@waymark/core/adapter";
import type { FileKeeper, Source } from "./keeper.js";

/** Stands for the file where there is no Node. @throws `CAPABILITY_MISSING` */
export function keepFile(_db: object, _path: string, _source: Source): FileKeeper {
  throw new CapabilityError(
    "a database of sql.js can be kept in a file only under Node; keep what its `export()` gives yourself",
    { operation: "new SQLiteAdapter" },
  );
}
