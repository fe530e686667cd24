/** Copies both ends' times while the clock is unknown, and says when there is enough for a search. */
import type { ClockSearchRequest } from "./clock-search.ts";

/** The acquisition starts with one second, is doubled after each failure, and starts afresh after the last. */
const firstS = 1;
const lastS = 8;
/** A side that runs ahead by more than this waits for a tagger that stands still: both begin afresh. */
const leadMaxS = 3;
/** Times of one end; at higher rates the acquisition is shorter. */
const timesMax = 2 ** 22;

type Window = Pick<
  ClockSearchRequest,
  "localTimes" | "remoteTimes" | "localFromPs" | "localToPs" | "remoteFromPs" | "remoteToPs"
>;

class Side {
  #parts: BigInt64Array[] = [];
  count = 0;
  fromPs: bigint | null = null;
  toPs = 0n;

  add(times: BigInt64Array, fromPs: bigint, toPs: bigint): void {
    if (this.isFull) return;
    this.fromPs ??= fromPs;
    this.toPs = toPs;
    this.#parts.push(times);
    this.count += times.length;
  }

  get isFull(): boolean {
    return this.count >= timesMax;
  }

  get spanS(): number {
    return this.fromPs === null ? 0 : Number(this.toPs - this.fromPs) / 1e12;
  }

  times(): BigInt64Array {
    const all = new BigInt64Array(this.count);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** One acquisition after the other. */
export class SearchCollector {
  #local = new Side();
  #remote = new Side();
  #acquisitionS = firstS;
  #isSearching = false;

  get isSearching(): boolean {
    return this.#isSearching;
  }

  /** Forgets everything collected, and the search that runs on it. */
  restart(): void {
    this.#local = new Side();
    this.#remote = new Side();
    this.#acquisitionS = firstS;
    this.#isSearching = false;
  }

  /** Adds local times; before the first remote ones they are not kept, so that both stretches begin together. */
  addLocal(times: BigInt64Array, fromPs: bigint, toPs: bigint): void {
    if (this.#remote.fromPs !== null) this.#local.add(times, fromPs, toPs);
  }

  addRemote(times: BigInt64Array, fromPs: bigint, toPs: bigint): void {
    this.#remote.add(times, fromPs, toPs);
    const aheadS = Math.abs(this.#remote.spanS - this.#local.spanS);
    if (aheadS > leadMaxS && !this.#isSearching) this.restart();
  }

  /** Gives the acquisition once it is long enough, once. */
  take(): Window | null {
    const [local, remote] = [this.#local, this.#remote];
    if (this.#isSearching || local.fromPs === null || remote.fromPs === null) return null;
    const isLong = local.spanS >= this.#acquisitionS && remote.spanS >= this.#acquisitionS;
    if (!isLong && !local.isFull && !remote.isFull) return null;
    if (local.count === 0 && remote.count === 0) return null;
    this.#isSearching = true;
    return {
      ...{ localTimes: local.times(), localFromPs: local.fromPs, localToPs: local.toPs },
      ...{ remoteTimes: remote.times(), remoteFromPs: remote.fromPs, remoteToPs: remote.toPs },
    };
  }

  /** The search found nothing: collects on for twice as long, or afresh. */
  failed(): void {
    const isLast = this.#acquisitionS >= lastS || this.#local.isFull || this.#remote.isFull;
    if (isLast) this.restart();
    else this.#acquisitionS *= 2;
    this.#isSearching = false;
  }
}
