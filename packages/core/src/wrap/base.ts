import type { PersistenceAdapter } from "../contract/adapter.js";
import type { Records, Search } from "../contract/facets.js";
import type { Turns } from "../contract/turns.js";
import { type Connection, connect } from "../turn/connection.js";

/** What a wrapper puts in the place of an adapter's parts. */
export interface Parts extends Pick<
  PersistenceAdapter,
  "limits" | "sessionRepository" | "messageRepository"
> {
  /** Default: that of the adapter. */
  readonly name?: string;
  turns(facet: Turns): Turns;
  records(facet: Records): Records;
  /** None: the facet is dropped. */
  readonly search?: (facet: Search) => Search;
  /** Makes the calls of `initialize` and `flush`. Default: once. */
  readonly send?: (call: () => Promise<void>) => Promise<void>;
}

/**
 * An adapter around another one. Facets are looked for when they are asked for, since they are final only after `initialize`.
 * Several wrappers may share one adapter: the first initializes it, and the last one to end disconnects it.
 */
export function wrapAdapter(adapter: PersistenceAdapter, parts: Parts): PersistenceAdapter {
  const { name = adapter.name, limits, sessionRepository, messageRepository } = parts;
  const { send = (call) => call() } = parts;
  const turns = remembered(parts.turns);
  const records = remembered(parts.records);
  const search = parts.search === undefined ? () => undefined : remembered(parts.search);
  let connection: Connection | null = null;
  return {
    ...{ name, limits, sessionRepository, messageRepository },
    durability: adapter.durability,
    provisional: adapter.provisional,
    get turns() {
      return turns(adapter.turns);
    },
    get records() {
      return records(adapter.records);
    },
    get search() {
      return search(adapter.search);
    },
    initialize: () => send(() => (connection ??= connect(adapter)).ready()),
    flush: () => send(async () => adapter.flush?.()),
    async disconnect() {
      const ending = connection;
      connection = null;
      await ending?.release();
    },
    ...describing(adapter),
  };
}

/** Wraps a facet once, and again only where the adapter has another one since. */
function remembered<F extends object>(wrap: (facet: F) => F): (facet: F | undefined) => F | undefined {
  let last: { readonly facet: F; readonly wrapped: F } | undefined;
  return (facet) => {
    if (facet === undefined) return undefined;
    if (last?.facet !== facet) last = { facet, wrapped: wrap(facet) };
    return last.wrapped;
  };
}

/** An adapter that says nothing of itself is asked for a row instead, so its wrapper has no such method either. */
function describing(adapter: PersistenceAdapter): Pick<PersistenceAdapter, "describe"> {
  const { describe } = adapter;
  return describe === undefined ? {} : { describe: () => describe.call(adapter) };
}
