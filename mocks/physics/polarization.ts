/**
 * Polarization of photon pairs: Bell states and their mixtures as real Pauli correlation tensors, rotations
 * of the Bloch sphere, and outcome probabilities. Pure mathematics; exact for every two-qubit state.
 *
 * A two-qubit state is rho = 1/4 sum T[i][j] sigma_i (x) sigma_j with sigma = (1, X, Y, Z), T[i][j] =
 * Tr(rho sigma_i (x) sigma_j), T[0][0] = 1 (Horodecki, Horodecki, PRA 54, 1838 (1996)). Rows are receiver A,
 * columns receiver B. Z tells H (+1) from V (-1), X tells D from A, Y tells (H + iV)/sqrt 2 from (H - iV)/sqrt 2.
 */
import { LabError } from "../../hal/errors.ts";

/** The four Bell states: (|00> +- |11>)/sqrt 2 and (|01> +- |10>)/sqrt 2. */
export const bellStates = ["phi+", "phi-", "psi+", "psi-"] as const;
export type BellState = (typeof bellStates)[number];
/** Analyzer bases: z rectilinear, x diagonal, y circular. */
export type Basis = "x" | "y" | "z";
/** A direction on the Bloch sphere, or the Bloch vector of a state. */
export type BlochVector = readonly [x: number, y: number, z: number];
/** A rotation of the Bloch sphere, row by row; applies to column vectors. */
export type Rotation = readonly [BlochVector, BlochVector, BlochVector];
/** 4x4 tensor, row-major, T[4 * i + j]; index 0 is the identity, then x, y, z. */
export type PauliTensor = readonly number[];
/** Visibility of the correlations in each basis, 0..1. */
export interface Visibilities {
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** Signs of the correlations <XX>, <YY>, <ZZ> in each Bell state. */
const correlationSigns: Readonly<Record<BellState, BlochVector>> = {
  "phi+": [1, -1, 1],
  "phi-": [-1, 1, 1],
  "psi+": [1, 1, -1],
  "psi-": [-1, -1, -1],
};

/** Rounding allowance on an eigenvalue that should not be negative. */
const eigenvalueTolerance = 1e-12;

/**
 * Gives the visibilities that settings of a source mean. A Werner state of fidelity F has (4F - 1)/3 in every basis
 * (Werner, PRA 40, 4277 (1989)). Without `visibilityY` it is visibilityX * visibilityZ: independent bit and phase errors.
 * @throws LabError `mock.state` when both fidelity and visibilities are given, or no quantum state has them.
 */
export function visibilitiesOf(source: {
  readonly fidelity?: number | undefined;
  readonly visibilityX?: number | undefined;
  readonly visibilityY?: number | undefined;
  readonly visibilityZ?: number | undefined;
}): Visibilities {
  const { fidelity, visibilityX, visibilityY, visibilityZ } = source;
  if (fidelity !== undefined) {
    if ((visibilityX ?? visibilityY ?? visibilityZ) !== undefined) {
      throw new LabError("mock.state", "give either a fidelity or visibilities, not both");
    }
    const werner = (4 * fidelity - 1) / 3;
    return { x: werner, y: werner, z: werner };
  }
  const x = visibilityX ?? 1;
  const z = visibilityZ ?? 1;
  const visibilities = { x, y: visibilityY ?? x * z, z };
  if (Math.min(...bellDiagonalEigenvalues(visibilities)) < -eigenvalueTolerance) {
    throw new LabError(
      "mock.state",
      `no quantum state has visibilities x ${x}, y ${visibilities.y}, z ${z}: visibilityY must lie between ` +
        `${Math.max(0, x + z - 1)} and ${1 - Math.abs(x - z)}`,
      { details: { ...visibilities } },
    );
  }
  return visibilities;
}

/**
 * Gives the weights of the intended Bell state, of it with a Z, X and Y error on one photon: the eigenvalues of the density
 * matrix. All are >= 0 exactly when the visibilities belong to a state.
 */
export const bellDiagonalEigenvalues = ({
  x,
  y,
  z,
}: Visibilities): readonly [none: number, zError: number, xError: number, yError: number] => [
  (1 + x + y + z) / 4,
  (1 - x - y + z) / 4,
  (1 + x - y - z) / 4,
  (1 - x + y - z) / 4,
];

/** Gives the tensor of the Bell-diagonal state around `bellState` with these visibilities. */
export function bellDiagonalTensor(bellState: BellState, visibilities: Visibilities): PauliTensor {
  const [x, y, z] = correlationSigns[bellState];
  const tensor = new Array<number>(16).fill(0);
  tensor[0] = 1;
  tensor[5] = x * visibilities.x;
  tensor[10] = y * visibilities.y;
  tensor[15] = z * visibilities.z;
  return tensor;
}

/** Gives the direction of the +1 outcome of a basis. */
export const axisOf = (basis: Basis): BlochVector =>
  basis === "x" ? [1, 0, 0] : basis === "y" ? [0, 1, 0] : [0, 0, 1];

/** Gives the right-handed rotation by an angle about an axis of any length but 0 (Rodrigues' formula). */
export function rotationAbout(axis: BlochVector, angleRad: number): Rotation {
  const length = Math.hypot(...axis);
  if (!(length > 0)) throw new RangeError("a rotation axis has a length above 0");
  const [x, y, z] = [axis[0] / length, axis[1] / length, axis[2] / length];
  const c = Math.cos(angleRad);
  const s = Math.sin(angleRad);
  const d = 1 - c;
  return [
    [c + d * x * x, d * x * y - s * z, d * x * z + s * y],
    [d * x * y + s * z, c + d * y * y, d * y * z - s * x],
    [d * x * z - s * y, d * y * z + s * x, c + d * z * z],
  ];
}

/** Gives the tensor after photon A has passed rotation `a` and photon B rotation `b`: a T b^T on the correlations. */
export function rotateTensor(tensor: PauliTensor, a: Rotation, b: Rotation): PauliTensor {
  const lift = (rotation: Rotation, row: number, column: number): number =>
    row === 0 || column === 0 ? Number(row === column) : (rotation[row - 1]?.[column - 1] ?? 0);
  const rotated = new Array<number>(16).fill(0);
  for (let cell = 0; cell < 256; cell++) {
    const [i, j, k, l] = [cell >> 6, (cell >> 4) & 3, (cell >> 2) & 3, cell & 3];
    rotated[4 * i + j] =
      (rotated[4 * i + j] ?? 0) + lift(a, i, k) * (tensor[4 * k + l] ?? 0) * lift(b, j, l);
  }
  return rotated;
}

/**
 * Gives P(a, b) = 1/4 (1 + a rA.n + b rB.m + a b n.T.m), the probability that the analyzer along n at A gives
 * outcome `a` and the one along m at B gives `b`; outcome 0 is the +1 eigenstate.
 */
export function outcomeProbability(
  tensor: PauliTensor,
  a: { readonly direction: BlochVector; readonly outcome: 0 | 1 },
  b: { readonly direction: BlochVector; readonly outcome: 0 | 1 },
): number {
  const extend = (end: { readonly direction: BlochVector; readonly outcome: 0 | 1 }): number[] => {
    const sign = end.outcome === 0 ? 1 : -1;
    return [1, ...end.direction.map((component) => sign * component)];
  };
  const left = extend(a);
  const right = extend(b);
  let sum = 0;
  for (let i = 0; i < 4; i++) {
    for (let j = 0; j < 4; j++) sum += (left[i] ?? 0) * (tensor[4 * i + j] ?? 0) * (right[j] ?? 0);
  }
  return sum / 4;
}
