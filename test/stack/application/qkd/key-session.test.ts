import { Writable } from "node:stream";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { isLabError } from "../../../../hal/errors.ts";
import { createLogger, toJson } from "../../../../hal/log.ts";
import { binaryEntropy } from "../../../../stack/application/qkd/finite-key.ts";
import {
  encodeQuestion,
  keyMessageSchema,
  parseQuestion,
} from "../../../../stack/application/qkd/key-messages.ts";
import { parseKeySettings } from "../../../../stack/application/qkd/key-settings.ts";
import { of, openLab } from "./key-lab.ts";
import { drawPairs, seededRandom } from "./seeded-lab.ts";

describe("openKeySession", () => {
  it.each(["phi+", "psi-"] as const)("distils the same key at both ends from %s", (bellState) => {
    const { clock, alice, bob, feed, sent } = openLab({ bellState });
    for (let i = 0; i < 13; i++) feed(2_000, 0.02);
    clock.advanceTo(10_000);
    const [mine] = of(alice.events, "key");
    const [theirs] = of(bob.events, "key");
    if (mine === undefined || theirs === undefined) throw new Error("no key");
    expect(mine.secret.equals(theirs.secret)).toBe(true);
    expect(mine.keyId).toBe(theirs.keyId);
    expect(mine.keyId).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(mine.fingerprint).toBe(theirs.fingerprint);
    expect(mine.bits).toBe(8 * mine.secret.byteLength);
    expect(mine.bits).toBeGreaterThan(1_000);
    expect(mine.promise).toEqual(theirs.promise);
    expect(mine.promise.secrecyError).toBe(1e-6);
    for (const { events } of [alice, bob]) {
      expect(events.map(({ type }) => type).filter((type) => type !== "sifted")).toEqual([
        "estimate",
        "reconciled",
        "verified",
        "key",
      ]);
    }
    // Every parity that Alice disclosed is in her count: it is the number of triples Bob asked for.
    const asked = sent
      .filter((message) => message.type === "estimate" || message.type === "ask")
      .reduce((sum, message) => sum + message.question.length / 12, 0);
    const [reconciled] = of(alice.events, "reconciled");
    expect(reconciled?.leakBits).toBe(asked);
    expect(of(bob.events, "reconciled")[0]).toEqual(reconciled);
    const shannon = 9_000 * binaryEntropy(reconciled?.errorRate ?? 0);
    expect(asked).toBeGreaterThan(shannon - 0.5 * Math.log2(9_000));
    expect(asked).toBeLessThan(1.25 * shannon);
    // The key is below what is left after leakage, tag and fingerprint, by the finite-size terms.
    expect(mine.bits + asked + 30 + 64).toBeLessThan(9_000 * (1 - binaryEntropy(0.02)));
  });

  it("shows the estimate with the error rate that was there, in both bases", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "estimate" });
    feed(25_000, 0.04);
    clock.advanceTo(10_000);
    const [estimate] = of(alice.events, "estimate");
    expect(of(bob.events, "estimate")[0]).toEqual(estimate);
    for (const rate of [estimate?.qber.overall, estimate?.qber.z, estimate?.qber.x]) {
      expect(Math.abs((rate?.value ?? 1) - 0.04)).toBeLessThan(5 * (rate?.uncertainty ?? 0));
    }
    expect(estimate?.qber.overall.trials).toBe(3_000);
  });

  it("uses every sifted bit at most once and goes on from block to block", () => {
    const { clock, alice, bob, feed, sent } = openLab({ seed: "blocks" });
    for (let i = 0; i < 42; i++) {
      feed(3_000, 0.01);
      clock.advanceTo(1_000 * (i + 1));
    }
    const keys = of(alice.events, "key");
    // 63,000 sifted bits, sigma 180: five blocks.
    expect(keys.length).toBe(5);
    expect(of(bob.events, "key").map(({ fingerprint }) => fingerprint)).toEqual(
      keys.map(({ fingerprint }) => fingerprint),
    );
    let end = -1n;
    for (const message of sent.filter((one) => one.type === "propose")) {
      expect(BigInt(message.firstSequence)).toBeGreaterThanOrEqual(end);
      end = BigInt(message.endSequence);
    }
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(5);
    expect(of(alice.events, "revoked")).toEqual([]);
  });

  it("refuses a block whose test sample is too wrong, at both ends, and lives on", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "qber" });
    feed(25_000, 0.12);
    clock.advanceTo(5_000);
    expect(of(alice.events, "key")).toEqual([]);
    expect(of(bob.events, "aborted")[0]?.reason).toBe("qber");
    expect(of(alice.events, "aborted")[0]?.reason).toBe("qber");
    feed(25_000, 0.01);
    clock.advanceTo(10_000);
    expect(of(bob.events, "key").length).toBe(1);
    expect(of(alice.events, "key").length).toBe(1);
  });

  it("gives no key where the bound leaves none", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "short" });
    feed(25_000, 0.085);
    clock.advanceTo(10_000);
    const reasons = [...of(alice.events, "aborted"), ...of(bob.events, "aborted")];
    expect(reasons.map(({ reason }) => reason)).toEqual(["too-short", "too-short"]);
  });

  it("waits for records that come later at one end", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "late" });
    const random = seededRandom("late pairs");
    const pairs = drawPairs(random, { count: 26_000, firstSequence: 0n, qber: 0.01 });
    bob.records.next(pairs.bob);
    clock.advanceTo(250);
    expect(of(alice.events, "aborted")).toEqual([]);
    alice.records.next(pairs.alice);
    clock.advanceTo(5_000);
    expect(of(alice.events, "key").length).toBe(1);
    expect(of(bob.events, "key").length).toBe(1);
    feed(0, 0);
  });

  it("never joins two incarnations in a block, and says what it discards", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "incarnations" });
    feed(8_000, 0.01, { incarnation: "a".repeat(16) });
    feed(26_000, 0.01, { incarnation: "b".repeat(16) });
    clock.advanceTo(5_000);
    expect(of(bob.events, "discarded")[0]).toMatchObject({ cause: "incarnation-changed" });
    expect(of(alice.events, "discarded")[0]).toMatchObject({ cause: "skipped-by-peer" });
    expect(of(alice.events, "key")[0]?.keyId).toBe(of(bob.events, "key")[0]?.keyId);
  });

  it("goes on after one end has missed records", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "holes" });
    feed(20_000, 0.01);
    feed(2_000, 0.01, { ends: ["bob"] });
    for (let i = 1; i <= 20; i++) {
      feed(4_000, 0.01);
      clock.advanceTo(1_000 * i);
    }
    expect(of(bob.events, "aborted")[0]?.reason).toBe("records-differ");
    const keys = of(alice.events, "key").map(({ keyId }) => keyId);
    expect(keys.length).toBeGreaterThanOrEqual(2);
    expect(of(bob.events, "key").map(({ keyId }) => keyId)).toEqual(keys);
  });

  it("refuses a peer with other settings", () => {
    const { clock, alice, bob, feed } = openLab({ bob: { qberMax: 0.08 } });
    feed(26_000, 0.01);
    clock.advanceTo(1_000);
    expect(of(alice.events, "aborted")[0]).toMatchObject({
      reason: "settings-differ",
      by: "local",
    });
    expect(of(bob.events, "aborted")[0]).toMatchObject({ reason: "settings-differ", by: "peer" });
  });

  it("gives a block up when the peer never answers, and says so", () => {
    const { clock, bob, feed } = openLab({ rewrite: () => null });
    feed(26_000, 0.01);
    clock.advanceTo(10_000);
    expect(of(bob.events, "aborted")[0]).toMatchObject({ reason: "no-answer", by: "local" });
    expect(of(bob.events, "aborted")[0]?.detail).toContain("6 attempts");
  });

  it("makes the key even though every message is lost the first time it is sent", () => {
    const seen = new Set<string>();
    const { clock, alice, bob, feed } = openLab({
      seed: "first lost",
      rewrite: (message, from) => {
        const name = `${from} ${message.type} ${"step" in message ? message.step : ""}`;
        if (seen.has(name)) return message;
        seen.add(name);
        return null;
      },
    });
    feed(25_000, 0.01);
    clock.advanceTo(600_000);
    expect(of(bob.events, "aborted")).toEqual([]);
    expect(of(alice.events, "key")[0]?.keyId).toBe(of(bob.events, "key")[0]?.keyId);
    expect(of(bob.events, "key").length).toBe(1);
  });

  it("stops at close: tells the peer, completes, and takes nothing more", () => {
    const { clock, alice, bob, feed } = openLab({ seed: "close" });
    feed(26_000, 0.01);
    let completed = false;
    bob.session.events$.subscribe({ complete: () => (completed = true) });
    bob.session.close();
    bob.session.close();
    expect(completed).toBe(true);
    clock.advanceTo(5_000);
    expect(of(bob.events, "aborted")).toMatchObject([{ reason: "closed", by: "local" }]);
    expect(of(alice.events, "aborted").length).toBeLessThanOrEqual(1);
    expect(of(alice.events, "key")).toEqual([]);
  });
});

