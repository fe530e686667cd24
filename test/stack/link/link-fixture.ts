import { Subject } from "rxjs";
import { silentLogger } from "../../../hal/log.ts";
import type { TagBlock, TagStream } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import type { VirtualClock } from "../../../mocks/virtual-clock.ts";
import type { ClassicalChannel } from "../../../stack/classical/channel.ts";
import type { LinkEvent } from "../../../stack/link/link-event.ts";
import type { PairRecords } from "../../../stack/link/pair-records.ts";
import { openPhotonicLink, type PhotonicLinkOptions } from "../../../stack/link/photonic-link.ts";
import type { BlockInput } from "../../../stack/physical/block-input.ts";
import { fourDetectors } from "../physical/link-bench.ts";

export const linkSettings = { coincidenceWindowPs: 5_000, offsetMaxMs: 1_000, driftMaxPpb: 2_000 };

/** A stream whose blocks the test gives. */
export function testStream(epochPs: bigint) {
  const blocks = new Subject<TagBlock>();
  let sequence = 0;
  const stream: TagStream = {
    ...{ streamId: "test", clockId: "test", channels: [], blocks$: blocks },
    ...{ tickPs: { numerator: 2_000n, denominator: 1n }, epochPs: ps(epochPs) },
    anchor: { utcPs: ps(epochPs), uncertaintyPs: ps(0n) },
  };
  const give = (block: BlockInput): void =>
    blocks.next({
      ...{ streamId: "test", clockId: "test", segment: block.segment, sequence: sequence++ },
      ...{ fromPs: ps(block.fromPs), toPs: ps(block.toPs), count: block.times.length, losses: [] },
      ...{ slot: 0, generation: 0, retain: () => null },
      times: () => block.times,
      channels: () => block.channels,
    });
  return { stream, give };
}

/** One end with everything it said. */
export function openEnd(
  role: PhotonicLinkOptions["role"],
  channel: ClassicalChannel,
  clock: VirtualClock,
  options: Partial<PhotonicLinkOptions> & { readonly epochPs?: bigint } = {},
) {
  const { stream, give } = testStream(options.epochPs ?? 0n);
  const link = openPhotonicLink({
    ...{
      link: "alice-bob",
      local: channel.local,
      peer: channel.peer,
      role,
      stream,
      channel,
      clock,
    },
    ...{ wiring: fourDetectors, settings: linkSettings, logger: silentLogger },
    random: seededRandom(role === "announcer" ? 1 : 2),
    ...options,
  });
  const records: PairRecords[] = [];
  const events: LinkEvent[] = [];
  link.records$.subscribe((block) => records.push(block));
  link.events$.subscribe((event) => events.push(event));
  return { link, give, records, events };
}

/** Lets in-process channels deliver what waits, and what that sends. */
export function settle(clock: VirtualClock, turns = 6): void {
  for (let turn = 0; turn < turns; turn++) clock.advance(0);
}
