import { describe, expect, it } from "vitest";
import { instantiateKernels } from "../../../hal/tags/kernel-module.ts";
import { errorFunction } from "../../../mocks/physics/oracle.ts";
import {
  compilePhotonKernels,
  createKernelMemory,
  freeAddress,
  type PhotonKernels,
} from "../../../mocks/physics/photon-kernels.ts";
import { expectNear, expectShare } from "./lab-run.ts";

const mask = (1n << 64n) - 1n;
const rotate = (word: bigint, by: bigint): bigint => ((word << by) | (word >> (64n - by))) & mask;

/** splitmix64 and xoshiro256++ as their authors publish them, in integers of any size. */
function referenceWords(seed: bigint): () => bigint {
  let state = seed;
  const splitmix = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let word = state;
    word = ((word ^ (word >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    word = ((word ^ (word >> 27n)) * 0x94d049bb133111ebn) & mask;
    return word ^ (word >> 31n);
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  return () => {
    const result = (rotate((a + d) & mask, 23n) + a) & mask;
    const shifted = (b << 17n) & mask;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 45n);
    return result;
  };
}

function setUp(seed: bigint, draws: number) {
  const memory = createKernelMemory(freeAddress + 2 ** 16 + 8 * draws);
  const kernels = instantiateKernels<PhotonKernels>(compilePhotonKernels(), memory);
  const [random, tables, out] = [freeAddress, freeAddress + 64, freeAddress + 2 ** 16];
  kernels.seedRandom(random, seed);
  kernels.fillZigguratTables(tables);
  return { kernels, memory, random, tables, out };
}

/** Right edge of the ziggurat of exp(-x) with 256 layers, and the area of a layer (Marsaglia, Tsang, section 3). */
const edge = 7.697117470131049;
const area = 3.949659822581572e-3;

/**
 * Layer boundaries from the base upwards: layer i lies between x[i + 1] and x[i], x[1] is the edge, x[0] the width of a
 * strip that has the area of the base and its tail.
 */
function referenceLayers(): readonly number[] {
  const x = [area / Math.exp(-edge), edge];
  for (let i = 2; i < 256; i++) {
    const below = x[i - 1] ?? 0;
    x.push(-Math.log(Math.exp(-below) + area / below));
  }
  x.push(0);
  return x;
}

/** One exponential as the ziggurat draws it from these words; NaN when it rejects. */
function referenceDraw(next: () => bigint, x: readonly number[]): number {
  const uniform = () => Number(next() >> 11n) / 2 ** 53;
  const word = next();
  const layer = Number(word & 255n);
  // The kernel numbers the layers from the base (0), then from the top (1) down to the edge (255).
  const at = layer === 0 ? 0 : 256 - layer;
  const [outer = 0, inner = 0] = [x[at], x[at + 1]];
  const position = (Number(word >> 11n) / 2 ** 53) * outer;
  if (position < inner) return position;
  if (layer === 0) return edge - Math.log(1 - uniform());
  const height = Math.exp(-outer) + (Math.exp(-inner) - Math.exp(-outer)) * uniform();
  return height < Math.exp(-position) ? position : Number.NaN;
}

/** Mean of the k-th power. */
const moment = (draws: Float64Array, k: number): number =>
  draws.reduce((sum, draw) => sum + draw ** k, 0) / draws.length;
/** How many draws lie in [from, to). */
const countIn = (draws: Float64Array, from: number, to: number): number =>
  draws.reduce((count, draw) => count + Number(draw >= from && draw < to), 0);

describe("xoshiro256++", () => {
  it.each([0n, 1n, 0x123456789abcdefn])("gives the published words for seed %d", (seed) => {
    const { kernels, memory, random, out } = setUp(seed, 1000);
    kernels.fillBits(random, out, 1000);
    const words = new BigUint64Array(memory.buffer, out, 1000);
    const next = referenceWords(seed);
    for (const word of words) expect(word).toBe(next());
  });

  it("begins with the words of splitmix64 that its author's program prints for seed 1234567", () => {
    const { memory, random } = setUp(1234567n, 1);
    const state = [...new BigUint64Array(memory.buffer, random, 4)];
    expect(state).toEqual([
      6457827717110365317n,
      3203168211198807973n,
      9817491932198370423n,
      4593380528125082431n,
    ]);
  });
});

describe("ziggurats", () => {
  it("accept in a layer exactly what the reference accepts", () => {
    const { kernels, memory, random, tables, out } = setUp(5n, 20_000);
    kernels.fillExponentials(random, tables, out, 20_000);
    const x = referenceLayers();
    const next = referenceWords(5n);
    for (const draw of new Float64Array(memory.buffer, out, 20_000)) {
      let expected = Number.NaN;
      while (Number.isNaN(expected)) expected = referenceDraw(next, x);
      expect(Math.abs(draw - expected)).toBeLessThan(1e-11);
    }
  });

  it("give exponentials: moments 1, 2, 6, and the right share in every tenth and in the tail", () => {
    const n = 2_000_000;
    const { kernels, memory, random, tables, out } = setUp(6n, n);
    kernels.fillExponentials(random, tables, out, n);
    const draws = new Float64Array(memory.buffer, out, n);
    expectNear(moment(draws, 1), 1, Math.sqrt(1 / n));
    expectNear(moment(draws, 2), 2, Math.sqrt((24 - 4) / n));
    expectNear(moment(draws, 3), 6, Math.sqrt((720 - 36) / n));
    for (let tenth = 0; tenth < 10; tenth++) {
      const [from, to] = [-Math.log1p(-tenth / 10), -Math.log1p(-(tenth + 1) / 10)];
      expectShare(countIn(draws, from, to), n, 0.1);
    }
    expectShare(countIn(draws, 8, Infinity), n, Math.exp(-8));
  });

  it("give normals: moments 0, 1, 0, 3, and the right share in every band and in both tails", () => {
    const n = 2_000_000;
    const { kernels, memory, random, tables, out } = setUp(7n, n);
    kernels.fillNormals(random, tables, out, n);
    const draws = new Float64Array(memory.buffer, out, n);
    expectNear(moment(draws, 1), 0, Math.sqrt(1 / n));
    expectNear(moment(draws, 2), 1, Math.sqrt(2 / n));
    expectNear(moment(draws, 3), 0, Math.sqrt(15 / n));
    expectNear(moment(draws, 4), 3, Math.sqrt(96 / n));
    const below = (z: number) => (1 + Math.sign(z) * errorFunction(Math.abs(z) / Math.SQRT2)) / 2;
    for (let from = -2.5; from < 2.5; from += 0.5) {
      expectShare(countIn(draws, from, from + 0.5), n, below(from + 0.5) - below(from));
    }
    // Published: Q(3.7) = 1.0780e-4.
    expectShare(countIn(draws, 3.7, Infinity), n, 1.078e-4);
    expectShare(countIn(draws, -Infinity, -3.7), n, 1.078e-4);
  });
});
