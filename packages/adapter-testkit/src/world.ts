import { type PersistenceAdapter, systemEnvironment } from "@waymark/core/adapter";
import type { Harness, TestServer, TestStore } from "./harness.js";
import type { Path } from "./level.js";
import { type Proxy, createProxy } from "./proxy.js";
import { type Random, createRandom, seedFor } from "./random.js";
import { type TurnClient, createTurnClient } from "./turn-client.js";
import { type Monitor, watch, withoutTurns } from "./watch.js";

/** What a case works with. */
export interface World {
  readonly harness: Harness;
  readonly path: Path;
  /** How much of everything that is generated: 1, or more in the long profile. */
  readonly scale: number;
  readonly random: Random;
  /** An adapter on the level's store, which other cases of the level have filled, too. */
  readonly adapter: PersistenceAdapter;
  /** Its address, for other processes. */
  readonly address: TestStore["address"];
  readonly raw: TestStore["raw"];
  /** Another adapter on the level's store, as another process would have. */
  readonly other: PersistenceAdapter;
  /** A further adapter on the level's store, until the case ends. */
  connect(): Promise<PersistenceAdapter>;
  /** A store of its own for the case. */
  openStore(): Promise<OpenedStore>;
  /** A further adapter on the level's store, through a proxy of its own, until the case ends. */
  throughProxy(): Promise<Proxied>;
  /** Whether the store has `network`. */
  readonly hasNetwork: boolean;
  /** What no error may have in it. */
  readonly secrets: readonly string[];
  /** A server of its own for the case, and its store. */
  openServer(): Promise<OpenedServer>;
  /** Turns on the level's store, or on another adapter. */
  client(adapter?: PersistenceAdapter): TurnClient;
  /** An id that no other case uses. */
  newId(): string;
  note(line: string): void;
}

/** An adapter, and what stands between it and its server. */
export interface Proxied {
  readonly adapter: PersistenceAdapter;
  readonly proxy: Proxy;
}

export interface OpenedServer {
  readonly server: TestServer;
  readonly opened: OpenedStore;
}

/** A store with all adapters on it. */
export interface OpenedStore {
  readonly store: TestStore;
  connect(): Promise<PersistenceAdapter>;
  connectThroughProxy(): Promise<Proxied>;
  /** Disconnects an adapter, unless `connect` has given it more often. */
  release(adapter: PersistenceAdapter): Promise<void>;
  close(): Promise<void>;
  isClosed(): boolean;
}

interface Connected {
  readonly adapter: PersistenceAdapter;
  /** What was given out for it; the same adapter may be given again. */
  readonly shown: PersistenceAdapter;
  uses: number;
}

/** Opens an empty store; every adapter on it is initialized, watched, and shows the facets of the path. */
export async function openStore(harness: Harness, path: Path, monitor: Monitor): Promise<OpenedStore> {
  return openedOf(harness, path, monitor, () =>
    within(monitor, "the harness's `open`", async () => harness.open()),
  );
}

