import { Subject } from "rxjs";
import { expect, test } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import type { LossInterval } from "../../../hal/tags/loss-interval.ts";
import { type RecorderOptions, recordStream } from "../../../hal/tags/recorder.ts";
import { openRecording } from "../../../hal/tags/recording-source.ts";
import type { TagBlock, TagStream } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { collect, createFolder, createReading } from "./recording-harness.ts";

const folder = createFolder();

/** A block of one tag, ten times its index, that covers 10 ps. */
function blockOf(index: number, losses: readonly LossInterval[]): TagBlock {
  const [fromPs, toPs] = [ps(BigInt(10 * index)), ps(BigInt(10 * index + 10))];
  return {
    ...{ streamId: "s", clockId: "c", segment: 0, sequence: index, fromPs, toPs, count: 1, losses },
    ...{ slot: 0, generation: 0, retain: () => null },
    times: () => BigInt64Array.of(fromPs),
    channels: () => Uint8Array.of(1),
  };
}

const lossesBefore = (index: number, count: number): LossInterval[] =>
  Array.from({ length: count }, (_, part) => ({
    fromPs: ps(BigInt(10 * index) - BigInt(2 * (count - part))),
    toPs: ps(BigInt(10 * index) - BigInt(2 * (count - part)) + 1n),
    ...{ count: 3, cause: "host-overflow" },
  }));

const streamOf = (blocks$: TagStream["blocks$"]): TagStream => ({
  ...{ streamId: "s", clockId: "c", channels: [{ channel: 1, label: "2" }], blocks$ },
  ...{ tickPs: { numerator: 1n, denominator: 1n }, epochPs: ps(0n) },
  anchor: { utcPs: ps(0n), uncertaintyPs: ps(0n) },
});

async function record(
  name: string,
  blocks: readonly TagBlock[],
  options: Partial<RecorderOptions>,
) {
  const blocks$ = new Subject<TagBlock>();
  const path = folder.path(name);
  const recorder = await recordStream(streamOf(blocks$), path, { clock: systemClock, ...options });
  for (const block of blocks) blocks$.next(block);
  blocks$.complete();
  const progress = await recorder.done;
  const recording = await openRecording(path, createReading());
  return { progress, facts: await recording.facts(), read: await collect(recording.stream) };
}

const lostIn = (losses: readonly LossInterval[]): number =>
  losses.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0);

test("a block with more losses than a block of the file holds loses none of them", async () => {
  const losses = lossesBefore(2_000, 10_000);
  const { read, facts } = await record("crowded.bwt", [blockOf(2_000, losses)], {});
  expect(read.times).toEqual([20_000n]);
  expect(read.losses.length).toBeLessThanOrEqual(4_096);
  expect(lostIn(read.losses)).toBe(30_000);
  expect(facts.lostTags).toBe(30_000);
  expect(read.losses[0]?.fromPs).toBe(0n);
  expect(read.losses.at(-1)?.toPs).toBe(19_999n);
});

test("blocks that the disk was too slow for are counted, with the losses that they told of", async () => {
  const blocks = Array.from({ length: 9_000 }, (_, index) =>
    blockOf(index, index % 2 === 0 ? lossesBefore(index, 1) : []),
  );
  const { read, progress } = await record("slow.bwt", blocks, { pendingBytesMax: -1 });
  expect(progress).toMatchObject({ tags: 0, tagsLeftOut: 9_000 });
  expect(read.times).toEqual([]);
  expect(read.losses.length).toBeLessThanOrEqual(4_096);
  expect(lostIn(read.losses)).toBe(9_000 + 3 * 4_500);
});

test("a disk that keeps up is given everything, however long the recording", async () => {
  const blocks$ = new Subject<TagBlock>();
  const recorder = await recordStream(streamOf(blocks$), folder.path("long.bwt"), {
    ...{ clock: systemClock, pendingBytesMax: 1_000 },
  });
  let written = 0;
  recorder.progress$.subscribe(({ bytesWritten }) => {
    written = bytesWritten;
  });
  // A block of one tag is 80 bytes: forty are more than may wait.
  for (let index = 0; index < 40; index++) {
    const before = written;
    blocks$.next(blockOf(index, []));
    await expect.poll(() => written, { interval: 1 }).toBeGreaterThan(before);
  }
  blocks$.complete();
  expect(await recorder.done).toMatchObject({ tags: 40, tagsLeftOut: 0 });
});
