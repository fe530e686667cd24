/** Cuts a stream of bytes into lines. Pure; what a line means is the protocol's. */

/**
 * Appends bytes to an unfinished line and takes the lines that are now complete, without their
 * terminators (`\n` or `\r\n`). Bytes are latin1, so that no byte is refused or changed. An unfinished
 * line longer than `lengthMax` is given as a line of its own: memory stays bounded whatever arrives.
 */
export function takeLines(
  unfinished: string,
  bytes: Uint8Array,
  lengthMax: number,
): { readonly lines: readonly string[]; readonly tail: string } {
  const text =
    unfinished + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const lines: string[] = [];
  let start = 0;
  let end = text.indexOf("\n", unfinished.length);
  while (end !== -1) {
    lines.push(text.slice(start, text[end - 1] === "\r" && end > start ? end - 1 : end));
    start = end + 1;
    end = text.indexOf("\n", start);
  }
  const tail = text.slice(start);
  if (tail.length <= lengthMax) return { lines, tail };
  return { lines: [...lines, tail], tail: "" };
}
