import { expect, it } from "vitest";
import { sleep, systemClock } from "../../hal/clock.ts";
import type { PairSource } from "../../hal/roles/pair-source.ts";

/** A source on the bench, limited to 5 mA by its station, and an independent eye on its light. */
export interface PairSourceBench {
  readonly source: PairSource;
  /** Current through the pump, seen beside the driver; 0 when dark. */
  measureLightMa(): Promise<number>;
}

/** What every pair source promises. */
export function pairSourceConformance(open: () => Promise<PairSourceBench>): void {
  it("is off when opened and off when closed", async () => {
    const { source, measureLightMa } = await open();
    expect(await source.measureOutput()).toEqual({ currentMa: 0, isOn: false });
    await source.arm({ currentMa: 2, leaseMs: 5_000 });
    expect(await source.measureOutput()).toEqual({ currentMa: 2, isOn: true });
    expect(await measureLightMa()).toBe(2);
    await source.close();
    expect(await measureLightMa()).toBe(0);
    await source.close();
  });

  it("changes its current while armed, up and down", async () => {
    const { source, measureLightMa } = await open();
    await source.arm({ currentMa: 3, leaseMs: 5_000 });
    await source.arm({ currentMa: 1.5, leaseMs: 5_000 });
    expect(await measureLightMa()).toBe(1.5);
    await source.close();
  });

  it("refuses a current beyond the station's limit and stays dark", async () => {
    const { source, measureLightMa } = await open();
    for (const currentMa of [5.001, 97, -1, Number.NaN]) {
      await expect(source.arm({ currentMa, leaseMs: 1_000 })).rejects.toMatchObject({
        code: "device.limit",
      });
    }
    expect(await measureLightMa()).toBe(0);
    expect(await source.measureOutput()).toEqual({ currentMa: 0, isOn: false });
    await source.close();
  });

  it("stays on while its lease is renewed and goes off by itself when it is not", async () => {
    const { source, measureLightMa } = await open();
    await source.arm({ currentMa: 1, leaseMs: 300 });
    for (let renewal = 0; renewal < 3; renewal++) {
      await sleep(systemClock, 150);
      expect(await measureLightMa()).toBe(1);
      source.renewLease();
    }
    await sleep(systemClock, 600);
    expect(await measureLightMa()).toBe(0);
    expect((await source.measureOutput()).isOn).toBe(false);
    await source.close();
  });

  it("goes off when disarmed while it is being armed, and again when disarmed twice", async () => {
    const { source, measureLightMa } = await open();
    const arming = source.arm({ currentMa: 5, leaseMs: 5_000 });
    const refused = expect(arming).rejects.toMatchObject({ code: "device.disarmed" });
    await sleep(systemClock, 120);
    await source.disarm();
    await refused;
    expect(await measureLightMa()).toBe(0);
    await source.disarm();
    expect(await source.measureOutput()).toEqual({ currentMa: 0, isOn: false });
    await source.close();
  });
}
