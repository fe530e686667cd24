import { createHash } from "node:crypto";
import type { RandomSource } from "../../../hal/random.ts";
import { SecretBytes } from "../../../hal/secret.ts";
import { binaryEntropy, type KeyPromise, secretLength } from "./finite-key.ts";
import type { AbortReason, BlockId, KeyEvent } from "./key-events.ts";
import type { KeyMessage } from "./key-messages.ts";
import type { KeySettings } from "./key-settings.ts";
import { type QberEstimate, testBitCount } from "./parameter-estimation.ts";
import type { ToeplitzHasher } from "./privacy-amplification.ts";
import type { SiftedBits } from "./sift.ts";
import { backlogBits, pushSifted, type SiftedBacklog } from "./sifted-backlog.ts";
import { verificationTagBits } from "./verification.ts";

/** What both machines work with; chance and hashing come from outside, so that a seed replays a run. */
export interface KeyContext {
  readonly settings: KeySettings;
  readonly random: RandomSource;
  readonly hasher: ToeplitzHasher;
}

/** What a machine is told. */
export type KeyInput =
  | { readonly type: "records"; readonly sifted: SiftedBits }
  | { readonly type: "message"; readonly message: KeyMessage }
  /** The one timer has run out. */
  | { readonly type: "timer" }
  | { readonly type: "close" };

/** What a machine wants done, in order. Setting the timer replaces it. */
export type KeyEffect =
  | { readonly type: "send"; readonly message: KeyMessage }
  | { readonly type: "emit"; readonly event: KeyEvent }
  | { readonly type: "set-timer"; readonly delayMs: number }
  | { readonly type: "clear-timer" };

/** A state and what follows from reaching it. The state that went in is spent: large arrays and Cascade move on. */
export interface KeyTransition<State> {
  readonly state: State;
  readonly effects: readonly KeyEffect[];
}

/** A block whose message broke the protocol or whose figures do not allow a key. */
export interface BlockFailure {
  readonly reason: AbortReason;
  readonly detail: string;
}

export const failure = (reason: AbortReason, detail: string): BlockFailure => ({ reason, detail });

/** Gives the counts that the settings fix for every block. */
export function blockShape(settings: KeySettings): {
  readonly testBits: number;
  readonly keyBits: number;
  readonly tagBits: number;
} {
  const testBits = testBitCount(settings.blockBits, settings.testFraction);
  return {
    testBits,
    keyBits: settings.blockBits - testBits,
    tagBits: verificationTagBits(settings.correctnessError),
  };
}

/** Bits of the amplified string that are published as the fingerprint and are no part of the key. */
export const confirmationBits = 64;

/** A shorter key is not worth its messages. */
const keyBitsMin = 128;

/**
 * Gives the bits to hash a reconciled block to, a multiple of 8, key and fingerprint together, or 0 when
 * that would leave no useful key; and the bound it comes from.
 */
export function hashLength(
  settings: KeySettings,
  block: { readonly qber: QberEstimate; readonly leakBits: number },
): { readonly hashBits: number; readonly bound: number; readonly promise: KeyPromise } {
  const { testBits, tagBits } = blockShape(settings);
  const { bits, promise } = secretLength({
    siftedBits: settings.blockBits,
    testBits,
    testErrors: block.qber.overall.errors,
    qberMax: settings.qberMax,
    leakBits: block.leakBits,
    tagBits,
    securityError: settings.securityError,
    correctnessError: settings.correctnessError,
  });
  const whole = 8 * Math.floor(bits / 8);
  return {
    hashBits: whole >= confirmationBits + keyBitsMin ? whole : 0,
    bound: bits,
    promise,
  };
}

/** A key, its public name and its public fingerprint. */
export interface CutKey {
  readonly secret: SecretBytes;
  readonly keyId: string;
  readonly fingerprint: string;
}

/** The origin of a key. */
interface KeyOrigin {
  readonly sifted: SiftedBits;
  readonly id: BlockId;
}

