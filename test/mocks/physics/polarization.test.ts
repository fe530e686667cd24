import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLabError } from "../../../hal/errors.ts";
import {
  bellDiagonalEigenvalues,
  bellDiagonalTensor,
  outcomeProbability,
  rotateTensor,
  rotationAbout,
  visibilitiesOf,
} from "../../../mocks/physics/polarization.ts";

const identity = rotationAbout([0, 0, 1], 0);

/** Probability of outcomes in z of a state vector (|00>, |01>, |10>, |11>), real amplitudes. */
const zProbabilities = (amplitudes: readonly number[]): number[] => amplitudes.map((a) => a * a);

describe("states", () => {
  it("are those of the Bell vectors in z", () => {
    const half = Math.SQRT1_2;
    const vectors = {
      "phi+": [half, 0, 0, half],
      "phi-": [half, 0, 0, -half],
      "psi+": [0, half, half, 0],
      "psi-": [0, half, -half, 0],
    } as const;
    for (const [bellState, amplitudes] of Object.entries(vectors)) {
      const tensor = bellDiagonalTensor(bellState as keyof typeof vectors, { x: 1, y: 1, z: 1 });
      const probabilities = [0, 1, 2, 3].map((at) =>
        outcomeProbability(
          tensor,
          { direction: [0, 0, 1], outcome: at < 2 ? 0 : 1 },
          { direction: [0, 0, 1], outcome: at % 2 === 0 ? 0 : 1 },
        ),
      );
      for (const [at, probability] of zProbabilities(amplitudes).entries()) {
        expect(probabilities[at]).toBeCloseTo(probability, 12);
      }
    }
  });

  it("have eigenvalues that add to 1, and the singlet's visibility law V = (4F - 1) / 3", () => {
    const visibilities = visibilitiesOf({ fidelity: 0.85 });
    expect(visibilities.x).toBeCloseTo((4 * 0.85 - 1) / 3, 12);
    const [fidelity, ...errors] = bellDiagonalEigenvalues(visibilities);
    expect(fidelity).toBeCloseTo(0.85, 12);
    for (const error of errors) expect(error).toBeCloseTo(0.05, 12);
  });

  it("have independent errors in x and z unless visibilityY is given", () => {
    expect(visibilitiesOf({ visibilityX: 0.9, visibilityZ: 0.8 })).toEqual({
      x: 0.9,
      y: 0.9 * 0.8,
      z: 0.8,
    });
    expect(visibilitiesOf({})).toEqual({ x: 1, y: 1, z: 1 });
  });

  it("that no density matrix has are refused, exactly beyond the edge", () => {
    expect(visibilitiesOf({ visibilityX: 0.9, visibilityZ: 0.9, visibilityY: 0.8 }).y).toBe(0.8);
    for (const impossible of [
      { visibilityX: 0.9, visibilityZ: 0.9, visibilityY: 0.79 },
      { visibilityX: 0.5, visibilityZ: 0.9, visibilityY: 0.61 },
      { fidelity: 0.9, visibilityX: 0.9 },
    ]) {
      expect(() => visibilitiesOf(impossible)).toThrow(
        expect.toSatisfy((error) => isLabError(error, "mock.state")),
      );
    }
  });
});

describe("rotations", () => {
  it("are right-handed: a quarter turn about z takes x to y, about x takes y to z, about y takes z to x", () => {
    for (const [axis, from, to] of [
      [[0, 0, 1], 0, 1],
      [[1, 0, 0], 1, 2],
      [[0, 1, 0], 2, 0],
    ] as const) {
      const rotation = rotationAbout(axis, Math.PI / 2);
      for (let row = 0; row < 3; row++)
        expect(rotation[row]?.[from]).toBeCloseTo(Number(row === to), 12);
    }
  });

  it("keep probabilities between 0 and 1 and their sum 1, for any state, rotations and directions", () => {
    const component = fc.double({ min: -1, max: 1, noNaN: true });
    const vector = fc.tuple(component, component, component).filter((v) => Math.hypot(...v) > 0.1);
    const angle = fc.double({ min: -7, max: 7, noNaN: true });
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(
        vector,
        angle,
        vector,
        angle,
        vector,
        vector,
        unit,
        unit,
        (u, alpha, v, beta, n, m, x, z) => {
          const state = bellDiagonalTensor(
            "psi+",
            visibilitiesOf({ visibilityX: x, visibilityZ: z }),
          );
          const turned = rotateTensor(state, rotationAbout(u, alpha), rotationAbout(v, beta));
          const normal = (w: readonly [number, number, number]) =>
            [w[0] / Math.hypot(...w), w[1] / Math.hypot(...w), w[2] / Math.hypot(...w)] as const;
          const all = (
            [
              [0, 0],
              [0, 1],
              [1, 0],
              [1, 1],
            ] as const
          ).map(([a, b]) =>
            outcomeProbability(
              turned,
              { direction: normal(n), outcome: a },
              { direction: normal(m), outcome: b },
            ),
          );
          for (const probability of all) expect(probability).toBeGreaterThan(-1e-12);
          expect(all.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 200, seed: 12 },
    );
  });

  it("undo each other", () => {
    const state = bellDiagonalTensor("phi-", { x: 0.9, y: 0.85, z: 0.8 });
    const there = rotateTensor(state, rotationAbout([1, 2, 3], 0.7), identity);
    const back = rotateTensor(there, rotationAbout([1, 2, 3], -0.7), identity);
    for (const [at, value] of back.entries()) expect(value).toBeCloseTo(state[at] ?? 0, 12);
  });
});
