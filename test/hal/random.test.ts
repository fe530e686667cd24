import { describe, expect, it } from "vitest";
import { randomFromBytes, systemRandom } from "../../hal/random.ts";
import { seededRandom } from "../../mocks/seeded-random.ts";

/** A source that gives these words, then zeros. */
const scripted = (...words: number[]) => {
  let next = 0;
  return randomFromBytes((length) => {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(0, words[next++] ?? 0, true);
    return bytes;
  });
};

describe("bounded draws", () => {
  it("throw away the words that would favour small numbers", () => {
    // 2^32 mod 3 = 1: the last word is one too many.
    expect(scripted(2 ** 32 - 1, 5).below(3)).toBe(2);
    expect(scripted(2 ** 32 - 2).below(3)).toBe((2 ** 32 - 2) % 3);
    expect(scripted(2 ** 32 - 1).below(2 ** 32)).toBe(2 ** 32 - 1);
  });

  it("are uniform: ten values, each within 5.4 sigma of a tenth (false alarm below 1e-6 in all)", () => {
    const random = seededRandom(1);
    const counts = new Uint32Array(10);
    for (let draw = 0; draw < 100_000; draw++) {
      const value = random.below(10);
      counts[value] = (counts[value] ?? 0) + 1;
    }
    const sigma = Math.sqrt(100_000 * 0.1 * 0.9);
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(5.4 * sigma);
  });

  it.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])("refuse the bound %s", (bound) => {
    expect(() => systemRandom.below(bound)).toThrow(RangeError);
  });
});

it("uniform draws use 53 bits and stay below 1", () => {
  expect(scripted(2 ** 32 - 1, 2 ** 32 - 1).uniform()).toBe(1 - 2 ** -53);
  expect(scripted(0, 64).uniform()).toBe(2 ** -53);
  expect(scripted(0, 0).uniform()).toBe(0);
});

it("the system's bytes differ from draw to draw, and a seed's do not from run to run", () => {
  expect(systemRandom.bytes(16)).not.toEqual(systemRandom.bytes(16));
  expect(seededRandom(7).bytes(16)).toEqual(seededRandom(7).bytes(16));
  expect(seededRandom(7).bytes(16)).not.toEqual(seededRandom(8).bytes(16));
});
