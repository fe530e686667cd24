/**
 * The oracle: what a mock lab's clicks should be, in closed form from its settings. It knows true states and true times, so
 * tests alone may use it; no node, driver or protocol does.
 *
 * Model of singles, coincidences and accidentals: Neumann, Scheidl, Selimovic, Pivoluska, Liu, Bohmann, Ursin, PRA 104, 022406 (2021),
 * equations for S, CC_t, CC_acc and eta_t, extended by dead time per detector, afterpulses and bunched light.
 */
import type { DetectorSettings, LabSettings } from "./lab-settings.ts";
import { endsOf, pairFates } from "./pair-fates.ts";
import type { Basis } from "./polarization.ts";

/** What one detector should show. */
export interface DetectorExpectation {
  readonly detector: DetectorSettings;
  /** Photons per second that would be detected if the detector were always ready. */
  readonly photonRateHz: number;
  /** Clicks per second, dark counts and afterpulses included, after dead time. */
  readonly clickRateHz: number;
  /** Share of time in which the detector is ready. */
  readonly liveFraction: number;
}

/** What one pair of detectors should show together. */
export interface CoincidenceExpectation {
  /** Positions in the receivers' lists of detectors. */
  readonly a: number;
  readonly b: number;
  /** Coincidences of two photons of one pair, per second, within the window. */
  readonly trueRateHz: number;
  /** Others within the window, per second. */
  readonly accidentalRateHz: number;
  /** Combined jitter of the difference of the two times. */
  readonly jitterPsFwhm: number;
}

/** What coincidences in one basis should show, both receivers measuring in it. */
export interface BasisExpectation {
  readonly coincidenceRateHz: number;
  /** Share of coincidences whose outcomes are not those of the intended Bell state, 0..1. */
  readonly qber: number;
  /** 1 - 2 qber. */
  readonly visibility: number;
  /** All coincidences over accidental ones. */
  readonly car: number;
}

/** Everything that the oracle tells. */
export interface LabExpectation {
  readonly detectors: readonly [readonly DetectorExpectation[], readonly DetectorExpectation[]];
  readonly coincidences: readonly CoincidenceExpectation[];
  /** Coincidences per second in all combinations of detectors. */
  readonly coincidenceRateHz: number;
  /** All coincidences over accidental ones, in all combinations of detectors. */
  readonly car: number;
  readonly bases: Readonly<Partial<Record<Basis, BasisExpectation>>>;
}

/** Gives what a lab should show at a pump current, with a coincidence window of full width `windowPs`, delays removed. */
export function expectLab(
  lab: LabSettings,
  options: { readonly windowPs: number; readonly pumpCurrentMa?: number },
): LabExpectation {
  const scale =
    (options.pumpCurrentMa ?? lab.source.nominalCurrentMa) / lab.source.nominalCurrentMa;
  const light = lightOf(lab, scale);
  const { probabilities, columns } = pairFates(lab);
  const rows = probabilities.length / columns;
  const fate = (row: number, column: number): number => probabilities[row * columns + column] ?? 0;
  const ends = endsOf(lab);
  const sum = (count: number, term: (at: number) => number): number =>
    Array.from({ length: count }, (_, at) => term(at)).reduce((total, value) => total + value, 0);
  const detectors = [
    ends[0].detectors.map((detector, i) =>
      expectDetector(detector, light.pairRateHz * sum(columns, (column) => fate(i + 1, column))),
    ),
    ends[1].detectors.map((detector, j) =>
      expectDetector(detector, light.pairRateHz * sum(rows, (row) => fate(row, j + 1))),
    ),
  ] as const;
  const coincidences = detectors[0].flatMap((a, i) =>
    detectors[1].map((b, j) => ({
      a: i,
      b: j,
      ...expectCoincidence(a, b, light, fate(i + 1, j + 1), options.windowPs),
    })),
  );
  return {
    detectors,
    coincidences,
    ...totalOf(coincidences),
    bases: Object.fromEntries(
      (["x", "y", "z"] as const).flatMap((basis) => {
        const expected = expectBasis(lab, coincidences, basis);
        return expected === null ? [] : [[basis, expected]];
      }),
    ),
  };
}

interface Light {
  readonly pairRateHz: number;
  /** Length of a cell of constant intensity and its variance relative to Poisson light: g2 - 1 in a cell. */
  readonly cellPs: number;
  readonly bunching: number;
  readonly pulsePsFwhm: number | null;
}

function lightOf({ source }: LabSettings, scale: number): Light {
  const bunching = source.statistics === "thermal" ? 1 / source.modes : 0;
  return source.emission === "pulsed"
    ? {
        pairRateHz: (scale * source.pairsPerPulse * 1e12) / source.pulsePeriodPs,
        cellPs: source.pulsePeriodPs,
        bunching,
        pulsePsFwhm: source.pulsePsFwhm,
      }
    : {
        pairRateHz: scale * source.pairRateHz,
        cellPs: source.coherenceTimePs,
        bunching,
        pulsePsFwhm: null,
      };
}

/**
 * Clicks of a detector that does not prolong its dead time tau: R / (1 + R tau) for Poisson light and dark counts of rate R (Knoll,
 * "Radiation Detection and Measurement", section 4.VII). Each of those clicks breeds p exp(-tau / decay) afterpulses after the dead time, of which as
 * many as of all others meet a live detector; the result is exact for p = 0 and to second order in p and R tau otherwise.
 */
