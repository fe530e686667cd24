/** Both cores of a link, wired to each other without a channel, fed with blocks of any sizes. */
import type { RandomSource } from "../../../hal/random.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import type { PairColumns } from "../../../stack/physical/announcement.ts";
import { AnnouncerCore, announcerSpaceBytes } from "../../../stack/physical/announcer-core.ts";
import type { BlockInput } from "../../../stack/physical/block-input.ts";
import { searchClock } from "../../../stack/physical/clock-search.ts";
import type { DetectorWiring } from "../../../stack/physical/detector-wiring.ts";
import { KernelSpace } from "../../../stack/physical/kernel-space.ts";
import {
  MatcherCore,
  type MatcherEffect,
  type MatcherSettings,
  matcherSpaceBytes,
} from "../../../stack/physical/matcher-core.ts";
import type { Detection } from "./pair-generator.ts";

export const fourDetectors: DetectorWiring = {
  detectors: [
    { name: "h", channel: 0, basis: 0, outcome: 0, delayPs: 0n },
    { name: "v", channel: 1, basis: 0, outcome: 1, delayPs: 0n },
    { name: "d", channel: 2, basis: 1, outcome: 0, delayPs: 0n },
    { name: "a", channel: 3, basis: 1, outcome: 1, delayPs: 0n },
  ],
};

/** Cuts detections into blocks that end at the given times. */
export function blocksOf(
  detections: readonly Detection[],
  fromPs: bigint,
  ends: readonly bigint[],
): BlockInput[] {
  let at = 0;
  let from = fromPs;
  return ends.map((toPs) => {
    const start = at;
    while (at < detections.length && (detections[at]?.timePs ?? 0n) < toPs) at++;
    const part = detections.slice(start, at);
    const block = {
      ...{ segment: 0, fromPs: from, toPs, losses: [] },
      times: BigInt64Array.from(part, ({ timePs }) => timePs),
      channels: Uint8Array.from(part, ({ channel }) => channel),
    };
    from = toPs;
    return block;
  });
}

/** Ends of blocks, regular or of random sizes. */
export function blockEnds(
  fromPs: bigint,
  toPs: bigint,
  stepPs: number,
  random?: RandomSource,
): bigint[] {
  const ends: bigint[] = [];
  for (let at = fromPs; at < toPs; ) {
    const step = random === undefined ? stepPs : 1 + Math.floor(random.uniform() * 2 * stepPs);
    at += BigInt(step);
    ends.push(at < toPs ? at : toPs);
  }
  return ends;
}

export interface BenchResult {
  readonly announcer: PairColumns[];
  readonly matcher: PairColumns[];
  readonly effects: MatcherEffect[];
}

/** Orders both ends' blocks by the part of their stream that they complete, as real time would. */
function interleaved(
  remote: readonly BlockInput[],
  local: readonly BlockInput[],
  durationS?: number,
) {
  const parts = (blocks: readonly BlockInput[], end: "remote" | "local") => {
    const fromPs = blocks[0]?.fromPs ?? 0n;
    const span =
      durationS === undefined ? Number((blocks.at(-1)?.toPs ?? 0n) - fromPs) : durationS * 1e12;
    return blocks.map((block) => ({ end, block, part: Number(block.toPs - fromPs) / span }));
  };
  return [...parts(remote, "remote"), ...parts(local, "local")].sort((a, b) => a.part - b.part);
}

/** Runs both cores over interleaved blocks; the search runs at once. */
export function runBench(
  remote: readonly BlockInput[],
  local: readonly BlockInput[],
  settings: Partial<MatcherSettings> & { readonly windowPs: bigint; readonly tickPs: bigint },
  presetModel?: Parameters<MatcherCore["searchEnded"]>[0],
  /** The duration of both streams where one of them is cut short, s. */
  durationS?: number,
): BenchResult {
  const common = { wiring: fourDetectors, random: seededRandom(99), ...settings };
  const announcer = new AnnouncerCore(new KernelSpace(announcerSpaceBytes), common);
  const matcher = new MatcherCore(new KernelSpace(matcherSpaceBytes), {
    ...{ offsetPsMax: 10n ** 12n, driftPpbMax: 2000, falseAlarmProbability: 1e-6 },
    ...common,
  });
  announcer.open();
  matcher.open({ labelOffsetPs: 0n, tickPs: settings.tickPs });
  const result: BenchResult = { announcer: [], matcher: [], effects: [] };
  const run = (effects: readonly MatcherEffect[]): void => {
    for (const effect of effects) {
      result.effects.push(effect);
      if (effect.kind === "search") run(matcher.searchEnded(searchClock(effect.request)));
      if (effect.kind !== "report") continue;
      if (effect.pairs !== null) result.matcher.push(effect.pairs);
      const pairs = announcer.takeReport(effect.report);
      if (pairs !== null) result.announcer.push(pairs);
    }
  };
  if (presetModel !== undefined) run(matcher.searchEnded(presetModel));
  for (const { end, block } of interleaved(remote, local, durationS)) {
    if (end === "local") run(matcher.addBlock(block));
    else {
      for (const announcement of announcer.addBlock(block, true)) {
        run(matcher.addAnnouncement(announcement));
      }
    }
  }
  return result;
}

/** Joins one fact of all blocks. */
export const column = <Value>(
  blocks: readonly PairColumns[],
  of: (block: PairColumns) => Iterable<Value>,
): Value[] => blocks.flatMap((block) => [...of(block)]);
