import { describe, expect, test } from "vitest";
import { LabError } from "../../../hal/errors.ts";
import { BlockWriter } from "../../../hal/tags/block-writer.ts";
import type {
  IngestCounts,
  StreamSettings,
  StreamStop,
} from "../../../hal/tags/ingest-messages.ts";
import { IngestStream } from "../../../hal/tags/ingest-stream.ts";
import { holdBack, matchTail, type StreamTail } from "../../../hal/tags/stream-tail.ts";
import { compileTagKernels, instantiateTagKernels } from "../../../hal/tags/tag-kernels.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import type { TagBlockDescriptor } from "../../../hal/tags/tag-stream.ts";
import { Tdc1Decoder, tdc1ScratchBytes } from "../../../hal/tags/tdc1-decoder.ts";
import { ps } from "../../../hal/units.ts";
import { createVirtualClock, type VirtualClock } from "../../../mocks/virtual-clock.ts";

const memory = TagMemory.create({ slots: 16, tagsPerBlock: 1024, scratchBytes: 2 ** 18 });
const scratch = memory.allocate(tdc1ScratchBytes);
const kernels = instantiateTagKernels(compileTagKernels(), memory.memory);
const utcOriginPs = ps(1_790_000_000n * 10n ** 12n);

const settings: StreamSettings = {
  ...{ streamId: "s", clockId: "c", format: "s-fifteen-tdc1", blockAgeMs: 5 },
  ...{ startBytes: Buffer.from("start"), startTimeoutMs: 1_000 },
  idle: { afterMs: 200, bytes: Buffer.from("INPKT"), triesMax: 2 },
};
const stopping: StreamStop = {
  ...{ stopBytes: Buffer.from("stop"), tailBytes: 7, tailPattern: /^[0-9a-f]{4} \r\n$/ },
  ...{ quietMs: 20, timeoutMs: 1_000 },
};

/** Words at the given ticks, all on input 1. */
const words = (...ticks: readonly number[]): Uint8Array =>
  new Uint8Array(Uint32Array.from(ticks, (tick) => tick * 32 + 1).buffer);

interface Run {
  readonly clock: VirtualClock;
  readonly stream: IngestStream;
  readonly sent: string[];
  readonly blocks: TagBlockDescriptor[];
  readonly broken: LabError[];
  readonly counts: IngestCounts[];
}

function createRun(): Run {
  new Uint8Array(memory.memory.buffer, scratch.address, scratch.bytes).fill(0);
  const clock = createVirtualClock(utcOriginPs);
  const run = { sent: [], blocks: [], broken: [], counts: [] } as Pick<
    Run,
    "sent" | "blocks" | "broken" | "counts"
  >;
  const writer = new BlockWriter(memory, {
    ...{ streamId: "s", clockId: "c", whenFull: "drop", clock, blockAgeMs: 5 },
    range: { firstSlot: 0, slots: 16 },
  });
  const decoder = new Tdc1Decoder({
    ...{ kernels, memory: memory.memory, scratchAddress: scratch.address, writer },
    hostElapsedPs: () => 10n ** 18n,
    emit: (block) => {
      run.blocks.push(block);
      memory.release(block);
    },
  });
  const stream = new IngestStream(settings, {
    ...{ clock, writer, decoder },
    effects: {
      send: (bytes) => void run.sent.push(Buffer.from(bytes).toString()),
      counts: (counts) => void run.counts.push(counts),
      broken: (error) => void run.broken.push(error),
    },
  });
  return { ...run, clock, stream };
}

