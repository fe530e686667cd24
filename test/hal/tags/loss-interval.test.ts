import fc from "fast-check";
import { expect, test } from "vitest";
import { joinLosses, type LossInterval } from "../../../hal/tags/loss-interval.ts";
import { ps } from "../../../hal/units.ts";

const loss = (fromPs: bigint, toPs: bigint, count: number | null): LossInterval => ({
  ...{ fromPs: ps(fromPs), toPs: ps(toPs), count, cause: "host-overflow" },
});

test("joined losses span what they were, and count as many, or an unknown number", () => {
  const losses = [loss(0n, 1n, 1), loss(5n, 6n, 2), loss(7n, 9n, null)];
  expect(joinLosses(losses, 3)).toEqual(losses);
  expect(joinLosses(losses, 2)).toEqual([loss(0n, 6n, 3), loss(7n, 9n, null)]);
  expect(joinLosses(losses, 1)).toEqual([loss(0n, 9n, null)]);
  expect(joinLosses([loss(0n, 1n, 1), { ...loss(2n, 3n, 1), cause: "disconnected" }], 1)).toEqual([
    { ...loss(0n, 3n, 2), cause: "recorded" },
  ]);
});

test("joining keeps within its bound and lets no lost time or tag go", () => {
  const lengths = fc.array(fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 70 }), (parts, lossesMax) => {
      let at = 0n;
      const losses = parts.map(([gap, length, count]) => {
        const fromPs = at + BigInt(gap);
        at = fromPs + BigInt(length);
        return loss(fromPs, at, count);
      });
      const joined = joinLosses(losses, lossesMax);
      expect(joined.length).toBeLessThanOrEqual(lossesMax);
      const sum = (all: readonly LossInterval[]) =>
        all.reduce((n, { count }) => n + (count ?? 0), 0);
      expect(sum(joined)).toBe(sum(losses));
      for (const { fromPs, toPs } of losses) {
        expect(joined.some((one) => one.fromPs <= fromPs && toPs <= one.toPs)).toBe(true);
      }
    }),
  );
});
