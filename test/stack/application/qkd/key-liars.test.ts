import { describe, expect, it } from "vitest";
import type { RandomSource } from "../../../../hal/random.ts";
import { encodeQuestion, type KeyMessage } from "../../../../stack/application/qkd/key-messages.ts";
import { toeplitzSeedBytes } from "../../../../stack/application/qkd/privacy-amplification.ts";
import { of, openLab } from "./key-lab.ts";
import { seededRandom } from "./seeded-lab.ts";

/** Some message of the protocol about the same block, its fields drawn at random. */
function babble(random: RandomSource, { session, block, ...said }: KeyMessage): KeyMessage {
  const bytes = () => random.bytes(random.below(2 ** random.below(12)));
  const step = ("step" in said ? said.step : 0) + random.below(3) - 1;
  const id = { session, block, step: Math.max(0, step) };
  const fingerprint = Buffer.from(random.bytes(8)).toString("hex");
  const sayings: readonly (() => KeyMessage)[] = [
    () => ({ type: "sample", ...id, mask: bytes(), testBits: bytes() }),
    () => ({ type: "estimate", ...id, testBits: bytes(), seed: bytes(), question: bytes() }),
    () => ({ type: "ask", ...id, question: bytes() }),
    () => ({ type: "parities", ...id, parities: bytes() }),
    () => ({
      type: "verify",
      ...id,
      seed: bytes(),
      tag: bytes(),
      leakBits: random.below(900),
      corrected: random.below(99_000),
    }),
    () => ({ type: "amplify", ...id, seed: bytes(), hashBits: 8 * random.below(9_999) }),
    () => ({ type: "confirm", ...id, fingerprint }),
    () => ({ type: "confirmed", ...id, fingerprint }),
    () => ({ type: "abort", session, block, reason: "closed" }),
  ];
  const saying = sayings[random.below(sayings.length)];
  return saying?.() ?? { type: "abort", session, block, reason: "closed" };
}

