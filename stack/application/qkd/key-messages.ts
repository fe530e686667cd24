import { z } from "zod";
import { abortReasons } from "./key-events.ts";

/**
 * What two ends say to each other while they distil a key. Bob asks, Alice answers; step numbers pair each answer with
 * its question, so that a repeated, late or lost message does no harm. Bits are packed, least significant
 * first; 64-bit sequences are decimal strings.
 *
 * step 0      propose  -> sample     which bits; Alice draws the test positions and discloses her test bits
 * step 1      estimate -> parities   Bob's test bits, the seed of the shuffles and his first question
 * step 2..    ask      -> parities   Cascade
 * step s      verify   -> amplify    Bob's tag of the corrected block; Alice draws the seed of the key's hash
 * step s + 1  confirm  -> confirmed  fingerprints: bits of the same hash that are no part of the key
 * either end, at any time: abort     the block is dropped; none of its bits is ever used again
 */

/** Bytes that one field of a message may have. */
const fieldBytesMax = 1 << 21;

const bytes = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= fieldBytesMax,
);
const sequence = z.string().regex(/^\d{1,19}$/);
const hex16 = z.string().regex(/^[0-9a-f]{16}$/);
const count = z
  .int()
  .min(0)
  .max(2 ** 31);
const address = {
  /** Chosen afresh each time Bob's session opens. */
  session: hex16,
  /** Number of the block in the session, from 1. */
  block: count,
};
const step = { ...address, step: count };

export const keyMessageSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("propose"),
    ...step,
    settings: hex16,
    link: z.string().max(256),
    incarnation: z.string().max(64),
    firstSequence: sequence,
    endSequence: sequence,
    digest: z.string().regex(/^[0-9a-f]{64}$/),
    /** The last key that Bob has confirmed in this session. */
    lastKeyId: z.string().max(64).nullable(),
  }),
  z.strictObject({ type: z.literal("sample"), ...step, mask: bytes, testBits: bytes }),
  z.strictObject({
    type: z.literal("estimate"),
    ...step,
    testBits: bytes,
    seed: bytes,
    question: bytes,
  }),
  z.strictObject({ type: z.literal("ask"), ...step, question: bytes }),
  z.strictObject({ type: z.literal("parities"), ...step, parities: bytes }),
  z.strictObject({
    type: z.literal("verify"),
    ...step,
    seed: bytes,
    tag: bytes,
    leakBits: count,
    corrected: count,
  }),
  z.strictObject({ type: z.literal("amplify"), ...step, seed: bytes, hashBits: count }),
  z.strictObject({ type: z.literal("confirm"), ...step, fingerprint: hex16 }),
  z.strictObject({ type: z.literal("confirmed"), ...step, fingerprint: hex16 }),
  z.strictObject({ type: z.literal("abort"), ...address, reason: z.enum(abortReasons) }),
]);

export type KeyMessage = z.output<typeof keyMessageSchema>;

/** One kind of message. */
export type KeyMessageOf<Type extends KeyMessage["type"]> = Extract<
  KeyMessage,
  { readonly type: Type }
>;

/** Encodes a question of Cascade as little-endian 32-bit words. */
export function encodeQuestion(question: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * question.length));
  for (let i = 0; i < question.length; i++) view.setUint32(4 * i, question[i] ?? 0, true);
  return new Uint8Array(view.buffer);
}

/** Parses a question; bytes beyond the last whole word are ignored. */
export function parseQuestion(encoded: Uint8Array): Uint32Array {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  const question = new Uint32Array(Math.floor(encoded.length / 4));
  for (let i = 0; i < question.length; i++) question[i] = view.getUint32(4 * i, true);
  return question;
}
