import type { PersistenceAdapter } from "@waymark/core/adapter";
import { type CallInfo, type Fate, withFaults } from "./faults.js";
import { type TurnClient, createTurnClient } from "./turn-client.js";

/** Stops the process that uses the adapter at its n-th write. Resolves when it has stopped or ended. */
export async function stoppedAt(
  adapter: PersistenceAdapter,
  write: number,
  fate: Fate,
  work: (client: TurnClient) => Promise<unknown>,
): Promise<boolean> {
  let count = 0;
  let stop: (isStopped: boolean) => void = () => {};
  const stopped = new Promise<boolean>((resolve) => (stop = resolve));
  const underWay = new Set<Promise<unknown>>();
  const fateOf = ({ isWrite }: CallInfo): Fate => {
    if (!isWrite || ++count !== write) return count > write ? "stopped before" : "done";
    setTimeout(() => stop(true), 0);
    return fate;
  };
  const client = createTurnClient(withFaults(adapter, fateOf, underWay));
  void work(client).then(
    () => client.store.flush().then(() => stop(false)),
    () => stop(false),
  );
  const isStopped = await stopped;
  // What a store is still doing for a process that has stopped is done before the next one comes.
  await Promise.allSettled(underWay);
  return isStopped;
}
