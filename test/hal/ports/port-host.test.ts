import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { firstValueFrom } from "rxjs";
import { afterEach, describe, expect, test } from "vitest";
import { sleep, systemClock, withDeadline } from "../../../hal/clock.ts";
import { entryPointUrl } from "../../../hal/entry-point.ts";
import { silentLogger } from "../../../hal/log.ts";
import { attachToPort } from "../../../hal/ports/port-attachment.ts";
import { type PortClient, startPortHost } from "../../../hal/ports/port-client.ts";
import type { MockPort } from "../../../mocks/ports/mock-port.ts";
import { hasPty, openPty } from "../../../mocks/ports/pty.ts";

const safeSteps = [
  { bytes: Buffer.from("LCURRENT 0.000;"), delayMs: 30 },
  { bytes: Buffer.from("OFF;"), delayMs: 0 },
];
const safeText = "LCURRENT 0.000;OFF;";

const started: { close(): unknown }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).toReversed()) await item.close();
});

/** Opens a pseudo-terminal that remembers what the host said. */
function listeningPty(): MockPort & { heard(): string; hears(text: string): Promise<void> } {
  const pty = openPty();
  started.push(pty);
  let heard = "";
  let notify = (): void => {};
  pty.received$.subscribe((bytes) => {
    heard += Buffer.from(bytes).toString("latin1");
    notify();
  });
  const hears = async (text: string): Promise<void> => {
    const found = new Promise<void>((resolve) => {
      notify = () => {
        if (heard.includes(text)) resolve();
      };
      notify();
    });
    await withDeadline(systemClock, found, 5_000);
  };
  return { ...pty, heard: () => heard, hears };
}

async function startHost(heartbeatTimeoutMs?: number): Promise<PortClient> {
  const client = await startPortHost({
    ...{ clock: systemClock, logger: silentLogger },
    ...(heartbeatTimeoutMs === undefined ? {} : { heartbeatTimeoutMs }),
  });
  started.push(client);
  return client;
}

