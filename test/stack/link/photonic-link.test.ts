import { expect, it } from "vitest";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import { createVirtualClock, type VirtualClock } from "../../../mocks/virtual-clock.ts";
import type { ClassicalChannel } from "../../../stack/classical/channel.ts";
import { createInProcessChannel } from "../../../stack/classical/in-process-channel.ts";
import { decodeMessage, encodeMessage } from "../../../stack/classical/message-codec.ts";
import type { PairRecords } from "../../../stack/link/pair-records.ts";
import { blockEnds, blocksOf } from "../physical/link-bench.ts";
import { drawRun, type PairRun } from "../physical/pair-generator.ts";
import { linkSettings, openEnd, settle } from "./link-fixture.ts";

const run: PairRun = {
  ...{ durationS: 2.2, remoteRateHz: 3e4, localRateHz: 3e4, coincidenceRateHz: 5e3 },
  ...{
    offsetPs: 77_000_123n,
    localDriftPpb: 300,
    remoteDriftPpb: -100,
    jitterPsRms: 60,
    tickPs: 2000,
  },
};
/** Bob's PC believes to be 350 ms later: his stream's epoch carries the error. */
const aliceEpochPs = 1_795_000_000n * 10n ** 12n;
const bobEpochPs = aliceEpochPs + 350_000_000_000n;

function blocks(seed: number, stepPs = 2e10, durationS = run.durationS) {
  const { remote, local } = drawRun(seededRandom(seed), { ...run, durationS });
  const toPs = BigInt(durationS * 1e12);
  return {
    alice: blocksOf(remote, 0n, blockEnds(0n, toPs, stepPs)),
    bob: blocksOf(local, 0n, blockEnds(0n, toPs + 1_000_000_000n, stepPs)),
  };
}

const all = (records: readonly PairRecords[], of: (block: PairRecords) => Uint8Array): number[] =>
  records.flatMap((block) => [...of(block)]);

function expectTwins(alice: readonly PairRecords[], bob: readonly PairRecords[]): void {
  const names = ({ incarnation, firstSequence, count }: PairRecords) => [
    incarnation,
    firstSequence,
    count,
  ];
  expect(alice.map(names)).toEqual(bob.map(names));
  expect(all(alice, ({ localBasis }) => localBasis)).toEqual(
    all(bob, ({ remoteBasis }) => remoteBasis),
  );
  expect(all(alice, ({ remoteBasis }) => remoteBasis)).toEqual(
    all(bob, ({ localBasis }) => localBasis),
  );
}

function feed(
  clock: VirtualClock,
  ends: { alice: ReturnType<typeof openEnd>; bob: ReturnType<typeof openEnd> },
  both: ReturnType<typeof blocks>,
): void {
  for (let at = 0; at < Math.max(both.alice.length, both.bob.length); at++) {
    const [a, b] = [both.alice[at], both.bob[at]];
    if (a !== undefined) ends.alice.give(a);
    if (b !== undefined) ends.bob.give(b);
    settle(clock, 3);
  }
  settle(clock);
}

it("delivers each pair once at both ends, with one identity, after finding the clock blind", async () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  const alice = openEnd("announcer", aliceChannel, clock, { epochPs: aliceEpochPs });
  const bob = openEnd("matcher", bobChannel, clock, { epochPs: bobEpochPs });
  clock.advance(1);
  settle(clock);
  feed(clock, { alice, bob }, blocks(1));
  expectTwins(alice.records, bob.records);
  const pairs = bob.records.reduce((sum, { count }) => sum + count, 0);
  expect(pairs).toBeGreaterThan(0.9 * 5e3);
  const kinds = bob.events.map(({ kind }) => kind);
  expect(kinds.slice(0, 3)).toEqual(["up", "searching", "locked"]);
  expect(alice.events.map(({ kind }) => kind)).toEqual(kinds);
  const locked = alice.events.find(({ kind }) => kind === "locked");
  if (locked?.kind !== "locked") throw new Error("not locked");
  // Labels differ by Bob's error and the path: offset at the middle of the first second, 400 ppb later.
  const expectedPs = run.offsetPs + bobEpochPs - aliceEpochPs + 200_000n;
  expect(Math.abs(Number(locked.clock.offsetPs - expectedPs))).toBeLessThan(100_000);
  expect(Math.abs(locked.clock.driftPpb - 400)).toBeLessThan(2);
  expect(bob.records[0]?.residualPs?.length).toBe(bob.records[0]?.count);
  expect(alice.records.every(({ selection }) => selection === "post-selected")).toBe(true);
  await alice.link.close();
  await bob.link.close();
  await alice.link.close();
});

