import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { firstValueFrom } from "rxjs";
import { afterEach, describe, expect, it } from "vitest";
import { sleep, systemClock } from "../../../hal/clock.ts";
import { entryPointUrl } from "../../../hal/entry-point.ts";
import { isLabError } from "../../../hal/errors.ts";
import { silentLogger } from "../../../hal/log.ts";
import { ps, psPerMs } from "../../../hal/units.ts";
import {
  connectLab,
  encodeLabFrame,
  type LabClicks,
  type LabConnection,
} from "../../../mocks/lab-socket.ts";
import { type LabSettings, parseLabSettings } from "../../../mocks/physics/lab-settings.ts";
import { type PhysicsHost, startPhysics } from "../../../mocks/physics/physics-host.ts";
import { expectCount, perfectReceiver } from "./lab-run.ts";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close();
});

const pumpedLab = (pairRateHz = 1e5): LabSettings =>
  parseLabSettings({
    seed: 71,
    source: { emission: "continuous", pump: "source", pairRateHz },
    receivers: { alice: perfectReceiver("a"), bob: perfectReceiver("b") },
    instruments: {
      a: { model: "s-fifteen/tdc1" },
      b: { model: "s-fifteen/tdc1" },
      source: { model: "s-fifteen/spdc" },
    },
  });

async function start(settings: LabSettings): Promise<PhysicsHost> {
  const host = await startPhysics(settings, { logger: silentLogger });
  opened.push(host);
  return host;
}

async function join(
  host: PhysicsHost,
  instrument: string,
  onClicks: (clicks: LabClicks) => void = () => undefined,
): Promise<LabConnection> {
  const connection = await connectLab(host.socketPath, instrument, { clicks: onClicks });
  opened.push(connection);
  return connection;
}

