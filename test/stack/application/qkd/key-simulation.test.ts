import { Subject } from "rxjs";
import { describe, expect, it } from "vitest";
import { silentLogger } from "../../../../hal/log.ts";
import { binaryEntropy } from "../../../../stack/application/qkd/finite-key.ts";
import type { KeyEvent } from "../../../../stack/application/qkd/key-events.ts";
import type { KeyMessage } from "../../../../stack/application/qkd/key-messages.ts";
import { type KeySession, openKeySession } from "../../../../stack/application/qkd/key-session.ts";
import { parseKeySettings } from "../../../../stack/application/qkd/key-settings.ts";
import type { KeyEnd } from "../../../../stack/application/qkd/sift.ts";
import type { PairRecords } from "../../../../stack/link/pair-records.ts";
import { of } from "./key-lab.ts";
import {
  type ChannelFaults,
  drawPairs,
  kernels,
  openBadChannel,
  seededRandom,
  VirtualClock,
} from "./seeded-lab.ts";

const settings = parseKeySettings({
  blockBits: 4_000,
  testFraction: 0.3,
  securityError: 1e-3,
  correctnessError: 1e-6,
  answerTimeoutMs: 60,
  attemptsMax: 5,
  backlogBlocksMax: 3,
});

/** Faults as drawn for a run, and none for its end. */
const calm: ChannelFaults = { loss: 0, duplication: 0, delayMsMax: 5 };

/** Runs two ends through faults, crashes and a calm end, all from one seed. */
function simulate(seed: string) {
  const clock = new VirtualClock();
  const random = seededRandom(seed);
  const storm: ChannelFaults = {
    loss: 0.15 * random.uniform(),
    duplication: 0.3 * random.uniform(),
    delayMsMax: 80 * random.uniform(),
  };
  let faults = storm;
  const channel = openBadChannel<KeyMessage>(clock, random, () => faults);
  const ends = { alice: openEnd("alice"), bob: openEnd("bob") };
  let sequence = 0n;
  let incarnation = "0";

  function openEnd(end: KeyEnd) {
    const records = new Subject<PairRecords>();
    const events: KeyEvent[] = [];
    let generation = 0;
    let session: KeySession | null = null;
    const start = (): void => {
      generation++;
      const mine = generation;
      const port = {
        ...channel[end],
        send: (message: KeyMessage) => {
          if (mine === generation) channel[end].send(message);
        },
      };
      session = openKeySession({
        port,
        records$: records,
        end,
        settings,
        clock,
        random: seededRandom(`${seed} ${end} ${mine}`),
        logger: silentLogger,
        kernels,
      });
      session.events$.subscribe((event) => {
        if (mine === generation) events.push(event);
      });
    };
    start();
    return {
      records,
      events,
      /** Dies without a word and comes back with nothing. */
      crash: (): void => {
        const dead = session;
        generation++;
        dead?.close();
        start();
      },
    };
  }

  const feed = (): void => {
    const pairs = drawPairs(random, {
      count: 1_500,
      firstSequence: sequence,
      qber: 0.01,
      incarnation,
    });
    sequence += 1_500n;
    ends.alice.records.next(pairs.alice);
    // Now and then a block of records never reaches one end, or reaches it twice.
    const chance = faults === calm ? 1 : random.uniform();
    if (chance > 0.03) ends.bob.records.next(pairs.bob);
    if (chance < 0.06) ends.bob.records.next(pairs.bob);
  };
  let crashes = 0;
  for (let i = 0; i < 60; i++) {
    feed();
    // In an outage nothing gets through.
    faults = random.uniform() < 0.1 ? { ...storm, loss: 1 } : storm;
    clock.advanceTo(clock.monotonicMs() + 6_000 * random.uniform());
    const chance = random.uniform();
    if (chance < 0.02) {
      ends[chance < 0.01 ? "alice" : "bob"].crash();
      crashes++;
    }
    if (chance > 0.98) {
      incarnation = `${Number(incarnation) + 1}`;
      sequence = 0n;
    }
  }
  faults = calm;
  clock.advanceTo(clock.monotonicMs() + 5_000);
  const keysBeforeCalm = of(ends.bob.events, "key").length;
  for (let i = 0; i < 20; i++) {
    feed();
    clock.advanceTo(clock.monotonicMs() + 2_000);
  }
  return {
    alice: ends.alice.events,
    bob: ends.bob.events,
    sent: channel.sent,
    crashes,
    keysInStorm: keysBeforeCalm,
    keysInCalm: of(ends.bob.events, "key").length - keysBeforeCalm,
  };
}

