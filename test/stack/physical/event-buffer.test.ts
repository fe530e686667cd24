import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { AnnouncerCore, announcerSpaceBytes } from "../../../stack/physical/announcer-core.ts";
import { EventBuffer } from "../../../stack/physical/event-buffer.ts";
import { KernelSpace } from "../../../stack/physical/kernel-space.ts";
import { MatcherCore, matcherSpaceBytes } from "../../../stack/physical/matcher-core.ts";
import { fourDetectors } from "./link-bench.ts";

describe("an event buffer", () => {
  it("keeps the newest events in order, as a plain list does, however they come and go", () => {
    const capacity = 50;
    const buffer = new EventBuffer(new KernelSpace(2 ** 16), capacity);
    const random = seededRandom(21);
    let kept: { time: bigint; basis: number; outcome: number }[] = [];
    let time = 0n;
    for (let step = 0; step < 2_000; step++) {
      const count = random.below(step % 50 === 0 ? 120 : 20);
      const added = Array.from({ length: count }, () => {
        time += BigInt(1 + random.below(9));
        return { time, basis: random.below(2), outcome: random.below(2) };
      });
      const dropped = buffer.append({
        times: BigInt64Array.from(added, (event) => event.time),
        bases: Uint8Array.from(added, (event) => event.basis),
        outcomes: Uint8Array.from(added, (event) => event.outcome),
        coveredToPs: time,
      });
      const all = [...kept, ...added];
      kept = all.slice(-capacity);
      expect(dropped).toBe(all.length - kept.length);
      const passed = random.below(15);
      buffer.drop(passed);
      kept = kept.slice(passed);
      expect(buffer.count).toBe(kept.length);
      const picked = buffer.pick(Uint32Array.from(kept.keys()));
      expect([...picked.times]).toEqual(kept.map((event) => event.time));
      expect([...picked.bases]).toEqual(kept.map((event) => event.basis));
      expect([...picked.outcomes]).toEqual(kept.map((event) => event.outcome));
      const middle = kept[kept.length >> 1];
      if (middle !== undefined) expect(buffer.positionOf(middle.time)).toBe(kept.length >> 1);
    }
  });
});

describe("ends that get messages out of order", () => {
  const settings = {
    ...{ wiring: fourDetectors, windowPs: 5_000n, tickPs: 1n, random: seededRandom(1) },
    ...{ offsetPsMax: 10n ** 12n, driftPpbMax: 2_000, falseAlarmProbability: 1e-6 },
  };
  const block = (fromPs: bigint) => ({
    ...{ segment: 0, fromPs, toPs: fromPs + 1_000_000n, losses: [] },
    ...{ times: BigInt64Array.of(fromPs + 10n), channels: Uint8Array.of(0) },
  });

  it("refuse a second announcement before the first, and one twice", () => {
    const announcer = new AnnouncerCore(new KernelSpace(announcerSpaceBytes), settings);
    const matcher = new MatcherCore(new KernelSpace(matcherSpaceBytes), settings);
    announcer.open();
    matcher.open({ labelOffsetPs: 0n, tickPs: 1n });
    const [first] = announcer.addBlock(block(0n), true);
    const [second] = announcer.addBlock(block(1_000_000n), true);
    if (first === undefined || second === undefined) throw new TypeError("both are announced");
    expect(() => matcher.addAnnouncement(second)).toThrow(/in place of 0/);
    matcher.addAnnouncement(first);
    expect(() => matcher.addAnnouncement(first)).toThrow(/in place of 1/);
  });

  it("refuse a report whose pairs do not follow on", () => {
    const announcer = new AnnouncerCore(new KernelSpace(announcerSpaceBytes), settings);
    announcer.open();
    announcer.addBlock(block(0n), true);
    const empty = { count: 0, indices: new Uint8Array(0), bases: new Uint8Array(0) };
    const report = { block: 0n, matched: true, firstSequence: 3n, ...empty };
    expect(() => announcer.takeReport(report)).toThrow(/from pair 3/);
    expect(announcer.takeReport({ ...report, firstSequence: 0n })?.count).toBe(0);
  });
});
