/**
 * How unlikely a count is by chance. Chernoff's bound on the upper tail of a Poisson distribution of mean
 * m: P(N >= n) <= exp(-D), D = n ln(n / m) - n + m for n > m (Mitzenmacher and Upfal, "Probability and
 * Computing", theorem 5.4). It holds for every m, in the far tail too, where a Gaussian does not.
 */
export function excessNats(count: number, mean: number): number {
  if (count <= mean || count <= 0) return 0;
  if (mean <= 0) return Number.POSITIVE_INFINITY;
  return count * Math.log(count / mean) - count + mean;
}

/**
 * Gives the least `excessNats` at which the best of `trials` counts is believed: by the union bound, chance
 * reaches it with a probability of `falseAlarmProbability` at most.
 */
export const thresholdNats = (trials: number, falseAlarmProbability: number): number =>
  Math.log(trials / falseAlarmProbability);
