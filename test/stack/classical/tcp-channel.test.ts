import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import type { ChannelState } from "../../../stack/classical/channel.ts";
import { waitUntilOpen } from "../../../stack/classical/channel-opening.ts";
import { encodeMessage } from "../../../stack/classical/message-codec.ts";
import {
  openTcpChannel,
  type TcpChannel,
  type TcpChannelSettings,
} from "../../../stack/classical/tcp-channel.ts";
import { frame, frameKinds, helloFrame } from "../../../stack/classical/tcp-frames.ts";

const host = "127.0.0.1";
const quick = { answerTimeoutMs: 150, heartbeatMs: 40, silenceMs: 150 };
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function end(
  settings: Partial<TcpChannelSettings> & Pick<TcpChannelSettings, "role" | "port">,
): Promise<TcpChannel> {
  const names =
    settings.role === "listen" ? { local: "bob", peer: "alice" } : { local: "alice", peer: "bob" };
  const channel = await openTcpChannel({
    host,
    link: "alice-bob",
    clock: systemClock,
    bounds: quick,
    ...names,
    ...settings,
  });
  cleanups.push(() => channel.close());
  return channel;
}

/** A server that speaks bytes of the test's choice. */
async function rawServer(
  onSocket: (socket: Socket) => void,
): Promise<{ port: number; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

/** Resolves with the first state that satisfies. */
const stateOf = (
  channel: TcpChannel,
  is: (state: ChannelState) => boolean,
): Promise<ChannelState> =>
  new Promise((resolve) => {
    const subscription = channel.state$.subscribe((state) => {
      if (!is(state)) return;
      resolve(state);
      queueMicrotask(() => subscription.unsubscribe());
    });
  });

async function pair(): Promise<[TcpChannel, TcpChannel]> {
  const bob = await end({ role: "listen", port: 0 });
  const alice = await end({ role: "connect", port: bob.port });
  await Promise.all([alice, bob].map((channel) => waitUntilOpen(channel, systemClock, 2_000)));
  return [alice, bob];
}

describe("a TCP channel", () => {
  it("carries messages of all sizes in order, both ways", async () => {
    const [alice, bob] = await pair();
    const sizes = [0, 1, 1_000, 70_000, 1_000_000];
    const got = new Promise<number[]>((resolve) => {
      const lengths: number[] = [];
      bob.received$.subscribe((bytes) => {
        lengths.push(bytes.length);
        if (lengths.length === sizes.length) resolve(lengths);
      });
    });
    const back = new Promise<Uint8Array>((resolve) => alice.received$.subscribe(resolve));
    for (const size of sizes) alice.send(new Uint8Array(size));
    bob.send(Uint8Array.of(1, 2, 3));
    expect(await got).toEqual(sizes);
    expect([...(await back)]).toEqual([1, 2, 3]);
    expect(() => alice.send(new Uint8Array(2 ** 20 + 1))).toThrow(RangeError);
  });

  it("connects again by itself when the peer comes back", async () => {
    const bob = await end({ role: "listen", port: 0 });
    const alice = await end({ role: "connect", port: bob.port });
    await waitUntilOpen(alice, systemClock, 2_000);
    await bob.close();
    await stateOf(alice, ({ state }) => state === "connecting");
    expect(() => alice.send(Uint8Array.of(1))).toThrow(/not open/);
    await end({ role: "listen", port: bob.port });
    await waitUntilOpen(alice, systemClock, 4_000);
  });

  it("notices a peer that stops answering with its connection open", async () => {
    const { port } = await rawServer((socket) =>
      socket.write(helloFrame({ node: "bob", peer: "alice", link: "alice-bob" })),
    );
    const alice = await end({ role: "connect", port });
    await waitUntilOpen(alice, systemClock, 2_000);
    const { reason } = await stateOf(alice, ({ state }) => state === "connecting");
    expect(reason).toContain("bob has been silent");
  });

  it("names a peer that never answers, and the address where nothing is", async () => {
    const { port } = await rawServer(() => undefined);
    const mute = await end({ role: "connect", port });
    await expect(waitUntilOpen(mute, systemClock, 400)).rejects.toMatchObject({
      code: "channel.no-answer",
      message: expect.stringContaining("did not say hello"),
    });
    const { port: gone, server } = await rawServer(() => undefined);
    await new Promise((resolve) => server.close(resolve));
    const alone = await end({ role: "connect", port: gone });
    await expect(waitUntilOpen(alone, systemClock, 300)).rejects.toMatchObject({
      code: "channel.no-answer",
      message: expect.stringContaining(`nothing answers at ${host}:${gone}`),
    });
  });

  it("closes for good, with the reason, on another version, another node and another link", async () => {
    const hello = {
      protocol: "bellwether",
      version: 1,
      node: "bob",
      peer: "alice",
      link: "alice-bob",
    };
    for (const [change, code] of [
      [{ version: 2 }, "channel.version"],
      [{ node: "carol" }, "channel.other-node"],
      [{ link: "alice-carol" }, "channel.other-link"],
    ] as const) {
      const { port } = await rawServer((socket) =>
        socket.write(frame(frameKinds.hello, encodeMessage({ ...hello, ...change }))),
      );
      const alice = await end({ role: "connect", port });
      await expect(waitUntilOpen(alice, systemClock, 2_000)).rejects.toMatchObject({
        code: "channel.closed",
      });
      expect(alice.failure?.code).toBe(code);
    }
  });

  it("refuses a stranger by name and goes on listening", async () => {
    const bob = await end({ role: "listen", port: 0 });
    const carol = await end({ role: "connect", port: bob.port, local: "carol" });
    await expect(waitUntilOpen(carol, systemClock, 2_000)).rejects.toMatchObject({
      code: "channel.closed",
    });
    expect(carol.failure?.message).toMatch(/carol/);
    const alice = await end({ role: "connect", port: bob.port });
    await waitUntilOpen(alice, systemClock, 2_000);
  });

  it("ends a connection that announces an oversized frame, or speaks something else", async () => {
    const bob = await end({ role: "listen", port: 0 });
    for (const bytes of [
      Uint8Array.of(255, 255, 255, 255, 1),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Uint8Array.of(0, 0, 0, 0),
    ]) {
      const socket = connect({ host, port: bob.port });
      socket.on("error", () => undefined);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(bytes);
      socket.resume();
      await closed;
    }
    const alice = await end({ role: "connect", port: bob.port });
    await waitUntilOpen(alice, systemClock, 2_000);
  });

  it("stays on this machine unless the station says otherwise, and says so when its port is taken", async () => {
    await expect(
      openTcpChannel({
        host: "192.0.2.1",
        port: 7300,
        role: "connect",
        local: "a",
        peer: "b",
        link: "l",
        clock: systemClock,
      }),
    ).rejects.toMatchObject({ code: "channel.not-loopback" });
    const bob = await end({ role: "listen", port: 0 });
    await expect(end({ role: "listen", port: bob.port })).rejects.toMatchObject({
      code: "channel.address",
    });
  });
});