const until = async (isTrue: () => boolean, withinMs = 5_000): Promise<void> => {
  const endMs = systemClock.monotonicMs() + withinMs;
  while (!isTrue()) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`not true within ${withinMs} ms`);
    await sleep(systemClock, 5);
  }
};

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe("the physics process", () => {
  it("is dark until the pump runs, follows it on the wall clock, and is dark again when the pump goes away", async () => {
    const host = await start(pumpedLab());
    expect(host.seed).toBe(71);
    const counted = { a: 0, b: 0, silentFrames: 0, reachedPs: 0n };
    let utcLessLabPs = systemClock.utcPs();
    const { labEpochUtcPs } = await join(host, "a", ({ timesPs, toPs }) => {
      counted.a += timesPs.length;
      counted.silentFrames += Number(timesPs.length === 0);
      counted.reachedPs = toPs;
      const nowLessLabPs = systemClock.utcPs() - toPs;
      if (nowLessLabPs < utcLessLabPs) utcLessLabPs = ps(nowLessLabPs);
    });
    await join(host, "b", ({ timesPs }) => {
      counted.b += timesPs.length;
    });
    await until(() => counted.silentFrames > 5);
    expect(counted.a + counted.b).toBe(0);
    const pump = await join(host, "source");
    pump.setPumpCurrent(15);
    await until(() => counted.a > 0);
    const [fromPs, from] = [counted.reachedPs, counted.a];
    await until(() => counted.reachedPs - fromPs > 200n * psPerMs);
    expectCount(counted.a - from, (5e4 * Number((counted.reachedPs - fromPs) / psPerMs)) / 1e3);
    pump.close();
    counted.silentFrames = 0;
    await until(() => counted.silentFrames > 5);
    expect(counted.b).toBe(counted.a);
    // No click came before its time. Two processes read UTC alike but for a pause of either while it starts.
    expect(utcLessLabPs).toBeGreaterThanOrEqual(labEpochUtcPs - 50n * psPerMs);
  });

  it("drops and counts frames for an instrument that does not read, and no other notices", async () => {
    const host = await start(pumpedLab(2e6));
    const deaf: Socket = connect(host.socketPath);
    opened.push({ close: () => deaf.destroy() });
    deaf.write(encodeLabFrame({ type: "hello", instrument: "a" }));
    deaf.pause();
    let [reachedPs, gaps, clicks] = [-1n, 0, 0];
    await join(host, "b", (frame) => {
      if (reachedPs >= 0n && frame.fromPs !== reachedPs) gaps++;
      reachedPs = frame.toPs;
      clicks += frame.inputs.length;
    });
    (await join(host, "source")).setPumpCurrent(30);
    let framesDropped = 0;
    while (framesDropped === 0) {
      await sleep(systemClock, 50);
      ({ framesDropped } = await host.countLosses());
    }
    const before = clicks;
    await until(() => clicks > before + 100_000);
    expect(gaps).toBe(0);
    expect((await host.countLosses()).clicksDropped).toBeGreaterThan(0);
  });

  it.skipIf(process.platform === "win32")(
    "says how much time it left out after it was stopped",
    async () => {
      const host = await start(pumpedLab());
      let gapPs = 0n;
      let reachedPs = -1n;
      await join(host, "a", ({ fromPs, toPs }) => {
        if (reachedPs >= 0n) gapPs += fromPs - reachedPs;
        reachedPs = toPs;
      });
      await until(() => reachedPs > 0n);
      process.kill(host.pid, "SIGSTOP");
      await sleep(systemClock, 1_300);
      process.kill(host.pid, "SIGCONT");
      await until(() => gapPs > 0n);
      const losses = await host.countLosses();
      expect(losses.skips).toBeGreaterThanOrEqual(1);
      expect(BigInt(losses.skippedPs)).toBe(gapPs);
      expect(gapPs).toBeGreaterThan(1_000n * psPerMs);
    },
  );

  it.skipIf(process.platform === "win32")(
    "does not heed Ctrl-C, ends on close, and leaves nothing behind",
    async () => {
      const host = await start(pumpedLab());
      process.kill(host.pid, "SIGINT");
      await sleep(systemClock, 100);
      expect((await host.countLosses()).framesDropped).toBe(0);
      await host.close();
      await host.close();
      expect(isAlive(host.pid)).toBe(false);
      expect(existsSync(dirname(host.socketPath))).toBe(false);
    },
  );

  it("tells when it ends by itself", async () => {
    const host = await start(pumpedLab());
    const failure = firstValueFrom(host.failures$);
    let isClosed = false;
    await connectLab(host.socketPath, "a", {
      closed: () => {
        isClosed = true;
      },
    });
    process.kill(host.pid, "SIGKILL");
    expect(isLabError(await failure, "mock.crashed")).toBe(true);
    await until(() => isClosed);
    expect(existsSync(host.socketPath)).toBe(false);
  });

  it.skipIf(process.platform === "win32")("ends with its parent, however that ends", async () => {
    const program = `
      const { startPhysics } = await import(${JSON.stringify(entryPointUrl("#mocks/physics/physics-host").href)});
      const { silentLogger } = await import(${JSON.stringify(entryPointUrl("#hal/log").href)});
      const host = await startPhysics(${JSON.stringify(pumpedLab())}, { logger: silentLogger });
      console.log(host.pid + " " + host.socketPath);`;
    const parent = spawn(process.execPath, ["--input-type=module", "--eval", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    opened.push({ close: () => parent.kill("SIGKILL") });
    const [words] = await once(parent.stdout, "data");
    const [pid = "", socketPath = ""] = String(words).trim().split(" ");
    expect(isAlive(Number(pid))).toBe(true);
    parent.kill("SIGKILL");
    await until(() => !isAlive(Number(pid)));
    expect(existsSync(dirname(socketPath))).toBe(false);
  });

  it("turns away who is no instrument of the lab", async () => {
    const host = await start(pumpedLab());
    await expect(connectLab(host.socketPath, "eve", {})).rejects.toThrow("no mock lab answers");
  });
});
