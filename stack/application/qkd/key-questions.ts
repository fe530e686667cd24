import { isPackedBits, packBits, unpackBits } from "./bit-string.ts";
import { CascadeCorrector, option7Cascade } from "./cascade.ts";
import type { KeyPromise } from "./finite-key.ts";
import {
  type BlockFailure,
  blockShape,
  type CutKey,
  cutKey,
  failure,
  hashLength,
  type KeyContext,
  keyEvent,
  reconciledEvent,
} from "./key-block.ts";
import type { BlockId, KeyEvent } from "./key-events.ts";
import { encodeQuestion, type KeyMessage, type KeyMessageOf } from "./key-messages.ts";
import { estimateQber, type QberEstimate, splitByMask } from "./parameter-estimation.ts";
import { toeplitzSeedBytes } from "./privacy-amplification.ts";
import { publicSeedBytes } from "./public-permutation.ts";
import type { SiftedBits } from "./sift.ts";
import { verificationSeedBytes, verificationTag } from "./verification.ts";

/** Bob's questions: from the block in hand and Alice's answer to his next question and events. */

/** Where Bob stands with a block: each phase is the answer he waits for. */
export type CorrectorPhase =
  | { readonly name: "proposed" }
  | {
      readonly name: "correcting";
      readonly qber: QberEstimate;
      readonly cascade: CascadeCorrector;
      /** Parities of the question in flight. */
      readonly asked: number;
    }
  | { readonly name: "verifying"; readonly qber: QberEstimate; readonly cascade: CascadeCorrector }
  | {
      readonly name: "confirming";
      readonly key: CutKey;
      readonly promise: KeyPromise;
    };

/** A block in hand at Bob's end. */
export interface CorrectorBlock {
  readonly id: BlockId;
  readonly sifted: SiftedBits;
  readonly phase: CorrectorPhase;
  /** The question in flight, its step and how often it has been sent. */
  readonly question: KeyMessage;
  readonly step: number;
  readonly attempts: number;
}

/** What an answer leads to: the next question, the key, or a failure. */
export type Taken = { readonly events: readonly KeyEvent[] } & (
  | { readonly phase: CorrectorPhase; readonly question: KeyMessage }
  | { readonly keyId: string }
  | { readonly failed: BlockFailure }
);

const refused = (failed: BlockFailure, events: readonly KeyEvent[] = []): Taken => ({
  failed,
  events,
});

/** Takes the answer to the question in flight. */
export function takeAnswer(block: CorrectorBlock, message: KeyMessage, context: KeyContext): Taken {
  const { phase } = block;
  if (phase.name === "proposed" && message.type === "sample") {
    return takeSample(block, message, context);
  }
  if (phase.name === "correcting" && message.type === "parities") {
    return takeParities(block, phase, message, context);
  }
  if (phase.name === "verifying" && message.type === "amplify") {
    return takeAmplify(block, phase, message, context);
  }
  if (phase.name === "confirming" && message.type === "confirmed") {
    const { key, promise } = phase;
    const { id, sifted } = block;
    return message.fingerprint === key.fingerprint
      ? { events: [keyEvent(id, { sifted, key, promise })], keyId: key.keyId }
      : refused(failure("confirmation-differs", "the ends cut different keys"));
  }
  return refused(failure("peer-violation", `"${message.type}" came in phase ${phase.name}`));
}

