import { firstValueFrom, timeout } from "rxjs";
import { filter } from "rxjs/operators";
import { expect, it } from "vitest";
import { systemClock } from "../../../hal/clock.ts";
import { silentLogger } from "../../../hal/log.ts";
import { BlockHub } from "../../../hal/tags/block-hub.ts";
import { TagMemory } from "../../../hal/tags/tag-memory.ts";
import type { TagStream } from "../../../hal/tags/tag-stream.ts";
import { ps } from "../../../hal/units.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import type { ClassicalChannel } from "../../../stack/classical/channel.ts";
import { waitUntilOpen } from "../../../stack/classical/channel-opening.ts";
import { openTcpChannel } from "../../../stack/classical/tcp-channel.ts";
import type { LinkEvent } from "../../../stack/link/link-event.ts";
import type { PairRecords } from "../../../stack/link/pair-records.ts";
import { openPhotonicLink } from "../../../stack/link/photonic-link.ts";
import type { BlockInput } from "../../../stack/physical/block-input.ts";
import { blockEnds, blocksOf, fourDetectors } from "../physical/link-bench.ts";
import { drawRun } from "../physical/pair-generator.ts";
import { linkSettings } from "./link-fixture.ts";

/** One end with a tag memory and worker threads of its own, as a node of its own process has. */
function openNode(role: "announcer" | "matcher", channel: ClassicalChannel) {
  const memory = TagMemory.create({ slots: 128, tagsPerBlock: 4_096, scratchBytes: 2 ** 16 });
  const hub = new BlockHub(memory);
  const range = memory.allocateSlots(128);
  const stream: TagStream = {
    ...{ streamId: role, clockId: role, channels: [], blocks$: hub.blocks$, epochPs: ps(0n) },
    ...{ tickPs: { numerator: 2_000n, denominator: 1n } },
    anchor: { utcPs: ps(0n), uncertaintyPs: ps(0n) },
  };
  const link = openPhotonicLink({
    ...{
      link: "alice-bob",
      local: channel.local,
      peer: channel.peer,
      role,
      stream,
      channel,
      memory,
    },
    ...{ wiring: fourDetectors, settings: linkSettings, logger: silentLogger, clock: systemClock },
    random: seededRandom(1),
  });
  const records: PairRecords[] = [];
  const events: LinkEvent[] = [];
  link.records$.subscribe((block) => records.push(block));
  link.events$.subscribe((event) => events.push(event));
  let sequence = 0;
  const give = ({ times, channels, fromPs, toPs, segment }: BlockInput): void => {
    const slot = memory.acquire(range);
    if (slot === null) throw new Error("no slot is free: blocks are not released");
    const reference = { ...slot, count: times.length };
    memory.times(reference).set(times);
    memory.channels(reference).set(channels);
    const names = { streamId: role, clockId: role, segment, sequence: sequence++, losses: [] };
    hub.deliver({ ...names, ...reference, fromPs: ps(fromPs), toPs: ps(toPs) });
  };
  const free = (): number => memory.freeSlots(range);
  return { link, records, events, give, free };
}

it("runs two nodes over TCP, in worker threads over their own memories, without losing a block", async () => {
  const common = { host: "127.0.0.1", link: "alice-bob", clock: systemClock };
  const bobChannel = await openTcpChannel({
    ...common,
    role: "listen",
    port: 0,
    local: "bob",
    peer: "alice",
  });
  const aliceChannel = await openTcpChannel({
    ...common,
    role: "connect",
    port: bobChannel.port,
    local: "alice",
    peer: "bob",
  });
  const alice = openNode("announcer", aliceChannel);
  const bob = openNode("matcher", bobChannel);
  const seen = (node: typeof alice, kind: LinkEvent["kind"]) =>
    firstValueFrom(
      node.link.events$.pipe(
        filter((event) => event.kind === kind),
        timeout(8_000),
      ),
    );
  const up = [seen(alice, "up"), seen(bob, "up")];
  await waitUntilOpen(aliceChannel, systemClock, 4_000);
  await Promise.all(up);
  const { remote, local } = drawRun(seededRandom(21), {
    ...{
      durationS: 3,
      remoteRateHz: 3e4,
      localRateHz: 3e4,
      coincidenceRateHz: 5e3,
      jitterPsRms: 60,
    },
    ...{ offsetPs: -3_000_457n, localDriftPpb: 500, remoteDriftPpb: 0, tickPs: 2_000 },
  });
  const blocks = (detections: typeof remote) =>
    blocksOf(detections, 0n, blockEnds(0n, 3_000_000_000_000n, 1e10));
  const [aliceBlocks, bobBlocks] = [blocks(remote), blocks(local)];
  const locked = seen(bob, "locked");
  for (const [at, block] of aliceBlocks.entries()) {
    // The rest comes once the clock is known: the search runs in real time, the data does not.
    if (at === 180) await locked;
    alice.give(block);
    const twin = bobBlocks[at];
    if (twin !== undefined) bob.give(twin);
    while (alice.free() < 100 || bob.free() < 100)
      await new Promise((resolve) => setImmediate(resolve));
  }
  const total = () =>
    [alice, bob].map(({ records }) => records.reduce((sum, { count }) => sum + count, 0));
  const deadlineMs = systemClock.monotonicMs() + 5_000;
  const isDone = (): boolean => (total()[0] ?? 0) > 4_000 && total()[0] === total()[1];
  while (!isDone() && systemClock.monotonicMs() < deadlineMs)
    await new Promise((resolve) => setImmediate(resolve));
  expect(isDone()).toBe(true);
  const bases = (records: readonly PairRecords[], of: (block: PairRecords) => Uint8Array) =>
    records.flatMap((block) => [...of(block)]);
  expect(bases(alice.records, ({ localBasis }) => localBasis)).toEqual(
    bases(bob.records, ({ remoteBasis }) => remoteBasis),
  );
  expect(alice.records[0]?.incarnation).toBe(bob.records[0]?.incarnation);
  expect(
    [...alice.events, ...bob.events].filter(({ kind }) => kind === "loss" || kind === "down"),
  ).toEqual([]);
  // A peer that goes takes the incarnation with it.
  const down = seen(bob, "down");
  await aliceChannel.close();
  await down;
  await Promise.all([alice.link.close(), bob.link.close(), bobChannel.close()]);
  expect([alice.free(), bob.free()]).toEqual([128, 128]);
});
