import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { createLogger, toJson } from "../../hal/log.ts";
import { SecretBytes } from "../../hal/secret.ts";

const take = (...bytes: number[]): SecretBytes => SecretBytes.take(Uint8Array.from(bytes));

describe("a secret", () => {
  it("takes its bytes over and wipes the caller's", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const secret = SecretBytes.take(bytes);
    expect([...bytes]).toEqual([0, 0, 0]);
    expect(secret.use((own) => [...own])).toEqual([1, 2, 3]);
    expect(secret.byteLength).toBe(3);
  });

  it("shows only its length on every path to a screen, a file or a log", () => {
    const secret = take(171, 205, 239);
    const lines: string[] = [];
    createLogger({ destination: { write: (line) => lines.push(line) } }).info({ secret }, "key");
    const shown = [
      ...[String(secret), `${secret}`, JSON.stringify({ secret }), toJson({ secret })],
      ...[inspect(secret), inspect({ deep: [secret] }), inspect(secret, { showHidden: true })],
      ...[Object.values(secret).join(), lines.join()],
    ].join("\n");
    expect(shown).toContain("[secret of 3 bytes]");
    // Decimal bytes next to each other: a single one may be part of a time or a process id.
    expect(shown).not.toMatch(/171\D+205|205\D+239|ab\W*cd|cd\W*ef|q83v/i);
  });

  it("is compared by all its bytes and its length", () => {
    expect(take(1, 2).equals(take(1, 2))).toBe(true);
    expect(take(1, 2).equals(take(1, 3))).toBe(false);
    expect(take(1, 2).equals(take(1, 2, 0))).toBe(false);
  });

  it("has a fingerprint that depends on label and bytes", () => {
    expect(take(1).fingerprint("a")).toMatch(/^[0-9a-f]{16}$/);
    expect(take(1).fingerprint("a")).toBe(take(1).fingerprint("a"));
    expect(take(1).fingerprint("a")).not.toBe(take(1).fingerprint("b"));
    expect(take(1).fingerprint("a")).not.toBe(take(2).fingerprint("a"));
  });

  it("is gone once wiped", () => {
    const secret = take(9, 9);
    const own = secret.use((bytes) => bytes);
    secret[Symbol.dispose]();
    expect([...own]).toEqual([0, 0]);
    expect(() => secret.use(() => 0)).toThrow(TypeError);
  });
});
