import type { Json } from "@waymark/core/adapter";
import type { Call } from "../explain.js";
import type { WriterPlan } from "../writer.js";

/** What a worker is started with. */
export interface WorkerInput {
  /** URL of the module that makes an adapter. */
  readonly entry: string;
  readonly address: Json;
  readonly path: string;
}

/** What a worker is told to do. */
export type Task =
  | { readonly kind: "write"; readonly plan: WriterPlan }
  | { readonly kind: "judge"; readonly sessions: readonly string[] }
  /** Adds one to the number in a record, so many times, each from what it has read. */
  | { readonly kind: "count"; readonly plan: CountPlan }
  /** Judges, and then saves turns until it is killed. */
  | { readonly kind: "save"; readonly sessions: readonly string[]; readonly bytes: number };

/** Where many count together; plain JSON. */
export interface CountPlan {
  /** Whose record it is; null: of the application. */
  readonly of: { readonly userId: string } | { readonly sessionId: string } | null;
  readonly key: string;
  readonly times: number;
}

/** What is wrong with a stored session, and how many whole turns it has. */
export interface Judged {
  readonly session: string;
  readonly turns: number;
  readonly problem: string | null;
}

/** What a worker says. */
export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "written"; readonly calls: readonly Call[] }
  | { readonly kind: "judged"; readonly seen: readonly Judged[] }
  /** The numbers that it was told to have stored. */
  | { readonly kind: "counted"; readonly numbers: readonly number[] }
  | { readonly kind: "saved"; readonly session: string; readonly n: number }
  | { readonly kind: "failed"; readonly why: string };