/** An orphan that has ended stays listed until init asks for it; its state is then Z. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    const path = `/proc/${pid}/stat`;
    return !existsSync(path) || !/\) Z /.test(readFileSync(path, "latin1"));
  } catch {
    return false;
  }
};

async function dies(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 100 && isAlive(pid); attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(isAlive(pid)).toBe(false);
}

describe.skipIf(!hasPty())("the port host", () => {
  test("carries bytes both ways, and sends the safe bytes, paced, when the port is closed", async () => {
    const pty = listeningPty();
    const client = await startHost();
    const port = await client.open({ url: pty.url, holder: "source" });
    const link = await port.attach();
    await port.setSafeState(safeSteps);
    const answer = firstValueFrom(link.received$);
    await link.send(Buffer.from("*IDN?;"));
    await pty.hears("*IDN?;");
    pty.write(Buffer.from("SPDCSDR\r\n"));
    expect(Buffer.from(await answer).toString()).toBe("SPDCSDR\r\n");
    await link.close();
    expect(await withDeadline(systemClock, port.closed, 2_000)).toBeUndefined();
    await pty.hears(safeText);
    expect(pty.heard()).toBe(`*IDN?;${safeText}`);
  });

  test("holds little of what its user does not read, and loses none of it", async () => {
    const pty = listeningPty();
    const client = await startHost();
    const port = await client.open({ url: pty.url, holder: "tagger" });
    const socket = await attachToPort(port.attachment, systemClock);
    const pattern = Buffer.from(Uint32Array.from({ length: 2 ** 20 }, (_, word) => word).buffer);
    let taken = 0;
    // Full is what takes nothing for a while: the host still moves bytes from one buffer to the next.
    for (let refusals = 0; refusals < 40; ) {
      const more = pty.write(pattern.subarray(taken));
      taken += more;
      refusals = more === 0 ? refusals + 1 : 0;
      await sleep(systemClock, 5);
    }
    expect(taken).toBeGreaterThan(4_000);
    expect(taken).toBeLessThan(2_000_000);
    let received = Buffer.alloc(0);
    const arrived = new Promise<void>((resolve) => {
      socket.on("data", (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        if (received.length >= taken) resolve();
      });
    });
    socket.resume();
    await withDeadline(systemClock, arrived, 5_000);
    expect(Buffer.compare(received, pattern.subarray(0, taken))).toBe(0);
    socket.destroy();
  });

  test("leases a port to one owner and names it to the second, within the node and beyond it", async () => {
    const pty = listeningPty();
    const client = await startHost();
    await client.open({ url: pty.url, holder: "alice's tagger" });
    await expect(client.open({ url: pty.url, holder: "x" })).rejects.toMatchObject({
      code: "link.busy",
      message: expect.stringContaining("alice's tagger"),
    });
    const other = await startHost();
    await expect(other.open({ url: pty.url, holder: "x" })).rejects.toMatchObject({
      code: "link.busy",
    });
  });

  test("gives the failure of opening as it was", async () => {
    const client = await startHost();
    await expect(client.open({ url: "serial:/dev/none", holder: "x" })).rejects.toMatchObject({
      code: "link.not-found",
    });
    await expect(client.open({ url: "mock:source", holder: "x" })).rejects.toMatchObject({
      code: "link.unresolved-mock",
    });
  });

  test("reports an unplug with its reason, and that the safe bytes could not be sent", async () => {
    const pty = listeningPty();
    const client = await startHost();
    const port = await client.open({ url: pty.url, holder: "source" });
    await port.attach();
    await port.setSafeState(safeSteps);
    pty.unplug();
    const reason = await withDeadline(systemClock, port.closed, 1_500);
    expect(reason).toMatchObject({ code: "link.disconnected" });
    await expect(port.close()).rejects.toMatchObject({ code: "device.not-made-safe" });
  });

  test.each(["SIGTERM", "SIGHUP"] as const)(
    "sends the safe bytes on %s and ends",
    async (signal) => {
      const pty = listeningPty();
      const client = await startHost();
      const port = await client.open({ url: pty.url, holder: "source" });
      await port.attach();
      await port.setSafeState(safeSteps);
      process.kill(client.pid, signal);
      await pty.hears(safeText);
      expect(await client.closed).toMatchObject({ code: "link.port-host" });
      expect(await port.closed).toBeDefined();
    },
  );

  test("leaves an interrupt from the terminal to its node", async () => {
    const pty = listeningPty();
    const client = await startHost();
    const port = await client.open({ url: pty.url, holder: "source" });
    const link = await port.attach();
    await port.setSafeState(safeSteps);
    process.kill(client.pid, "SIGINT");
    await link.send(Buffer.from("STATUS?;"));
    await pty.hears("STATUS?;");
    expect(pty.heard()).not.toContain("OFF");
  });

  test("makes ports safe when the node's event loop stands still", async () => {
    const pty = listeningPty();
    const client = await startHost(200);
    const port = await client.open({ url: pty.url, holder: "source" });
    await port.attach();
    await port.setSafeState(safeSteps);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700);
    expect(await withDeadline(systemClock, port.closed, 2_000)).toMatchObject({
      code: "link.heartbeat-lost",
    });
    await pty.hears(safeText);
  });

  test("is told apart when it is killed itself", async () => {
    const pty = listeningPty();
    const client = await startHost();
    const port = await client.open({ url: pty.url, holder: "source" });
    await port.attach();
    process.kill(client.pid, "SIGKILL");
    expect(await port.closed).toMatchObject({ code: "link.port-host" });
    expect(existsSync(port.attachment.address)).toBe(false);
    await expect(client.open({ url: pty.url, holder: "x" })).rejects.toMatchObject({
      code: "link.port-host",
    });
  });

  test("removes the sockets of hosts that were killed with their nodes, and no others", async () => {
    const gone = spawn("true");
    await once(gone, "exit");
    const [orphan, neighbour, other] = [gone.pid, process.pid, gone.pid].map((pid, index) =>
      join(tmpdir(), `bellwether-${pid}-${"0123456789a"}${index}.sock${index === 2 ? "et" : ""}`),
    ) as [string, string, string];
    for (const path of [orphan, neighbour, other]) {
      writeFileSync(path, "");
      started.push({ close: () => rmSync(path, { force: true }) });
    }
    await startHost();
    expect([orphan, neighbour, other].map(existsSync)).toEqual([false, true, true]);
  });

  /** A node of its own, so that it can be killed: opens the port, hands over safe bytes, says the host's pid. */
  const nodeProgram = `
    const [portClientUrl, clockUrl, url] = process.argv.slice(1);
    const { startPortHost } = await import(portClientUrl);
    const { systemClock } = await import(clockUrl);
    const logger = { error() {}, warn() {} };
    const client = await startPortHost({ clock: systemClock, logger });
    const port = await client.open({ url, holder: "source" });
    await port.attach();
    await port.setSafeState([{ bytes: Buffer.from("LCURRENT 0.000;"), delayMs: 30 }, { bytes: Buffer.from("OFF;"), delayMs: 0 }]);
    console.log(client.pid);
    setInterval(() => {}, 1000);`;

  function startNode(portUrl: string): ChildProcess {
    const { href: portClientUrl } = entryPointUrl("#hal/ports/port-client");
    const { href: clockUrl } = entryPointUrl("#hal/clock");
    return spawn(
      process.execPath,
      ["--input-type=module", "-e", nodeProgram, portClientUrl, clockUrl, portUrl],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
  }

  test.each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
    "makes ports safe and ends when its node dies of %s",
    async (signal) => {
      const pty = listeningPty();
      const node = startNode(pty.url);
      started.push({ close: () => node.kill("SIGKILL") });
      const [line] = await once(node.stdout ?? node, "data");
      const hostPid = Number(String(line));
      expect(isAlive(hostPid)).toBe(true);
      node.kill(signal);
      await pty.hears(safeText);
      await dies(hostPid);
    },
  );

  test("does not run without a node", async () => {
    const host = spawn(process.execPath, [
      fileURLToPath(entryPointUrl("#hal/ports/port-host")),
      "/tmp/none.sock",
      "{}",
    ]);
    const [code] = await once(host, "exit");
    expect(code).toBe(1);
  });
});
