import { once } from "node:events";
import { type Socket, connect, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { type Proxy, createProxy } from "../src/index.js";

/** Answers each line with itself in capitals; a greeting is said unasked. */
const server = createServer((socket) => {
  socket.write("hello\n");
  socket.on("error", () => {});
  let rest = "";
  socket.on("data", (chunk) => {
    received += String(chunk);
    const lines = `${rest}${String(chunk)}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) socket.write(`${line.toUpperCase()}\n`);
    wake();
  });
  socket.on("close", () => {
    closed++;
    wake();
  });
});

let received = "";
let closed = 0;
let wake = () => {};
let proxy: Proxy;
const clients: Socket[] = [];

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise<void>((resolve) => (wake = resolve));
}

beforeEach(async () => {
  received = "";
  closed = 0;
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  proxy = await createProxy({ host: "127.0.0.1", port: address.port });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  await once(server.close(), "close");
});

/** A client that has had the greeting. */
async function open() {
  const socket = connect(proxy.port, proxy.host);
  clients.push(socket);
  let heard = "";
  let end: string | null = null;
  socket.on("data", (chunk) => {
    heard += String(chunk);
    wake();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => (end = error.code ?? ""));
  socket.on("close", () => {
    end ??= "closed";
    wake();
  });
  await until(() => heard === "hello\n" || end !== null);
  return {
    say: (text: string) => socket.write(text),
    heard: (text: string) => until(() => heard === `hello\n${text}`),
    told: () => heard.slice("hello\n".length),
    ended: () => until(() => end !== null).then(() => end),
  };
}

describe("the proxy", () => {
  it("counts a pipeline as one trip, a greeting as none, and all bytes", async () => {
    const client = await open();
    expect(proxy.traffic()).toMatchObject({
      connections: 1,
      roundTrips: 0,
      bytesToServer: 0,
      bytesToClient: 6,
    });
    client.say("a\nb\nc\n");
    await client.heard("A\nB\nC\n");
    expect(proxy.traffic()).toMatchObject({ roundTrips: 1, bytesToServer: 6, bytesToClient: 12 });
    client.say("d\n");
    await client.heard("A\nB\nC\nD\n");
    expect(proxy.traffic()).toMatchObject({ roundTrips: 2, bytesToServer: 8, bytesToClient: 14 });
  });

  it("counts what comes in pieces as one trip", async () => {
    const client = await open();
    proxy.delay(1);
    client.say("a request in pieces\n");
    await client.heard("A REQUEST IN PIECES\n");
    expect(proxy.traffic().roundTrips).toBe(1);
    expect(received).toBe("a request in pieces\n");
  });

  it("cuts inside a request: the server has a part, and the client is told", async () => {
    const client = await open();
    const cut = proxy.cutRequest(3);
    client.say("request\n");
    await cut;
    expect(await client.ended()).toBe("ECONNRESET");
    await until(() => closed === 1);
    expect(received).toBe("req");
    expect(proxy.traffic()).toMatchObject({ cuts: 1, bytesToServer: 3 });
    const next = await open();
    next.say("whole\n");
    await next.heard("WHOLE\n");
  });

  it("cuts inside a reply: the server has all, the client has a part", async () => {
    const client = await open();
    const cut = proxy.cutReply(3);
    client.say("request\n");
    await cut;
    expect(await client.ended()).toBe("closed");
    expect(received).toBe("request\n");
    expect(client.told()).toBe("REQ");
  });

  it("counts the bytes until a cut over several requests", async () => {
    const client = await open();
    const cut = proxy.cutRequest(5);
    client.say("ab\n");
    await client.heard("AB\n");
    client.say("cd\n");
    await cut;
    await until(() => closed === 1);
    expect(received).toBe("ab\ncd");
  });

  it("refuses, and accepts at the same address", async () => {
    const client = await open();
    await proxy.refuse();
    expect(await client.ended()).toBe("ECONNRESET");
    expect(await (await open()).ended()).toBe("ECONNREFUSED");
    await proxy.heal();
    const next = await open();
    next.say("again\n");
    await next.heard("AGAIN\n");
    proxy.cut();
    expect(await next.ended()).toBe("ECONNRESET");
  });

  it("holds back, and sends on in order", async () => {
    const client = await open();
    const held = proxy.hold();
    client.say("a\n");
    await held;
    expect(received).toBe("");
    await proxy.heal();
    client.say("b\n");
    await client.heard("A\nB\n");
    expect(proxy.traffic().bytesToServer).toBe(4);
  });

  it("resets a client whose server is not there", async () => {
    const gone = await createProxy({ host: "127.0.0.1", port: proxy.port });
    await proxy.refuse();
    const socket = connect(gone.port, gone.host).on("error", () => {});
    clients.push(socket);
    await new Promise((resolve) => socket.once("close", resolve));
    await gone.close();
  });
});
