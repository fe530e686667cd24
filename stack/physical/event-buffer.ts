/** The matching end's own detections, in kernel memory, until no announcement can ask for them. */
import type { DetectionEvents } from "./click-resolver.ts";
import type { KernelSpace } from "./kernel-space.ts";

/** Sorted times with basis and outcome; positions count from 0 at the oldest kept event. */
export class EventBuffer {
  readonly #space: KernelSpace;
  readonly #capacity: number;
  /** Twice the capacity, so that old events are moved out of the way once in a capacity of new ones. */
  readonly #room: number;
  readonly #times: number;
  readonly #bases: Uint8Array;
  readonly #outcomes: Uint8Array;
  #start = 0;
  #end = 0;

  constructor(space: KernelSpace, capacity: number) {
    this.#space = space;
    this.#capacity = capacity;
    this.#room = 2 * capacity;
    this.#times = space.allocate(8 * this.#room);
    this.#bases = new Uint8Array(this.#room);
    this.#outcomes = new Uint8Array(this.#room);
  }

  get count(): number {
    return this.#end - this.#start;
  }

  /** Address of the oldest kept time. */
  get timesAddress(): number {
    return this.#times + 8 * this.#start;
  }

  /** Copies the events at some positions. */
  pick(positions: Uint32Array): {
    readonly times: BigInt64Array;
    readonly bases: Uint8Array;
    readonly outcomes: Uint8Array;
  } {
    const count = positions.length;
    const [times, bases, outcomes] = [
      new BigInt64Array(count),
      new Uint8Array(count),
      new Uint8Array(count),
    ];
    const kept = this.#view();
    for (let at = 0; at < count; at++) {
      const position = positions[at] ?? 0;
      times[at] = kept[position] ?? 0n;
      bases[at] = this.#bases[this.#start + position] ?? 0;
      outcomes[at] = this.#outcomes[this.#start + position] ?? 0;
    }
    return { times, bases, outcomes };
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
  }

  /** Appends events; when there is no room the oldest go. Gives how many went. */
  append({ times, bases, outcomes }: DetectionEvents): number {
    const skipped = Math.max(0, times.length - this.#capacity);
    const added = times.length - skipped;
    const dropped = Math.max(0, this.count + added - this.#capacity);
    this.#start += dropped;
    if (this.#end + added > this.#room) this.#compact();
    this.#space.int64(this.#times + 8 * this.#end, added).set(times.subarray(skipped));
    this.#bases.set(bases.subarray(skipped), this.#end);
    this.#outcomes.set(outcomes.subarray(skipped), this.#end);
    this.#end += added;
    return dropped + skipped;
  }

  /** Position of the first event at or after a time. */
  positionOf(timePs: bigint): number {
    const times = this.#view();
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((times[middle] ?? 0n) < timePs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Lets the oldest `count` events go. */
  drop(count: number): void {
    this.#start += Math.min(count, this.count);
  }

  #view(): BigInt64Array {
    return this.#space.int64(this.timesAddress, this.count);
  }

  #compact(): void {
    this.#space.int64(this.#times, this.#end).copyWithin(0, this.#start);
    this.#bases.copyWithin(0, this.#start, this.#end);
    this.#outcomes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}
