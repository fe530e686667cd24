import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLabError } from "../../../hal/errors.ts";
import { seededRandom } from "../../../mocks/seeded-random.ts";
import {
  AnnouncementCodec,
  decodeIndices,
  encodeIndices,
} from "../../../stack/physical/announcement.ts";
import {
  type ClockModel,
  kernelModel,
  localFromRemote,
} from "../../../stack/physical/clock-model.ts";
import { KernelSpace } from "../../../stack/physical/kernel-space.ts";

const space = new KernelSpace(2 ** 25);
const codec = new AnnouncementCodec(space);

/** Sums a discrete Fourier transform at one frequency, in double precision. */
function dft(re: readonly number[], im: readonly number[], k: number): readonly [number, number] {
  let [sumRe, sumIm] = [0, 0];
  for (let n = 0; n < re.length; n++) {
    const angle = (-2 * Math.PI * ((n * k) % re.length)) / re.length;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    sumRe += (re[n] ?? 0) * c - (im[n] ?? 0) * s;
    sumIm += (re[n] ?? 0) * s + (im[n] ?? 0) * c;
  }
  return [sumRe, sumIm];
}

describe("the transform", () => {
  for (const points of [16, 32, 64, 512, 4096, 8192]) {
    it(`of ${points} points agrees with the sum that defines it`, () => {
      const own = new KernelSpace(2 ** 20);
      const array = () => own.allocate(4 * points);
      const [re, im, workRe, workIm, cosines, sines] = [
        array(),
        array(),
        array(),
        array(),
        array(),
        array(),
      ];
      const random = seededRandom(points);
      const draw = () => Array.from({ length: points }, () => Math.fround(random.uniform() - 0.5));
      const [x, y] = [draw(), draw()];
      own.float32(re, points).set(x);
      own.float32(im, points).set(y);
      own.kernels.fillTwiddles(points, cosines, sines, own.allocate(2 ** 14));
      const flipped = own.kernels.transform(points, re, im, workRe, workIm, cosines, sines);
      const [outRe, outIm] = flipped === 0 ? [re, im] : [workRe, workIm];
      for (const k of [0, 1, 2, 3, 5, points / 4, points / 2, points - 1, Math.floor(points / 3)]) {
        const [wantRe, wantIm] = dft(x, y, k);
        // Single precision: 6e-8 a step, log2(points) steps, values of sqrt(points / 6).
        const tolerance = 6e-7 * Math.log2(points) * Math.sqrt(points);
        expect(Math.abs((own.float32(outRe, points)[k] ?? 0) - wantRe)).toBeLessThan(tolerance);
        expect(Math.abs((own.float32(outIm, points)[k] ?? 0) - wantIm)).toBeLessThan(tolerance);
      }
    });
  }
});

