/**
 * Headerless recordings of S-Fifteen instruments, told by what their words look like.
 *
 * "a1" events of readevents (.ts), 64 bits, as two u32: low word first, or high word first ("legacy", -X):
 *     63-10 time in 1/256 ns | 9-8 both set, or both clear | 5 varies | 4 dummy | 3-0 inputs
 * Raw TDC1 words, u32:
 *     31-5 time in 2 ns | 4 dummy | 3-0 inputs
 *
 * Sources: s-fifteen-instruments/qcrypto timestamp7/readevents7.c and readevents4/readevents4a.c; fpfind
 * lib/parse_timestamps.py; S-Fifteen TDC1 documentation.
 */
import type { RecordingFormat, RecordingHead } from "./recording-format.ts";

/** Words looked at; enough that noise cannot pass. */
const wordsMax = 2_000;
const tdc1TimeMask = 2 ** 27 - 1;
/** Dummies come every 2^26 ticks at the latest, "about every 140 ms" by the maker's words. */
const tdc1StepTicksMax = 75_000_000;

const beginning = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Tells whether the events have bits 9-8 all set or all clear, show a click or a dummy, and keep their order in time. */
function looksLikeEvents(bytes: Uint8Array, isLegacy: boolean): boolean {
  const view = beginning(bytes);
  const events = Math.min(Math.floor(bytes.length / 8), wordsMax);
  let marked = 0;
  let clear = 0;
  let silent = 0;
  let backward = 0;
  let previous = 0;
  for (let at = 0; at < 8 * events; at += 8) {
    const high = view.getUint32(at + (isLegacy ? 0 : 4), true);
    const low = view.getUint32(at + (isLegacy ? 4 : 0), true);
    // The upper 42 bits of the time, exact in a double.
    const time = high * 2 ** 10 + (low >>> 22);
    if (time < previous) backward++;
    if ((low & 0x300) === 0x300) marked++;
    if ((low & 0x300) === 0) clear++;
    if ((low & 0x1f) === 0) silent++;
    previous = time;
  }
  const isUniform = Math.max(marked, clear) >= 0.99 * events;
  return events > 0 && isUniform && silent <= 0.01 * events && backward <= 0.01 * events;
}

function looksLikeTdc1Words(bytes: Uint8Array): boolean {
  const view = beginning(bytes);
  const words = Math.min(Math.floor(bytes.length / 4), wordsMax);
  if (words < 8) return false;
  let previous = view.getUint32(0, true) >>> 5;
  for (let at = 0; at < 4 * words; at += 4) {
    const word = view.getUint32(at, true);
    const time = word >>> 5;
    const isSilent = (word & 0x1f) === 0;
    if (isSilent || ((time - previous) & tdc1TimeMask) > tdc1StepTicksMax) return false;
    previous = time;
  }
  return true;
}

/** Gives the format whose words the beginning of a file resembles, or null. */
export function detectWordFormat(bytes: Uint8Array): RecordingFormat | null {
  if (looksLikeEvents(bytes, false)) return "s-fifteen-a1";
  if (looksLikeEvents(bytes, true)) return "s-fifteen-a1-legacy";
  return looksLikeTdc1Words(bytes) ? "tdc1-words" : null;
}

/** Gives what is known of a headerless file of `fileBytes` bytes. */
export function readWordHead(format: RecordingFormat, fileBytes: number): RecordingHead {
  const isTdc1 = format === "tdc1-words";
  const recordBytes = isTdc1 ? 4 : 8;
  const rest = fileBytes % recordBytes;
  return {
    format,
    plan: {
      ...{ kernel: isTdc1 ? "tdc1" : "a1", recordBytes, firstRecordByte: 0 },
      records: Math.floor(fileBytes / recordBytes),
      ...{ resolutionPs: 1, wrapTicks: 0, countsWraps: false },
      ...{ isLegacy: format === "s-fifteen-a1-legacy", startsAtZero: false },
    },
    tickPs: isTdc1 ? { numerator: 2_000n, denominator: 1n } : { numerator: 125n, denominator: 32n },
    channels: [0, 1, 2, 3].map((channel) => ({ channel, label: `ch${channel + 1}` })),
    ...{ startUtcPs: null, startUncertaintyPs: 0n, missingRecords: null, settings: {} },
    warnings: rest === 0 ? [] : [`${rest} bytes of an unfinished record at the end are ignored`],
  };
}
