import { bufferCount, toArray } from "rxjs";
import { describe, expect, it } from "vitest";
import { BlockHub, createRetainQuota } from "../../../hal/tags/block-hub.ts";
import { BlockWriter } from "../../../hal/tags/block-writer.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import type { RetainedBlock, TagBlock } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { createVirtualClock } from "../../../mocks/virtual-clock.ts";

const stale = expect.objectContaining({ code: "tags.stale" });

/** A producer of blocks of one tag each, at 0, 10, 20 ... ps, over a few slots. */
function createBench(slots = 6, whenFull: "drop" | "wait" = "drop") {
  const memory = TagMemory.create({ slots, tagsPerBlock: 16, scratchBytes: 4096 });
  const clock = createVirtualClock();
  const range = memory.allocateSlots(slots);
  const names = { streamId: "bench", clockId: "bench" };
  const writer = new BlockWriter(memory, { ...names, range, whenFull, clock });
  const hub = new BlockHub(memory);
  const write = (times: readonly bigint[]): void => {
    const room = writer.begin();
    if (room === null) throw new Error("no room");
    new BigInt64Array(memory.memory.buffer, room.timesAddress, times.length).set(times);
    new Uint8Array(memory.memory.buffer, room.channelsAddress, times.length).fill(1);
    writer.append(times.length);
  };
  const send = (index: number): boolean => {
    write([BigInt(10 * index)]);
    const block = writer.publish({ toPs: ps(BigInt(10 * index + 10)) });
    if (block !== null) hub.deliver(block);
    return block !== null;
  };
  return { memory, clock, range, writer, hub, write, send };
}

describe("a block hub", () => {
  it("gives every subscriber each block, and recycles the slot after the delivery", () => {
    const bench = createBench();
    const seen: bigint[][] = [[], []];
    const kept: TagBlock[] = [];
    for (const times of seen) {
      bench.hub.blocks$.subscribe((block) => {
        times.push(...block.times());
        expect([...block.channels()]).toEqual([1]);
        kept.push(block);
      });
    }
    for (let index = 0; index < 20; index++) bench.send(index);
    const expected = Array.from({ length: 20 }, (_, index) => BigInt(10 * index));
    expect(seen).toEqual([expected, expected]);
    // One is kept back for spilling.
    expect(bench.memory.freeSlots(bench.range)).toBe(5);
    for (const block of kept) expect(() => block.times()).toThrow(stale);
  });

  it("throws on the blocks that bufferCount kept, instead of showing later ones", () => {
    const bench = createBench();
    const errors: unknown[] = [];
    bench.hub.blocks$.pipe(bufferCount(4)).subscribe((blocks) => {
      expect(() => blocks[0]?.times()).toThrow(stale);
      expect(blocks[3]?.times()[0]).toBe(30n);
      errors.push(blocks);
    });
    for (let index = 0; index < 4; index++) bench.send(index);
    expect(errors).toHaveLength(1);
  });

  it("keeps retained blocks readable until they are disposed", () => {
    const bench = createBench();
    const quota = createRetainQuota("test", 2);
    const retained: RetainedBlock[] = [];
    bench.hub.blocks$.subscribe((block) => {
      const kept = block.retain(quota);
      if (kept !== null) retained.push(kept);
    });
    for (let index = 0; index < 2; index++) bench.send(index);
    expect(retained.map(({ block }) => block.times()[0])).toEqual([0n, 10n]);
    expect(quota.held).toBe(2);
    retained[0]?.[Symbol.dispose]();
    retained[0]?.[Symbol.dispose]();
    expect(quota.held).toBe(1);
    expect(() => retained[0]?.block.times()).toThrow(stale);
    expect(retained[1]?.block.times()[0]).toBe(10n);
  });

  it("books a loss for the subscriber that is over its quota, and nobody else notices", () => {
    const bench = createBench(8);
    const quota = createRetainQuota("greedy", 2);
    const held: RetainedBlock[] = [];
    bench.hub.blocks$.subscribe((block) => {
      const kept = block.retain(quota);
      if (kept !== null) held.push(kept);
    });
    const sequences: number[] = [];
    const losses: number[] = [];
    bench.hub.blocks$.subscribe((block) => {
      sequences.push(block.sequence);
      losses.push(block.losses.length);
    });
    for (let index = 0; index < 50; index++) expect(bench.send(index)).toBe(true);
    expect(sequences).toEqual(Array.from({ length: 50 }, (_, index) => index));
    expect(losses.every((count) => count === 0)).toBe(true);
    expect(held.map(({ block }) => block.times()[0])).toEqual([0n, 10n]);
    expect(quota.losses).toEqual([
      { fromPs: 20n, toPs: 500n, count: 48, cause: "subscriber-quota" },
    ]);
  });

  it("completes and fails for all its subscribers", () => {
    const bench = createBench();
    let blocks: readonly TagBlock[] = [];
    bench.hub.blocks$.pipe(toArray()).subscribe((all) => {
      blocks = all;
    });
    bench.send(0);
    bench.hub.complete();
    expect(blocks).toHaveLength(1);
  });
});

