import { checkId } from "../contract/id.js";
import type { HookCall, HookRunner } from "./hook-runner.js";
import type { HookEvent, LoadedEvent, PersistenceHooks, SaveEvent } from "./hooks.js";
import type { Validate } from "./saving.js";

type SaveDetails<TData> = Pick<SaveEvent<TData>, "session" | "messages" | "records" | "status">;

/** What the manager does, with the application's hooks around it. */
export interface Around<TData> {
  save<T>(call: HookCall, event: SaveDetails<TData>, save: () => Promise<T>): Promise<T>;
  /** @param found what of that which was loaded is told; nothing is told where it is null. */
  load<T>(
    call: HookCall,
    load: () => Promise<T>,
    found: (loaded: NonNullable<T>) => Pick<LoadedEvent<TData>, "session" | "messages">,
  ): Promise<T>;
  delete(call: HookCall, remove: () => Promise<boolean>): Promise<boolean>;
  readonly validate: Validate<TData> | undefined;
}

export function createAround<TData>(hooks: PersistenceHooks<TData>, runner: HookRunner): Around<TData> {
  const { beforeSave, afterSave, beforeLoad, afterLoad, beforeDelete, afterDelete, validate } = hooks;

  async function aroundSave<T>(
    call: HookCall,
    event: SaveDetails<TData>,
    save: () => Promise<T>,
  ): Promise<T> {
    checkId(call.sessionId, call.operation);
    const told = (signal: AbortSignal) => ({ ...event, ...eventOf(call, signal) });
    if (beforeSave !== undefined)
      await runner.before("beforeSave", call, (signal) => beforeSave(told(signal)));
    const saved = await save();
    if (afterSave !== undefined) await runner.beside("afterSave", call, (signal) => afterSave(told(signal)));
    return saved;
  }

  return {
    // A turn without hooks pays nothing for them.
    save: (call, event, save) =>
      beforeSave === undefined && afterSave === undefined ? save() : aroundSave(call, event, save),

    async load(call, load, found) {
      checkId(call.sessionId, call.operation);
      if (beforeLoad !== undefined)
        await runner.beside("beforeLoad", call, (signal) => beforeLoad(eventOf(call, signal)));
      const loaded = await load();
      if (afterLoad !== undefined && loaded != null) {
        const event = found(loaded);
        await runner.beside("afterLoad", call, (signal) => afterLoad({ ...event, ...eventOf(call, signal) }));
      }
      return loaded;
    },

    async delete(call, remove) {
      checkId(call.sessionId, call.operation);
      if (beforeDelete !== undefined)
        await runner.before("beforeDelete", call, (signal) => beforeDelete(eventOf(call, signal)));
      const isRemoved = await remove();
      if (isRemoved && afterDelete !== undefined)
        await runner.beside("afterDelete", call, (signal) => afterDelete(eventOf(call, signal)));
      return isRemoved;
    },

    validate:
      validate &&
      ((session, call) =>
        runner.inTurn("validate", call, (signal) => validate({ ...eventOf(call, signal), session }))),
  };
}

function eventOf({ operation, sessionId }: HookCall, signal: AbortSignal): HookEvent {
  return { operation, sessionId, signal };
}
