import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isPackedBits,
  packBits,
  unpackBits,
} from "../../../../stack/application/qkd/bit-string.ts";
import {
  type BellState,
  joinSifted,
  oppositeByBasis,
  sift,
  siftDigest,
  sliceSifted,
} from "../../../../stack/application/qkd/sift.ts";
import {
  backlogBits,
  emptyBacklog,
  pushSifted,
  rangeStatus,
  takeOldest,
  takeRange,
} from "../../../../stack/application/qkd/sifted-backlog.ts";
import { drawPairs, seededRandom } from "./seeded-lab.ts";

const states: readonly BellState[] = ["phi+", "phi-", "psi+", "psi-"];

describe("bits", () => {
  it("survive packing at every length", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { maxLength: 70 }), (list) => {
        const bits = Uint8Array.from(list);
        const packed = packBits(bits);
        expect(unpackBits(packed, bits.length)).toEqual(bits);
        expect(isPackedBits(packed, bits.length)).toBe(true);
        expect(isPackedBits(packed, bits.length + 9)).toBe(false);
      }),
    );
    expect(isPackedBits(Uint8Array.of(0b1000), 3)).toBe(false);
  });
});

describe("sift", () => {
  // Sign of <ZZ> and <XX> of each Bell state, from the states themselves: amplitudes of |00>, |01>, |10>, |11>.
  const amplitudes: Record<BellState, readonly [number, number, number, number]> = {
    "phi+": [1, 0, 0, 1],
    "phi-": [1, 0, 0, -1],
    "psi+": [0, 1, 1, 0],
    "psi-": [0, 1, -1, 0],
  };
  it.each(states)("knows the correlations of %s in both bases", (state) => {
    const [a, b, c, d] = amplitudes[state];
    const zz = a * a - b * b - c * c + d * d;
    const xx = 2 * (a * d + b * c);
    expect(oppositeByBasis[state]).toEqual([zz > 0 ? 0 : 1, xx > 0 ? 0 : 1]);
  });

  it.each(states)(
    "gives both ends the same ids and, without noise, the same bits: %s",
    (bellState) => {
      const random = seededRandom(bellState);
      const pairs = drawPairs(random, { count: 999, firstSequence: 7n, qber: 0, bellState });
      const alice = sift(pairs.alice, "alice", bellState);
      const bob = sift(pairs.bob, "bob", bellState);
      expect(bob.sequences).toEqual(alice.sequences);
      expect(bob.bases).toEqual(alice.bases);
      expect(bob.bits).toEqual(alice.bits);
      expect(siftDigest(bob)).toBe(siftDigest(alice));
      // Equal bases in 999 fair trials: 500 +- 5 sigma.
      expect(Math.abs(alice.bits.length - 499.5)).toBeLessThan(5 * 15.8);
      for (const [i, sequence] of alice.sequences.entries()) {
        const record = Number(sequence - 7n);
        expect(pairs.alice.localBasis[record]).toBe(pairs.alice.remoteBasis[record]);
        expect(alice.bases[i]).toBe(pairs.alice.localBasis[record]);
      }
    },
  );

  it("keeps outcomes out of the digest and everything else in it", () => {
    const pairs = drawPairs(seededRandom("digest"), { count: 99, firstSequence: 0n, qber: 0 });
    const sifted = sift(pairs.alice, "alice", "phi+");
    const digest = siftDigest(sifted);
    expect(siftDigest({ ...sifted, bits: sifted.bits.map((bit) => 1 - bit) })).toBe(digest);
    expect(siftDigest({ ...sifted, bases: sifted.bases.map((basis) => 1 - basis) })).not.toBe(
      digest,
    );
    expect(siftDigest({ ...sifted, incarnation: "other" })).not.toBe(digest);
    expect(siftDigest(sliceSifted(sifted, 1, sifted.bits.length))).not.toBe(digest);
  });

  it("cuts and joins without losing an item", () => {
    const pairs = drawPairs(seededRandom("cut"), { count: 200, firstSequence: 3n, qber: 0 });
    const sifted = sift(pairs.alice, "alice", "phi+");
    for (let cut = 0; cut <= sifted.bits.length; cut++) {
      const joined = joinSifted([
        sliceSifted(sifted, 0, cut),
        sliceSifted(sifted, cut, sifted.bits.length),
      ]);
      expect(joined).toEqual(sifted);
    }
  });
});

