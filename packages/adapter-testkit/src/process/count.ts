import { PersistenceManager, isWaymarkError } from "@waymark/core";
import type { PersistenceAdapter } from "@waymark/core/adapter";
import type { CountPlan } from "./task.js";

/** Adds one to the number in a record, from what was read, and reads again where somebody else was first. */
export async function countUp(adapter: PersistenceAdapter, { of, key, times }: CountPlan): Promise<number[]> {
  const records = new PersistenceManager({ adapter, deadlineMs: 50_000 }).records(of ?? "application");
  const stored: number[] = [];
  while (stored.length < times) {
    const found = await records.get(key);
    const next = Number(found?.value ?? 0) + 1;
    try {
      await records.put(key, next, { ifRevision: found?.revision ?? null });
      stored.push(next);
    } catch (error) {
      if (!isWaymarkError(error) || error.code !== "RECORD_CONFLICT") throw error;
    }
  }
  return stored;
}