describe("a block writer", () => {
  it("is due when its block is full, or older than 5 ms", () => {
    const { writer, write, clock } = createBench();
    expect(writer.isDue()).toBe(false);
    write([1n, 2n]);
    expect(writer.isDue()).toBe(false);
    clock.advance(5);
    expect(writer.isDue()).toBe(true);
    expect(writer.publish({ toPs: ps(5n) })).toMatchObject({ fromPs: 0n, toPs: 5n, count: 2 });
    write(Array.from({ length: 16 }, (_, index) => BigInt(10 + index)));
    expect(writer.isDue()).toBe(true);
    expect(writer.begin()).toBeNull();
  });

  it("fills blocks to the brim while fewer than a quarter of the slots are free", () => {
    const { writer, write, clock } = createBench(5);
    for (let index = 0; index < 3; index++) {
      write([BigInt(10 * index)]);
      writer.publish({ toPs: ps(BigInt(10 * index + 10)) });
    }
    write([40n]);
    clock.advance(1_000);
    expect(writer.isDue()).toBe(false);
    write(Array.from({ length: 15 }, (_, index) => BigInt(50 + index)));
    expect(writer.isDue()).toBe(true);
  });

  it("counts what it drops when no slot is free, and tells it with the next block", () => {
    const { memory, writer, write } = createBench(5);
    const blocks = [];
    for (let index = 0; index < 4; index++) {
      write([BigInt(10 * index)]);
      blocks.push(writer.publish({ toPs: ps(BigInt(10 * index + 10)) }));
    }
    for (let index = 4; index < 30; index++) write([BigInt(10 * index)]);
    expect(writer.publish({ toPs: ps(300n) })).toBeNull();
    const first = blocks[0];
    if (first === null || first === undefined) throw new Error("no block");
    memory.release(first);
    write([310n]);
    expect(writer.publish({ toPs: ps(320n) })).toMatchObject({
      ...{ fromPs: 40n, toPs: 320n, count: 1, sequence: 4 },
      losses: [{ fromPs: 40n, toPs: 291n, count: 26, cause: "host-overflow" }],
    });
  });

  it("never spills into a slot that a reader of an earlier stream holds", () => {
    const { memory, range, writer, write, clock } = createBench(4, "wait");
    const blocks = [0, 1, 2, 3].map((index) => {
      write([BigInt(10 * index)]);
      return writer.publish({ toPs: ps(BigInt(10 * index + 10)) });
    });
    const [first, , , last] = blocks;
    if (!first || !last) throw new Error("no block");
    memory.release(first);
    const names = { streamId: "next", clockId: "bench" };
    const next = new BlockWriter(memory, { ...names, range, whenFull: "drop", clock });
    const room = next.begin();
    if (room === null) throw new Error("no room");
    new BigInt64Array(memory.memory.buffer, room.timesAddress, 1)[0] = 77n;
    next.append(1);
    expect(blocks.slice(1).map((block) => block && memory.times(block)[0])).toEqual([
      10n,
      20n,
      30n,
    ]);
    expect(() => new BlockWriter(memory, { ...names, range, whenFull: "drop", clock })).toThrow(
      expect.objectContaining({ code: "tags.memory" }),
    );
  });

  it("tells what it dropped with its last block even when readers hold every slot", () => {
    const { memory, range, writer, write } = createBench(5);
    for (let index = 0; index < 4; index++) {
      write([BigInt(10 * index)]);
      writer.publish({ toPs: ps(BigInt(10 * index + 10)) });
    }
    write([41n, 42n]);
    writer.addLoss({ fromPs: ps(0n), toPs: ps(43n), count: null, cause: "device-overflow" });
    expect(writer.publish({ toPs: ps(43n) })).toBeNull();
    const last = writer.finish({ toPs: ps(43n) });
    expect(last).toMatchObject({
      ...{ fromPs: 40n, toPs: 43n, count: 0, sequence: 4 },
      losses: [
        { fromPs: 40n, toPs: 43n, count: 2, cause: "host-overflow" },
        { fromPs: 0n, toPs: 43n, count: null, cause: "device-overflow" },
      ],
    });
    expect(memory.freeSlots(range)).toBe(0);
    if (last !== null) memory.release(last);
    expect(memory.freeSlots(range)).toBe(1);
  });

  it("begins what it dropped where that began, though a new segment started meanwhile", () => {
    const { memory, writer, write } = createBench(4);
    const blocks = [0, 1, 2].map((index) => {
      write([BigInt(10 * index)]);
      return writer.publish({ toPs: ps(BigInt(10 * index + 10)) });
    });
    write([35n]);
    expect(writer.publish({ toPs: ps(40n) })).toBeNull();
    writer.start(ps(100n), { newSegment: true });
    write([105n]);
    const [first] = blocks;
    if (!first) throw new Error("no block");
    memory.release(first);
    write([120n]);
    expect(writer.publish({ toPs: ps(130n) })).toMatchObject({
      ...{ fromPs: 100n, toPs: 130n, count: 1, segment: 1 },
      losses: [{ fromPs: 30n, toPs: 106n, count: 2, cause: "host-overflow" }],
    });
  });

  it("gives all its slots back when it has finished or was told to stop", () => {
    for (const end of ["finish", "discard"] as const) {
      const { memory, range, writer, write } = createBench(5);
      write([1n]);
      const last = end === "finish" ? writer.finish({ toPs: ps(2n) }) : writer.discard();
      if (last) memory.release(last);
      expect(memory.freeSlots(range)).toBe(5);
    }
  });

  it("waits for a slot where a stream is paced", () => {
    const { memory, writer, write } = createBench(4, "wait");
    const blocks = [];
    for (let index = 0; index < 4; index++) {
      write([BigInt(10 * index)]);
      blocks.push(writer.publish({ toPs: ps(BigInt(10 * index + 10)) }));
    }
    expect(writer.begin()).toBeNull();
    const first = blocks[0];
    if (first === null || first === undefined) throw new Error("no block");
    memory.release(first);
    expect(writer.begin()).not.toBeNull();
  });

  it("refuses to end a block before its last tag", () => {
    const { writer, write } = createBench();
    write([100n]);
    expect(() => writer.publish({ toPs: ps(100n) })).toThrow(RangeError);
    expect(writer.publish({ toPs: ps(101n) })).not.toBeNull();
  });

  it("counts segments and sequences", () => {
    const { writer, write } = createBench();
    write([1n]);
    expect(() => writer.start(ps(50n), { newSegment: true })).toThrow(TypeError);
    expect(writer.publish({ toPs: ps(2n) })).toMatchObject({ segment: 0, sequence: 0 });
    writer.start(ps(50n), { newSegment: true });
    expect(writer.publish({ toPs: ps(60n) })).toMatchObject({
      ...{ segment: 1, sequence: 1, fromPs: 50n, toPs: 60n, count: 0 },
    });
  });
});
