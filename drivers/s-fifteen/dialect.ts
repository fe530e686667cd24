/**
 * The serial dialect that all S-Fifteen boards share. Pure.
 *
 *     host to board                      board to host
 *     NAME? <end>                        one line, CR LF
 *     NAME value <end>                   nothing, or on some boards a line that refuses
 *     *IDN? <end>                        a line with the family: TDC1, SPDCSDR, SPD, OPM, UD, LCD cell driver
 *     <end> is ; or LF or CR LF; several commands may share a write of at most 255 bytes
 *
 * Source: S-Fifteen pyS15, serial_connection.py and docs/pyserial.md.
 */
import type { DeviceIdentity } from "../../hal/device.ts";
import type { LineMarker } from "../../hal/links/line-transaction.ts";

/** The firmware drops its buffer when a write is longer. */
const writeBytesMax = 255;

export const identityQuery = "*IDN?\r\n";
/** Harmless, and ends a command that was cut off. */
export const emptyCommand = "\r\n";
export const abortCommand = "ABORT\r\n";

/** Encodes commands that share one write. */
export function encodeCommands(...commands: readonly string[]): string {
  const text = `${commands.join(";")}\r\n`;
  if (text.length > writeBytesMax) {
    throw new RangeError(`a write of ${text.length} bytes would be dropped by the board`);
  }
  return text;
}

/** Tells a reply that is a plain decimal number. */
export const isDecimal = (line: string): boolean => /^\s*[+-]?\d+(\.\d+)?\s*$/.test(line);

/** Tells text from the words of a binary stream. */
export const isPrintable = (line: string): boolean => /^[\x20-\x7e\t]+$/.test(line);

/** Gives the query whose reply finds the place in the conversation again. */
export const familyMarker = (family: string): LineMarker => ({
  text: identityQuery,
  isReply: (line) => line.includes(family),
  timeoutMs: 1_000,
});

/** Parses an identity line; its wording is not published, so only what can be recognised is taken. */
export function parseIdentity(line: string, model: string): DeviceIdentity {
  const raw = line.trim();
  const serialNumber = /\b(?:TDC1|SPDC|SPDCSDR|SPD)-[A-Za-z0-9-]+/.exec(raw)?.[0] ?? null;
  const firmware = /\b(?:fw|firmware|version|v)[ .:]?(\d[\w.]*)/i.exec(raw)?.[1] ?? null;
  return { vendor: "S-Fifteen Instruments", model, serialNumber, firmware, raw };
}