/** Judges the sample and asks the first question. */
function takeSample(
  block: CorrectorBlock,
  message: KeyMessageOf<"sample">,
  { settings, random }: KeyContext,
): Taken {
  const { sifted, id } = block;
  const { testBits } = blockShape(settings);
  const mask = unpackBits(message.mask, settings.blockBits);
  const isSane =
    isPackedBits(message.mask, settings.blockBits) &&
    mask.reduce((sum, bit) => sum + bit, 0) === testBits &&
    isPackedBits(message.testBits, testBits);
  if (!isSane) {
    return refused(failure("peer-violation", "the test sample has a wrong size"));
  }
  const mine = splitByMask(sifted.bits, mask);
  sifted.bits.fill(0);
  const qber = estimateQber({ mask, bases: sifted.bases }, mine.testBits, message.testBits);
  const events: KeyEvent[] = [{ type: "estimate", ...id, qber }];
  if (qber.overall.value > settings.qberMax) {
    mine.keyBits.fill(0);
    return refused(failure("qber", "the test sample's error rate is above qberMax"), events);
  }
  const seed = random.bytes(publicSeedBytes);
  const rate = (qber.overall.errors + 0.5) / (testBits + 1);
  const cascade = new CascadeCorrector({
    bits: mine.keyBits,
    seed,
    qber: rate,
    variant: option7Cascade,
  });
  const first = cascade.next(null);
  if (first.type !== "ask") throw new TypeError("Cascade begins with a question");
  const question = encodeQuestion(first.question);
  return {
    phase: { name: "correcting", qber, cascade, asked: first.question.length / 3 },
    question: { type: "estimate", ...id, step: 1, testBits: mine.testBits, seed, question },
    events,
  };
}

function takeParities(
  block: CorrectorBlock,
  { qber, cascade, asked }: Extract<CorrectorPhase, { readonly name: "correcting" }>,
  message: KeyMessageOf<"parities">,
  context: KeyContext,
): Taken {
  if (!isPackedBits(message.parities, asked)) {
    return refused(failure("peer-violation", "the answer has a wrong number of parities"));
  }
  const { id } = block;
  const step = block.step + 1;
  const next = cascade.next(unpackBits(message.parities, asked));
  if (next.type === "inconsistent") {
    return refused(failure("peer-violation", "the parities contradict each other"));
  }
  if (next.type === "ask") {
    if (cascade.leakBits > cascade.bits.length) {
      return refused(failure("too-short", "reconciliation would disclose the whole block"));
    }
    const question = encodeQuestion(next.question);
    return {
      phase: { name: "correcting", qber, cascade, asked: next.question.length / 3 },
      question: { type: "ask", ...id, step, question },
      events: [],
    };
  }
  const { hasher, random, settings } = context;
  const { keyBits, tagBits } = blockShape(settings);
  const { leakBits, corrected } = cascade;
  const seed = random.bytes(verificationSeedBytes(keyBits, tagBits));
  const packed = packBits(cascade.bits);
  const tag = verificationTag(hasher, { block: packed, blockBits: keyBits, seed, tagBits });
  packed.fill(0);
  return {
    phase: { name: "verifying", qber, cascade },
    question: { type: "verify", ...id, step, seed, tag, leakBits, corrected },
    events: [reconciledEvent(id, { keyBits, leakBits, corrected })],
  };
}

/** How far below this end's own bound the other may cut; more means that the ends reckon differently. */
const lengthSlackBits = 16;

function takeAmplify(
  block: CorrectorBlock,
  { qber, cascade }: Extract<CorrectorPhase, { readonly name: "verifying" }>,
  message: KeyMessageOf<"amplify">,
  { settings, hasher }: KeyContext,
): Taken {
  const { id } = block;
  const { keyBits: blockBits, tagBits } = blockShape(settings);
  const events: KeyEvent[] = [{ type: "verified", ...id, tagBits }];
  const { bound, promise, hashBits } = hashLength(settings, { qber, leakBits: cascade.leakBits });
  const asked = message.hashBits;
  // Logarithms may differ in their last digit between hosts, so the bound may too: by far less than a bit.
  const isSane =
    hashBits > 0 &&
    asked % 8 === 0 &&
    asked <= bound + 1e-3 &&
    asked >= bound - lengthSlackBits &&
    message.seed.length === toeplitzSeedBytes(blockBits, asked);
  if (!isSane) {
    return refused(
      failure("peer-violation", "the key's length or its seed cannot be right"),
      events,
    );
  }
  const packed = packBits(cascade.bits);
  const key = cutKey(hasher, block, {
    block: packed,
    blockBits,
    seed: message.seed,
    hashBits: asked,
  });
  packed.fill(0);
  cascade.bits.fill(0);
  return {
    phase: { name: "confirming", key, promise },
    question: { type: "confirm", ...id, step: block.step + 1, fingerprint: key.fingerprint },
    events,
  };
}