it("opens a new incarnation when a report is lost, and never misaligns", async () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  let reports = 0;
  const lossy: ClassicalChannel = {
    ...{ local: "bob", peer: "alice", state$: bobChannel.state$, received$: bobChannel.received$ },
    queuedBytes: 0,
    close: () => bobChannel.close(),
    send: (envelope) => {
      const body = decodeMessage(envelope.subarray(1 + (envelope[0] ?? 0))) as { type: string };
      if (body.type === "report" && ++reports === 90) return;
      bobChannel.send(envelope);
    },
  };
  const alice = openEnd("announcer", aliceChannel, clock);
  const bob = openEnd("matcher", lossy, clock);
  clock.advance(1);
  settle(clock);
  feed(clock, { alice, bob }, blocks(2));
  const incarnations = new Set(
    [...alice.events, ...bob.events].flatMap((event) =>
      event.kind === "up" ? [event.incarnation] : [],
    ),
  );
  expect(incarnations.size).toBe(2);
  const [first] = incarnations;
  const of = (records: readonly PairRecords[], isFirst: boolean) =>
    records.filter(({ incarnation }) => (incarnation === first) === isFirst);
  // The announcer's pairs of the broken incarnation are the matcher's first ones, record by record.
  const aliceFirst = of(alice.records, true);
  expect(aliceFirst.length).toBeGreaterThan(10);
  expectTwins(aliceFirst, of(bob.records, true).slice(0, aliceFirst.length));
  expectTwins(of(alice.records, false), of(bob.records, false));
  await alice.link.close();
  await bob.link.close();
});

it("loses detections, and says so, when the channel backs up", async () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  let isStuck = false;
  const slow: ClassicalChannel = {
    ...{
      local: "alice",
      peer: "bob",
      state$: aliceChannel.state$,
      received$: aliceChannel.received$,
    },
    get queuedBytes() {
      return isStuck ? 2 ** 21 : 0;
    },
    close: () => aliceChannel.close(),
    send: (message) => aliceChannel.send(message),
  };
  const alice = openEnd("announcer", slow, clock);
  const bob = openEnd("matcher", bobChannel, clock);
  clock.advance(1);
  settle(clock);
  const both = blocks(3, 2e10, 0.2);
  for (const [at, block] of both.alice.entries()) {
    isStuck = at >= 3 && at < 6;
    alice.give(block);
    settle(clock, 3);
  }
  const losses = bob.events.flatMap((event) => (event.kind === "loss" ? [event] : []));
  expect(losses).toHaveLength(1);
  expect(losses[0]?.end).toBe("announcer");
  expect(losses[0]?.loss.cause).toBe("channel-backlog");
  expect(losses[0]?.loss.count).toBe(
    both.alice.slice(3, 6).reduce((sum, { times }) => sum + times.length, 0),
  );
  await alice.link.close();
  await bob.link.close();
});

it("refuses a peer whose coincidence window differs, with the reason at both ends", async () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  const alice = openEnd("announcer", aliceChannel, clock);
  const bob = openEnd("matcher", bobChannel, clock, {
    settings: { ...linkSettings, coincidenceWindowPs: 4_000 },
  });
  clock.advance(1);
  settle(clock);
  for (const { events } of [alice, bob]) {
    const [event] = events;
    expect(event?.kind === "refused" && event.error.message).toContain("5000 ps");
  }
  await alice.link.close();
  await bob.link.close();
});

it("refuses streams whose times cannot be compared in 64 bits", () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  const alice = openEnd("announcer", aliceChannel, clock, { epochPs: aliceEpochPs });
  const bob = openEnd("matcher", bobChannel, clock);
  clock.advance(1);
  settle(clock);
  for (const { events } of [alice, bob]) {
    expect(events[0]?.kind === "refused" && events[0].error.message).toContain("50 days");
  }
});

it("survives every malformed message of a peer", async () => {
  const clock = createVirtualClock();
  const [aliceChannel, bobChannel] = createInProcessChannel({ ends: ["alice", "bob"], clock });
  const bob = openEnd("matcher", bobChannel, clock);
  const name = new TextEncoder().encode("link/alice-bob");
  const say = (body: Uint8Array): void =>
    aliceChannel.send(Uint8Array.of(name.length, ...name, ...body));
  const random = seededRandom(4);
  for (let at = 0; at < 300; at++) say(random.bytes(random.below(60)));
  const open = {
    type: "open",
    version: 1,
    nonce: "0".repeat(32),
    link: "alice-bob",
    windowPs: 5_000n,
    epochPs: 0n,
    tickPs: 2_000n,
  };
  say(encodeMessage(open));
  settle(clock);
  const [up] = bob.events;
  const incarnation = up?.kind === "up" ? up.incarnation : "";
  const body = {
    block: 0n,
    segment: 0,
    fromPs: 0n,
    toPs: 10n ** 9n,
    count: 3,
    basePs: 0n,
    unitPs: 1n,
    losses: [],
  };
  // Three times announced, one given.
  const short = { ...body, times: Uint8Array.of(5), bases: Uint8Array.of(0) };
  say(encodeMessage({ type: "announcement", incarnation, body: short }));
  settle(clock);
  expect(bob.events.map(({ kind }) => kind)).toEqual(["up", "searching", "down"]);
  expect(bob.records).toHaveLength(0);
  await bob.link.close();
});
