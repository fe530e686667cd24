/**
 * How many pairs come together. Light is cut into cells: pulses, or coherence times in which the intensity is constant.
 * Numbers in different cells are independent; in one cell of mean mu they are Poisson, or, for thermal light in M modes, negative binomial:
 * P(0) = (1 + mu/M)^-M, P(n+1)/P(n) = (M + n)/(n + 1) mu/(M + mu) (Mandel, Wolf, "Optical Coherence and Quantum Optics", section 13.3;
 * for M = 2 and mu = 2 lambda it is P(n) = (n+1) lambda^n/(1+lambda)^(n+2) of Ma, Fung, Lo, PRA 76, 012307 (2007)).
 * Keeping each pair with probability p gives the same law of mean p mu, which is why pairs that nobody will see need not be drawn.
 */

/** What the kernel needs to draw numbers of pairs cell by cell; see `setCellLight`. */
export interface CellStatistics {
  /** -1 / ln P(0). */
  readonly emptyCellsScale: number;
  /** P(1) / (1 - P(0)). */
  readonly singleProbability: number;
  /** P(n + 1) = P(n) (ratioA + ratioB n) / (n + 1). */
  readonly ratioA: number;
  readonly ratioB: number;
}

/** Gives the law of the number of pairs in a cell of `mean` > 0; `modes` null is Poisson light. */
export function cellStatistics(mean: number, modes: number | null): CellStatistics {
  if (modes === null) {
    return {
      emptyCellsScale: 1 / mean,
      singleProbability: mean / Math.expm1(mean),
      ratioA: mean,
      ratioB: 0,
    };
  }
  const ratio = mean / (modes + mean);
  const darkness = modes * Math.log1p(mean / modes);
  return {
    emptyCellsScale: 1 / darkness,
    singleProbability: (modes * ratio) / Math.expm1(darkness),
    ratioA: modes * ratio,
    ratioB: ratio,
  };
}
