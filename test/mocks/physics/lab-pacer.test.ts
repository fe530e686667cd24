import { describe, expect, it } from "vitest";
import { type LabPacer, mergeClicks, startLabPacer } from "../../../mocks/physics/lab-pacer.ts";
import type { LabSettings } from "../../../mocks/physics/lab-settings.ts";
import { createPhotonLab } from "../../../mocks/physics/photon-lab.ts";
import { createVirtualClock, type VirtualClock } from "../../../mocks/virtual-clock.ts";
import { doublesOf, expectCount, intervals, labOf, perfectDetectors } from "./lab-run.ts";

interface Delivered {
  readonly instrument: string;
  readonly fromPs: bigint;
  readonly toPs: bigint;
  readonly timesPs: BigInt64Array;
  readonly inputs: Uint8Array;
  readonly atMs: number;
}

function start(lab: LabSettings): { clock: VirtualClock; pacer: LabPacer; delivered: Delivered[] } {
  const clock = createVirtualClock();
  clock.advance(1_234.5);
  const photons = createPhotonLab(lab, 61);
  photons.setPumpCurrent(30);
  const delivered: Delivered[] = [];
  const pacer = startLabPacer(photons, lab, { clock, originMs: 1_234.5 }, (instrument, clicks) => {
    const { fromPs, toPs } = clicks;
    const atMs = clock.monotonicMs() - 1_234.5;
    delivered.push({
      instrument,
      fromPs,
      toPs,
      atMs,
      timesPs: clicks.timesPs.slice(),
      inputs: clicks.inputs.slice(),
    });
  });
  return { clock, pacer, delivered };
}

describe("lab time", () => {
  it("runs with the clock, without gap, and gives no click before its time", () => {
    const { clock, delivered } = start(labOf({ pairRateHz: 1e6 }));
    clock.advance(500);
    for (const instrument of ["a", "b"]) {
      const frames = delivered.filter((frame) => frame.instrument === instrument);
      expect(frames.length).toBe(100);
      let reached = 0n;
      for (const { fromPs, toPs, timesPs, atMs } of frames) {
        expect(fromPs).toBe(reached);
        expect(Number(toPs) / 1e9).toBeLessThanOrEqual(atMs);
        expect(Number(toPs) / 1e9).toBeGreaterThan(atMs - 0.001);
        expect(timesPs.at(-1) ?? 0n).toBeLessThan(toPs);
        reached = toPs;
      }
      expectCount(
        frames.reduce((sum, { inputs }) => sum + inputs.length, 0),
        5e5,
      );
    }
  });

  it("catches up in slices after standing still for less than a second, with nothing left out", () => {
    const { clock, pacer, delivered } = start(labOf({ pairRateHz: 1e5 }));
    // A process that was stopped sees its timer fire late: the clock has moved, and then turns follow.
    clock.advance(5);
    stall(clock, 900);
    clock.advance(100);
    expect(pacer.skips).toBe(0);
    const frames = delivered.filter(({ instrument }) => instrument === "a");
    for (const [i, { fromPs, toPs }] of frames.entries()) {
      expect(fromPs).toBe(frames[i - 1]?.toPs ?? 0n);
      expect(toPs - fromPs).toBeLessThanOrEqual(10_000_000_000n);
    }
    expect(frames.at(-1)?.toPs).toBeGreaterThan(999_000_000_000n);
  });

  it("leaves out what is more, says so, and goes on in the present", () => {
    const { clock, pacer, delivered } = start(labOf({ pairRateHz: 1e5 }));
    clock.advance(5);
    stall(clock, 3_000);
    clock.advance(100);
    expect(pacer.skips).toBe(1);
    expect(Number(pacer.skippedPs) / 1e9).toBeCloseTo(3_000, -2);
    const gaps = delivered.filter(({ instrument, fromPs }, i, all) => {
      const before = all.slice(0, i).findLast((frame) => frame.instrument === instrument);
      return fromPs !== (before?.toPs ?? 0n);
    });
    expect(gaps.map(({ instrument }) => instrument).sort()).toEqual(["a", "b"]);
    expect(gaps[0]?.fromPs).toBe(5_000_000_000n + pacer.skippedPs);
    for (const { timesPs, fromPs, atMs } of delivered) {
      expect(timesPs[0] ?? fromPs).toBeGreaterThanOrEqual(fromPs);
      expect(Number(timesPs.at(-1) ?? 0n) / 1e9).toBeLessThan(atMs);
    }
  });

  it("stops when told", () => {
    const { clock, pacer, delivered } = start(labOf({}));
    clock.advance(20);
    pacer.stop();
    const before = delivered.length;
    clock.advance(100);
    expect(delivered.length).toBe(before);
    expect(clock.nextDueMs()).toBeNull();
  });

  it("gives an instrument that both receivers share one sorted stream", () => {
    const detectors = perfectDetectors("z").map((detector, i) => ({ ...detector, input: 5 + i }));
    const { clock, delivered } = start(labOf({ pairRateHz: 1e6 }, {}, { detectors }, ["a", "a"]));
    clock.advance(50);
    expect(delivered.length).toBe(10);
    const inputs = new Set<number>();
    let reached = 0n;
    for (const frame of delivered) {
      expect(frame.fromPs).toBe(reached);
      reached = frame.toPs;
      expect(intervals(doublesOf(frame.timesPs)).every((wait) => wait >= 0)).toBe(true);
      for (const input of frame.inputs) inputs.add(input);
    }
    expect([...inputs].sort()).toEqual([0, 1, 4, 5]);
  });

  it("merges clicks by time, the first receiver's before the second's", () => {
    const a = { timesPs: BigInt64Array.of(1n, 5n, 5n), inputs: Uint8Array.of(0, 1, 2) };
    const b = { timesPs: BigInt64Array.of(-2n, 5n, 9n, 10n), inputs: Uint8Array.of(3, 4, 5, 6) };
    const merged = mergeClicks(a, b);
    expect([...merged.timesPs]).toEqual([-2n, 1n, 5n, 5n, 5n, 9n, 10n]);
    expect([...merged.inputs]).toEqual([3, 0, 1, 2, 4, 5, 6]);
  });
});

/** Moves the clock on while no timer fires, as for a process that is stopped. */
function stall(clock: VirtualClock, byMs: number): void {
  const monotonicMs = clock.monotonicMs.bind(clock);
  clock.monotonicMs = () => monotonicMs() + byMs;
}