describe("matching", () => {
  it("agrees with integers of any size, far beyond 2^53 ps", () => {
    const model: ClockModel = {
      ...{ referencePs: 5n * 10n ** 17n, offsetPs: -(3n * 10n ** 17n) + 1n, driftPpb: -1234.5678 },
      ...{ offsetUncertaintyPs: 0, driftUncertaintyPpb: 0 },
    };
    const times = (values: readonly number[], base: bigint) =>
      BigInt64Array.from(
        [...values].sort((a, b) => a - b),
        (value) => base + BigInt(value),
      );
    const list = fc.array(fc.nat(200_000), { minLength: 1, maxLength: 60 });
    const [remoteAt, localAt, indices, positions, residuals] = [0, 0, 0, 0, 0].map(() =>
      space.allocate(8 * 64),
    ) as [number, number, number, number, number];
    fc.assert(
      fc.property(list, list, fc.integer({ min: 1, max: 9_001 }), (a, b, window) => {
        const remote = times(a, model.referencePs + 10n ** 13n);
        const local = times(b, localFromRemote(model, model.referencePs + 10n ** 13n));
        const [below, above] = [-BigInt(Math.floor(window / 2)), BigInt(Math.ceil(window / 2))];
        space.int64(remoteAt, remote.length).set(remote);
        space.int64(localAt, local.length).set(local);
        const count = space.kernels.matchEvents(
          ...([remoteAt, remote.length, localAt, 0, local.length] as const),
          ...kernelModel(model),
          ...([below, above, indices, positions, residuals] as const),
        );
        const want: [number, number, number][] = [];
        let next = 0;
        remote.forEach((time, index) => {
          const predicted = localFromRemote(model, time);
          for (let at = next; at < local.length; at++) {
            const residual = predicted - (local[at] ?? 0n);
            if (residual >= below && residual < above) {
              want.push([index, at, Number(residual)]);
              next = at + 1;
              return;
            }
          }
        });
        const got = Array.from({ length: count }, (_, at) => [
          ...[space.uint32(indices, count)[at], space.uint32(positions, count)[at]],
          space.int32(residuals, count)[at],
        ]);
        expect(got).toEqual(want);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the announcement's codec", () => {
  const fields = { block: 0n, segment: 0, bases: new Uint8Array(0), losses: [] };

  it("gives back times, in ticks or in picoseconds", () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt(0n, 10n ** 12n), { maxLength: 50 }),
        fc.constantFrom(1n, 2_000n),
        fc.bigInt(0n, 2n ** 62n),
        (gaps, unit, fromPs) => {
          let time = fromPs;
          const times = BigInt64Array.from(
            gaps,
            (gap) => (time += gap * (gap % 3n === 0n ? 1n : unit)),
          );
          const toPs = time + 1n;
          const wire = codec.encodeTimes(times, fromPs, unit);
          expect(
            codec.decodeTimes({ ...fields, ...wire, fromPs, toPs, count: times.length }),
          ).toEqual(times);
        },
      ),
    );
  });

  it("takes two bytes for 100 kcps of 2 ns ticks", () => {
    const times = BigInt64Array.from({ length: 1_000 }, (_, at) => BigInt(at) * 10_000_000n);
    expect(codec.encodeTimes(times, 0n, 2_000n).times.length).toBeLessThan(2_001);
  });

  it("answers any bytes with times in the stretch or pairs.malformed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(12),
        fc.bigInt(1n, 2n ** 40n),
        (times, count, unitPs) => {
          try {
            const decoded = codec.decodeTimes({
              ...fields,
              times,
              count,
              unitPs,
              basePs: 5n,
              fromPs: 0n,
              toPs: 10n ** 6n,
            });
            expect(
              decoded.every((time, at) => time >= (decoded[at - 1] ?? 5n) && time < 10n ** 6n),
            ).toBe(true);
          } catch (error) {
            expect(isLabError(error, "pairs.malformed")).toBe(true);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("gives back bits and rising indices, and refuses others", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(1), { maxLength: 70 }),
        fc.uniqueArray(fc.nat(65_535), { maxLength: 50 }),
        (bits, set) => {
          expect([...codec.unpackBits(codec.packBits(Uint8Array.from(bits)), bits.length)]).toEqual(
            bits,
          );
          const indices = Uint32Array.from(set).sort();
          const bytes = encodeIndices(indices);
          expect(decodeIndices(bytes, indices.length, 65_536)).toEqual(indices);
          const last = indices.at(-1);
          if (last !== undefined)
            expect(() => decodeIndices(bytes, indices.length, last)).toThrow(/does not decode/);
          expect(() => decodeIndices(bytes, indices.length + 1, 2 ** 20)).toThrow(
            /does not decode/,
          );
        },
      ),
    );
    expect(() => codec.unpackBits(Uint8Array.of(1, 2), 3)).toThrow(/does not decode/);
    expect(() => decodeIndices(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 1), 1, 10)).toThrow(
      /does not decode/,
    );
  });
});
