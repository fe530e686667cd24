/**
 * How many secret bits a finite block yields: Lim, Xu, Pan and Ekert, Phys. Rev. Lett. 126, 100501 (2021),
 * with the leakage that really happened. Symbols: m sifted bits, k of them tested, n = m - k; delta the
 * tolerated error rate, nu and xi the proof's free parameters, 0 < xi < nu < 1/2 - delta.
 *
 * The tolerated rate has to be fixed before the sample is seen. Here it is the smallest member of a grid,
 * fixed by the settings, that the observed rate does not exceed; every member gets an equal share of the
 * secrecy error (union bound). The leakage is not known beforehand either; its value is public, and the
 * n + 1 possible values share eps_pa: for leakage r, l = n (1 - h(delta + nu)) - r - t + 2 log2(2 eps_pa / (n + 1)).
 * Both are sound because what is published with a key is a classical label: projecting on a label contracts the
 * trace distance, so the errors of the labels add up to at most the whole.
 *
 * Leakage counts Alice's parities. What Bob asks next depends, beyond them and public seeds, only on which bits were
 * wrong; that pattern is taken to be public, which costs nothing for outcomes of qubits, because ZZ, which it
 * reveals, commutes with XX, whose error rate the sample bounds (Tupkary and Lütkenhaus, arXiv:2307.00576,
 * who found proofs wrong that overlook this).
 */

/** Gives the binary entropy in bits; 0 outside (0, 1). */
export const binaryEntropy = (x: number): number =>
  x <= 0 || x >= 1 ? 0 : -x * Math.log2(x) - (1 - x) * Math.log2(1 - x);

/** The counts and the tolerated error rate of one block. */
export interface BlockCounts {
  /** m: all bits of the block. */
  readonly siftedBits: number;
  /** k: bits tested and disclosed, 0 < k < m. */
  readonly testBits: number;
  /** delta: tolerated error rate, 0..1/2. */
  readonly tolerance: number;
}

/** eps_pe: how improbable it is that the sample deceives by more than nu. */
export function sampleError(
  { siftedBits, testBits, tolerance }: BlockCounts,
  nu: number,
  xi: number,
): number {
  const n = siftedBits - testBits;
  const errors = siftedBits * (tolerance + xi);
  const gamma = 1 / (errors + 1) + 1 / (siftedBits - errors + 1);
  const drawn = Math.exp((-2 * siftedBits * testBits * xi * xi) / (n + 1));
  const rest = Math.exp(-2 * gamma * (n * n * (nu - xi) ** 2 - 1));
  return Math.sqrt(drawn + rest);
}

/** Minimises a function of one variable that has one minimum in [low, high]: golden-section search. */
function minimum(
  low: number,
  high: number,
  cost: (x: number) => number,
): { x: number; cost: number } {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [low, high];
  let [c, d] = [b - ratio * (b - a), a + ratio * (b - a)];
  let [costC, costD] = [cost(c), cost(d)];
  for (let i = 0; i < 60; i++) {
    if (costC <= costD) {
      [b, d, costD] = [d, c, costC];
      c = b - ratio * (b - a);
      costC = cost(c);
    } else {
      [a, c, costC] = [c, d, costD];
      d = a + ratio * (b - a);
      costD = cost(d);
    }
  }
  return costC <= costD ? { x: c, cost: costC } : { x: d, cost: costD };
}

/** What of the min-entropy survives: n (1 - h(delta + nu)) + 2 log2(2 eps_pa), before leakage; with its parameters. */
export interface SecretEntropy {
  /** May be negative or -Infinity: then no key exists. */
  readonly bits: number;
  readonly nu: number;
  readonly xi: number;
  readonly sampleError: number;
  readonly amplificationError: number;
}

/**
 * Optimises nu and xi for one tolerated rate and a secrecy error of `secrecyError` = 2 eps_pe + eps_pa.
 * For a given nu the best xi is the one of least eps_pe, so two nested searches in one variable do.
 */
export function secretEntropy(counts: BlockCounts, secrecyError: number): SecretEntropy {
  const n = counts.siftedBits - counts.testBits;
  const nuMax = 0.5 - counts.tolerance;
  const at = (nu: number): SecretEntropy => {
    const { x: xi, cost } = minimum(0, nu, (candidate) => sampleError(counts, nu, candidate));
    const amplificationError = secrecyError - 2 * cost;
    const bits =
      amplificationError > 0
        ? n * (1 - binaryEntropy(counts.tolerance + nu)) + 2 * Math.log2(2 * amplificationError)
        : Number.NEGATIVE_INFINITY;
    return { bits, nu, xi, sampleError: cost, amplificationError };
  };
  // Below some nu the sample alone costs more than the whole error: find that edge first.
  let [low, high] = [0, nuMax];
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (at(middle).amplificationError > 0) high = middle;
    else low = middle;
  }
  return at(minimum(high, nuMax, (nu) => -at(nu).bits).x);
}

