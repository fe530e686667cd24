import { isPackedBits, packBits } from "./bit-string.ts";
import { type CascadeResponder, openResponder } from "./cascade.ts";
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
import { type KeyMessage, type KeyMessageOf, parseQuestion } from "./key-messages.ts";
import { estimateQber, type QberEstimate } from "./parameter-estimation.ts";
import { toeplitzSeedBytes } from "./privacy-amplification.ts";
import { publicSeedBytes } from "./public-permutation.ts";
import type { SiftedBits } from "./sift.ts";
import { verificationSeedBytes, verificationTag } from "./verification.ts";

/** Alice's answers, one a step: from her phase and Bob's question to her next phase, her answer and events. */

/** Where Alice stands with a block: each phase is the step she has answered last. */
export type ResponderPhase =
  /** Her records have not come as far as Bob's proposal. */
  | { readonly name: "awaiting-records"; readonly proposal: KeyMessageOf<"propose"> }
  | {
      readonly name: "sampled";
      readonly sifted: SiftedBits;
      readonly mask: Uint8Array;
      readonly testBits: Uint8Array;
      readonly keyBits: Uint8Array;
    }
  | {
      readonly name: "reconciling";
      readonly sifted: SiftedBits;
      readonly keyBits: Uint8Array;
      readonly qber: QberEstimate;
      readonly cascade: CascadeResponder;
    }
  | {
      readonly name: "amplified";
      readonly sifted: SiftedBits;
      readonly key: CutKey;
      readonly promise: KeyPromise;
    }
  | { readonly name: "done" };

/** What answering one step comes to: the next phase, the answer, events; or a failure. */
export type Answered =
  | {
      readonly phase: ResponderPhase;
      readonly answer: KeyMessage;
      readonly events: readonly KeyEvent[];
      readonly keyId?: string;
    }
  | { readonly failed: BlockFailure; readonly events: readonly KeyEvent[] };

const refused = (failed: BlockFailure, events: readonly KeyEvent[] = []): Answered => ({
  failed,
  events,
});

/** Answers a question of step 1 or later. */
export function answerStep(
  id: BlockId,
  phase: ResponderPhase,
  message: KeyMessage,
  context: KeyContext,
): Answered {
  if (phase.name === "sampled" && message.type === "estimate") {
    return answerEstimate(id, phase, message, context);
  }
  if (phase.name === "reconciling" && message.type === "ask") {
    return answerQuestion(id, phase, message);
  }
  if (phase.name === "reconciling" && message.type === "verify") {
    return answerVerify(id, phase, message, context);
  }
  if (phase.name === "amplified" && message.type === "confirm") {
    return answerConfirm(id, phase, message);
  }
  return refused(failure("peer-violation", `"${message.type}" came in phase ${phase.name}`));
}

type Phase<Name extends ResponderPhase["name"]> = Extract<ResponderPhase, { readonly name: Name }>;

function answerEstimate(
  id: BlockId,
  phase: Phase<"sampled">,
  message: KeyMessageOf<"estimate">,
  { settings }: KeyContext,
): Answered {
  const { testBits } = blockShape(settings);
  if (!isPackedBits(message.testBits, testBits) || message.seed.length !== publicSeedBytes) {
    return refused(failure("peer-violation", "the test bits or the seed have a wrong length"));
  }
  const sample = { mask: phase.mask, bases: phase.sifted.bases };
  const qber = estimateQber(sample, phase.testBits, message.testBits);
  const events: KeyEvent[] = [{ type: "estimate", ...id, qber }];
  if (qber.overall.value > settings.qberMax) {
    return refused(failure("qber", "the test sample's error rate is above qberMax"), events);
  }
  const cascade = openResponder(phase.keyBits, message.seed);
  const { sifted, keyBits } = phase;
  const reconciling: Phase<"reconciling"> = { name: "reconciling", sifted, keyBits, qber, cascade };
  const answered = answerQuestion(id, reconciling, message);
  return { ...answered, events: [...events, ...answered.events] };
}

function answerQuestion(
  id: BlockId,
  phase: Phase<"reconciling">,
  message: KeyMessageOf<"ask" | "estimate">,
): Answered {
  const question = parseQuestion(message.question);
  // More parities than bits would leave no key: stop before they are disclosed.
  if (phase.cascade.leakBits + question.length / 3 > phase.keyBits.length) {
    return refused(failure("peer-violation", "more parities were asked for than there are bits"));
  }
  const parities = phase.cascade.answer(question);
  if (parities === null) {
    return refused(failure("peer-violation", "a parity outside the block was asked for"));
  }
  const answer: KeyMessage = {
    type: "parities",
    ...id,
    step: message.step,
    parities: packBits(parities),
  };
  return { phase, answer, events: [] };
}

function answerVerify(
  id: BlockId,
  phase: Phase<"reconciling">,
  message: KeyMessageOf<"verify">,
  { settings, hasher, random }: KeyContext,
): Answered {
  const { keyBits: blockBits, tagBits } = blockShape(settings);
  const { leakBits } = phase.cascade;
  const isSane =
    message.leakBits === leakBits &&
    message.corrected <= blockBits &&
    isPackedBits(message.tag, tagBits) &&
    message.seed.length === verificationSeedBytes(blockBits, tagBits);
  if (!isSane) {
    return refused(
      failure("peer-violation", "the tag, its seed or the leak count cannot be right"),
    );
  }
  const { corrected } = message;
  const events: KeyEvent[] = [reconciledEvent(id, { keyBits: blockBits, leakBits, corrected })];
  const block = packBits(phase.keyBits);
  const tag = verificationTag(hasher, { block, blockBits, seed: message.seed, tagBits });
  if (!Buffer.from(tag).equals(message.tag)) {
    block.fill(0);
    return refused(failure("verification-failed", "the corrected blocks differ"), events);
  }
  events.push({ type: "verified", ...id, tagBits });
  const { hashBits, promise } = hashLength(settings, { qber: phase.qber, leakBits });
  if (hashBits === 0) {
    block.fill(0);
    return refused(failure("too-short", "the bound on the secret length leaves no key"), events);
  }
  const seed = random.bytes(toeplitzSeedBytes(blockBits, hashBits));
  const { sifted, cascade } = phase;
  const key = cutKey(hasher, { sifted, id }, { block, blockBits, seed, hashBits });
  block.fill(0);
  phase.keyBits.fill(0);
  cascade.wipe();
  return {
    phase: { name: "amplified", sifted, key, promise },
    answer: { type: "amplify", ...id, step: message.step, seed, hashBits },
    events,
  };
}

function answerConfirm(
  id: BlockId,
  { key, promise, sifted }: Phase<"amplified">,
  message: KeyMessageOf<"confirm">,
): Answered {
  if (message.fingerprint !== key.fingerprint) {
    return refused(failure("confirmation-differs", "the ends cut different keys"));
  }
  const { fingerprint } = key;
  return {
    phase: { name: "done" },
    answer: { type: "confirmed", ...id, step: message.step, fingerprint },
    events: [keyEvent(id, { sifted, key, promise })],
    keyId: key.keyId,
  };
}