describe("SiftedBacklog", () => {
  const siftedOf = (firstSequence: bigint, incarnation = "a") => {
    const random = seededRandom(`${firstSequence}${incarnation}`);
    const pairs = drawPairs(random, { count: 100, firstSequence, qber: 0, incarnation });
    return sift(pairs.alice, "alice", "phi+");
  };
  const filled = (...parts: readonly ReturnType<typeof siftedOf>[]) =>
    parts.reduce((backlog, part) => pushSifted(backlog, part, 1e6).backlog, emptyBacklog);

  it("gives every bit out once, in blocks that both ends cut alike", () => {
    const parts = [siftedOf(0n), siftedOf(100n), siftedOf(250n)];
    const copied = () => parts.map((part) => ({ ...part, bits: part.bits.slice() }));
    let bob = filled(...copied());
    let alice = filled(...copied());
    const all = joinSifted(parts);
    const given: bigint[] = [];
    for (let first = takeOldest(bob, 40); first.taken !== null; first = takeOldest(bob, 40)) {
      bob = first.backlog;
      const { taken } = first;
      const range = { ...taken, digest: siftDigest(taken) };
      expect(rangeStatus(alice, range)).toBe("seen");
      const theirs = takeRange(alice, range);
      alice = theirs.backlog;
      expect(theirs.taken?.bits).toEqual(taken.bits);
      expect(theirs.discarded).toEqual([]);
      const again = takeRange(alice, range);
      expect(again.taken).toBeNull();
      alice = again.backlog;
      given.push(...taken.sequences);
    }
    expect(given).toEqual([...all.sequences.slice(0, given.length)]);
    expect(backlogBits(bob)).toBe(all.bits.length - given.length);
  });

  it("overwrites bits where they were once they have left or were thrown away", () => {
    const ones = (...parts: readonly { readonly bits: Uint8Array }[]) =>
      parts.flatMap(({ bits }) => [...bits]).filter((bit) => bit === 1).length;
    const parts = [siftedOf(0n), siftedOf(100n), siftedOf(200n)];
    const before = ones(...parts);
    expect(before).toBeGreaterThan(40);
    const { taken, backlog } = takeOldest(filled(...parts), 60);
    expect(ones(...parts)).toBe(0);
    expect(ones(...(taken === null ? [] : [taken]), ...backlog.chunks)).toBe(before);
    const passed = siftedOf(300n);
    const range = { ...siftedOf(400n), digest: "of other records" };
    const differing = siftedOf(400n);
    expect(takeRange(filled(passed, differing), range).taken).toBeNull();
    expect(ones(passed, differing)).toBe(0);
    const [oldest, newest] = [siftedOf(500n), siftedOf(600n)];
    const kept = ones(newest);
    pushSifted(pushSifted(emptyBacklog, oldest, 50).backlog, newest, 50);
    expect([ones(oldest), ones(newest)]).toEqual([0, kept]);
    const [old, fresh] = [siftedOf(0n, "c"), siftedOf(0n, "d")];
    takeOldest(filled(sliceSifted(old, 0, 20), fresh), 30);
    expect(ones(sliceSifted(old, 0, 20), fresh)).toBe(0);
    const again = siftedOf(0n);
    pushSifted({ ...emptyBacklog, incarnation: "a", seenSequence: 50n }, again, 50);
    expect(ones(again)).toBe(0);
  });

  it("never mixes incarnations: the rest of the old one is discarded and said so", () => {
    const old = siftedOf(0n, "a");
    const fresh = siftedOf(0n, "b");
    const { taken, discarded } = takeOldest(filled(old, fresh), 30);
    expect(taken?.incarnation).toBe("a");
    expect(discarded).toEqual([]);
    const next = takeOldest(filled(sliceSifted(old, 0, 20), fresh), 30);
    expect(next.taken?.incarnation).toBe("b");
    expect(next.discarded).toEqual([{ bits: 20, cause: "incarnation-changed" }]);
  });

  it("refuses records that come again, late, or from an incarnation that is over", () => {
    const backlog = filled(siftedOf(0n, "a"), siftedOf(100n, "a"), siftedOf(0n, "b"));
    for (const again of [siftedOf(0n, "b"), siftedOf(200n, "a")]) {
      const { backlog: after, discarded } = pushSifted(backlog, again, 1e6);
      expect(after).toBe(backlog);
      expect(discarded).toEqual([{ bits: again.bits.length, cause: "repeated-records" }]);
    }
  });

  it("stays bounded, drops the oldest, and says how many", () => {
    let backlog = emptyBacklog;
    let pushed = 0;
    let lost = 0;
    for (let i = 0n; i < 50n; i++) {
      const part = siftedOf(100n * i);
      const change = pushSifted(backlog, part, 200);
      backlog = change.backlog;
      pushed += part.bits.length;
      lost += change.discarded.reduce((sum, { bits }) => sum + bits, 0);
      expect(backlogBits(backlog)).toBeLessThanOrEqual(200);
      expect(backlogBits(backlog)).toBe(pushed - lost);
    }
  });

  it("tells records that may still come from those that cannot", () => {
    const backlog = filled(siftedOf(0n, "a"), siftedOf(0n, "b"));
    const range = (incarnation: string, endSequence: bigint) => ({
      incarnation,
      firstSequence: 0n,
      endSequence,
      digest: "",
    });
    const bobOnly = takeRange(backlog, range("b", 100n)).backlog;
    expect(rangeStatus(bobOnly, range("b", 101n))).toBe("awaited");
    expect(rangeStatus(bobOnly, range("b", 100n))).toBe("seen");
    expect(rangeStatus(bobOnly, range("a", 100n))).toBe("gone");
    expect(rangeStatus(bobOnly, range("c", 100n))).toBe("awaited");
  });
});