/** The step of the grid of tolerated error rates, chosen so that rounding up and sharing the error cost about alike. */
export const toleranceStep = 0.0025;

/** Gives the grid of tolerated error rates up to `qberMax`: the multiples of the step, and `qberMax` itself. */
export function toleranceGrid(qberMax: number): readonly number[] {
  const steps = Math.floor(qberMax / toleranceStep + 1e-9);
  const grid = Array.from({ length: steps }, (_, i) => (i + 1) * toleranceStep);
  if (qberMax - steps * toleranceStep > 1e-9) grid.push(qberMax);
  return grid;
}

/** What key of a block is claimed to be: under these assumptions, but for these errors. */
export interface KeyPromise {
  readonly bound: "Lim-Xu-Pan-Ekert 2021";
  /** The key is this close to uniform and unknown to everybody else (trace distance). */
  readonly secrecyError: number;
  /** The ends' keys differ with at most this probability. */
  readonly correctnessError: number;
  /** The tolerated error rate that the block was judged by, 0..1. */
  readonly tolerance: number;
  readonly assumptions: readonly string[];
}

/** What the bound rests on and this code does not enforce; how far that is true is for whoever builds the ends to judge. */
export const keyAssumptions: readonly string[] = [
  "each end chooses Z or X with probability 1/2, independently of the state and of the other end",
  "detectors and analyzers of both bases and outcomes have equal efficiency: post-selection is fair",
  "outcomes are those of qubits in two mutually unbiased bases, so which bits were wrong may be public (Tupkary and Lütkenhaus, arXiv:2307.00576)",
  "detection times, which are announced to the tick, tell nothing of outcomes: delays and jitter of an end's detectors are alike (Pahali, Tefek and Durak, arXiv:2203.03250)",
  "bases are announced while later photons of a block are still on their way, and that helps nobody: the bound is proved for bases announced at the end; counts by basis, through which it is known to help (Pfister et al., arXiv:1506.07502), end no block here",
  "NOT PROVIDED HERE: the classical channel between the ends is authenticated",
  "nothing else leaves the ends but photons",
];

/** A block as it stands when its key is cut. */
export interface KeyLengthInput {
  readonly siftedBits: number;
  readonly testBits: number;
  /** Errors among the test bits. */
  readonly testErrors: number;
  readonly qberMax: number;
  /** Parities disclosed in reconciliation, every one. */
  readonly leakBits: number;
  /** Bits of the verification tag. */
  readonly tagBits: number;
  readonly securityError: number;
  readonly correctnessError: number;
}

/**
 * Gives the secret length of a block (a real number, 0 when the bound is not positive or the observed
 * rate is above `qberMax`) and what it promises. It includes every bit that will be cut from the
 * amplified string, confirmation bits too.
 */
export function secretLength(input: KeyLengthInput): {
  readonly bits: number;
  readonly promise: KeyPromise;
} {
  const { siftedBits, testBits, securityError } = input;
  const grid = toleranceGrid(input.qberMax);
  const observed = testBits === 0 ? 1 : input.testErrors / testBits;
  const tolerance = grid.find((candidate) => observed <= candidate + 1e-12);
  const promise: KeyPromise = {
    bound: "Lim-Xu-Pan-Ekert 2021",
    secrecyError: securityError,
    correctnessError: input.correctnessError,
    tolerance: tolerance ?? input.qberMax,
    assumptions: keyAssumptions,
  };
  if (tolerance === undefined) return { bits: 0, promise };
  const leakValues = siftedBits - testBits + 1;
  const entropy = secretEntropy({ siftedBits, testBits, tolerance }, securityError / grid.length);
  const bits = entropy.bits - 2 * Math.log2(leakValues) - input.leakBits - input.tagBits;
  return { bits: Math.max(0, bits), promise };
}

/**
 * Gives the secret length (not rounded, may be negative) after Tomamichel, Lim, Gisin and Renner, Nat. Commun.
 * 3, 634 (2012), for a tolerated rate fixed beforehand: the cross-check of the bound above.
 */
export function secretLengthTomamichel2012(
  counts: BlockCounts,
  cost: {
    readonly leakBits: number;
    readonly securityError: number;
    readonly correctnessError: number;
  },
): number {
  const { siftedBits, testBits: k, tolerance } = counts;
  const n = siftedBits - k;
  const mu = Math.sqrt((siftedBits / (n * k)) * ((k + 1) / k) * Math.log(4 / cost.securityError));
  if (tolerance + mu >= 0.5) return Number.NEGATIVE_INFINITY;
  return (
    n * (1 - binaryEntropy(tolerance + mu)) -
    cost.leakBits -
    Math.log2(2 / (cost.securityError ** 2 * cost.correctnessError))
  );
}