describe("a live stream", () => {
  test("puts its epoch between the start command and the first bytes, and says how well it knows", async () => {
    const { clock, stream, sent } = createRun();
    const started = stream.start();
    clock.advance(40);
    stream.receive(words(1_000));
    const { utcPs, uncertaintyPs } = await started;
    expect(sent).toEqual(["start"]);
    // Tick 1,000 is 2 us; it fell between 0 and 40 ms.
    expect(utcPs).toBe(utcOriginPs + 20_000_000_000n - 2_000_000n);
    expect(uncertaintyPs).toBe(20_000_000_000n);
  });

  test("publishes a block of age 5 ms, and none while nothing arrives", () => {
    const { clock, stream, blocks } = createRun();
    void stream.start();
    stream.receive(words(10, 20));
    clock.advance(4);
    expect(blocks).toHaveLength(0);
    clock.advance(1);
    expect(blocks.map(({ fromPs, toPs, count }) => [fromPs, toPs, count])).toEqual([
      [20_000n, 42_000n, 2],
    ]);
    clock.advance(100);
    expect(blocks).toHaveLength(1);
    // A dummy is no tag, but it tells that nothing came before it.
    stream.receive(new Uint8Array(Uint32Array.of(5_000 * 32 + 0x11).buffer));
    clock.advance(5);
    expect(blocks[1]).toMatchObject({ fromPs: 42_000n, toPs: 10_002_000n, count: 0 });
  });

  test("asks for partial packets when silent, and breaks with a loss when asked in vain", () => {
    const { clock, stream, sent, broken, blocks } = createRun();
    void stream.start();
    stream.receive(words(10));
    clock.advance(199);
    expect(sent).toEqual(["start"]);
    clock.advance(2);
    expect(sent).toEqual(["start", "INPKT"]);
    clock.advance(200);
    expect(sent).toEqual(["start", "INPKT", "INPKT"]);
    stream.receive(words(20));
    clock.advance(201);
    expect(sent).toHaveLength(4);
    expect(broken).toEqual([]);
    clock.advance(600);
    expect(broken.map(({ code }) => code)).toEqual(["link.timeout"]);
    expect(blocks.at(-1)?.losses).toMatchObject([
      { fromPs: 42_000n, count: null, cause: "disconnected" },
    ]);
    const sentBefore = sent.length;
    clock.advance(5_000);
    expect(sent).toHaveLength(sentBefore);
  });

  test("gives up when nothing comes after the start", async () => {
    const { clock, stream, broken } = createRun();
    const refused = expect(stream.start()).rejects.toMatchObject({ code: "link.timeout" });
    clock.advance(1_000);
    await refused;
    expect(broken).toHaveLength(1);
  });

  test("ends at the tail wherever the last bytes are cut, with all tags before it", async () => {
    const last = Buffer.concat([words(30, 40, 50), Buffer.from("0010 \r\n")]);
    for (let cut = 0; cut <= last.length; cut++) {
      const { clock, stream, blocks, broken, counts } = createRun();
      void stream.start();
      stream.receive(words(10, 20));
      const stopped = stream.stop(stopping);
      stream.receive(last.subarray(0, cut));
      stream.receive(last.subarray(cut));
      clock.advance(20);
      expect(await stopped).toEqual({ tail: "0010 \r\n", fromPs: 20_000n, toPs: 102_000n });
      stream.finish([
        { fromPs: ps(20_000n), toPs: ps(102_000n), count: null, cause: "device-overflow" },
      ]);
      expect(blocks.reduce((sum, { count }) => sum + count, 0)).toBe(5);
      expect(blocks.at(-1)?.losses).toHaveLength(1);
      expect(blocks.at(-1)?.toPs).toBe(102_000n);
      expect(broken).toEqual([]);
      expect(counts.at(-1)).toMatchObject({ tagsDecoded: 5, desynchronisations: 0 });
    }
  });

  test("tells of a last record that was cut off as a loss", async () => {
    for (const kept of [0, 1, 2, 3]) {
      const { clock, stream, blocks } = createRun();
      void stream.start();
      const stopped = stream.stop(stopping);
      stream.receive(Buffer.concat([words(10, 20), words(30).subarray(0, kept)]));
      stream.receive(Buffer.from("0000 \r\n"));
      clock.advance(20);
      await stopped;
      stream.finish([]);
      const losses = blocks.flatMap((block) => block.losses);
      const cutOff = { fromPs: 42_000n, count: null, cause: "desynchronised" };
      expect(losses).toMatchObject(kept === 0 ? [] : [cutOff]);
    }
  });

  test("takes no words in the middle for the tail, and breaks when it never comes", async () => {
    const { clock, stream, broken } = createRun();
    void stream.start();
    stream.receive(words(10, 20));
    const refused = expect(stream.stop(stopping)).rejects.toMatchObject({ code: "link.timeout" });
    stream.receive(Buffer.from("0010 \r\n"));
    clock.advance(10);
    stream.receive(words(2 ** 22));
    clock.advance(1_000);
    await refused;
    expect(broken).toHaveLength(1);
  });

  test("ends with a loss before 64-bit time runs out, 106 days after its start", () => {
    const { stream, blocks, broken } = createRun();
    void stream.start();
    // The decoder's state begins with the ticks of all rollovers so far.
    const state = new DataView(memory.memory.buffer, scratch.address, 8);
    state.setBigInt64(0, (2n ** 63n - 2n ** 52n) / 2_000n - 100n, true);
    stream.receive(words(10, 50));
    expect(broken).toEqual([]);
    stream.receive(words(60, 200));
    expect(broken.map(({ code }) => code)).toEqual(["tags.time-range"]);
    const last = blocks.at(-1);
    expect(last?.count).toBe(4);
    expect(last?.losses).toMatchObject([{ fromPs: last?.toPs, count: null }]);
    stream.receive(words(300));
    expect(blocks.at(-1)).toBe(last);
  });

  test("tells of a port that went away as a loss from the last record on", () => {
    const { clock, stream, blocks, broken } = createRun();
    void stream.start();
    stream.receive(words(10));
    clock.advance(50);
    stream.break(new LabError("link.disconnected", "gone"));
    stream.break(new LabError("link.disconnected", "gone again"));
    expect(broken.map(({ message }) => message)).toEqual(["gone"]);
    const blocksBefore = blocks.length;
    const freeSlots = memory.freeSlots({ firstSlot: 0, slots: 16 });
    stream.receive(words(20, 30));
    clock.advance(10);
    expect(blocks).toHaveLength(blocksBefore);
    expect(memory.freeSlots({ firstSlot: 0, slots: 16 })).toBe(freeSlots);
    const loss = blocks.at(-1)?.losses[0];
    expect(loss).toMatchObject({ fromPs: 22_000n, cause: "disconnected" });
    expect((loss?.toPs ?? 0n) - (loss?.fromPs ?? 0n)).toBe(50_000_000_000n);
  });
});

test("holds back only what may be the tail, whatever the pieces", () => {
  const bytes = Buffer.from("abcdefghijklm0010 \r\n");
  for (let size = 1; size <= bytes.length; size++) {
    let tail: StreamTail = { held: new Uint8Array(0) };
    let released = "";
    for (let start = 0; start < bytes.length; start += size) {
      const step = holdBack(tail, bytes.subarray(start, start + size), 7);
      tail = step.tail;
      released += Buffer.from(step.released).toString();
    }
    expect(released).toBe("abcdefghijklm");
    expect(matchTail(tail, 7, /^[0-9a-f]{4} \r\n$/)).toBe("0010 \r\n");
  }
});
