/**
 * Visibility and error rate from disclosed outcomes of one basis: V = (C+ - C-) / (C+ + C-), with C+ the
 * counts that the Bell state favours, and QBER = (1 - V) / 2.
 */

/** An estimate with its standard uncertainty (k = 1). */
export interface Estimated {
  readonly value: number;
  readonly uncertainty: number;
}

/** Disclosed pairs of one basis: as the Bell state has them, and against it. */
export interface SampleCounts {
  readonly expected: number;
  readonly erroneous: number;
}

/**
 * Gives the error rate, 0..1, of a sample. The value is the sample's own; the uncertainty is the standard
 * deviation of the beta distribution that a uniform prior leaves, so that no errors in few pairs do not
 * claim certainty. Null for an empty sample.
 */
export function qberOf({ expected, erroneous }: SampleCounts): Estimated | null {
  const total = expected + erroneous;
  if (total === 0) return null;
  const [a, b] = [erroneous + 1, expected + 1];
  const variance = (a * b) / ((a + b) ** 2 * (a + b + 1));
  return { value: erroneous / total, uncertainty: Math.sqrt(variance) };
}

/** Gives the visibility, -1..1, of a sample of one basis: 1 - 2 QBER. Null for an empty sample. */
export function visibilityOf(counts: SampleCounts): Estimated | null {
  const qber = qberOf(counts);
  return qber === null ? null : { value: 1 - 2 * qber.value, uncertainty: 2 * qber.uncertainty };
}
