import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SerialPort } from "serialport";
import { afterEach, describe, expect, test } from "vitest";
import type { MockPort } from "../../../mocks/ports/mock-port.ts";
import { hasPty, openPty } from "../../../mocks/ports/pty.ts";
import { openTcpPort } from "../../../mocks/ports/tcp.ts";

const closers: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});
const kept = <T extends MockPort>(port: T): T => {
  closers.push(() => port.close());
  return port;
};
const pathOf = (port: MockPort): string => port.url.replace("serial:", "");

/** Offers all bytes, as the port takes them. */
const writeAll = (port: MockPort, bytes: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    let at = 0;
    const offer = (): void => {
      at += port.write(bytes.subarray(at));
      if (at === bytes.length) {
        waiting.unsubscribe();
        resolve();
      }
    };
    const waiting = port.writable$.subscribe(offer);
    offer();
  });
const collect = (source: NodeJS.ReadableStream, length: number): Promise<Buffer> =>
  new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    source.on("data", (piece: Buffer) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes >= length) resolve(Buffer.concat(pieces));
    });
  });
const collectFromHost = (port: MockPort, length: number): Promise<Buffer> =>
  new Promise((resolve) => {
    let got = Buffer.alloc(0);
    const listening = port.received$.subscribe((bytes) => {
      got = Buffer.concat([got, bytes]);
      if (got.length >= length) {
        listening.unsubscribe();
        resolve(got);
      }
    });
  });
const openSerial = (path: string): Promise<SerialPort> =>
  new Promise((resolve, reject) => {
    const serial = new SerialPort({ path, baudRate: 115_200 }, (error) =>
      error ? reject(error) : resolve(serial),
    );
    closers.push(
      () => new Promise<void>((done) => (serial.isOpen ? serial.close(() => done()) : done())),
    );
  });
const allBytes = Uint8Array.from({ length: 256 }, (_, value) => value);
const pattern = Uint8Array.from({ length: 1_000_003 }, (_, index) => (index * 7919) >>> 3);

