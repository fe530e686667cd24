import { createHash, timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";

/**
 * Key material. It cannot be printed, logged, interpolated or made JSON: every such path shows only
 * its length. Bytes are reached through `use` alone, and `wipe` overwrites them.
 */
export class SecretBytes implements Disposable {
  readonly #bytes: Uint8Array;
  #wiped = false;

  /** Takes the bytes over: the caller's array is overwritten. */
  static take(bytes: Uint8Array): SecretBytes {
    const secret = new SecretBytes(Uint8Array.from(bytes));
    bytes.fill(0);
    return secret;
  }

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  /** Runs `run` on the bytes themselves; what it copies out is no longer guarded. */
  use<T>(run: (bytes: Uint8Array) => T): T {
    if (this.#wiped) throw new TypeError("this secret has been wiped");
    return run(this.#bytes);
  }

  /** Compares in time that depends on the length alone. */
  equals(other: SecretBytes): boolean {
    return (
      other.byteLength === this.byteLength &&
      this.use((mine) => other.use((theirs) => timingSafeEqual(mine, theirs)))
    );
  }

  /** Gives a public fingerprint: SHA-256 over a label and the bytes, in hex, `hexDigits` long. */
  fingerprint(label: string, hexDigits = 16): string {
    return this.use((bytes) =>
      createHash("sha256").update(`bellwether fingerprint ${label}\0`).update(bytes).digest("hex"),
    ).slice(0, hexDigits);
  }

  wipe(): void {
    this.#bytes.fill(0);
    this.#wiped = true;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return `[secret of ${this.#bytes.length} bytes]`;
  }

  // biome-ignore lint/style/useNamingConvention: the name is the language's.
  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
