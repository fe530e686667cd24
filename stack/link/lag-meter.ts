const arrivalsMax = 1_024;
const lagsMax = 200;

/** Measures the time from the arrival of a block to the delivery of the pairs it completes. */
export class LagMeter {
  #arrivals: { readonly toPs: bigint; readonly atMs: number }[] = [];
  #lags: number[] = [];

  arrived(toPs: bigint, atMs: number): void {
    this.#arrivals.push({ toPs, atMs });
    if (this.#arrivals.length > arrivalsMax) this.#arrivals.shift();
  }

  /** Pairs up to `toPs` were delivered. */
  delivered(toPs: bigint, atMs: number): void {
    const next = this.#arrivals.findIndex((arrival) => arrival.toPs >= toPs);
    if (next < 0) return;
    this.#arrivals.splice(0, next);
    this.#lags.push(atMs - (this.#arrivals[0]?.atMs ?? atMs));
    if (this.#lags.length > lagsMax) this.#lags.shift();
  }

  /** Percentiles, ms; null before the first delivery. */
  percentiles(): { readonly p50: number; readonly p99: number } | null {
    const sorted = this.#lags.toSorted((a, b) => a - b);
    const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
    return sorted.length === 0 ? null : { p50: at(0.5), p99: at(0.99) };
  }
}
