/**
 * Messages as CBOR (RFC 8949). A bigint is always a bignum (tags 2 and 3), so that it comes back as a
 * bigint whatever its size; a number is never one. Byte strings are Uint8Array.
 *
 * On a channel, each message is one envelope:
 *
 *     0      u8   length n of the layer's name, 1..64
 *     1      n    the layer's name, ASCII
 *     1 + n  ...  one CBOR item
 */
import { type DecodeOptions, decode, type EncodeOptions, encode } from "cborg";
import { bigIntDecoder, bigNegIntDecoder, structBigIntEncoder } from "cborg/taglib";
import { LabError, messageOf } from "../../hal/errors.ts";

const layerNameBytesMax = 64;

const encoding: EncodeOptions = {
  typeEncoders: { bigint: structBigIntEncoder },
  ignoreUndefinedProperties: true,
};
const decoding: DecodeOptions = {
  tags: { 2: bigIntDecoder, 3: bigNegIntDecoder },
  rejectDuplicateMapKeys: true,
  allowIndefinite: false,
  allowUndefined: false,
};

/** Encodes plain data (numbers, bigints, strings, byte arrays, arrays, objects) as one CBOR item. */
export const encodeMessage = (message: unknown): Uint8Array => encode(message, encoding);

/** Decodes one CBOR item that fills `bytes`. @throws LabError `channel.malformed`. */
export function decodeMessage(bytes: Uint8Array): unknown {
  try {
    return decode(bytes, decoding);
  } catch (error) {
    throw malformed(bytes, error);
  }
}

const malformed = (bytes: Uint8Array, cause: unknown): LabError =>
  new LabError(
    "channel.malformed",
    `a message of ${bytes.length} bytes is not CBOR: ${messageOf(cause)}`,
    { cause },
  );

/** Gives the bytes that name a layer at the head of an envelope. */
export function layerHeader(layer: string): Uint8Array {
  if (!/^[\x21-\x7e]+$/.test(layer) || layer.length > layerNameBytesMax) {
    throw new RangeError(
      `a layer's name is 1 to ${layerNameBytesMax} ASCII characters: "${layer}"`,
    );
  }
  return Uint8Array.of(layer.length, ...new TextEncoder().encode(layer));
}

/** Joins a header made by `layerHeader` and a message into an envelope. */
export function sealEnvelope(header: Uint8Array, message: unknown): Uint8Array {
  const body = encodeMessage(message);
  const envelope = new Uint8Array(header.length + body.length);
  envelope.set(header);
  envelope.set(body, header.length);
  return envelope;
}

/** Tells whether an envelope is of the layer with this header. */
export const isOfLayer = (envelope: Uint8Array, header: Uint8Array): boolean =>
  envelope.length > header.length && header.every((byte, at) => envelope[at] === byte);