describe("secrets", () => {
  it("appear in no log line, no JSON and no inspection of any event", () => {
    const lines: string[] = [];
    const destination = new Writable({
      write: (chunk, _encoding, done) => {
        lines.push(String(chunk));
        done();
      },
    });
    const logger = createLogger({ level: "trace", destination });
    const { clock, alice, bob, feed } = openLab({ logger, seed: "secrets" });
    feed(26_000, 0.01);
    clock.advanceTo(5_000);
    const [key] = of(alice.events, "key");
    if (key === undefined) throw new Error("no key");
    const text = [
      ...lines,
      toJson(alice.events),
      toJson(bob.events),
      inspect([alice, bob], { depth: 12, maxArrayLength: null, maxStringLength: null }),
    ].join("\n");
    expect(text).toContain(`[secret of ${key.secret.byteLength} bytes]`);
    key.secret.use((bytes) => {
      const piece = Buffer.from(bytes.subarray(0, 6));
      for (const form of [
        piece.toString("hex"),
        piece.toString("base64"),
        [...piece].join(","),
        [...piece].join(", "),
      ]) {
        expect(text).not.toContain(form);
      }
    });
    expect(lines.some((line) => line.includes('"type":"key"'))).toBe(true);
  });

  it("are not what the fingerprint shows: it is cut from other bits of the hash", () => {
    const { clock, alice, feed, sent } = openLab({ seed: "fingerprint" });
    feed(26_000, 0.01);
    clock.advanceTo(5_000);
    const [key] = of(alice.events, "key");
    key?.secret.use((bytes) => {
      expect(Buffer.from(bytes).toString("hex")).not.toContain(key.fingerprint);
    });
    expect(key?.bits).toBe(8 * (key?.secret.byteLength ?? 0));
    // The hash is as long as the bound allows; the 64 bits behind the fingerprint are no part of the key.
    const hashBits = sent.flatMap((said) => (said.type === "amplify" ? [said.hashBits] : []));
    expect(key?.bits).toBe((hashBits[0] ?? 0) - 64);
  });
});