function expectDetector(detector: DetectorSettings, photonRateHz: number): DetectorExpectation {
  const deadTimeS = detector.deadTimePs / 1e12;
  const arrivalRateHz = photonRateHz + detector.darkCountRateHz;
  const bred =
    detector.afterpulseProbability * Math.exp(-detector.deadTimePs / detector.afterpulseDecayPs);
  let liveFraction = 1;
  for (let round = 0; round < 200; round++) {
    const clickRateHz = arrivalRateHz * liveFraction * (1 + bred * liveFraction);
    // Halfway steps converge for every rate.
    liveFraction = (liveFraction + Math.max(0, 1 - clickRateHz * deadTimeS)) / 2;
  }
  const clickRateHz = arrivalRateHz * liveFraction * (1 + bred * liveFraction);
  return { detector, photonRateHz, clickRateHz, liveFraction };
}

/**
 * True coincidences B eta_A eta_B P(a, b) times the share of the window, erf(sqrt(ln 2) w / FWHM); accidentals S_A S_B w, with the
 * surplus of bunched light, or, for pulses, those of different pairs of one pulse.
 */
function expectCoincidence(
  a: DetectorExpectation,
  b: DetectorExpectation,
  light: Light,
  fate: number,
  windowPs: number,
): Omit<CoincidenceExpectation, "a" | "b"> {
  const live = a.liveFraction * b.liveFraction;
  const jitterPsFwhm = Math.hypot(a.detector.jitterPsFwhm, b.detector.jitterPsFwhm);
  const trueRateHz = light.pairRateHz * fate * live * windowShare(windowPs, jitterPsFwhm);
  const photons = (a.photonRateHz * b.photonRateHz * live) / 1e12;
  const clicks = (a.clickRateHz * b.clickRateHz) / 1e12;
  if (light.pulsePsFwhm === null) {
    const surplus = photons * light.bunching * cellOverlapPs(light.cellPs, windowPs);
    return { trueRateHz, accidentalRateHz: clicks * windowPs + surplus, jitterPsFwhm };
  }
  const spreadPsFwhm = Math.hypot(jitterPsFwhm, Math.SQRT2 * light.pulsePsFwhm);
  const samePulse =
    photons * light.cellPs * (1 + light.bunching) * windowShare(windowPs, spreadPsFwhm);
  const accidentalRateHz = (clicks - photons) * windowPs + samePulse;
  return { trueRateHz, accidentalRateHz, jitterPsFwhm };
}

/** Integral of the correlation within a cell, (1 - |t| / cell), over the window. */
function cellOverlapPs(cellPs: number, windowPs: number): number {
  const halfPs = Math.min(windowPs / 2, cellPs);
  return 2 * halfPs - halfPs ** 2 / cellPs;
}

const windowShare = (windowPs: number, spreadPsFwhm: number): number =>
  spreadPsFwhm === 0 ? 1 : errorFunction((Math.sqrt(Math.LN2) * windowPs) / spreadPsFwhm);

/** The error function for x >= 0: series below 3, continued fraction above (Abramowitz, Stegun 7.1.6 and 7.1.14). */
export function errorFunction(x: number): number {
  if (x > 6) return 1;
  if (x < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 100; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return 1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}

function totalOf(coincidences: readonly CoincidenceExpectation[]): {
  readonly coincidenceRateHz: number;
  readonly car: number;
} {
  const accidentalRateHz = coincidences.reduce((sum, pair) => sum + pair.accidentalRateHz, 0);
  const coincidenceRateHz = coincidences.reduce(
    (sum, pair) => sum + pair.trueRateHz,
    accidentalRateHz,
  );
  return { coincidenceRateHz, car: coincidenceRateHz / accidentalRateHz };
}

function expectBasis(
  lab: LabSettings,
  coincidences: readonly CoincidenceExpectation[],
  basis: Basis,
): BasisExpectation | null {
  const [endA, endB] = endsOf(lab);
  const inBasis = coincidences.filter(
    ({ a, b }) => endA.detectors[a]?.basis === basis && endB.detectors[b]?.basis === basis,
  );
  if (inBasis.length === 0) return null;
  const isError = ({ a, b }: CoincidenceExpectation): boolean =>
    (endA.detectors[a]?.outcome === endB.detectors[b]?.outcome) !== hasEqualOutcomes(lab, basis);
  const rateOf = (pairs: readonly CoincidenceExpectation[]): number =>
    pairs.reduce((sum, pair) => sum + pair.trueRateHz + pair.accidentalRateHz, 0);
  const { coincidenceRateHz, car } = totalOf(inBasis);
  const qber = rateOf(inBasis.filter(isError)) / coincidenceRateHz;
  return { coincidenceRateHz, qber, visibility: 1 - 2 * qber, car };
}

/** Whether the intended Bell state gives equal outcomes in a basis: the signs of <XX>, <YY>, <ZZ>. */
function hasEqualOutcomes({ source }: LabSettings, basis: Basis): boolean {
  const isPhi = source.bellState.startsWith("phi");
  const isPlus = source.bellState.endsWith("+");
  if (basis === "z") return isPhi;
  return basis === "x" ? isPlus : isPhi !== isPlus;
}
