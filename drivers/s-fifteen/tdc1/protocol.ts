/**
 * S-Fifteen TDC1 time tagger: commands and the end of its stream. Pure. The dialect is in ../dialect.ts.
 *
 *     *RST;NIM;REFCLK 0;TIME 0;TIMESTAMP;COUNTS?   starts an endless stream of words, each 4 bytes, little-endian:
 *
 *         31                           5  4  3  2  1  0
 *         +----------------------------+--+--+--+--+--+
 *         | time, 2 ns, modulo 2^27    |D |4 |3 |2 |1 |   D: dummy, no photon; 1..4: input fired
 *         +----------------------------+--+--+--+--+--+
 *
 *     INPKT             sends a USB packet that is not yet full (512 bytes)
 *     ABORT;STATUS?     ends the stream; then 7 bytes: 4 hex digits, blank, CR, LF. Bit 0x0010: tags were lost
 *     LEVEL?            a line; its first word is the threshold in V
 *
 * An overflow shows in the status after the stream alone: in the stream nothing marks it, and asking
 * for the status meanwhile would put its text among the words. The words are decoded by hal/tags.
 * Source: S-Fifteen "Timestamp_TDC1" wiki; pyS15 usb_counter_fpga.py; qcrypto readevents4a.c.
 */
import { LabError } from "../../../hal/errors.ts";
import { abortCommand, encodeCommands, isDecimal } from "../dialect.ts";

/** Name of the byte stream, for the ingest worker. */
export const tdc1Format = "s-fifteen-tdc1";
export const tdc1Family = "TDC1";
/** 2 ns. */
export const tdc1TickPs = { numerator: 2_000n, denominator: 1n };

const overflowBit = 0x0010;
const commandByReference = {
  auto: "REFCLK 0",
  external: "REFCLK 1",
  internal: "REFCLK 2",
} as const;

/** What a stream is started with. */
export interface Tdc1Inputs {
  readonly threshold: "nim" | "ttl";
  readonly thresholdV?: number | undefined;
  readonly reference: keyof typeof commandByReference;
}

/** Encodes the threshold: a preset, or a voltage with its polarity. */
export function thresholdCommand({ threshold, thresholdV }: Tdc1Inputs): string {
  if (thresholdV === undefined) return threshold.toUpperCase();
  return `${thresholdV < 0 ? "NEG" : "POS"} ${thresholdV.toFixed(3)}`;
}

/** Encodes the start of an endless stream from a known state. */
export const startCommand = (inputs: Tdc1Inputs): string =>
  encodeCommands(
    "*RST",
    thresholdCommand(inputs),
    commandByReference[inputs.reference],
    ...["TIME 0", "TIMESTAMP", "COUNTS?"],
  );

export const stopCommand = encodeCommands("ABORT", "STATUS?");
export const flushCommand = encodeCommands("INPKT");
export const resetCommand = encodeCommands("*RST");
/** Ends a stream, and a command that was cut off before it. */
export const safeCommand = `\r\n${abortCommand}`;

/** The 7 bytes that end a stream. */
export const statusTail = { bytes: 7, pattern: /^[0-9a-fA-F]{4} \r\n$/ };

/** Parses the 7 bytes of a status; only one of its bits is documented. @throws LabError `protocol.malformed`. */
export function parseStatus(tail: string): {
  readonly word: number;
  readonly hasOverflowed: boolean;
} {
  if (!statusTail.pattern.test(tail)) {
    throw new LabError("protocol.malformed", `"${tail.trim()}" is no status of a TDC1`, {
      details: { tail },
    });
  }
  const word = Number.parseInt(tail.slice(0, 4), 16);
  return { word, hasOverflowed: (word & overflowBit) !== 0 };
}

/** Encodes a threshold together with the query that reads it back. */
export const setAndReadThreshold = (inputs: Tdc1Inputs): string =>
  encodeCommands(thresholdCommand(inputs), "LEVEL?");

/** The first word of a level reply, in V; NaN when it is none. */
export const parseLevelV = (line: string): number => {
  const [word = ""] = line.trim().split(/\s+/);
  return isDecimal(word) ? Number(word) : Number.NaN;
};

export const isLevel = (line: string): boolean => !Number.isNaN(parseLevelV(line));