describe("a peer that lies", () => {
  const zeros = (length: number) => new Uint8Array(length);
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
  const lies: readonly [string, KeyMessage["type"], (message: KeyMessage) => KeyMessage][] = [
    ["sends too small a sample", "sample", (m) => ({ ...m, mask: zeros(1_500) }) as KeyMessage],
    ["sends a sample of another size", "sample", (m) => ({ ...m, mask: zeros(1) }) as KeyMessage],
    ["sends too few test bits", "sample", (m) => ({ ...m, testBits: zeros(3) }) as KeyMessage],
    [
      "answers with too few test bits",
      "estimate",
      (m) => ({ ...m, testBits: zeros(3) }) as KeyMessage,
    ],
    ["sends a seed of no length", "estimate", (m) => ({ ...m, seed: zeros(0) }) as KeyMessage],
    [
      "asks outside the block",
      "estimate",
      (m) => ({ ...m, question: encodeQuestion(Uint32Array.of(0, 0, 99_999)) }) as KeyMessage,
    ],
    [
      "asks for a pass out of turn",
      "estimate",
      (m) => ({ ...m, question: encodeQuestion(Uint32Array.of(7, 0, 9)) }) as KeyMessage,
    ],
    [
      "asks for more parities than bits",
      "estimate",
      (m) =>
        ({
          ...m,
          question: encodeQuestion(new Uint32Array(30_000).map((_, i) => (i % 3 === 2 ? 1 : 0))),
        }) as KeyMessage,
    ],
    [
      "sends too many parities",
      "parities",
      (m) => ({ ...m, parities: zeros(5_000) }) as KeyMessage,
    ],
    [
      "sends wrong parities",
      "parities",
      (m) =>
        ({ ...m, parities: m.type === "parities" ? flipped(m.parities) : zeros(1) }) as KeyMessage,
    ],
    ["understates the leakage", "verify", (m) => ({ ...m, leakBits: 5 }) as KeyMessage],
    ["sends a tag of another length", "verify", (m) => ({ ...m, tag: zeros(1) }) as KeyMessage],
    [
      "sends a wrong tag",
      "verify",
      (m) => ({ ...m, tag: m.type === "verify" ? flipped(m.tag) : zeros(4) }) as KeyMessage,
    ],
    [
      "wants a longer key than is safe",
      "amplify",
      (m) => ({ ...m, hashBits: 8_000 }) as KeyMessage,
    ],
    ["wants no key", "amplify", (m) => ({ ...m, hashBits: 0 }) as KeyMessage],
    [
      "sends another hash seed",
      "amplify",
      (m) => ({ ...m, seed: m.type === "amplify" ? flipped(m.seed) : zeros(1) }) as KeyMessage,
    ],
    ["sends a short hash seed", "amplify", (m) => ({ ...m, seed: zeros(7) }) as KeyMessage],
    [
      "confirms another key",
      "confirm",
      (m) => ({ ...m, fingerprint: "0".repeat(16) }) as KeyMessage,
    ],
    ["skips a step", "verify", (m) => ({ ...m, step: 60_000 }) as KeyMessage],
    [
      "sends the wrong kind",
      "sample",
      (m) =>
        ({
          type: "parities",
          session: m.session,
          block: m.block,
          step: 0,
          parities: zeros(1),
        }) as KeyMessage,
    ],
  ];

  it.each(lies)("that %s gets no key, and the next block succeeds", (_name, type, lie) => {
    let lying = true;
    const { clock, alice, bob, feed } = openLab({
      seed: `lie ${type}`,
      rewrite: (message) => (lying && message.type === type ? lie(message) : message),
    });
    feed(25_500, 0.02);
    clock.advanceTo(20_000);
    expect(of(alice.events, "key")).toEqual([]);
    expect(of(bob.events, "key")).toEqual([]);
    expect(of(alice.events, "aborted").length).toBeGreaterThan(0);
    expect(of(bob.events, "aborted").length).toBeGreaterThan(0);
    lying = false;
    feed(26_000, 0.02);
    clock.advanceTo(40_000);
    expect(of(alice.events, "key").length).toBe(1);
    expect(of(bob.events, "key").length).toBe(1);
  });

  /** Runs one block while `lie` rewrites messages of a type; gives both ends' events. */
  const runLie = (type: KeyMessage["type"], lie: (message: KeyMessage) => KeyMessage) => {
    const { clock, alice, bob, feed, sent } = openLab({
      seed: `strict ${type}`,
      rewrite: (message) => (message.type === type ? lie(message) : message),
    });
    feed(25_500, 0.02);
    clock.advanceTo(20_000);
    return { alice: alice.events, bob: bob.events, sent };
  };

  it("that wants eight bits more than the bound gives, with a seed to match, is found out by Bob", () => {
    const { bob } = runLie("amplify", (message) => {
      if (message.type !== "amplify") return message;
      const hashBits = message.hashBits + 8;
      return { ...message, hashBits, seed: zeros(toeplitzSeedBytes(9_000, hashBits)) };
    });
    expect(of(bob, "key")).toEqual([]);
    expect(of(bob, "aborted")).toMatchObject([{ reason: "peer-violation", by: "local" }]);
  });

  it("that confirms another key to Bob gives him none, and takes Alice's back", () => {
    const { alice, bob } = runLie(
      "confirmed",
      (message) => ({ ...message, fingerprint: "0".repeat(16) }) as KeyMessage,
    );
    expect(of(bob, "key")).toEqual([]);
    expect(of(bob, "aborted")).toMatchObject([{ reason: "confirmation-differs", by: "local" }]);
    expect(of(alice, "revoked")).toEqual([{ type: "revoked", keyId: of(alice, "key")[0]?.keyId }]);
  });

  // An eighth of the bits: above qberMax, below twice that.
  it("whose test bits are wrong is refused for them, by whichever end sees them", () => {
    const opposite = (message: KeyMessage): KeyMessage =>
      message.type === "sample" || message.type === "estimate"
        ? { ...message, testBits: message.testBits.map((byte) => byte ^ 1) }
        : message;
    const toBob = runLie("sample", opposite);
    expect(of(toBob.bob, "aborted")).toMatchObject([{ reason: "qber", by: "local" }]);
    expect(toBob.sent.some(({ type }) => type === "estimate")).toBe(false);
    const toAlice = runLie("estimate", opposite);
    expect(of(toAlice.alice, "aborted")).toMatchObject([{ reason: "qber", by: "local" }]);
    expect(toAlice.sent.some(({ type }) => type === "parities")).toBe(false);
  });

  it("that says anything at all makes no end throw or give a key that is not shared", () => {
    for (let run = 0; run < 30; run++) {
      const random = seededRandom(`babble ${run}`);
      let lying = true;
      const { clock, alice, bob, feed } = openLab({
        seed: `babble ${run}`,
        rewrite: (message) => (lying && random.uniform() < 0.2 ? babble(random, message) : message),
      });
      for (let i = 1; i <= 3; i++) {
        feed(25_500, 0.01);
        clock.advanceTo(10_000 * i);
      }
      lying = false;
      feed(26_000, 0.01);
      clock.advanceTo(60_000);
      const shared = of(bob.events, "key");
      expect(shared.length).toBeGreaterThan(0);
      const mine = new Map(of(alice.events, "key").map((key) => [key.keyId, key.secret]));
      for (const { keyId, secret } of shared) {
        expect(mine.get(keyId)?.equals(secret)).toBe(true);
      }
    }
  });

  it.each([
    ["gives its block up", false],
    ["is not heard to give its block up, at its next proposal", true],
  ])("takes a key back that only Alice has when Bob %s", (_name, losesAbort) => {
    let isBad = true;
    const { clock, alice, bob, feed } = openLab({
      seed: "two generals",
      rewrite: (message) =>
        isBad && (message.type === "confirmed" || (losesAbort && message.type === "abort"))
          ? null
          : message,
    });
    feed(25_500, 0.02);
    clock.advanceTo(20_000);
    expect(of(bob.events, "key")).toEqual([]);
    const [key] = of(alice.events, "key");
    isBad = false;
    expect(of(alice.events, "revoked").length).toBe(losesAbort ? 0 : 1);
    feed(25_500, 0.02);
    clock.advanceTo(40_000);
    expect(of(alice.events, "revoked")).toEqual([{ type: "revoked", keyId: key?.keyId }]);
    expect(of(bob.events, "key").length).toBe(1);
  });
});
