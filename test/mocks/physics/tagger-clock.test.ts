import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTaggerClock } from "../../../mocks/physics/tagger-clock.ts";

const floorDivide = (a: bigint, b: bigint): bigint => (a >= 0n ? a / b : -((-a + b - 1n) / b));

describe("a tagger's clock", () => {
  it("shows offset, drift and tick in closed form", () => {
    const clock = createTaggerClock({ offsetPs: 12_345_678, driftPpb: 300, tickPs: 2_000 });
    expect(clock.tickAt(0n)).toBe(6_172n);
    // After 100 s a clock 300 ppb fast is 30 us ahead.
    expect(clock.tickAt(100_000_000_000_000n)).toBe(
      (100_000_000_000_000n + 30_000_000n + 12_345_678n) / 2_000n,
    );
    const slow = createTaggerClock({ offsetPs: 0, driftPpb: -1_000, tickPs: 1 });
    expect(slow.tickAt(1_000_000_000_000n)).toBe(999_999_000_000n);
  });

  it("rounds down on both sides of zero", () => {
    const clock = createTaggerClock({ offsetPs: -5, driftPpb: 0, tickPs: 10 });
    const ticks = clock.ticksAt(BigInt64Array.of(-6n, -5n, 0n, 4n, 5n, 14n, 15n));
    expect([...ticks]).toEqual([-2n, -1n, -1n, -1n, 0n, 0n, 1n]);
  });

  it("is exact for any time, drift, offset and tick", () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }),
        fc.integer({ min: -1_000_000_000, max: 1_000_000_000 }),
        fc.integer({ min: -1e15, max: 1e15 }),
        fc.integer({ min: 1, max: 1e9 }),
        (timePs, driftPpt, offsetPs, tickPs) => {
          const clock = createTaggerClock({ offsetPs, driftPpb: driftPpt / 1000, tickPs });
          const scale = 10n ** 12n;
          const shown = timePs * (scale + BigInt(driftPpt)) + BigInt(offsetPs) * scale;
          expect(clock.tickAt(timePs)).toBe(floorDivide(shown, scale * BigInt(tickPs)));
        },
      ),
      { numRuns: 300, seed: 11 },
    );
  });

  it("converts more times than its memory holds at once, in order, into an array of the caller's", () => {
    const clock = createTaggerClock({ offsetPs: 7, driftPpb: 0, tickPs: 1 });
    const times = BigInt64Array.from({ length: 150_000 }, (_, i) => BigInt(i) * 1000n);
    const ticks = new BigInt64Array(150_001);
    expect(clock.ticksAt(times, ticks)).toBe(ticks);
    expect(ticks[149_999]).toBe(149_999_007n);
    expect(ticks[65_536]).toBe(65_536_007n);
    expect(ticks[150_000]).toBe(0n);
    expect(() => clock.ticksAt(times, new BigInt64Array(3))).toThrow(RangeError);
  });
});
