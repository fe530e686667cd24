/**
 * What can become of one pair: which detector, if any, each of its photons would make click. Everything between emission and
 * detection that does not depend on time is one table of probabilities: loss, passive basis choice, rotation in the fibre, the joint outcome, efficiency.
 */
import { transmissionFromDb } from "../../hal/units.ts";
import type { LabSettings, ReceiverSettings } from "./lab-settings.ts";
import {
  axisOf,
  type BlochVector,
  bellDiagonalTensor,
  outcomeProbability,
  type PauliTensor,
  rotateTensor,
  rotationAbout,
  visibilitiesOf,
} from "./polarization.ts";

/** Group index of standard single-mode fibre at 1550 nm (Corning SMF-28 product sheet: 1.4682). */
const groupIndex = 1.468;
const lightKmPerPs = 299_792.458e-12;

/** Gives the time that light spends in a fibre, rounded to 1 ps. */
export const fibreDelayPs = (lengthKm: number): bigint =>
  BigInt(Math.round((groupIndex * lengthKm) / lightKmPerPs));

/** Gives the two ends of the source, A and B, in the order of the station file. */
export function endsOf(
  lab: Pick<LabSettings, "receivers">,
): readonly [ReceiverSettings, ReceiverSettings] {
  const [a, b] = Object.values(lab.receivers);
  if (a === undefined || b === undefined) throw new RangeError("a pair source has two receivers");
  return [a, b];
}

/** Gives the state of a pair at the two analyzers, after the fibres. */
export function stateAtAnalyzers(lab: Pick<LabSettings, "source" | "receivers">): PauliTensor {
  const [a, b] = endsOf(lab);
  const rotationOf = ({ fibre }: ReceiverSettings) =>
    rotationAbout(fibre.rotation.axis, (fibre.rotation.angleDeg * Math.PI) / 180);
  const emitted = bellDiagonalTensor(lab.source.bellState, visibilitiesOf(lab.source));
  return rotateTensor(emitted, rotationOf(a), rotationOf(b));
}

/** One detector as a photon meets it. */
interface Port {
  /** Probability that a photon gets to this analyzer and, if its outcome is this detector's, is detected. */
  readonly weight: number;
  readonly direction: BlochVector;
  readonly outcome: 0 | 1;
}

function portsOf(receiver: ReceiverSettings): Port[] {
  const { fibre, basisProbabilityZ: z, basisProbabilityY: y, detectors } = receiver;
  const transmission = transmissionFromDb(
    fibre.lengthKm * fibre.lossDbPerKm + fibre.insertionLossDb,
  );
  const basisProbability = { x: 1 - y - z, y, z };
  return detectors.map(({ basis, outcome, efficiency }) => ({
    weight: transmission * basisProbability[basis] * efficiency,
    direction: axisOf(basis),
    outcome,
  }));
}

/** The fates of a pair. */
export interface PairFates {
  /**
   * Row-major, (detectors of A + 1) x (detectors of B + 1); row and column 0 stand for a photon that is not detected.
   * The sum is 1.
   */
  readonly probabilities: Float64Array;
  readonly columns: number;
  /** Probability that at least one of the two photons is detected. */
  readonly seenProbability: number;
}

/** Computes the fates of a pair from the settings of source, fibres, analyzers and detectors. */
export function pairFates(lab: Pick<LabSettings, "source" | "receivers">): PairFates {
  const [portsA, portsB] = endsOf(lab).map(portsOf) as [Port[], Port[]];
  const tensor = stateAtAnalyzers(lab);
  const columns = portsB.length + 1;
  const probabilities = new Float64Array((portsA.length + 1) * columns);
  const add = (row: number, column: number, probability: number): void => {
    const at = row * columns + column;
    probabilities[at] = (probabilities[at] ?? 0) + probability;
  };
  // A photon's own outcome: 1/2 (1 +- r.n), r its Bloch vector, column or row 0 of the tensor.
  const alone = ({ weight, direction, outcome }: Port, bloch: readonly (number | undefined)[]) =>
    (weight / 2) *
    (1 + (1 - 2 * outcome) * direction.reduce((sum, n, i) => sum + n * (bloch[i] ?? 0), 0));
  const blochA = [tensor[4], tensor[8], tensor[12]];
  const blochB = [tensor[1], tensor[2], tensor[3]];
  for (const [j, b] of portsB.entries()) add(0, j + 1, alone(b, blochB));
  for (const [i, a] of portsA.entries()) {
    add(i + 1, 0, alone(a, blochA));
    for (const [j, b] of portsB.entries()) {
      const both = a.weight * b.weight * outcomeProbability(tensor, a, b);
      add(i + 1, j + 1, both);
      add(i + 1, 0, -both);
      add(0, j + 1, -both);
    }
  }
  const seenProbability = probabilities.reduce((sum, probability) => sum + probability, 0);
  probabilities[0] = 1 - seenProbability;
  return { probabilities, columns, seenProbability };
}

/** Bytes of the table that `writeFates` makes. */
export const fatesBytes = 6 * 256;

/**
 * Writes the fates of a pair of which something is seen as an alias table (Walker, ACM TOMS 3, 253 (1977)):
 * thresholds u32[256], the other slot u8[256], fate u8[256] with row << 4 | column. Probabilities are kept to 2^-40.
 */
export function writeFates(fates: PairFates, table: DataView): void {
  const heights = new Float64Array(slots);
  for (let at = 1; at < fates.probabilities.length; at++) {
    const probability = Math.max(0, fates.probabilities[at] ?? 0);
    const fate = (Math.floor(at / fates.columns) << 4) | (at % fates.columns);
    heights[at - 1] = (probability / fates.seenProbability) * slots;
    table.setUint8(5 * slots + at - 1, fate);
  }
  for (const { slot, share, other } of aliasSlots(heights)) {
    table.setUint32(4 * slot, Math.min(2 ** 32 - 1, Math.round(share * 2 ** 32)), true);
    table.setUint8(4 * slots + slot, other);
  }
}

const slots = 256;

/** Pairs slots of height below 1 with slots above it (Vose, IEEE TSE 17, 972 (1991)); the mean height is 1. */
function* aliasSlots(
  heights: Float64Array,
): Generator<{ readonly slot: number; readonly share: number; readonly other: number }> {
  const low: number[] = [];
  const high: number[] = [];
  const sort = (slot: number): void => void ((heights[slot] ?? 0) < 1 ? low : high).push(slot);
  for (const slot of heights.keys()) sort(slot);
  while (low.length > 0 && high.length > 0) {
    const slot = low.pop() ?? 0;
    const other = high.pop() ?? 0;
    const share = heights[slot] ?? 0;
    yield { slot, share, other };
    heights[other] = (heights[other] ?? 0) - (1 - share);
    sort(other);
  }
  // What is left has height 1 but for rounding.
  for (const slot of [...low, ...high]) yield { slot, share: 1, other: slot };
}