describe("key messages", () => {
  it("carry questions unchanged", () => {
    const question = Uint32Array.of(0, 1, 2, 15, 2 ** 31, 4_294_967_295);
    expect(parseQuestion(encodeQuestion(question))).toEqual(question);
    expect(parseQuestion(Uint8Array.of(1, 2, 3))).toHaveLength(0);
  });

  it("are refused by the schema when they are not of it", () => {
    for (const wrong of [
      null,
      {},
      { type: "ask", session: "x", block: 1, step: 2, question: new Uint8Array(0) },
      { type: "ask", session: "0".repeat(16), block: 1, step: 2, question: "text" },
      { type: "ask", session: "0".repeat(16), block: -1, step: 2, question: new Uint8Array(0) },
      { type: "abort", session: "0".repeat(16), block: 1, reason: "because" },
    ]) {
      expect(keyMessageSchema.safeParse(wrong).success).toBe(false);
    }
  });
});

describe("parseKeySettings", () => {
  it("refuses what no key can come of, in one sentence", () => {
    for (const wrong of [{ blockBits: 10 }, { qberMax: 0.5 }, { testFraction: 0 }]) {
      expect(() => parseKeySettings(wrong)).toThrow(
        expect.objectContaining({ code: "key.settings" }),
      );
    }
    try {
      parseKeySettings({ securityError: 2 });
    } catch (error) {
      expect(isLabError(error, "key")).toBe(true);
    }
  });
});
