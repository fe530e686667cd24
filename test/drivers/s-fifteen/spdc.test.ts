import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { spdcManifest } from "../../../drivers/s-fifteen/spdc/manifest.ts";
import {
  parseStatus,
  rampMa,
  safeSteps,
  setAndReadCurrent,
  switchOffAndReadStatus,
  switchOnAndReadStatus,
} from "../../../drivers/s-fifteen/spdc/protocol.ts";
import { sleep, systemClock } from "../../../hal/clock.ts";
import type { PairSource } from "../../../hal/roles/pair-source.ts";
import { pairSourceConformance } from "../../conformance/pair-source.ts";
import { type Bench, setUpBench } from "./bench.ts";

describe("the SPDC board's protocol", () => {
  test("reads the worked status of the sheet", () => {
    expect(parseStatus("775")).toEqual({ isSwitchedOn: true, isPowered: true });
    expect(parseStatus("259")).toEqual({ isSwitchedOn: false, isPowered: false });
  });

  test("encodes currents with three decimals and leaves the oven's rail as it is", () => {
    expect(setAndReadCurrent(1)).toBe("LCURRENT 1.000;LCURRENT?\r\n");
    expect(switchOnAndReadStatus(1)).toBe("POWER 3;ON;STATUS?\r\n");
    expect(switchOnAndReadStatus(0)).toBe("POWER 2;ON;STATUS?\r\n");
    expect(switchOffAndReadStatus(3)).toBe("OFF;POWER 1;STATUS?\r\n");
  });

  test("ramps by no more than 1 mA, never away from its goal, and arrives exactly", () => {
    const currents = fc.double({ min: 0, max: 97, noNaN: true });
    fc.assert(
      fc.property(currents, currents, (fromMa, toMa) => {
        const steps = [fromMa, ...rampMa(fromMa, toMa)];
        if (Math.abs(toMa - fromMa) > 1e-6) expect(steps.at(-1)).toBe(toMa);
        for (const [index, stepMa] of steps.entries()) {
          const beforeMa = steps[index - 1] ?? stepMa;
          expect(Math.abs(stepMa - beforeMa)).toBeLessThanOrEqual(1 + 1e-9);
          expect(Math.sign(stepMa - beforeMa) * Math.sign(toMa - fromMa)).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  test("goes down to dark from where it is, paced", () => {
    const steps = safeSteps(2.5, 3);
    expect(steps.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual([
      "\r\n",
      "LCURRENT 1.500\r\n",
      "LCURRENT 0.500\r\n",
      "LCURRENT 0.000\r\n",
      "LCURRENT 0.000;OFF;POWER 1\r\n",
    ]);
    expect(steps.map(({ delayMs }) => delayMs)).toEqual([0, 50, 50, 50, 0]);
  });
});

describe("an SPDC board on the bench", () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await setUpBench({ source: { model: "s-fifteen/spdc" } });
  });
  afterEach(() => bench.closeDevices());
  afterAll(() => bench.close());
  const open = async (): Promise<PairSource> =>
    bench.open(spdcManifest, "source", { limits: { currentMaMax: 5 } });
  const measureLightMa = async (): Promise<number> =>
    (await bench.instrument("source").countInside()).pumpCurrentMa ?? Number.NaN;

  pairSourceConformance(async () => ({ source: await open(), measureLightMa }));

  test("refuses a limit that no setting has", async () => {
    for (const key of ["curentMaMax", "currentMa", "currentMaMaximum"]) {
      await expect(
        bench.open(spdcManifest, "source", { limits: { [key]: 5 } }),
      ).rejects.toMatchObject({ code: "device.limit", message: expect.stringContaining(key) });
    }
  });

  test("refuses to open with a setting beyond the station's limit", async () => {
    const options = { settings: { currentMa: 6 }, limits: { currentMaMax: 5 } };
    await expect(bench.open(spdcManifest, "source", options)).rejects.toMatchObject({
      code: "device.limit",
    });
  });

  test("makes a board dark that a crashed host left on", async () => {
    const { url } = bench.instrument("source");
    const port = await bench.portClient.open({ url, holder: "crashed host" });
    const link = await port.attach();
    await link.send(Buffer.from("POWER 3;ON;LCURRENT 3.000\r\n"));
    await link.close();
    await port.closed;
    await expect.poll(measureLightMa).toBe(3);
    const source = await open();
    expect(await measureLightMa()).toBe(0);
    await source.close();
  });

  test("is switched off by the port host when its node stands still", async () => {
    const source = await open();
    await source.arm({ currentMa: 3, leaseMs: 60_000 });
    expect(await measureLightMa()).toBe(3);
    // Nobody beats meanwhile: this thread sleeps, and leaves the processor to the host.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_700);
    await expect.poll(measureLightMa, { timeout: 5_000 }).toBe(0);
    await sleep(systemClock, 50);
    await expect(source.measureOutput()).rejects.toMatchObject({
      code: expect.stringMatching(/^link/),
    });
    await source.close();
  });
});