describe.skipIf(!hasPty())("a pseudo-terminal", () => {
  test("carries all 256 byte values both ways through the real serialport", async () => {
    const port = kept(openPty());
    const serial = await openSerial(pathOf(port));
    const toHost = collect(serial, 256);
    const toMock = collectFromHost(port, 256);
    serial.write(allBytes);
    await writeAll(port, allBytes);
    expect(new Uint8Array(await toHost)).toEqual(allBytes);
    expect(new Uint8Array(await toMock)).toEqual(allBytes);
  });

  test("carries a million bytes to the host in order, whatever pieces the kernel takes", async () => {
    const port = kept(openPty());
    const serial = await openSerial(pathOf(port));
    const received = collect(serial, pattern.length);
    await writeAll(port, pattern);
    expect(Buffer.compare(await received, pattern)).toBe(0);
  });

  test("takes only what its buffer holds while the host does not read, and never waits", () => {
    const port = kept(openPty());
    let taken = 0;
    for (let offers = 0; offers < 100; offers++) taken += port.write(pattern.subarray(taken));
    expect(taken).toBeGreaterThan(1000);
    expect(taken).toBeLessThan(200_000);
  });

  test("unplugging it ends the host's port, and what is written then goes nowhere", async () => {
    const port = kept(openPty());
    const serial = await openSerial(pathOf(port));
    const gone = new Promise<Error | null>((resolve) => serial.on("close", resolve));
    serial.on("data", () => undefined);
    await writeAll(port, allBytes);
    await new Promise((resolve) => serial.once("data", resolve));
    // Once the loop is idle the host waits for the next byte.
    await new Promise((resolve) => setTimeout(resolve, 20));
    port.unplug();
    expect(await gone).toMatchObject({ disconnected: true });
    expect(port.write(allBytes)).toBe(0);
    expect(existsSync(pathOf(port))).toBe(false);
  });

  test("a process started while it is open does not keep the line up after an unplug", async () => {
    const port = kept(openPty());
    const child = spawn("sleep", ["30"], { stdio: "ignore" });
    closers.push(() => void child.kill());
    await once(child, "spawn");
    const serial = await openSerial(pathOf(port));
    const gone = new Promise<Error | null>((resolve) => serial.on("close", resolve));
    serial.on("data", () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    port.unplug();
    expect(await gone).toMatchObject({ disconnected: true });
  });

  test("a link to it has the path that was asked for, replaces a dead one, and goes with it", () => {
    const folder = mkdtempSync(join(tmpdir(), "pty-"));
    closers.push(() => rmSync(folder, { recursive: true }));
    const linkPath = join(folder, "tagger");
    symlinkSync("/dev/pts/does-not-exist", linkPath);
    const port = kept(openPty({ linkPath }));
    expect(port.url).toBe(`serial:${linkPath}`);
    expect(existsSync(readlinkSync(linkPath))).toBe(true);
    port.close();
    expect(() => readlinkSync(linkPath)).toThrow("ENOENT");
  });

  test("a file in the place of the link is refused and left alone", () => {
    const folder = mkdtempSync(join(tmpdir(), "pty-"));
    closers.push(() => rmSync(folder, { recursive: true }));
    const linkPath = join(folder, "tagger");
    writeFileSync(linkPath, "precious");
    expect(() => openPty({ linkPath })).toThrow(
      expect.objectContaining({ code: "mock.link-refused" }),
    );
    expect(existsSync(linkPath)).toBe(true);
  });
});

describe("a TCP port", () => {
  const openSocket = (port: MockPort): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const [, host, number] = /^tcp:(.*):(\d+)$/.exec(port.url) ?? [];
      const socket = connect(Number(number), host);
      socket.once("connect", () => resolve(socket));
      socket.once("error", reject);
      closers.push(() => void socket.destroy());
    });

  test("carries all 256 byte values and a million bytes both ways", async () => {
    const port = kept(await openTcpPort());
    const socket = await openSocket(port);
    const toMock = collectFromHost(port, 256);
    const toHost = collect(socket, pattern.length);
    socket.write(allBytes);
    await writeAll(port, pattern);
    expect(new Uint8Array(await toMock)).toEqual(allBytes);
    expect(Buffer.compare(await toHost, pattern)).toBe(0);
  });

  test("takes nothing without a host, and a bounded amount from one that does not read", async () => {
    const port = kept(await openTcpPort());
    expect(port.write(pattern)).toBe(0);
    const ready = new Promise<void>((resolve) => port.writable$.subscribe(() => resolve()));
    const socket = await openSocket(port);
    socket.pause();
    await ready;
    let taken = 0;
    for (let refusals = 0; refusals < 20; ) {
      const more = port.write(pattern);
      taken += more;
      refusals = more === 0 ? refusals + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(taken).toBeGreaterThan(1000);
    expect(taken).toBeLessThan(64_000_000);
  });

  test("turns a second host away and lets the first come again", async () => {
    const port = kept(await openTcpPort());
    const first = await openSocket(port);
    const second = await openSocket(port);
    await new Promise((resolve) => second.once("close", resolve));
    const again = new Promise<void>((resolve) => port.writable$.subscribe(() => resolve()));
    first.destroy();
    await new Promise((resolve) => first.once("close", resolve));
    let socket = await openSocket(port);
    // The server may see the new host before it has seen the first one leave.
    while (socket.destroyed) socket = await openSocket(port);
    await again;
    const received = collect(socket, 256);
    await writeAll(port, allBytes);
    expect(new Uint8Array(await received)).toEqual(allBytes);
  });

  test("unplugging it closes the host's connection and refuses the next", async () => {
    const port = kept(await openTcpPort());
    const socket = await openSocket(port);
    const gone = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    port.unplug();
    await gone;
    await expect(openSocket(port)).rejects.toThrow("ECONNREFUSED");
    expect(port.write(allBytes)).toBe(0);
  });

  test("an address in use is said plainly", async () => {
    const port = kept(await openTcpPort());
    const used = Number(port.url.split(":").at(-1));
    await expect(openTcpPort({ port: used })).rejects.toMatchObject({ code: "mock.port-in-use" });
  });
});
