import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SerialPortStream } from "@serialport/stream";
import { firstValueFrom } from "rxjs";
import { afterEach, describe, expect, test } from "vitest";
import { entryPointUrl } from "../../../hal/entry-point.ts";
import { safeBinding } from "../../../hal/links/safe-binding.ts";
import { silentLogger } from "../../../hal/log.ts";
import { ps } from "../../../hal/units.ts";
import { type InstrumentHost, startInstruments } from "../../../mocks/instrument-host.ts";
import { createLabFrameDecoder, encodeLabFrame, type LabFrame } from "../../../mocks/lab-socket.ts";
import type { InstrumentSettings } from "../../../mocks/physics/lab-settings.ts";
import { hasPty } from "../../../mocks/ports/pty.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const tagger: InstrumentSettings = {
  model: "s-fifteen/tdc1",
  at: "tcp",
  clock: { offsetPs: 0, driftPpb: 0, tickPs: 2000 },
  fifoTags: 1024,
  tagsPerSecondMax: 1e7,
};
const source: InstrumentSettings = { ...tagger, model: "s-fifteen/spdc" };

/** A lab that a test plays: it answers hello and sends what it is told. */
async function playLab(): Promise<{
  readonly path: string;
  send(frame: LabFrame): void;
  readonly received: LabFrame[];
}> {
  const folder = mkdtempSync(join(tmpdir(), "lab-"));
  const path = process.platform === "win32" ? "tcp:127.0.0.1:47123" : join(folder, "lab");
  const sockets = new Set<Socket>();
  const received: LabFrame[] = [];
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    const decoder = createLabFrameDecoder();
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) =>
      decoder.push(bytes, (frame) => {
        received.push(frame);
        if (frame.type === "hello") {
          socket.write(encodeLabFrame({ type: "lab", labEpochUtcPs: ps(0n) }));
        }
      }),
    );
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    path,
    received,
    send: (frame) => {
      for (const socket of sockets) socket.write(encodeLabFrame(frame));
    },
  };
}

const clicks = (fromPs: bigint, toPs: bigint, times: readonly bigint[], input = 0): LabFrame => ({
  type: "clicks",
  fromPs: ps(fromPs),
  toPs: ps(toPs),
  timesPs: BigInt64Array.from(times),
  inputs: new Uint8Array(times.length).fill(input),
});

const start = async (
  instruments: Readonly<Record<string, InstrumentSettings>>,
  labSocketPath: string | null,
  linkPaths: Readonly<Record<string, string>> = {},
): Promise<InstrumentHost> => {
  const host = await startInstruments({
    instruments,
    labSocketPath,
    linkPaths,
    logger: silentLogger,
  });
  closers.push(() => host.close());
  return host;
};