/** The ranges of records of every block whose test sample was disclosed, by incarnation. */
function disclosedRanges(sent: readonly KeyMessage[]) {
  const sampled = new Set(
    sent.filter((message) => message.type === "sample").map((m) => `${m.session} ${m.block}`),
  );
  const ranges = new Map<string, { incarnation: string; first: bigint; end: bigint }>();
  for (const message of sent) {
    if (message.type !== "propose") continue;
    const id = `${message.session} ${message.block}`;
    if (!sampled.has(id)) continue;
    const { incarnation } = message;
    const [first, end] = [BigInt(message.firstSequence), BigInt(message.endSequence)];
    ranges.set(id, { incarnation, first, end });
  }
  return [...ranges.values()].sort((a, b) =>
    a.incarnation === b.incarnation
      ? Number(a.first - b.first)
      : a.incarnation.localeCompare(b.incarnation),
  );
}

const runs = Array.from({ length: 20 }, (_, i) => `simulation ${i}`).map((seed) => ({
  seed,
  ...simulate(seed),
}));

describe("two ends over a channel that drops, doubles, delays and reorders, with crashes", () => {
  it("meet every fault, and make keys all the same", () => {
    expect(runs.reduce((sum, { crashes }) => sum + crashes, 0)).toBeGreaterThan(8);
    expect(runs.flatMap(({ alice }) => of(alice, "unsettled")).length).toBeGreaterThan(0);
    expect(runs.reduce((sum, { keysInStorm }) => sum + keysInStorm, 0)).toBeGreaterThan(100);
    expect(runs.flatMap(({ bob }) => of(bob, "aborted")).length).toBeGreaterThan(40);
    expect(runs.flatMap(({ bob }) => of(bob, "key")).length).toBeGreaterThan(150);
  });

  it.each(runs)("end with identical keys or none: $seed", ({ alice, bob, crashes }) => {
    const mine = new Map(of(alice, "key").map((key) => [key.keyId, key]));
    const theirs = of(bob, "key");
    expect(mine.size).toBe(of(alice, "key").length);
    for (const key of theirs) {
      const twin = mine.get(key.keyId);
      expect(twin?.secret.equals(key.secret)).toBe(true);
      expect(twin?.fingerprint).toBe(key.fingerprint);
      mine.delete(key.keyId);
    }
    // A key that only Alice has is taken back, or Bob crashed before he could say that he has none.
    for (const { keyId } of [...of(alice, "revoked"), ...of(alice, "unsettled")])
      mine.delete(keyId);
    expect(mine.size).toBeLessThanOrEqual(crashes);
    if (crashes === 0) expect(mine.size).toBe(0);
    const revoked = of(alice, "revoked").map(({ keyId }) => keyId);
    expect(theirs.filter(({ keyId }) => revoked.includes(keyId))).toEqual([]);
  });

  it.each(runs)("use no bit twice: $seed", ({ sent }) => {
    const ranges = disclosedRanges(sent);
    for (const [i, range] of ranges.entries()) {
      const next = ranges[i + 1];
      if (next?.incarnation === range.incarnation) {
        expect(next.first).toBeGreaterThanOrEqual(range.end);
      }
    }
  });

  it.each(runs)("come back to life when the channel does: $seed", ({ keysInCalm }) => {
    // 20 feeds of about 750 sifted bits each are three to four blocks.
    expect(keysInCalm).toBeGreaterThanOrEqual(2);
  });

  it.each(runs)("stay bounded and lose no bit unsaid: $seed", ({ alice, bob, crashes }) => {
    for (const events of [alice, bob]) {
      const told = events.slice(0, events.findLastIndex(({ type }) => type === "sifted") + 1);
      const sifted = of(told, "sifted");
      const total = sifted.reduce((sum, { bits }) => sum + bits, 0);
      const lost = of(told, "discarded").reduce((sum, { bits }) => sum + bits, 0);
      const left = sifted.at(-1)?.backlogBits ?? 0;
      // What neither waits nor was said to be lost went into whole blocks; a crash forgets without a word.
      if (crashes === 0) expect((total - lost - left) % settings.blockBits).toBe(0);
      for (const { backlogBits } of of(events, "sifted")) {
        expect(backlogBits).toBeLessThanOrEqual(settings.backlogBlocksMax * settings.blockBits);
      }
    }
  });

  it("count at least what Shannon's bound demands as leaked, in every block", () => {
    for (const { alice, bob } of runs) {
      for (const { keyBits, leakBits, errorRate } of [
        ...of(alice, "reconciled"),
        ...of(bob, "reconciled"),
      ]) {
        const shannon = keyBits * binaryEntropy(errorRate);
        expect(leakBits).toBeGreaterThan(shannon - 0.5 * Math.log2(keyBits));
      }
    }
  });

  it("cut no key longer than what is left after the leakage", () => {
    for (const { bob } of runs) {
      const leaks = new Map(
        of(bob, "reconciled").map((event) => [`${event.session} ${event.block}`, event]),
      );
      for (const key of of(bob, "key")) {
        const block = leaks.get(`${key.session} ${key.block}`);
        if (block === undefined) throw new Error("a key without reconciliation");
        const tolerated = block.keyBits * (1 - binaryEntropy(key.promise.tolerance));
        expect(key.bits).toBeLessThan(tolerated - block.leakBits - 20 - 64);
      }
    }
  });
});
