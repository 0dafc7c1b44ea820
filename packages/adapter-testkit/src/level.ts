import type { Harness } from "./harness.js";
import type { World } from "./world.js";

/** One test. */
export interface Case {
  /** The promise that it checks. */
  readonly promise: "P1" | "P2" | "P3" | "P4" | "P5" | "P6" | "P7" | "P8" | "P9" | "P10";
  /** What has to hold. */
  readonly name: string;
  /** For the author whose adapter fails it: what to look at. */
  readonly todo: string;
  /** Default: 60,000. In the long profile, ten times that. */
  readonly timeoutMs?: number;
  run(world: World): Promise<void>;
}

/** Tests that belong together, on a store of their own. */
export interface Level {
  readonly name: string;
  /** `each path`: an adapter that writes whole turns is tested with that facet, and once more with it hidden. */
  readonly runs: "once" | "each path";
  cases(harness: Harness, path: Path): readonly Case[];
}

/** How turns reach the store. */
export type Path = "with whole turns" | "through the outbox";
