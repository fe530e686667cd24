import { describe, expect, it } from "vitest";
import { ps } from "../../hal/units.ts";
import { createVirtualClock } from "../../mocks/virtual-clock.ts";

describe("a virtual clock", () => {
  it("moves only when told, and UTC with it", () => {
    const clock = createVirtualClock(ps(7n));
    expect([clock.monotonicMs(), clock.utcPs()]).toEqual([0, 7n]);
    clock.advance(1.5);
    expect([clock.monotonicMs(), clock.utcPs()]).toEqual([1.5, 1_500_000_007n]);
  });

  it("runs timers in order of time, then of setting, each at its own time", () => {
    const clock = createVirtualClock();
    const ran: string[] = [];
    const note = (name: string) => () => void ran.push(`${name} ${clock.monotonicMs()}`);
    clock.after(20, note("late"));
    clock.after(10, note("first"));
    clock.after(10, note("second"));
    clock.after(31, note("never"));
    clock.after(-5, note("at once"));
    clock.advance(30);
    expect(ran).toEqual(["at once 0", "first 10", "second 10", "late 20"]);
    expect(clock.nextDueMs()).toBe(31);
  });

  it("runs what a timer sets and falls due in the same step, but not what is disposed", () => {
    const clock = createVirtualClock();
    const ran: number[] = [];
    const repeat = (): void => {
      ran.push(clock.monotonicMs());
      clock.after(10, repeat);
    };
    clock.after(10, repeat);
    clock.after(15, () => ran.push(-1))[Symbol.dispose]();
    clock.advance(35);
    expect(ran).toEqual([10, 20, 30]);
  });
});
