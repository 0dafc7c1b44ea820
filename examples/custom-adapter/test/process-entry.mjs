// Makes an adapter in another process, which runs the build.
import { open } from "lmdb";
import { LmdbAdapter } from "../dist/index.js";

export default ({ path }) => new LmdbAdapter(open({ path, overlappingSync: false }));
