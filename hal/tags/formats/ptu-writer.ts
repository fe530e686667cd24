/**
 * Writes PicoQuant PTU files with HydraHarp version 2 T2 records; layouts in ptu-header.ts and
 * kernels/picoquant.ts. One tick is 1 ps. Overflow records carry the number of wraps of 2^25 ticks, so
 * that silence costs one record; last of all the number of records is put into the header.
 */
import { randomUUID } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { ptuTagTypes } from "./ptu-header.ts";

const tagBytes = 48;
const recordType = 0x01010204n;
const wrapBits = 25;
/** Wraps that one overflow record can carry. */
const wrapsMax = 2 ** 25 - 1;
const overflow = 0xfe000000;
const syncChannel = 64;
const markerChannel = 65;
/** TDateTime counts days from 1899-12-30; 25,569 of them before 1970. */
const dateTimeOf = (utcPs: bigint): number => Number(utcPs / 1_000_000n) / 86_400e6 + 25_569;

type TagValue = bigint | number | string | boolean | null;

function encodeTag(identifier: string, type: number, value: TagValue): Uint8Array {
  const text = typeof value === "string" ? Buffer.from(`${value}\0`, "latin1") : null;
  const payloadBytes = text === null ? 0 : Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(tagBytes + payloadBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(identifier.slice(0, 31), "latin1"));
  view.setInt32(32, -1, true);
  view.setUint32(36, type, true);
  if (typeof value === "bigint") view.setBigInt64(40, value, true);
  else if (typeof value === "number") view.setFloat64(40, value, true);
  else if (typeof value === "boolean") view.setBigInt64(40, value ? 1n : 0n, true);
  if (text !== null) {
    view.setBigInt64(40, BigInt(payloadBytes), true);
    bytes.set(text, tagBytes);
  }
  return bytes;
}

/** What goes into the header besides what the format needs. */
export interface PtuDescription {
  readonly comment: string;
  readonly startUtcPs: bigint;
  readonly inputs: number;
  readonly fileGuid?: string;
}

/** Encodes the header; `countByte` is where the number of records (i64) stands. */
export function encodePtuHeader(description: PtuDescription): {
  readonly bytes: Uint8Array;
  readonly countByte: number;
} {
  const { int, float, dateTime, ansiString, empty } = ptuTagTypes;
  const guid = description.fileGuid ?? randomUUID().toUpperCase();
  const preamble = new Uint8Array(16);
  preamble.set(Buffer.from("PQTTTR\0\0" + "1.0.00\0\0", "latin1"));
  const before = [
    preamble,
    encodeTag("File_GUID", ansiString, `{${guid}}`),
    encodeTag("File_CreatingTime", dateTime, dateTimeOf(description.startUtcPs)),
    encodeTag("File_Comment", ansiString, description.comment),
    encodeTag("CreatorSW_Name", ansiString, "Bellwether"),
    encodeTag("Measurement_Mode", int, 2n),
    encodeTag("Measurement_SubMode", int, 0n),
    encodeTag("HW_InpChannels", int, BigInt(description.inputs)),
    encodeTag("MeasDesc_GlobalResolution", float, 1e-12),
    encodeTag("MeasDesc_Resolution", float, 1e-12),
    encodeTag("TTResult_SyncRate", int, 0n),
    encodeTag("TTResultFormat_TTTRRecType", int, recordType),
    encodeTag("TTResultFormat_BitsPerRecord", int, 32n),
  ];
  const countByte = before.reduce((sum, part) => sum + part.length, 0) + 40;
  const after = [
    encodeTag("TTResult_NumberOfRecords", int, 0n),
    encodeTag("Header_End", empty, null),
  ];
  return { bytes: Buffer.concat([...before, ...after]), countByte };
}

function encodeChannel(channel: number): number {
  if (channel < 63) return channel << wrapBits;
  if (channel === syncChannel) return 0x80000000;
  if (channel >= markerChannel && channel < markerChannel + 4) {
    return 0x80000000 | (1 << (channel - markerChannel + wrapBits));
  }
  throw new RangeError(`PTU has no place for channel ${channel}`);
}

/** Turns tags into records; keeps the number of wraps between blocks. */
export class PtuT2Encoder {
  #wraps = 0;

  /** Encodes sorted tags, times at least 0 and not before those already encoded. */
  encode(times: BigInt64Array, channels: Uint8Array): Uint32Array {
    // Halves of the times, little-endian: bigint arithmetic a tag would take ten times as long.
    const halves = new Uint32Array(times.buffer, times.byteOffset, 2 * times.length);
    const records: number[] = [];
    for (let index = 0; index < times.length; index++) {
      const low = halves[2 * index] ?? 0;
      const high = halves[2 * index + 1] ?? 0;
      if (high >= 2 ** 31) throw new RangeError("a PTU time cannot be negative");
      const wraps = high * 2 ** (32 - wrapBits) + (low >>> wrapBits);
      while (this.#wraps < wraps) {
        const step = Math.min(wraps - this.#wraps, wrapsMax);
        records.push((overflow | step) >>> 0);
        this.#wraps += step;
      }
      records.push((encodeChannel(channels[index] ?? 0) | (low & (2 ** wrapBits - 1))) >>> 0);
    }
    return Uint32Array.from(records);
  }
}

/** A PTU file being written. */
export class PtuWriter {
  readonly #file: FileHandle;
  readonly #countByte: number;
  readonly #encoder = new PtuT2Encoder();
  #records = 0;

  /** Creates or overwrites the file and writes its header. */
  static async create(path: string, description: PtuDescription): Promise<PtuWriter> {
    const file = await open(path, "w");
    const { bytes, countByte } = encodePtuHeader(description);
    await file.appendFile(bytes);
    return new PtuWriter(file, countByte);
  }

  private constructor(file: FileHandle, countByte: number) {
    this.#file = file;
    this.#countByte = countByte;
  }

  async write(times: BigInt64Array, channels: Uint8Array): Promise<void> {
    const records = this.#encoder.encode(times, channels);
    this.#records += records.length;
    await this.#file.appendFile(new Uint8Array(records.buffer));
  }

  /** Puts the number of records into the header and closes the file. */
  async close(): Promise<void> {
    const count = new Uint8Array(8);
    new DataView(count.buffer).setBigInt64(0, BigInt(this.#records), true);
    await this.#file.write(count, 0, 8, this.#countByte);
    await this.#file.close();
  }
}
