import { describe, expect, test } from "vitest";
import { ps } from "../../../hal/units.ts";
import { type IntakeStep, PacedIntake } from "../../../mocks/instruments/paced-intake.ts";
import { createVirtualClock } from "../../../mocks/virtual-clock.ts";

const psPerMs = 1_000_000_000n;
/** A frame of `count` clicks, evenly over [fromMs, toMs). */
const frame = (fromMs: number, toMs: number, count: number) => {
  const fromPs = ps(BigInt(fromMs) * psPerMs);
  const toPs = ps(BigInt(toMs) * psPerMs);
  const stepPs = count === 0 ? 0n : (toPs - fromPs) / BigInt(count);
  return {
    fromPs,
    toPs,
    timesPs: BigInt64Array.from({ length: count }, (_, index) => fromPs + BigInt(index) * stepPs),
    inputs: Uint8Array.from({ length: count }, (_, index) => index & 3),
  };
};

function createBench(isPortFull: () => boolean) {
  const clock = createVirtualClock();
  const steps: (IntakeStep & { readonly atMs: number })[] = [];
  const intake = new PacedIntake(clock, (step) => {
    steps.push({ ...step, atMs: clock.monotonicMs() });
    return isPortFull();
  });
  return { clock, steps, intake };
}

describe("paced intake", () => {
  test("hands on every click once, in order, with inputs and the end of the frame", () => {
    const { steps, intake } = createBench(() => false);
    const whole = frame(0, 100, 100_000);
    intake.push(whole);
    intake.push(frame(100, 105, 0));
    const times = steps.flatMap(({ timesPs }) => [...timesPs]);
    expect(times).toEqual([...whole.timesPs]);
    expect(steps.flatMap(({ inputs }) => [...inputs])).toEqual([...whole.inputs]);
    expect(steps.at(-1)?.toPs).toBe(105n * psPerMs);
    expect(steps.every(({ timesPs, toPs }) => (timesPs.at(-1) ?? 0n) < toPs)).toBe(true);
    expect(intake.isIdle).toBe(true);
  });

  test("gives a full port as much time as the instrument would, and falls no further behind", () => {
    const { clock, steps, intake } = createBench(() => true);
    for (let at = 0; at < 1000; at += 100) {
      intake.push(frame(at, at + 100, 40_960));
      clock.advance(100);
    }
    for (const { toPs, atMs } of steps) {
      // A step begins when the one before has had its 10 ms; a thousandth is for whole picoseconds.
      const reachedMs = Number(toPs) / 1e9;
      expect(atMs).toBeLessThanOrEqual(reachedMs);
      expect(atMs).toBeGreaterThanOrEqual(reachedMs - 10 - 1e-3);
    }
    expect(steps.at(-1)?.toPs).toBe(1000n * psPerMs);
  });

  test("goes on at once when the port takes bytes again", () => {
    let isFull = true;
    const { clock, steps, intake } = createBench(() => isFull);
    intake.push(frame(0, 100, 40_960));
    expect(steps).toHaveLength(1);
    clock.advance(1);
    isFull = false;
    intake.resume();
    expect(steps).toHaveLength(10);
    expect(intake.isIdle).toBe(true);
    expect(clock.nextDueMs()).toBeNull();
  });

  test("holds a bounded number of clicks", () => {
    const { steps, intake } = createBench(() => true);
    for (let at = 0; at < 60; at++) intake.push(frame(at, at + 1, 100_000));
    const taken = steps.reduce((sum, { timesPs }) => sum + timesPs.length, 0);
    intake.resume();
    const after = steps.reduce((sum, { timesPs }) => sum + timesPs.length, 0);
    expect(taken).toBeLessThan(6_000_000);
    expect(6_000_000 - after).toBeLessThanOrEqual(4_194_304);
    intake.close();
    expect(intake.isIdle).toBe(true);
  });
});
