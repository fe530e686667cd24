/**
 * The mock lab's physics in plain JavaScript: the same laws as mocks/physics on doubles, with sfc32 for xoshiro256++, whose 64-bit
 * words JavaScript does not have.
 */

/** A lab in numbers; what each means is said where figures/physics.ts makes them. */
export interface LabNumbers {
  readonly intervalPs: number;
  readonly marginPs: number;
  /** thresholds u32[256], other slots u8[256], fates u8[256]. */
  readonly fates: Uint8Array;
  readonly ends: readonly [EndNumbers, EndNumbers];
}

/** One end of the source. */
export interface EndNumbers {
  readonly delayPs: number;
  readonly darkIntervalPs: number;
  readonly detectors: readonly DetectorNumbers[];
}

/** One detector. */
export interface DetectorNumbers {
  readonly jitterPsRms: number;
  readonly afterpulseProbability: number;
  readonly afterpulseDecayPs: number;
  readonly darkShareUpTo: number;
  readonly deadTimePs: number;
}

const exponentialEdge = 7.697_117_470_131_05;
const normalEdge = 3.654_152_885_361_009;

interface Ziggurat {
  readonly shares: Float64Array;
  readonly widths: Float64Array;
  readonly heights: Float64Array;
}

/** Ziggurat of Marsaglia and Tsang (2000): width of each layer, the share of it under the curve, the curve at its edge. */
function zigguratOf(
  outermost: number,
  area: number,
  density: (x: number) => number,
  inverse: (y: number) => number,
): Ziggurat {
  const shares = new Float64Array(256);
  const widths = new Float64Array(256);
  const heights = new Float64Array(256);
  let edge = outermost;
  widths[0] = area / density(edge);
  shares[0] = edge / widths[0];
  heights[0] = 1;
  widths[255] = edge;
  heights[255] = density(edge);
  for (let layer = 254; layer >= 1; layer--) {
    const inner = inverse(area / edge + density(edge));
    shares[layer + 1] = inner / edge;
    edge = inner;
    widths[layer] = edge;
    heights[layer] = density(edge);
  }
  return { shares, widths, heights };
}

const exponentials = zigguratOf(
  ...([exponentialEdge, 3.949_659_822_581_572e-3] as const),
  (x) => Math.exp(-x),
  (y) => -Math.log(y),
);
const normals = zigguratOf(
  ...([normalEdge, 4.928_673_233_99e-3] as const),
  (x) => Math.exp(-0.5 * x * x),
  (y) => Math.sqrt(-2 * Math.log(y)),
);

/** Chance: sfc32 (C. Doty-Humphrey, PractRand). */
export class Chance {
  readonly #state: Int32Array;

  constructor(seed: number) {
    this.#state = Int32Array.of(seed, 0, 0x9e3779b9, 1);
    for (let round = 0; round < 15; round++) this.word();
  }

  /** 32 random bits, signed. */
  word(): number {
    const state = this.#state;
    const b = state[1] as number;
    const c = state[2] as number;
    const sum = ((state[0] as number) + b + (state[3] as number)) | 0;
    state[3] = (state[3] as number) + 1;
    state[0] = b ^ (b >>> 9);
    state[1] = (c + (c << 3)) | 0;
    state[2] = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum;
  }

  uniform(): number {
    return ((this.word() >>> 5) * 67_108_864 + (this.word() >>> 6)) / 9_007_199_254_740_992;
  }

  exponential(): number {
    for (;;) {
      const word = this.word();
      const layer = word & 255;
      const share = ((word >>> 9) + (this.word() >>> 0) / 4_294_967_296) / 8_388_608;
      const x = share * (exponentials.widths[layer] as number);
      if (share < (exponentials.shares[layer] as number)) return x;
      if (layer === 0) return exponentialEdge - Math.log(1 - this.uniform());
      const low = exponentials.heights[layer] as number;
      const high = exponentials.heights[layer - 1] as number;
      if (low + (high - low) * this.uniform() < Math.exp(-x)) return x;
    }
  }

  normal(): number {
    for (;;) {
      const word = this.word();
      const layer = word & 255;
      const share = ((word >>> 9) + (this.word() >>> 0) / 4_294_967_296) / 8_388_608;
      const size = share * (normals.widths[layer] as number);
      const x = (word & 256) === 0 ? size : -size;
      if (share < (normals.shares[layer] as number)) return x;
      if (layer === 0) return x < 0 ? -this.#normalTail() : this.#normalTail();
      const low = normals.heights[layer] as number;
      const high = normals.heights[layer - 1] as number;
      if (low + (high - low) * this.uniform() < Math.exp(-0.5 * x * x)) return x;
    }
  }

  #normalTail(): number {
    for (;;) {
      const beyond = -Math.log(1 - this.uniform()) / normalEdge;
      const height = -Math.log(1 - this.uniform());
      if (height + height > beyond * beyond) return normalEdge + beyond;
    }
  }
}

const photonsMax = 2 ** 20;
const clicksMax = 2 ** 18;

/** One end: photons under way, detectors, clicks. */
export class Receiver {
  readonly delayPs: number;
  readonly clickTimes = new Float64Array(clicksMax);
  readonly clickInputs = new Uint8Array(clicksMax);
  clicks = 0;
  readonly #chance: Chance;
  readonly #detectors: readonly DetectorNumbers[];
  readonly #darkIntervalPs: number;
  readonly #lastClicks: Float64Array;
  readonly #photonTimes = new Float64Array(photonsMax);
  readonly #photonDetectors = new Uint8Array(photonsMax);
  #head = 0;
  #tail = 0;
  #nextDarkPs: number;
  readonly #afterpulses: { readonly timePs: number; readonly detector: number }[] = [];