interface Host {
  send(text: string): void;
  /** Resolves when what was received ends as `pattern` says; gives and forgets it all. */
  receive(pattern: RegExp): Promise<Buffer>;
}
function hostOf(stream: Socket | SerialPortStream): Host {
  let got = Buffer.alloc(0);
  let wake = (): void => undefined;
  stream.on("data", (bytes: Buffer) => {
    got = Buffer.concat([got, bytes]);
    wake();
  });
  return {
    send: (text) => void stream.write(text),
    receive: async (pattern) => {
      while (!pattern.test(got.toString("latin1"))) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const all = got;
      got = Buffer.alloc(0);
      return all;
    },
  };
}
async function openTcp(url: string): Promise<Host> {
  const socket = connect(Number(url.split(":").at(-1)), "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  closers.push(() => socket.destroy());
  return hostOf(socket);
}

describe("mock instruments in their own processes", () => {
  test("a tagger over TCP turns the lab's clicks into words of its own clock", async () => {
    const lab = await playLab();
    const host = await start(
      { tagger: { ...tagger, clock: { offsetPs: 1_000_000, driftPpb: 1000, tickPs: 2000 } } },
      lab.path,
    );
    expect(lab.received).toEqual([{ type: "hello", instrument: "tagger" }]);
    const port = await openTcp(host.resolve("mock:tagger"));
    port.send("\r\n*idn?\r\n");
    expect((await port.receive(/\r\n$/)).toString()).toContain("TDC1");
    port.send("*RST;NIM;time 0;timestamp;counts?\r\nmode?\r\n");
    expect((await port.receive(/\r\n$/)).toString()).toBe("3\r\n");
    const second = 1_000_000_000_000n;
    lab.send(clicks(0n, second, [4_000n, second / 100n], 2));
    lab.send(clicks(second, second + 10_000_000n, []));
    let counters = await host.instruments.get("tagger")?.countInside();
    while (counters?.labTimeMs !== 1000) {
      counters = await host.instruments.get("tagger")?.countInside();
    }
    port.send("abort;status?\r\n");
    const bytes = await port.receive(/[0-9A-F]{4} \r\n$/);
    const words = bytes.subarray(0, -7);
    const times = Array.from({ length: words.length / 4 }, (_, i) => words.readUInt32LE(4 * i));
    // floor((t (1 + 1000e-9) + 1 us) / 2 ns), then a dummy every 2^26 ticks of silence.
    const lateTick = 5_000_000 + 5 + 500;
    expect(times.slice(0, 2)).toEqual([502 * 32 + 4, lateTick * 32 + 4]);
    expect(times.slice(2).map((word) => word & 31)).toEqual(Array(7).fill(0x11));
    expect(bytes.subarray(-7).toString()).toBe("0000 \r\n");
  });

  test("a stalled tagger loses what its FIFO cannot hold, and says so only in STATUS?", async () => {
    const lab = await playLab();
    const host = await start({ tagger }, lab.path);
    const inside = host.instruments.get("tagger");
    const port = await openTcp(host.resolve("mock:tagger"));
    port.send("*RST;NIM;time 0;timestamp;counts?;mode?\r\n");
    await port.receive(/3\r\n$/);
    inside?.inflict({ kind: "stall", isStalled: true });
    const times = Array.from({ length: 5000 }, (_, index) => BigInt(index) * 100_000n);
    lab.send(clicks(0n, 1_000_000_000n, times));
    let counters = await inside?.countInside();
    while (counters?.clicksTaken !== 5000) counters = await inside?.countInside();
    expect(counters).toMatchObject({ clicksLost: 5000 - 1024, wordsHeld: 1024 });
    inside?.inflict({ kind: "stall", isStalled: false });
    port.send("abort;status?\r\n");
    lab.send(clicks(1_000_000_000n, 2_000_000_000n, []));
    const bytes = await port.receive(/[0-9A-F]{4} \r\n$/);
    expect(bytes.subarray(-7).toString()).toBe("0010 \r\n");
    expect(bytes).toHaveLength(1024 * 4 + 7);
  });

  test("a source tells the lab its pump current while rail, switch and current are on", async () => {
    const lab = await playLab();
    const host = await start({ source }, lab.path);
    const port = await openTcp(host.resolve("mock:source"));
    for (const command of ["POWER 2", "ON", "LCURRENT 30", "LCURRENT 20.5", "OFF"]) {
      port.send(`${command};*idn?;`);
      await port.receive(/\r\n$/);
    }
    const controls = (): unknown[] => lab.received.filter((frame) => frame.type === "control");
    while (controls().length < 3) await host.instruments.get("source")?.countInside();
    expect(controls()).toEqual(
      [30, 20.5, 0].map((pumpCurrentMa) => ({ type: "control", pumpCurrentMa })),
    );
  });

  test.skipIf(!hasPty())("a tagger on a pseudo-terminal answers the real serialport", async () => {
    const folder = mkdtempSync(join(tmpdir(), "host-"));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const linkPath = join(folder, "tagger");
    const host = await start({ tagger: { ...tagger, at: "pty" } }, null, { tagger: linkPath });
    expect(host.resolve("mock:tagger")).toBe(`serial:${linkPath}`);
    // The native binding alone may read a terminal that hung up for ever, and never close.
    const serial = new SerialPortStream({
      binding: safeBinding,
      path: linkPath,
      baudRate: 115_200,
    });
    await new Promise((resolve) => serial.once("open", resolve));
    closers.push(() => new Promise<void>((done) => serial.close(() => done())));
    const port = hostOf(serial);
    port.send("*idn?\r\n");
    expect((await port.receive(/\r\n$/)).toString()).toContain("TDC1");
    // In the dark its clock still runs: a gate of 20 ms ends by itself.
    port.send("singles;time 20;counts?\r\n");
    expect((await port.receive(/\r\n$/)).toString()).toBe("0 0 0 0\r\n");
    const gone = new Promise((resolve) => serial.once("close", resolve));
    host.instruments.get("tagger")?.inflict({ kind: "unplug" });
    await gone;
    expect(existsSync(linkPath)).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a crash is told with its exit code, and the others go on", async () => {
    const host = await start({ tagger, source }, null);
    const exit = firstValueFrom(host.failures$);
    host.instruments.get("tagger")?.inflict({ kind: "crash" });
    expect(await exit).toMatchObject({
      code: "mock.crashed",
      message: expect.stringMatching(/tagger ended with exit code 1: .*crashed on request/),
      details: { instrument: "tagger", exitCode: 1, signal: null },
    });
    expect(await host.instruments.get("source")?.countInside()).toEqual({ pumpCurrentMa: 0 });
  });

  test("closing ends every process", async () => {
    const host = await start({ tagger, source }, null);
    const pids = [...host.instruments.values()].map(({ pid }) => pid);
    for (const pid of pids) expect(process.kill(pid, 0)).toBe(true);
    await host.close();
    await host.close();
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  test.skipIf(!hasPty())(
    "a mock ends with its host, however that ends, and leaves no link",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "host-"));
      closers.push(() => rmSync(folder, { recursive: true, force: true }));
      const settings = { instruments: { source: { ...source, at: "pty" } }, labSocketPath: null };
      const program = `
      const { startInstruments } = await import(${JSON.stringify(`${entryPointUrl("#mocks/instrument-host")}`)});
      const host = await startInstruments({ ...${JSON.stringify(settings)},
        linkPaths: { source: ${JSON.stringify(join(folder, "source"))} }, logger: {} });
      process.stdout.write(String(host.instruments.get("source").pid));`;
      const parent = spawn(process.execPath, ["--input-type=module", "-e", program]);
      closers.push(() => parent.kill("SIGKILL"));
      const pid = Number(await new Promise((resolve) => parent.stdout.once("data", resolve)));
      expect(readdirSync(folder)).toEqual(["source"]);
      expect(process.kill(pid, 0)).toBe(true);
      parent.kill("SIGKILL");
      const isAlive = (): boolean => {
        try {
          return process.kill(pid, 0);
        } catch {
          return false;
        }
      };
      while (isAlive()) await new Promise((resolve) => setTimeout(resolve, 10));
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  test("SIGINT does not end a mock while its host lives", async () => {
    const host = await start({ source }, null);
    const instrument = host.instruments.get("source");
    process.kill(instrument?.pid ?? 0, "SIGINT");
    expect(await instrument?.countInside()).toEqual({ pumpCurrentMa: 0 });
  });

  test("an unknown model and an absent lab are said, and nothing is left running", async () => {
    await expect(start({ tagger, odd: { ...tagger, model: "acme/clock" } }, null)).rejects.toThrow(
      /mock instrument odd did not start: there is no mock of "acme\/clock"; there are s-fifteen\/tdc1/,
    );
    await expect(start({ tagger }, join(tmpdir(), "no-lab-here"))).rejects.toThrow(
      /mock instrument tagger did not start: no mock lab answers/,
    );
  });

  test("a port URL that leads to no mock is refused, and real ones pass", async () => {
    const host = await start({}, null);
    expect(host.resolve("serial:/dev/ttyACM0")).toBe("serial:/dev/ttyACM0");
    expect(() => host.resolve("mock:nobody")).toThrow(/mock.instruments/);
  });
});