async function openedOf(
  harness: Harness,
  path: Path,
  monitor: Monitor,
  open: () => Promise<TestStore>,
): Promise<OpenedStore> {
  const store = await open();
  if (typeof store?.connect !== "function" || typeof store.remove !== "function") {
    throw new TypeError("the harness's `open` has to resolve to a store with `connect` and `remove`");
  }
  const connected: Connected[] = [];
  const proxies: Proxy[] = [];
  let isClosed = false;

  async function connect(make: () => PersistenceAdapter | Promise<PersistenceAdapter>) {
    const adapter = await within(monitor, "the harness's `connect`", async () => make());
    if (typeof adapter?.sessionRepository !== "object" || typeof adapter.messageRepository !== "object") {
      throw new TypeError("the harness's `connect` has to give an adapter, with its two repositories");
    }
    const before = connected.find((one) => one.adapter === adapter);
    if (before !== undefined) {
      before.uses++;
      return before.shown;
    }
    await watch(adapter, monitor).initialize?.();
    // Facets are final only now.
    const watched = watch(adapter, monitor);
    const isHidden = path === "through the outbox" && harness.expects.turns;
    const shown = isHidden ? withoutTurns(watched) : watched;
    connected.push({ adapter, shown, uses: 1 });
    return shown;
  }

  return {
    store,
    connect: () => connect(() => store.connect()),
    async connectThroughProxy() {
      const { network } = store;
      if (network === undefined) throw new TypeError("what `open` gives has no `network`");
      const proxy = await createProxy(network);
      proxies.push(proxy);
      return { proxy, adapter: await connect(() => network.connect(proxy)) };
    },
    async release(shown) {
      const index = connected.findIndex((one) => one.shown === shown);
      const one = connected[index];
      if (one === undefined || --one.uses > 0) return;
      connected.splice(index, 1);
      await shown.disconnect?.();
    },
    isClosed: () => isClosed,
    async close() {
      isClosed = true;
      try {
        // An adapter that has stopped answering is asked nothing more; its store is removed all the same.
        if (monitor.hung === null) for (const { shown } of connected) await shown.disconnect?.();
      } finally {
        await within(monitor, "the store's `remove`", async () => store.remove()).finally(() =>
          Promise.all(proxies.map((proxy) => proxy.close())),
        );
      }
    },
  };
}

async function openServer(harness: Harness, path: Path, monitor: Monitor): Promise<OpenedServer> {
  const server = await harness.openServer?.();
  if (server === undefined) throw new TypeError("the harness has no `openServer`");
  try {
    return { server, opened: await openedOf(harness, path, monitor, async () => server.store) };
  } catch (error) {
    await server.remove();
    throw error;
  }
}

async function within<T>(monitor: Monitor, what: string, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  // Setting up a store may be slow where it is a server's.
  const limitMs = monitor.callTimeoutMs * 3;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      monitor.hung ??= what;
      reject(new Error(`${what} did not end within ${limitMs} ms`));
    }, limitMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a case gets, and what ends it. */
export interface CaseWorld extends World {
  end(): Promise<void>;
  /** Closes what is left open after a case that has failed, so that the process can end. */
  abandon(): Promise<void>;
}

export interface WorldOptions {
  readonly harness: Harness;
  readonly path: Path;
  readonly monitor: Monitor;
  readonly scale: number;
  readonly seed: number;
  readonly opened: OpenedStore;
  readonly adapter: PersistenceAdapter;
  readonly other: PersistenceAdapter;
  readonly note: (line: string) => void;
}

export function createWorld(name: string, options: WorldOptions): CaseWorld {
  const { harness, path, monitor, scale, seed, opened, adapter, other, note } = options;
  const random = createRandom(seedFor(seed, name));
  const clients: TurnClient[] = [];
  const stores: OpenedStore[] = [];
  const servers: OpenedServer[] = [];
  const connected: PersistenceAdapter[] = [];
  return {
    harness,
    path,
    scale,
    random,
    adapter,
    other,
    address: opened.store.address,
    raw: opened.store.raw,
    note,
    async connect() {
      const one = await opened.connect();
      connected.push(one);
      return one;
    },
    async openStore() {
      const store = await openStore(harness, path, monitor);
      stores.push(store);
      return store;
    },
    async throughProxy() {
      const one = await opened.connectThroughProxy();
      connected.push(one.adapter);
      return one;
    },
    hasNetwork: opened.store.network !== undefined,
    secrets: opened.store.network?.secrets ?? [],
    async openServer() {
      const server = await openServer(harness, path, monitor);
      servers.push(server);
      return server;
    },
    client(on = adapter) {
      const client = createTurnClient(on);
      clients.push(client);
      return client;
    },
    newId: () => `s-${systemEnvironment.newId()}`,
    async abandon() {
      const left = [...stores, ...servers.map((one) => one.opened)].filter((one) => !one.isClosed());
      // What the case has found says more.
      for (const one of left) await one.close().catch(() => {});
      for (const { server } of servers) await server.remove();
    },
    async end() {
      for (const client of clients) await client.store.flush();
      for (const one of connected) await opened.release(one);
      for (const store of stores) if (!store.isClosed()) await store.close();
      for (const { opened } of servers) await opened.close();
    },
  };
}