  constructor(numbers: EndNumbers, chance: Chance) {
    this.delayPs = numbers.delayPs;
    this.#chance = chance;
    this.#detectors = numbers.detectors;
    this.#darkIntervalPs = numbers.darkIntervalPs;
    this.#lastClicks = new Float64Array(numbers.detectors.length).fill(Number.NEGATIVE_INFINITY);
    this.#nextDarkPs = this.#darkIntervalPs * chance.exponential();
  }

  /** Moves photons under way to the front and forgets clicks that were given out. */
  begin(): void {
    this.#photonTimes.copyWithin(0, this.#head, this.#tail);
    this.#photonDetectors.copyWithin(0, this.#head, this.#tail);
    this.#tail -= this.#head;
    this.#head = 0;
    this.clicks = 0;
  }

  addPhoton(detector: number, emissionPs: number): void {
    const { jitterPsRms } = this.#detectors[detector] as DetectorNumbers;
    const times = this.#photonTimes;
    const detectors = this.#photonDetectors;
    const timePs = emissionPs + this.delayPs + Math.round(jitterPsRms * this.#chance.normal());
    let place = this.#tail++;
    for (; place > this.#head && (times[place - 1] as number) > timePs; place--) {
      times[place] = times[place - 1] as number;
      detectors[place] = detectors[place - 1] as number;
    }
    times[place] = timePs;
    detectors[place] = detector;
  }

  #breed(detector: number, clickPs: number): void {
    const { afterpulseProbability, afterpulseDecayPs } = this.#detectors[
      detector
    ] as DetectorNumbers;
    if (this.#chance.uniform() >= afterpulseProbability) return;
    const timePs = clickPs + Math.round(afterpulseDecayPs * this.#chance.exponential());
    const waiting = this.#afterpulses;
    let place = waiting.length;
    while (place > 0 && (waiting[place - 1]?.timePs ?? 0) > timePs) place--;
    waiting.splice(place, 0, { timePs, detector });
  }

  #takeDark(): number {
    const share = this.#chance.uniform();
    this.#nextDarkPs += this.#darkIntervalPs * this.#chance.exponential();
    const index = this.#detectors.findIndex(({ darkShareUpTo }) => share < darkShareUpTo);
    return index < 0 ? this.#detectors.length - 1 : index;
  }

  /** Gives the clicks before a time. */
  detect(untilPs: number): void {
    const times = this.#photonTimes;
    for (;;) {
      const photonPs =
        this.#head < this.#tail ? (times[this.#head] as number) : Number.POSITIVE_INFINITY;
      const darkPs = Math.floor(this.#nextDarkPs);
      const afterpulsePs = this.#afterpulses[0]?.timePs ?? Number.POSITIVE_INFINITY;
      const timePs = Math.min(photonPs, darkPs, afterpulsePs);
      if (timePs >= untilPs) return;
      const isPrimary = timePs < afterpulsePs || timePs === photonPs;
      const detector =
        timePs === photonPs
          ? (this.#photonDetectors[this.#head++] as number)
          : timePs === darkPs
            ? this.#takeDark()
            : (this.#afterpulses.shift()?.detector ?? 0);
      this.#click(detector, timePs, isPrimary);
    }
  }

  #click(index: number, timePs: number, isPrimary: boolean): void {
    const detector = this.#detectors[index] as DetectorNumbers;
    if (timePs - (this.#lastClicks[index] as number) < detector.deadTimePs) return;
    this.#lastClicks[index] = timePs;
    this.clickTimes[this.clicks] = timePs;
    this.clickInputs[this.clicks++] = index;
    if (isPrimary && detector.afterpulseProbability > 0) this.#breed(index, timePs);
  }
}

/** The lab. */
export class JavascriptLab {
  readonly ends: readonly [Receiver, Receiver];
  readonly #chance = new Chance(20_260_502);
  readonly #intervalPs: number;
  readonly #marginPs: number;
  readonly #thresholds: Uint32Array;
  readonly #others: Uint8Array;
  readonly #fates: Uint8Array;
  #nextPairPs: number;
  nowPs = 0;

  constructor({ intervalPs, marginPs, fates, ends }: LabNumbers) {
    this.#intervalPs = intervalPs;
    this.#marginPs = marginPs;
    this.#thresholds = new Uint32Array(fates.slice(0, 1024).buffer);
    this.#others = fates.slice(1024, 1280);
    this.#fates = fates.slice(1280, 1536);
    this.ends = [new Receiver(ends[0], this.#chance), new Receiver(ends[1], this.#chance)];
    this.#nextPairPs = intervalPs * this.#chance.exponential();
  }

  /** Lets time run. */
  advance(toPs: number): void {
    const [a, b] = this.ends;
    a.begin();
    b.begin();
    while (this.#nextPairPs < toPs + this.#marginPs) {
      const slot = this.#chance.word() & 255;
      const isOther = this.#chance.word() >>> 0 >= (this.#thresholds[slot] as number);
      const fate = this.#fates[isOther ? (this.#others[slot] as number) : slot] as number;
      const emissionPs = Math.floor(this.#nextPairPs);
      if (fate >>> 4 !== 0) a.addPhoton((fate >>> 4) - 1, emissionPs);
      if ((fate & 15) !== 0) b.addPhoton((fate & 15) - 1, emissionPs);
      this.#nextPairPs += this.#intervalPs * this.#chance.exponential();
    }
    a.detect(toPs);
    b.detect(toPs);
    this.nowPs = toPs;
  }
}
