// The file store, for the kit's other processes.
import { FileAdapter } from "@waymark/core/file";

export default ({ directory }) => new FileAdapter({ directory });