/**
 * Hashes a reconciled block (packed), splits the last 64 bits off and turns them into the fingerprint; the
 * rest is the key. The fingerprint is SHA-256 over the key id, which binds the seed and the length, and those bits:
 * equal fingerprints mean equal blocks under equal hashes, and tell nothing about the key.
 */
export function cutKey(
  hasher: ToeplitzHasher,
  origin: KeyOrigin,
  options: {
    readonly block: Uint8Array;
    readonly blockBits: number;
    readonly seed: Uint8Array;
    readonly hashBits: number;
  },
): CutKey {
  const { block, blockBits, seed, hashBits } = options;
  const keyId = keyIdOf(origin, seed, hashBits);
  const hashed = hasher.hash({ input: block, inputBits: blockBits, seed, outputBits: hashBits });
  const keyBytes = hashed.length - confirmationBits / 8;
  const fingerprint = createHash("sha256")
    .update(`bellwether key fingerprint\0${keyId}\0`)
    .update(hashed.subarray(keyBytes))
    .digest("hex")
    .slice(0, 16);
  const secret = SecretBytes.take(hashed.subarray(0, keyBytes));
  return { secret, keyId, fingerprint };
}

/** Gives the public name of a key, a UUID (version 8, RFC 9562) hashed from where its bits come from and how they were hashed. */
function keyIdOf({ sifted, id }: KeyOrigin, seed: Uint8Array, hashBits: number): string {
  const hash = createHash("sha256")
    .update("bellwether key id\0")
    .update(
      JSON.stringify([
        sifted.link,
        sifted.incarnation,
        `${sifted.firstSequence}`,
        `${sifted.endSequence}`,
        id.session,
        id.block,
        hashBits,
      ]),
    )
    .update(seed)
    .digest("hex");
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 3) | 8).toString(16);
  const parts = [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ];
  return parts.join("-");
}

/** Gives the event that sums reconciliation up. */
export function reconciledEvent(
  id: BlockId,
  counts: { readonly keyBits: number; readonly leakBits: number; readonly corrected: number },
): KeyEvent {
  const errorRate = counts.corrected / counts.keyBits;
  const shannonBits = counts.keyBits * binaryEntropy(errorRate);
  return {
    type: "reconciled",
    ...id,
    ...counts,
    errorRate,
    efficiency: shannonBits > 0 ? counts.leakBits / shannonBits : null,
  };
}

/** Gives the event that delivers a key. */
export const keyEvent = (
  id: BlockId,
  block: { readonly sifted: SiftedBits; readonly key: CutKey; readonly promise: KeyPromise },
): KeyEvent => ({
  type: "key",
  ...id,
  link: block.sifted.link,
  keyId: block.key.keyId,
  fingerprint: block.key.fingerprint,
  bits: 8 * block.key.secret.byteLength,
  secret: block.key.secret,
  promise: block.promise,
});

/** Gives the effect that tells an event. */
export const emit = (event: KeyEvent): KeyEffect => ({ type: "emit", event });

/** Adds sifted records to a backlog and tells what came and what was lost. */
export function takeIntoBacklog(
  backlog: SiftedBacklog,
  sifted: SiftedBits,
  settings: KeySettings,
): { readonly backlog: SiftedBacklog; readonly effects: readonly KeyEffect[] } {
  const bitsMax = settings.backlogBlocksMax * settings.blockBits;
  const pushed = pushSifted(backlog, sifted, bitsMax);
  const event: KeyEvent = {
    type: "sifted",
    link: sifted.link,
    pairs: Number(sifted.endSequence - sifted.firstSequence),
    bits: sifted.bits.length,
    backlogBits: backlogBits(pushed.backlog),
  };
  const losses = pushed.discarded.map((loss) => emit({ type: "discarded", ...loss }));
  return { backlog: pushed.backlog, effects: [...losses, emit(event)] };
}
