import { describe, expect, it } from "vitest";
import type { CascadeResponder } from "../../../../stack/application/qkd/cascade.ts";
import {
  blockShape,
  type CutKey,
  type KeyContext,
  type KeyEffect,
  type KeyInput,
} from "../../../../stack/application/qkd/key-block.ts";
import {
  initialCorrectorState,
  type KeyCorrectorState,
  stepCorrector,
} from "../../../../stack/application/qkd/key-corrector.ts";
import type { KeyEvent } from "../../../../stack/application/qkd/key-events.ts";
import type { KeyMessage } from "../../../../stack/application/qkd/key-messages.ts";
import {
  initialResponderState,
  type KeyResponderState,
  stepResponder,
} from "../../../../stack/application/qkd/key-responder.ts";
import { parseKeySettings } from "../../../../stack/application/qkd/key-settings.ts";
import { openToeplitzHasher } from "../../../../stack/application/qkd/privacy-amplification.ts";
import { sift } from "../../../../stack/application/qkd/sift.ts";
import { drawPairs, kernels, seededRandom } from "./seeded-lab.ts";

const settings = parseKeySettings({
  blockBits: 12_000,
  testFraction: 0.25,
  securityError: 1e-6,
  correctnessError: 1e-9,
});
const { keyBits } = blockShape(settings);

/** Everything secret that a run of both machines has held, by reference. */
class Held {
  readonly bits = new Set<Uint8Array>();
  readonly cascades = new Set<CascadeResponder>();
  readonly keys = new Set<CutKey>();

  noteResponder({ block, backlog }: KeyResponderState): void {
    for (const chunk of backlog.chunks) this.bits.add(chunk.bits);
    const phase = block?.phase;
    if (phase === undefined) return;
    if (phase.name === "sampled" || phase.name === "reconciling") {
      this.bits.add(phase.sifted.bits).add(phase.keyBits);
    }
    if (phase.name === "reconciling") this.cascades.add(phase.cascade);
    if (phase.name === "amplified") this.keys.add(phase.key);
  }

  noteCorrector({ block, backlog }: KeyCorrectorState): void {
    for (const chunk of backlog.chunks) this.bits.add(chunk.bits);
    if (block === null) return;
    const { phase, sifted } = block;
    this.bits.add(sifted.bits);
    if (phase.name === "correcting" || phase.name === "verifying")
      this.bits.add(phase.cascade.bits);
    if (phase.name === "confirming") this.keys.add(phase.key);
  }

  /** Bits that are still there. */
  get left(): number {
    let left = 0;
    for (const bits of this.bits) left += bits.filter((bit) => bit !== 0).length;
    for (const cascade of this.cascades) {
      const ranges = Array.from({ length: 100 }, (_, i) => [0, 0, 80 * (i + 1)]).flat();
      left += cascade.answer(Uint32Array.from(ranges))?.filter((bit) => bit !== 0).length ?? 0;
    }
    return left;
  }
}

/** Runs a block until `stop` says so of a message, then gives `end` to both machines. */
function runBlock(stop: (message: KeyMessage, count: number) => boolean, end: KeyInput | null) {
  const held = new Held();
  const hasher = openToeplitzHasher(kernels, keyBits);
  const contextOf = (seed: string): KeyContext => ({
    settings,
    hasher,
    random: seededRandom(seed),
  });
  const [ofAlice, ofBob] = [contextOf("alice"), contextOf("bob")];
  let alice = initialResponderState;
  let bob = initialCorrectorState("0123456789abcdef");
  const events: KeyEvent[] = [];
  const queue: { readonly to: "alice" | "bob"; readonly input: KeyInput }[] = [];
  let isStopped = false;
  const perform = (effects: readonly KeyEffect[], peer: "alice" | "bob"): void => {
    for (const effect of effects) {
      if (effect.type === "emit") events.push(effect.event);
      if (effect.type !== "send" || isStopped) continue;
      isStopped = stop(effect.message, events.length);
      queue.push({ to: peer, input: { type: "message", message: effect.message } });
    }
  };
  const give = (to: "alice" | "bob", input: KeyInput): void => {
    if (to === "alice") {
      const next = stepResponder(alice, input, ofAlice);
      alice = next.state;
      held.noteResponder(alice);
      perform(next.effects, "bob");
    } else {
      const next = stepCorrector(bob, input, ofBob);
      bob = next.state;
      held.noteCorrector(bob);
      perform(next.effects, "alice");
    }
  };
  const pairs = drawPairs(seededRandom("pairs"), { count: 30_000, firstSequence: 0n, qber: 0.02 });
  // The rest of the pairs, some 3,000 sifted bits, waits for the next block.
  give("alice", { type: "records", sifted: sift(pairs.alice, "alice", "phi+") });
  give("bob", { type: "records", sifted: sift(pairs.bob, "bob", "phi+") });
  for (let next = queue.shift(); next !== undefined && !isStopped; next = queue.shift()) {
    give(next.to, next.input);
  }
  if (end !== null) {
    give("alice", end);
    give("bob", end);
  }
  const waiting = [...alice.backlog.chunks, ...bob.backlog.chunks];
  for (const { bits } of waiting) held.bits.delete(bits);
  return { held, events };
}

describe("what was secret", () => {
  it("is overwritten at both ends once the key is there, but for the key", () => {
    const { held, events } = runBlock(() => false, null);
    const keys = events.flatMap((event) => (event.type === "key" ? [event] : []));
    expect(keys).toHaveLength(2);
    expect(keys[0]?.secret.use((bytes) => bytes.some((byte) => byte !== 0))).toBe(true);
    expect(held.bits.size).toBe(5);
    expect(held.left).toBe(0);
  });

  it.each(["propose", "sample", "estimate", "parities", "ask", "verify", "amplify", "confirm"])(
    "is overwritten when both ends close while `%s` is on its way",
    (type) => {
      const { held, events } = runBlock((message) => message.type === type, { type: "close" });
      expect(events.some((event) => event.type === "key")).toBe(false);
      expect(held.bits.size).toBeGreaterThan(0);
      expect(held.left).toBe(0);
      for (const { secret } of held.keys) expect(() => secret.use(() => 0)).toThrow(/wiped/);
    },
  );
});
