import type { PersistenceAdapter } from "@waymark/core/adapter";
import { type Fate, withFaults } from "./faults.js";
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
  const client = createTurnClient(
    withFaults(adapter, ({ isWrite }) => {
      if (!isWrite || ++count !== write) return count > write ? "stopped before" : "done";
      // The write itself has yet to be done.
      setTimeout(() => stop(true), fate === "stopped after" ? 20 : 0);
      return fate;
    }),
  );
  void work(client).then(
    () => client.store.flush().then(() => stop(false)),
    () => stop(false),
  );
  return await stopped;
}
