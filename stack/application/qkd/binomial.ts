/** Exact statistics of an error count; rates are 0..1. */

const lanczos = [
  76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155,
  1.208650973866179e-3, -5.395239384953e-6,
];

/** ln of the gamma function for x > 0 (Lanczos; Press et al., Numerical Recipes, 2nd ed., 6.1; relative error below 2e-10). */
function logGamma(x: number): number {
  const shifted = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  let series = 1.000000000190015;
  for (const [i, coefficient] of lanczos.entries()) series += coefficient / (x + 1 + i);
  return -shifted + Math.log((2.5066282746310007 * series) / x);
}

/** Keeps a denominator of the continued fraction away from zero. */
const awayFromZero = (x: number): number => (Math.abs(x) < 1e-300 ? 1e-300 : x);

/** Continued fraction of the incomplete beta function by Lentz's method (Numerical Recipes, 2nd ed., 6.4). */
function betaFraction(a: number, b: number, x: number): number {
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m <= 10_000; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / awayFromZero(1 + even * d);
    c = awayFromZero(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / awayFromZero(1 + odd * d);
    c = awayFromZero(1 + odd / c);
    value *= d * c;
    if (Math.abs(d * c - 1) < 1e-14) break;
  }
  return value;
}

/** Gives the regularised incomplete beta function I_x(a, b), a > 0, b > 0, 0 <= x <= 1. */
export function incompleteBeta(a: number, b: number, x: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x),
  );
  return x < (a + 1) / (a + b + 2)
    ? (front * betaFraction(a, b, x)) / a
    : 1 - (front * betaFraction(b, a, 1 - x)) / b;
}

/** Finds x in [0, 1] with I_x(a, b) = target by bisection. */
function inverseIncompleteBeta(a: number, b: number, target: number): number {
  let low = 0;
  let high = 1;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (incompleteBeta(a, b, middle) < target) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Gives the Clopper-Pearson interval of an error rate: it covers the true rate with at least `confidence`
 * for every rate (Clopper and Pearson, Biometrika 26, 404 (1934)).
 */
export function clopperPearson(
  errors: number,
  trials: number,
  confidence: number,
): { readonly low: number; readonly high: number } {
  if (trials === 0) return { low: 0, high: 1 };
  const tail = (1 - confidence) / 2;
  return {
    low: errors === 0 ? 0 : inverseIncompleteBeta(errors, trials - errors + 1, tail),
    high: errors === trials ? 1 : inverseIncompleteBeta(errors + 1, trials - errors, 1 - tail),
  };
}
