/**
 * Header of PicoQuant unified TTTR files (.ptu), little-endian.
 * Source: PicoQuant, "Unified TTTR file format" V1.1.05: tag types, tag dictionary, TTTR records.
 *
 *     0   8  magic "PQTTTR", NUL padded          48-byte tags, then the records:
 *     8   8  version "1.0.00"                     0  32  identifier, ASCII, NUL filled
 *    16      tags                                32   4  i32 index, -1 = scalar
 *                                                36   4  u32 type
 *                                                40   8  value, or byte length of the payload that follows
 *
 * The last tag is Header_End; the first record starts at the next byte.
 */
import { fileError, type RecordingHead, type RecordPlan } from "./recording-format.ts";

/** Value of one header tag. */
export type PtuValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | readonly number[]
  | readonly bigint[];

/** A parsed header: tags by identifier, `Name[0]` for elements of arrays, and where the records begin. */
export interface PtuHeader {
  readonly version: string;
  readonly tags: ReadonlyMap<string, PtuValue>;
  readonly firstRecordByte: number;
}

/** The type codes of header tags. */
export const ptuTagTypes = {
  empty: 0xffff0008,
  bool: 0x00000008,
  int: 0x10000008,
  bitSet: 0x11000008,
  color: 0x12000008,
  float: 0x20000008,
  dateTime: 0x21000008,
  intArray: 0x1001ffff,
  floatArray: 0x2001ffff,
  ansiString: 0x4001ffff,
  wideString: 0x4002ffff,
  blob: 0xffffffff,
} as const;

const headBytes = 16;
const tagBytes = 48;
/** Headers hold some hundred tags; more than this many bytes before Header_End is no header. */
export const ptuHeaderBytesMax = 2 ** 22;

const untilNul = (text: string): string => text.split("\0", 1)[0] ?? "";
const ascii = (bytes: Uint8Array): string => untilNul(Buffer.from(bytes).toString("latin1"));

type RecordType = Pick<RecordPlan, "kernel" | "wrapTicks" | "countsWraps">;
const picoHarp: RecordType = { kernel: "pico-harp", wrapTicks: 210_698_240, countsWraps: false };
const hydraHarp1: RecordType = { kernel: "hydra-harp", wrapTicks: 33_552_000, countsWraps: false };
const hydraHarp2: RecordType = { kernel: "hydra-harp", wrapTicks: 33_554_432, countsWraps: true };

/**
 * T2 record types and how their records are decoded; codes in the appendix "TTTR records". The last three
 * are printed in the maker's snAPI documentation for what files hold as 0001020x.
 */
const recordTypes: ReadonlyMap<number, RecordType> = new Map([
  [0x00010203, picoHarp],
  [0x00010204, hydraHarp1],
  [0x01010204, hydraHarp2],
  [0x00010205, hydraHarp2],
  [0x00010206, hydraHarp2],
  [0x00010207, hydraHarp2],
  [0x01010205, hydraHarp2],
  [0x01010206, hydraHarp2],
  [0x01010207, hydraHarp2],
]);

function parseValue(view: DataView, type: number, at: number, payload: Uint8Array): PtuValue {
  const words = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const places = Array.from({ length: Math.floor(payload.length / 8) }, (_, index) => 8 * index);
  switch (type) {
    case ptuTagTypes.bool:
      return view.getBigInt64(at, true) !== 0n;
    case ptuTagTypes.int:
      return view.getBigInt64(at, true);
    case ptuTagTypes.bitSet:
    case ptuTagTypes.color:
      return view.getBigUint64(at, true);
    case ptuTagTypes.float:
    case ptuTagTypes.dateTime:
      return view.getFloat64(at, true);
    case ptuTagTypes.intArray:
      return places.map((place) => words.getBigInt64(place, true));
    case ptuTagTypes.floatArray:
      return places.map((place) => words.getFloat64(place, true));
    case ptuTagTypes.ansiString:
      return ascii(payload);
    case ptuTagTypes.wideString:
      return untilNul(Buffer.from(payload).toString("utf16le"));
    case ptuTagTypes.blob:
      return Uint8Array.from(payload);
    default:
      return null;
  }
}

const payloadTypes: ReadonlySet<number> = new Set<number>([
  ptuTagTypes.intArray,
  ptuTagTypes.floatArray,
  ptuTagTypes.ansiString,
  ptuTagTypes.wideString,
  ptuTagTypes.blob,
]);
const knownTypes: ReadonlySet<number> = new Set<number>(Object.values(ptuTagTypes));

/**
 * Parses the header at the start of `bytes`, which may hold more than the header.
 * @throws LabError `file.damaged` when it has no end, or a tag of a type that does not exist.
 */
export function parsePtuHeader(path: string, bytes: Uint8Array): PtuHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tags = new Map<string, PtuValue>();
  for (let at = headBytes; at + tagBytes <= bytes.length; ) {
    const identifier = ascii(bytes.subarray(at, at + 32));
    const index = view.getInt32(at + 32, true);
    const type = view.getUint32(at + 36, true);
    if (!knownTypes.has(type)) {
      throw fileError(
        "file.damaged",
        path,
        `has a header tag of unknown type 0x${type.toString(16)} at byte ${at}: the file is damaged, or no PTU file`,
      );
    }
    const payloadBytes = payloadTypes.has(type) ? view.getBigInt64(at + 40, true) : 0n;
    const next = at + tagBytes + Number(payloadBytes);
    if (payloadBytes < 0n || next > bytes.length) break;
    if (identifier === "Header_End") {
      return { version: ascii(bytes.subarray(8, 16)), tags, firstRecordByte: next };
    }
    const value = parseValue(view, type, at + 40, bytes.subarray(at + tagBytes, next));
    tags.set(index < 0 ? identifier : `${identifier}[${index}]`, value);
    at = next;
  }
  throw fileError(
    "file.damaged",
    path,
    "is a PTU file whose header has no end: it was cut off; copy it again from the instrument's PC",
  );
}

