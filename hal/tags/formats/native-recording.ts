/**
 * The native recording (.bwt): blocks, one after the other, little-endian, only ever appended. A reader needs
 * no index and no end mark: it takes blocks as long as their checksums hold, so a recording that a
 * power cut ended is good up to its last whole block.
 *
 *     0  u32  magic "BWT1"                     payload of a settings block: JSON, UTF-8
 *     4  u32  kind: 1 settings, 2 tags         payload of a tags block:
 *     8  u64  sequence, from 0                    lossCount x { i64 fromPs, i64 toPs,
 *    16  i64  fromPs                                            i64 count or -1, u32 cause, u32 0 }
 *    24  i64  toPs                                count x i64 time
 *    32  u32  count of tags                       count x u8  channel
 *    36  u32  segment                             zeros up to a multiple of 8
 *    40  u32  lossCount
 *    44  u32  length of the payload, bytes
 *    48  u32  CRC-32 (ISO 3309, as zlib's) of bytes 0-47, then of the payload
 *    52  12   zeros
 *    64       payload
 *
 * The first block holds settings: station snapshot, notes, channel labels, tick, epoch and anchor.
 */
import { crc32 } from "node:zlib";
import { ps } from "../../units.ts";
import type { LossCause, LossInterval } from "../loss-interval.ts";

/** "BWT1" as a little-endian u32. */
export const nativeMagic = 0x31545742;
export const nativeHeadBytes = 64;
const lossBytes = 32;
const crcOffset = 48;
/** No block is longer: 65,536 tags, their losses, or a large snapshot. */
export const nativePayloadBytesMax = 2 ** 24;
/** Loss intervals in one block; a writer joins what is beyond. */
export const nativeLossesMax = 4_096;
const lossCauses: readonly LossCause[] = [
  ...(["device-overflow", "desynchronised", "disconnected", "host-overflow"] as const),
  ...(["subscriber-quota", "damaged-file", "recorded"] as const),
];

/** The head of a block, without its checksum. */
export interface NativeBlockHead {
  readonly kind: "settings" | "tags";
  readonly sequence: bigint;
  readonly fromPs: bigint;
  readonly toPs: bigint;
  readonly count: number;
  readonly segment: number;
  readonly lossCount: number;
  readonly payloadBytes: number;
}

/** What the first block of a native recording says; picoseconds are decimal strings. */
export interface NativeSettings {
  readonly streamId: string;
  readonly clockId: string;
  readonly tickPs: { readonly numerator: string; readonly denominator: string };
  readonly epochPs: string;
  readonly anchor: { readonly utcPs: string; readonly uncertaintyPs: string };
  readonly channels: readonly { readonly channel: number; readonly label: string }[];
  readonly notes: string;
  readonly snapshot: unknown;
}

/** zlib's function gives the CRC's start, not the CRC so far, for an empty buffer without address. */
function checksum(headBytes: Uint8Array, payload: Uint8Array): number {
  const headSum = crc32(headBytes.subarray(0, crcOffset));
  return payload.length === 0 ? headSum : crc32(payload, headSum);
}

function encodeBlock(head: Omit<NativeBlockHead, "payloadBytes">, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(nativeHeadBytes + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nativeMagic, true);
  view.setUint32(4, head.kind === "settings" ? 1 : 2, true);
  view.setBigUint64(8, head.sequence, true);
  view.setBigInt64(16, head.fromPs, true);
  view.setBigInt64(24, head.toPs, true);
  view.setUint32(32, head.count, true);
  view.setUint32(36, head.segment, true);
  view.setUint32(40, head.lossCount, true);
  view.setUint32(44, payload.length, true);
  bytes.set(payload, nativeHeadBytes);
  view.setUint32(crcOffset, checksum(bytes, payload), true);
  return bytes;
}

/** Encodes the block of settings that begins a recording. */
export function encodeSettingsBlock(settings: NativeSettings): Uint8Array {
  const json = Buffer.from(JSON.stringify(settings), "utf8");
  if (json.length > nativePayloadBytesMax) {
    throw new RangeError(`settings of ${json.length} bytes do not fit a block`);
  }
  const head = { sequence: 0n, fromPs: 0n, toPs: 0n, count: 0, segment: 0, lossCount: 0 };
  return encodeBlock({ kind: "settings", ...head }, json);
}

/** Encodes a block of tags. */
export function encodeTagsBlock(block: {
  readonly sequence: bigint;
  readonly fromPs: bigint;
  readonly toPs: bigint;
  readonly segment: number;
  readonly losses: readonly LossInterval[];
  readonly times: BigInt64Array;
  readonly channels: Uint8Array;
}): Uint8Array {
  const { losses, times, channels } = block;
  const timesAt = lossBytes * losses.length;
  const channelsAt = timesAt + 8 * times.length;
  const payload = new Uint8Array(Math.ceil((channelsAt + channels.length) / 8) * 8);
  const view = new DataView(payload.buffer);
  losses.forEach((loss, index) => {
    view.setBigInt64(lossBytes * index, loss.fromPs, true);
    view.setBigInt64(lossBytes * index + 8, loss.toPs, true);
    view.setBigInt64(lossBytes * index + 16, BigInt(loss.count ?? -1), true);
    view.setUint32(lossBytes * index + 24, lossCauses.indexOf(loss.cause), true);
  });
  payload.set(new Uint8Array(times.buffer, times.byteOffset, times.byteLength), timesAt);
  payload.set(channels, channelsAt);
  return encodeBlock(
    { ...block, kind: "tags", count: times.length, lossCount: losses.length },
    payload,
  );
}

/** Parses a block's head; null when it is none, or makes no sense. */
export function parseNativeHead(bytes: Uint8Array): NativeBlockHead | null {
  if (bytes.length < nativeHeadBytes) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, nativeHeadBytes);
  const kind = view.getUint32(4, true);
  if (view.getUint32(0, true) !== nativeMagic || (kind !== 1 && kind !== 2)) return null;
  const head: NativeBlockHead = {
    kind: kind === 1 ? "settings" : "tags",
    ...{ sequence: view.getBigUint64(8, true), fromPs: view.getBigInt64(16, true) },
    ...{ toPs: view.getBigInt64(24, true), count: view.getUint32(32, true) },
    ...{ segment: view.getUint32(36, true), lossCount: view.getUint32(40, true) },
    payloadBytes: view.getUint32(44, true),
  };
  const needed = lossBytes * head.lossCount + 9 * head.count;
  const fits = head.payloadBytes <= nativePayloadBytesMax && needed <= head.payloadBytes;
  return fits ? head : null;
}

/** Tells whether head and payload are as they were written. */
export function isIntact(headBytes: Uint8Array, payload: Uint8Array): boolean {
  const written = new DataView(headBytes.buffer, headBytes.byteOffset).getUint32(crcOffset, true);
  return checksum(headBytes, payload) === written;
}

/** Gives the losses of a tags block, and where its columns begin in the payload. */
export function parseNativePayload(head: NativeBlockHead, payload: Uint8Array) {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const losses: LossInterval[] = [];
  for (let index = 0; index < head.lossCount; index++) {
    const at = lossBytes * index;
    const count = Number(view.getBigInt64(at + 16, true));
    losses.push({
      fromPs: ps(view.getBigInt64(at, true)),
      toPs: ps(view.getBigInt64(at + 8, true)),
      count: count < 0 ? null : count,
      cause: lossCauses[view.getUint32(at + 24, true)] ?? "recorded",
    });
  }
  const timesAt = lossBytes * head.lossCount;
  return { losses, timesAt, channelsAt: timesAt + 8 * head.count };
}
