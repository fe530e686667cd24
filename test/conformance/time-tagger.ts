import { expect, it } from "vitest";
import { sleep, systemClock, withDeadline } from "../../hal/clock.ts";
import type { DeviceState } from "../../hal/device.ts";
import { messageOf } from "../../hal/errors.ts";
import type { TimeTagger } from "../../hal/roles/time-tagger.ts";
import type { LossInterval } from "../../hal/tags/loss-interval.ts";
import type { TagBlock, TagBlockDescriptor, TagStream } from "../../hal/tags/tag-stream.ts";
import { psPerMs } from "../../hal/units.ts";

/** Mocks move in steps of 5 ms, so that what happens at once to them happened a few of those ago. */
const paceOfMocksPs = 20n * psPerMs;

/** What a recorded stream came to. */
export interface HeardStream {
  readonly tags: number;
  readonly blocks: number;
  readonly losses: readonly LossInterval[];
  readonly segments: ReadonlySet<number>;
  readonly coveredPs: bigint;
  /** `complete`, or the message of the error. */
  readonly end: string;
  /** What the blocks did not keep of what every stream promises. */
  readonly faults: readonly string[];
}

/** Says what a block does not keep of what every stream promises, or null. */
function faultOf(
  stream: TagStream,
  block: TagBlock,
  before: { readonly block: TagBlockDescriptor | null; readonly inputs: number },
): string | null {
  const previous = before.block;
  if (block.sequence !== (previous?.sequence ?? -1) + 1)
    return `block ${block.sequence} is out of turn`;
  if (previous !== null && previous.segment === block.segment && block.fromPs !== previous.toPs) {
    return `block ${block.sequence} does not adjoin the one before`;
  }
  let previousPs: bigint = block.fromPs;
  for (const timePs of block.times()) {
    if (timePs < previousPs || timePs >= block.toPs) return "a tag is out of place";
    previousPs = timePs;
  }
  if (block.channels().some((channel) => channel >= before.inputs)) return "there is no such input";
  const latestPs = systemClock.utcPs() + stream.anchor.uncertaintyPs + paceOfMocksPs;
  const aheadPs = stream.epochPs + block.toPs - latestPs;
  return aheadPs > 0n ? `something is told ${aheadPs} ps before it happened` : null;
}

/** Listens to a stream to its end and checks on the way what every stream promises. */
export function listen(stream: TagStream, inputs: number): Promise<HeardStream> {
  const losses: LossInterval[] = [];
  const segments = new Set<number>();
  const faults: string[] = [];
  let [tags, blocks, coveredPs] = [0, 0, 0n];
  let last: TagBlockDescriptor | null = null;
  return new Promise((resolve) => {
    const settle = (end: string): void =>
      resolve({ tags, blocks, losses, segments, coveredPs, end, faults });
    stream.blocks$.subscribe({
      next: (block) => {
        const fault = faultOf(stream, block, { block: last, inputs });
        if (fault !== null) faults.push(fault);
        last = block;
        tags += block.count;
        blocks += 1;
        coveredPs += block.toPs - block.fromPs;
        segments.add(block.segment);
        losses.push(...block.losses);
      },
      complete: () => settle("complete"),
      error: (error) => settle(messageOf(error)),
    });
  });
}

/** What every time tagger promises. `open` gives one whose inputs see light. */
export function timeTaggerConformance(open: () => Promise<TimeTagger>): void {
  const stateOf = (tagger: TimeTagger): DeviceState["state"] => {
    let state: DeviceState["state"] = "opening";
    tagger.state$.subscribe((now) => {
      state = now.state;
    });
    return state;
  };

  it("is ready when opened and says who it is", async () => {
    const tagger = await open();
    expect(stateOf(tagger)).toBe("ready");
    expect(tagger.role).toBe("time-tagger");
    expect(tagger.identity.raw).not.toBe("");
    expect(tagger.capabilities.inputs).toBeGreaterThan(0);
    await tagger.close();
    expect(stateOf(tagger)).toBe("closed");
  });

  it("gives sorted tags in adjoining blocks and completes when stopped", async () => {
    const tagger = await open();
    const stream = await tagger.startTagging();
    expect(stateOf(tagger)).toBe("active");
    const heard = listen(stream, tagger.capabilities.inputs);
    await sleep(systemClock, 300);
    await tagger.stopTagging();
    const { end, tags, blocks, losses, faults } = await withDeadline(systemClock, heard, 2_000);
    expect(faults).toEqual([]);
    expect(end).toBe("complete");
    expect(tags).toBeGreaterThan(0);
    expect(blocks).toBeGreaterThan(5);
    expect(losses).toEqual([]);
    expect(stateOf(tagger)).toBe("ready");
    await tagger.close();
  });

  it("refuses a second stream while one runs, and gives a new one after the stop", async () => {
    const tagger = await open();
    const first = await tagger.startTagging();
    await expect(tagger.startTagging()).rejects.toMatchObject({ code: "device.busy" });
    await tagger.stopTagging();
    await tagger.stopTagging();
    const second = await tagger.startTagging();
    expect(second.streamId).not.toBe(first.streamId);
    expect(second.clockId).toBe(first.clockId);
    expect(second.epochPs).toBeGreaterThan(0n);
    await tagger.close();
  });

  it("ends its stream in order when closed, any number of times", async () => {
    const tagger = await open();
    const heard = listen(await tagger.startTagging(), tagger.capabilities.inputs);
    await sleep(systemClock, 50);
    await Promise.all([tagger.close(), tagger.close()]);
    await tagger.close();
    expect((await withDeadline(systemClock, heard, 2_000)).end).toBe("complete");
  });
}