function integerTag(path: string, header: PtuHeader, identifier: string): number {
  const value = header.tags.get(identifier);
  if (typeof value !== "bigint") {
    throw fileError(
      "file.damaged",
      path,
      `lacks the header tag ${identifier}, without which its records cannot be read`,
    );
  }
  return Number(value);
}

function recordTypeOf(path: string, header: PtuHeader) {
  const code = integerTag(path, header, "TTResultFormat_TTTRRecType");
  const hex = `0x${code.toString(16).padStart(8, "0")}`;
  const recordType = recordTypes.get(code);
  if (recordType !== undefined) return recordType;
  const isT3 = ((code >>> 8) & 0xff) === 3;
  throw isT3
    ? fileError(
        "file.unsupported-records",
        path,
        `holds T3 records (${hex}); only T2 records have absolute times: record in T2 mode`,
      )
    : fileError(
        "file.unsupported-records",
        path,
        `holds records of unknown type ${hex}; known are T2 records of PicoHarp, HydraHarp, TimeHarp, MultiHarp`,
      );
}

function resolutionPsOf(path: string, header: PtuHeader): number {
  const resolutionS = header.tags.get("MeasDesc_GlobalResolution");
  if (typeof resolutionS !== "number" || !(resolutionS > 0)) {
    throw fileError(
      "file.damaged",
      path,
      "lacks a positive MeasDesc_GlobalResolution, the unit of its times",
    );
  }
  const resolutionPs = Math.round(resolutionS * 1e12);
  if (resolutionPs < 1 || Math.abs(resolutionS * 1e12 - resolutionPs) > 1e-6 * resolutionPs) {
    throw fileError(
      "file.unsupported-records",
      path,
      `has a time unit of ${resolutionS} s, no whole number of picoseconds`,
    );
  }
  return resolutionPs;
}

/** Finds how many records there are: what the header promises, as far as the file holds them. */
function countRecords(path: string, header: PtuHeader, fileBytes: number) {
  const dataBytes = fileBytes - header.firstRecordByte;
  const held = Math.floor(dataBytes / 4);
  const promised = integerTag(path, header, "TTResult_NumberOfRecords");
  const warnings: string[] = [];
  if (dataBytes % 4 !== 0)
    warnings.push(`${dataBytes % 4} bytes of an unfinished record at the end are ignored`);
  if (promised <= 0) {
    warnings.push(
      `the header says ${promised} records, as live or aborted recordings do; the file's length says ${held}`,
    );
    return { records: held, missingRecords: null, warnings };
  }
  if (promised > held)
    warnings.push(`the file is cut off: ${promised} records promised, ${held} present`);
  if (promised < held)
    warnings.push(`${held - promised} records beyond the ${promised} of the header are ignored`);
  return {
    records: Math.min(promised, held),
    missingRecords: Math.max(0, promised - held),
    warnings,
  };
}

const psPerDay = 86_400_000_000_000_000n;
/** Day 0 of TDateTime is 1899-12-30, 25,569 days before 1970. */
const startUtcPsOf = (days: PtuValue | undefined): bigint | null =>
  typeof days === "number" && days > 0
    ? BigInt(Math.round((days - 25_569) * 86_400)) * (psPerDay / 86_400n)
    : null;

/**
 * Reads what a PTU T2 file says of itself. `bytes` is its beginning, up to `ptuHeaderBytesMax`.
 * @throws LabError `file.damaged`, `file.unsupported-records`.
 */
export function readPtuHead(path: string, bytes: Uint8Array, fileBytes: number): RecordingHead {
  const header = parsePtuHeader(path, bytes);
  const recordType = recordTypeOf(path, header);
  const bits = integerTag(path, header, "TTResultFormat_BitsPerRecord");
  if (bits !== 32) {
    throw fileError(
      "file.unsupported-records",
      path,
      `says ${bits} bits a record; T2 records have 32`,
    );
  }
  const resolutionPs = resolutionPsOf(path, header);
  const { records, missingRecords, warnings } = countRecords(path, header, fileBytes);
  const inputs = header.tags.get("HW_InpChannels");
  const inputCount =
    typeof inputs === "bigint" && inputs > 0n && inputs <= 64n ? Number(inputs) : 64;
  const inputLabels = Array.from({ length: inputCount }, (_, channel) => ({
    channel,
    label: recordType.kernel === "pico-harp" ? `Ch${channel}` : `Input ${channel + 1}`,
  }));
  const markers = [0, 1, 2, 3].map((bit) => ({ channel: 65 + bit, label: `Marker ${bit + 1}` }));
  return {
    format: "ptu-t2",
    plan: {
      ...{
        ...recordType,
        recordBytes: 4,
        firstRecordByte: header.firstRecordByte,
        records,
        resolutionPs,
      },
      ...{ isLegacy: false, startsAtZero: true },
    },
    tickPs: { numerator: BigInt(resolutionPs), denominator: 1n },
    channels: [...inputLabels, { channel: 64, label: "Sync" }, ...markers],
    startUtcPs: startUtcPsOf(header.tags.get("File_CreatingTime")),
    // The file says when it was created, to the second, by the clock of a PC.
    startUncertaintyPs: 60_000_000_000_000n,
    ...{ warnings, missingRecords },
    settings: Object.fromEntries(header.tags),
  };
}
