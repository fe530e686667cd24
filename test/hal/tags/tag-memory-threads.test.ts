/** Real threads on one tag memory: a wrong order between taking, holding and giving back shows as a torn block. */
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { entryPointUrl } from "../../../hal/entry-point.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";

const layout = { slots: 2, tagsPerBlock: 256, scratchBytes: 4_096 };
const readersCount = 2;
/** The contest goes on until so many blocks were held, some offers were stale and a slot was not free; or until time is up. */
const heldMin = 1_000;
const contestMs = 10_000;

/**
 * The writer fills both columns of each slot that it gets with the block's number and offers the block in a mailbox; each
 * reader tries to hold what the mailbox names, stale more often than not, and what it holds must stay one block's.
 * The mailbox: slot, generation, number; written under a sequence lock, so that a reader never mixes two offers.
 */
const program = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { url, share, mailboxAddress, role } = workerData;
  import(url).then(({ TagMemory }) => {
    const memory = TagMemory.attach(share);
    const mailbox = new Int32Array(share.memory.buffer, mailboxAddress, 7);
    const [lock, slot, generation, number, end, allHeld, allRefused] = [0, 1, 2, 3, 4, 5, 6];
    const range = { firstSlot: 0, slots: ${layout.slots} };
    const count = ${layout.tagsPerBlock};
    let [held, refused, torn, asides] = [0, 0, 0, 0];
    const write = () => {
      const deadlineMs = performance.now() + ${contestMs};
      const isEnough = () =>
        asides > 0 && Atomics.load(mailbox, allHeld) > ${heldMin} && Atomics.load(mailbox, allRefused) > 0;
      for (let block = 1; block % 64 !== 0 || (!isEnough() && performance.now() < deadlineMs); ) {
        const taken = memory.acquire(range);
        if (taken?.slot !== 0) asides++;
        if (taken === null) continue;
        const at = { ...taken, count };
        memory.times(at).fill(BigInt(block));
        memory.channels(at).fill(block);
        Atomics.add(mailbox, lock, 1);
        Atomics.store(mailbox, slot, taken.slot);
        Atomics.store(mailbox, generation, taken.generation);
        Atomics.store(mailbox, number, block);
        Atomics.add(mailbox, lock, 1);
        memory.release(at);
        block++;
      }
      Atomics.store(mailbox, end, 1);
    };
    const read = () => {
      while (Atomics.load(mailbox, end) === 0) {
        const before = Atomics.load(mailbox, lock);
        const at = { slot: Atomics.load(mailbox, slot), generation: Atomics.load(mailbox, generation), count };
        const block = Atomics.load(mailbox, number);
        if (before % 2 === 1 || before !== Atomics.load(mailbox, lock)) continue;
        if (block === 0 || !memory.retain(at)) { refused++; Atomics.add(mailbox, allRefused, 1); continue; }
        held++;
        Atomics.add(mailbox, allHeld, 1);
        const times = memory.times(at), channels = memory.channels(at);
        for (let index = 0; index < count; index++) {
          if (times[index] !== BigInt(block) || channels[index] !== (block & 255)) { torn++; break; }
        }
        memory.releaseRetained(at);
      }
    };
    parentPort.once("message", () => {
      if (role === "writer") write(); else read();
      parentPort.postMessage({ held, refused, torn, asides });
    });
    parentPort.postMessage("ready");
  });`;

interface Tally {
  readonly held: number;
  readonly refused: number;
  readonly torn: number;
  readonly asides: number;
}

test("readers and a writer in threads of their own never see a torn or recycled block", async () => {
  const memory = TagMemory.create(layout);
  const { address: mailboxAddress } = memory.allocate(64);
  const { href: url } = entryPointUrl("#hal/tags/tag-memory");
  const roles = ["writer", ...Array.from({ length: readersCount }, () => "reader")];
  const workers = roles.map((role) => {
    const workerData = { url, share: memory.share, mailboxAddress, role };
    return new Worker(program, { eval: true, workerData });
  });
  const next = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  try {
    await Promise.all(workers.map(next));
    const done = Promise.all(workers.map(next));
    for (const worker of workers) worker.postMessage("go");
    const [writer, ...readers] = (await done) as Tally[];
    const held = readers.reduce((sum, reader) => sum + reader.held, 0);
    expect(readers.map(({ torn }) => torn)).toEqual(readers.map(() => 0));
    // It was a contest: blocks were held, offers were stale, and the writer met a slot that a reader held.
    expect(held).toBeGreaterThan(heldMin);
    expect(readers.some(({ refused }) => refused > 0)).toBe(true);
    expect(writer?.asides).toBeGreaterThan(0);
    expect(memory.freeSlots({ firstSlot: 0, slots: layout.slots })).toBe(layout.slots);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});
