/** Finds an instrument's last words at the end of a binary stream. Pure. */

/** Holds back the last bytes of a stream, which may be the tail. */
export interface StreamTail {
  readonly held: Uint8Array;
}

/** Appends bytes; gives the new tail and the bytes that are now certainly none of it. */
export function holdBack(
  tail: StreamTail,
  bytes: Uint8Array,
  tailBytes: number,
): { readonly tail: StreamTail; readonly released: Uint8Array } {
  const all = Buffer.concat([tail.held, bytes]);
  const cut = Math.max(0, all.length - tailBytes);
  return { tail: { held: all.subarray(cut) }, released: all.subarray(0, cut) };
}

/** The tail as text when it is complete and matches, else null. */
export function matchTail(tail: StreamTail, tailBytes: number, pattern: RegExp): string | null {
  if (tail.held.length !== tailBytes) return null;
  const text = Buffer.from(tail.held).toString("latin1");
  return pattern.test(text) ? text : null;
}
