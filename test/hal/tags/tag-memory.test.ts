import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { entryPointUrl } from "../../../hal/entry-point.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";

const range = { firstSlot: 0, slots: 4 };
const small = { slots: 8, tagsPerBlock: 16, scratchBytes: 4096 };
const stale = expect.objectContaining({ code: "tags.stale" });

describe("tag memory", () => {
  it("names what to do when it cannot be had", () => {
    expect(() => TagMemory.create({ slots: 8_000 })).toThrow(
      expect.objectContaining({
        code: "tags.memory",
        message: expect.stringMatching(/fewer slots/),
      }),
    );
  });

  it.skipIf(process.platform !== "linux")(
    "says which limit of the system stands in the way, and how much it takes",
    () => {
      const { href } = entryPointUrl("#hal/tags/tag-memory");
      const program = `const { TagMemory } = await import("${href}");
        try { TagMemory.create(); } catch ({ code, message }) { console.log(code + ": " + message); }`;
      // Node itself starts within 2 GiB; the memory's own size, 210 MiB, is not what is missing.
      const run = `ulimit -v ${6 * 2 ** 20}; exec "$0" --input-type=module -e '${program}'`;
      const { stdout } = spawnSync("bash", ["-c", run, process.execPath], { encoding: "utf8" });
      expect(stdout).toMatch(/^tags\.memory: .*10 GiB of address space.*ulimit -v/);
    },
  );

  it("gives a slot a new generation each time it is taken, and refuses reads of the old one", () => {
    const memory = TagMemory.create(small);
    const first = { ...memory.acquire(range), count: 3 } as const;
    if (first.slot === undefined || first.generation === undefined) throw new Error("no slot");
    const block = { slot: first.slot, generation: first.generation, count: 3 };
    memory.times(block)[0] = 7n;
    expect(memory.times(block)[0]).toBe(7n);
    memory.release(block);
    expect(() => memory.times(block)).toThrow(stale);
    expect(memory.retain(block)).toBe(false);
    const second = memory.acquire(range);
    expect(second?.slot).toBe(block.slot);
    expect(second?.generation).toBe(block.generation + 1);
    expect(() => memory.channels(block)).toThrow(stale);
    expect(memory.retain(block)).toBe(false);
    expect(() => memory.release(block)).toThrow(RangeError);
  });

  it("frees a slot after the last of several holds, also those of another thread's view", () => {
    const memory = TagMemory.create(small);
    const other = TagMemory.attach(structuredClone(memory.share));
    const acquired = memory.acquire(range);
    if (acquired === null) throw new Error("no slot");
    const block = { ...acquired, count: 0 };
    expect(other.retain(block)).toBe(true);
    memory.release(block);
    expect(memory.freeSlots(range)).toBe(3);
    const seen = memory.releaseCount();
    other.releaseRetained(block);
    expect(memory.freeSlots(range)).toBe(4);
    expect(memory.releaseCount()).toBe(seen + 1);
  });

  it("keeps columns of different slots and kernel scratch apart", () => {
    const memory = TagMemory.create(small);
    const ends = Array.from({ length: 8 }, (_, slot) => [
      memory.timesAddress(slot),
      memory.timesAddress(slot) + 8 * 16,
      memory.channelsAddress(slot),
      memory.channelsAddress(slot) + 16,
    ]).flat();
    expect(ends).toEqual([...ends].sort((a, b) => a - b));
    expect(memory.allocate(8).address).toBeGreaterThanOrEqual(ends.at(-1) ?? 0);
  });

  it("gives out scratch, zeroed, and takes it back whole", () => {
    const memory = TagMemory.create({ ...small, scratchBytes: 65_536 });
    const regions = [];
    for (;;) {
      try {
        regions.push(memory.allocate(1000));
      } catch (error) {
        expect(error).toMatchObject({ code: "tags.memory" });
        break;
      }
    }
    expect(new Set(regions.map((region) => region.address)).size).toBe(regions.length);
    for (const region of regions) {
      new Uint8Array(memory.memory.buffer, region.address, 1000).fill(255);
      region[Symbol.dispose]();
      region[Symbol.dispose]();
    }
    const whole = memory.allocate(1024 * regions.length);
    const bytes = new Uint8Array(memory.memory.buffer, whole.address, whole.bytes);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it("gives slots to producers until none are left, and again when they are given back", () => {
    const memory = TagMemory.create(small);
    const [one, two] = [memory.allocateSlots(4), memory.allocateSlots(4)];
    expect(two.firstSlot).toBe(4);
    expect(() => memory.allocateSlots(1)).toThrow(expect.objectContaining({ code: "tags.memory" }));
    one[Symbol.dispose]();
    expect(memory.allocateSlots(3).firstSlot).toBe(0);
    expect(() => TagMemory.attach(memory.share).allocate(1)).toThrow(TypeError);
  });

  it("frees what a producer that was ended still held, and nothing that was retained", () => {
    const memory = TagMemory.create(small);
    const producer = TagMemory.attach(memory.share);
    const slots = memory.allocateSlots(4);
    const [open, delivered, kept] = [0, 1, 2].map(() => producer.acquire(slots));
    if (!open || !delivered || !kept) throw new Error("no slot");
    for (const block of [delivered, kept]) expect(memory.retain({ ...block, count: 0 })).toBe(true);
    memory.release({ ...delivered, count: 0 });
    memory.releaseRetained({ ...delivered, count: 0 });
    memory.release({ ...kept, count: 0 });
    slots[Symbol.dispose]();
    slots[Symbol.dispose]();
    expect(memory.freeSlots(slots)).toBe(3);
    expect(memory.isFresh({ ...open, count: 0 })).toBe(false);
    expect(memory.isFresh({ ...kept, count: 0 })).toBe(true);
    memory.releaseRetained({ ...kept, count: 0 });
    expect(memory.freeSlots(slots)).toBe(4);
  });
});
