import { describe, expect, it } from "vitest";
import { offsetClock, sleep, systemClock, withDeadline } from "../../hal/clock.ts";
import { LabError } from "../../hal/errors.ts";
import { ps } from "../../hal/units.ts";
import { createVirtualClock } from "../../mocks/virtual-clock.ts";

describe("sleep", () => {
  it("ends when its time has come, not before", async () => {
    const clock = createVirtualClock();
    let isAwake = false;
    const sleeping = sleep(clock, 10).then(() => {
      isAwake = true;
    });
    clock.advance(9);
    await Promise.resolve();
    expect(isAwake).toBe(false);
    clock.advance(1);
    await sleeping;
    expect(isAwake).toBe(true);
  });

  it("rejects with the signal's reason and leaves no timer behind", async () => {
    const clock = createVirtualClock();
    const controller = new AbortController();
    const sleeping = sleep(clock, 10, controller.signal);
    controller.abort(new Error("enough"));
    await expect(sleeping).rejects.toThrow("enough");
    expect(clock.nextDueMs()).toBeNull();
    await expect(sleep(clock, 10, controller.signal)).rejects.toThrow("enough");
  });
});

describe("a deadline", () => {
  it("rejects a promise that does not settle in time, with the error asked for", async () => {
    const clock = createVirtualClock();
    const never = new Promise(() => undefined);
    const plain = withDeadline(clock, never, 5);
    const named = withDeadline(
      clock,
      never,
      5,
      () => new LabError("device.silent", "says nothing"),
    );
    clock.advance(5);
    await expect(plain).rejects.toMatchObject({ code: "link.timeout" });
    await expect(named).rejects.toMatchObject({ code: "device.silent" });
  });

  it("passes on what settles in time and leaves no timer behind", async () => {
    const clock = createVirtualClock();
    expect(await withDeadline(clock, Promise.resolve(7), 5)).toBe(7);
    await expect(withDeadline(clock, Promise.reject(new Error("no")), 5)).rejects.toThrow("no");
    expect(clock.nextDueMs()).toBeNull();
  });
});

it("an offset clock is wrong in UTC alone", () => {
  const clock = createVirtualClock(ps(1_000n));
  const wrong = offsetClock(clock, ps(-5n));
  clock.advance(1);
  expect(wrong.utcPs() - clock.utcPs()).toBe(-5n);
  expect(wrong.monotonicMs()).toBe(1);
});

it("the system's UTC is that of the host, in picoseconds", () => {
  const hostMs = BigInt(new Date(systemClock.monotonicMs() + performance.timeOrigin).getTime());
  const differenceMs = systemClock.utcPs() / 1_000_000_000n - hostMs;
  expect(differenceMs).toBeGreaterThanOrEqual(-1n);
  expect(differenceMs).toBeLessThan(1_000n);
});
