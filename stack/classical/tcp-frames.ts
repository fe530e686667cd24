/**
 * Frames of the TCP channel.
 *
 *     0  u32 LE  length n of what follows, 1..frameBytesMax
 *     4  u8      kind: 1 hello, 2 refusal, 3 message, 4 heartbeat
 *     5  n - 1   hello: CBOR { protocol, version, node, peer, link }
 *                refusal: the reason, UTF-8
 *                message: u64 LE sequence number, from 0 in each connection and direction, then the bytes
 *                heartbeat: nothing
 */
import { z } from "zod";
import { LabError } from "../../hal/errors.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";

/** Raised when the frames or the hello change; nodes of different versions refuse each other. */
export const tcpChannelVersion = 1;

export const frameKinds = { hello: 1, refusal: 2, message: 3, heartbeat: 4 } as const;

/** One frame off the wire. */
export interface Frame {
  readonly kind: number;
  readonly payload: Uint8Array;
}

const helloSchema = z.object({
  protocol: z.literal("bellwether"),
  version: z.number().int(),
  node: z.string().min(1).max(64),
  peer: z.string().min(1).max(64),
  link: z.string().min(1).max(64),
});

/** Who speaks, to whom, about which link. */
export type Hello = z.output<typeof helloSchema>;

const headBytes = 5;

/** Encodes one frame. */
export function frame(kind: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headBytes + payload.length);
  new DataView(bytes.buffer).setUint32(0, payload.length + 1, true);
  bytes[4] = kind;
  bytes.set(payload, headBytes);
  return bytes;
}

/** Encodes a message frame. */
export function messageFrame(sequence: bigint, message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headBytes + 8 + message.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, message.length + 9, true);
  bytes[4] = frameKinds.message;
  view.setBigUint64(headBytes, sequence, true);
  bytes.set(message, headBytes + 8);
  return bytes;
}

/** Encodes a hello of this version. */
export const helloFrame = (names: {
  readonly node: string;
  readonly peer: string;
  readonly link: string;
}): Uint8Array =>
  frame(
    frameKinds.hello,
    encodeMessage({ protocol: "bellwether", version: tcpChannelVersion, ...names }),
  );

/** Encodes a refusal with its reason. */
export const refusalFrame = (reason: string): Uint8Array =>
  frame(frameKinds.refusal, new TextEncoder().encode(reason));

/** Parses a hello of any version. @throws LabError `channel.malformed`. */
export function parseHello(payload: Uint8Array): Hello {
  const parsed = helloSchema.safeParse(decodeMessage(payload));
  if (parsed.success) return parsed.data;
  throw new LabError("channel.malformed", "the hello is not one of a Bellwether node");
}

/** Splits a message frame's payload. @throws LabError `channel.malformed`. */
export function parseMessage(payload: Uint8Array): {
  readonly sequence: bigint;
  readonly message: Uint8Array;
} {
  if (payload.length < 8) throw new LabError("channel.malformed", "a message frame is cut short");
  const sequence = new DataView(payload.buffer, payload.byteOffset, 8).getBigUint64(0, true);
  return { sequence, message: payload.subarray(8) };
}

/** Cuts a byte stream into frames, holding at most one frame that is not complete. */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #held = new Uint8Array(0);

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Gives the frames that are complete now. @throws LabError `channel.oversized` for a length out of bounds. */
  push(bytes: Uint8Array): readonly Frame[] {
    const joined = new Uint8Array(this.#held.length + bytes.length);
    joined.set(this.#held);
    joined.set(bytes, this.#held.length);
    const view = new DataView(joined.buffer);
    const frames: Frame[] = [];
    let at = 0;
    while (joined.length - at >= 4) {
      const length = view.getUint32(at, true);
      if (length < 1 || length > this.#frameBytesMax) {
        throw new LabError(
          "channel.oversized",
          `a frame announces ${length} bytes, and 1 to ${this.#frameBytesMax} are allowed`,
          { details: { length } },
        );
      }
      if (joined.length - at < 4 + length) break;
      frames.push({
        kind: joined[at + 4] ?? 0,
        payload: joined.subarray(at + headBytes, at + 4 + length),
      });
      at += 4 + length;
    }
    this.#held = joined.slice(at);
    return frames;
  }
}
