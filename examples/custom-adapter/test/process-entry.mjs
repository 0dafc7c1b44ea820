// Makes an adapter in another process, which runs the build.
import { LmdbAdapter } from "@waymark/example-custom-adapter";
import { open } from "lmdb";

export default ({ path }) => new LmdbAdapter(open({ path }));
