/**
 * The command dialect that all S-Fifteen boards share: ASCII in any case, ended by `;`, LF or CR LF,
 * several to a write; replies are lines ended by CR LF; accepted settings are silent.
 * Source: S-Fifteen Timestamp_TDC1 wiki; pyS15 `serial_connection.py` and `docs/pyserial.md`.
 */

/** The firmware drops its command buffer when more comes without a terminator. */
export const commandLengthMax = 255;

/** A command as the interpreter sees it: name in capitals, words after it as sent. */
export interface Command {
  readonly name: string;
  readonly words: readonly string[];
}

const semicolon = 0x3b;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Cuts received bytes into commands, however they were split. Holds at most 255 bytes. */
export class CommandReader {
  #pending = "";
  #isOverlong = false;

  /** Takes the next bytes and calls `execute` for each command they complete. */
  push(bytes: Uint8Array, execute: (command: Command) => void): void {
    for (const byte of bytes) {
      if (byte !== semicolon && byte !== lineFeed && byte !== carriageReturn) {
        if (this.#pending.length === commandLengthMax) this.#isOverlong = true;
        else this.#pending += String.fromCharCode(byte);
        continue;
      }
      const words = this.#isOverlong ? [] : this.#pending.split(/\s+/).filter(Boolean);
      this.#pending = "";
      this.#isOverlong = false;
      const [name, ...rest] = words;
      if (name !== undefined) execute({ name: name.toUpperCase(), words: rest });
    }
  }
}

/** Parses a plain decimal number; null when it is none. */
export const parseDecimal = (word: string | undefined): number | null =>
  word !== undefined && /^[+-]?(\d+\.?\d*|\.\d+)$/.test(word) ? Number(word) : null;

/** Encodes one reply line. */
export const encodeReply = (line: string): Uint8Array => Buffer.from(`${line}\r\n`, "latin1");

/** The answer to what an instrument does not know. The makers publish no text; their older power meter says this. */
export const unknownCommandReply = "Unknown command";
