import { once } from "node:events";
import { type Socket, connect, createServer } from "node:net";

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What has gone through a proxy since it was made. */
export interface Traffic {
  /** Connections that were accepted. */
  readonly connections: number;
  /**
   * How often the server began to speak on a connection after the client had spoken on it. All that a client sends before
   * the first byte of the reply is one trip, in however many pieces, so a pipeline is one; what a server says unasked is
   * none. Where several calls are under way at once, a request that leaves while the reply to another arrives may count or
   * not, so count while one call is under way.
   */
  readonly roundTrips: number;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  /** Connections that were cut by `cutRequest` or `cutReply`. */
  readonly cuts: number;
}

/**
 * A line between a client and its real server that counts, and that fails when it is told to. Each fault holds until `heal`;
 * one that cuts a single connection is over when it has done so.
 */
export interface Proxy extends Address {
  traffic(): Traffic;
  /** Holds back what is sent for so many milliseconds, both ways, and lets each piece go on in two. */
  delay(ms: number): void;
  /**
   * Lets nothing through, both ways, and closes nothing. Resolves when it holds back the first bytes; `heal` sends on what was
   * held back.
   */
  hold(): Promise<void>;
  /** Resets all connections, to both sides. */
  cut(): void;
  /**
   * Lets `bytes` more bytes through to the server; the connection that sends one more is closed for the server behind them,
   * and reset for the client. Resolves then. The server has a part of a request.
   */
  cutRequest(bytes: number): Promise<void>;
  /**
   * Lets `bytes` more bytes through to the clients; the connection that gets one more is closed for the client behind them,
   * and reset for the server. Resolves then. The server has done what it was asked, and the client cannot know.
   */
  cutReply(bytes: number): Promise<void>;
  /** Resets all connections, and refuses new ones. */
  refuse(): Promise<void>;
  /** Ends every fault. The address is the same as before. */
  heal(): Promise<void>;
  /** Resets all connections and stops listening. */
  close(): Promise<void>;
}

type Side = "server" | "client";

interface Armed {
  left: number;
  fire(): void;
}

/** One connection of a client, and the one to the server that belongs to it. */
interface Link {
  readonly client: Socket;
  readonly server: Socket;
  /** Whether the client has spoken since the server did. */
  isAsked: boolean;
  /** Nothing more is sent on, either way. */
  isCut: boolean;
}

/**
 * Starts a proxy on a free port of this machine, before the server at the address. It uses TCP alone, so that it serves for
 * every protocol whose client can be given the proxy's address.
 * @throws Error of `node:net` where no port can be had. That the server cannot be reached, the client is told by a reset.
 */
export async function createProxy({ host, port }: Address): Promise<Proxy> {
  const links = new Set<Link>();
  const total = { connections: 0, roundTrips: 0, bytesToServer: 0, bytesToClient: 0, cuts: 0 };
  const armed: { [side in Side]: Armed | null } = { server: null, client: null };
  let delayMs = 0;
  let held: (() => void)[] | null = null;
  let noteHeld = () => {};

  function open(client: Socket): void {
    const server = connect({ host, port, allowHalfOpen: true });
    const link: Link = { client, server, isAsked: false, isCut: false };
    links.add(link);
    total.connections++;
    carry(link, "server");
    carry(link, "client");
  }

  function carry(link: Link, to: Side): void {
    const target = link[to];
    const source = to === "server" ? link.client : link.server;
    let before = Promise.resolve();
    let waiting = 0;

    function inOrder(act: () => void): void {
      if (held !== null) {
        noteHeld();
        held.push(() => inOrder(act));
        return;
      }
      if (delayMs === 0 && waiting === 0) return act();
      waiting++;
      before = later(before, delayMs).then(() => {
        waiting--;
        return act();
      });
    }

    source.setNoDelay(true);
    source.on("data", (chunk) => {
      const half = delayMs === 0 ? chunk.length : Math.ceil(chunk.length / 2);
      for (const part of [chunk.subarray(0, half), chunk.subarray(half)])
        if (part.length > 0) inOrder(() => send(link, to, part));
    });
    source.on("end", () => inOrder(() => void (link.isCut || target.end())));
    source.on("error", () => {
      if (!link.isCut) target.resetAndDestroy();
    });
    source.on("close", () => {
      if (link.client.destroyed && link.server.destroyed) links.delete(link);
    });
    target.on("drain", () => source.resume());
  }

  function send(link: Link, to: Side, chunk: Buffer): void {
    if (link.isCut) return;
    const cut = armed[to];
    const part = cut !== null && chunk.length > cut.left ? chunk.subarray(0, cut.left) : chunk;
    count(link, to, part.length);
    if (cut !== null && part !== chunk) {
      armed[to] = null;
      total.cuts++;
      link.isCut = true;
      const [behind, other] = to === "server" ? [link.server, link.client] : [link.client, link.server];
      behind.end(part, () => behind.destroy());
      other.resetAndDestroy();
      cut.fire();
      return;
    }
    if (cut !== null) cut.left -= part.length;
    if (!link[to].write(part)) (to === "server" ? link.client : link.server).pause();
  }

  function count(link: Link, to: Side, bytes: number): void {
    if (bytes === 0) return;
    if (to === "server") {
      total.bytesToServer += bytes;
      link.isAsked = true;
    } else {
      total.bytesToClient += bytes;
      if (link.isAsked) total.roundTrips++;
      link.isAsked = false;
    }
  }

  function arm(to: Side, bytes: number): Promise<void> {
    return new Promise((resolve) => (armed[to] = { left: bytes, fire: resolve }));
  }

  function reset(): void {
    for (const link of links) {
      link.isCut = true;
      link.client.resetAndDestroy();
      link.server.resetAndDestroy();
    }
    links.clear();
  }

  const listener = createServer({ allowHalfOpen: true }, open);

  async function listen(on: number): Promise<number> {
    listener.listen(on, "127.0.0.1");
    await once(listener, "listening");
    const bound = listener.address();
    if (bound === null || typeof bound === "string") throw new Error("the proxy has no port");
    return bound.port;
  }

  async function refuse(): Promise<void> {
    const closed = listener.listening ? once(listener, "close") : undefined;
    listener.close();
    reset();
    await closed;
  }

  const own = await listen(0);
  return {
    host: "127.0.0.1",
    port: own,
    traffic: () => ({ ...total }),
    delay: (ms) => void (delayMs = ms),
    hold: () =>
      new Promise((resolve) => {
        held ??= [];
        noteHeld = resolve;
      }),
    cut: reset,
    cutRequest: (bytes) => arm("server", bytes),
    cutReply: (bytes) => arm("client", bytes),
    refuse,
    async heal() {
      armed.server = null;
      armed.client = null;
      delayMs = 0;
      const rest = held ?? [];
      held = null;
      for (const act of rest) act();
      if (!listener.listening) await listen(own);
    },
    close: refuse,
  };
}

async function later(before: Promise<void>, ms: number): Promise<void> {
  await before;
  await new Promise((resolve) => setTimeout(resolve, ms));
}
