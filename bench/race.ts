/**
 * One figure: the same work done by several contestants in turn, ours first, each timing itself. Before anything is timed, all must give
 * the same result. Contestants take turns within a round, because a machine's speed drifts from second to second.
 */
import { LabError } from "../hal/errors.ts";

/** Tags or records of one block. */
export const blockTags = 65_536;
/** Five hundred thousand seconds of picoseconds: no double holds these times exactly. */
export const basePs = 500_000_000_000_000_000n;

/** One piece of work done. */
export interface Lap {
  readonly elapsedMs: number;
  /** What came out: it is compared, and so cannot be optimised away. */
  readonly result: string;
}

/** One way to do the work. */
export interface Contestant {
  /** Null for Bellwether itself. */
  readonly peer: string | null;
  lap(): Lap | Promise<Lap>;
  /** Does the work once and gives a digest of everything that comes out, where a lap's result says less. */
  check?(): string | Promise<string>;
}

/** A figure to be measured. */
export interface Race {
  readonly name: string;
  /** `s`, or a rate such as `Mtags/s`. */
  readonly unit: string;
  /** What the project wants of the median; null when only the ratio matters. */
  readonly target: number | null;
  /** What the project wants of the ratio to C++. */
  readonly ratioTarget?: number;
  readonly dataSet: string;
  /** Units of work in a lap: a rate is work over time. */
  readonly work: number;
  readonly contestants: readonly Contestant[];
  /** What a check must give, where it is known beforehand. */
  readonly expected?: string;
  /** Judges results where equality is too much to ask, such as two streams of chance. */
  readonly agrees?: (ours: string, theirs: string) => boolean;
}

/** Median and extremes over rounds. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What a race came to: one line for ours, one for each peer. */
export interface FigureLine extends Spread {
  readonly name: string;
  readonly unit: string;
  readonly target: number | null;
  readonly dataSet: string;
  readonly rounds: number;
  readonly peer?: string;
  /** How many times faster than the peer, median over rounds; below 1 is slower. */
  readonly ratio?: number;
  readonly ratioMin?: number;
  readonly ratioMax?: number;
  readonly ratioTarget?: number;
  readonly peerMedian?: number;
}

const warmUpLaps = 2;
const roundsMin = 5;
const roundsMax = 15;
const roundsBudgetMs = 2500;

/** Gives median and extremes. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}

/** Runs a race. @throws LabError `command.benchmark` when contestants disagree. */
export async function runRace(race: Race): Promise<FigureLine[]> {
  await checkResults(race);
  const { contestants } = race;
  for (let lap = 0; lap < warmUpLaps; lap++) {
    for (const contestant of contestants) await contestant.lap();
  }
  const elapsed = new Map<Contestant, number[]>(contestants.map((one) => [one, []]));
  let totalMs = 0;
  for (let round = 0; round < roundsMax; round++) {
    if (round >= roundsMin && totalMs > roundsBudgetMs) break;
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(turn + round) % contestants.length] as Contestant;
      const { elapsedMs } = await contestant.lap();
      elapsed.get(contestant)?.push(elapsedMs);
      totalMs += elapsedMs;
    }
  }
  return linesOf(race, elapsed);
}

async function checkResults({ name, contestants, expected, agrees }: Race): Promise<void> {
  let ours: string | null = expected ?? null;
  for (const contestant of contestants) {
    const result = contestant.check ? await contestant.check() : (await contestant.lap()).result;
    ours ??= result;
    if (agrees ? !agrees(ours, result) : ours !== result) {
      throw new LabError(
        "command.benchmark",
        `${name}: ${contestant.peer ?? "Bellwether"} gives ${result} where ${ours} is expected: one of the two is wrong`,
        { details: { name, peer: contestant.peer } },
      );
    }
  }
}

function linesOf(race: Race, elapsed: ReadonlyMap<Contestant, readonly number[]>): FigureLine[] {
  const figureOf = (elapsedMs: number): number =>
    race.unit === "s" ? elapsedMs / 1e3 : race.work / scaleOf(race.unit) / (elapsedMs / 1e3);
  const [first] = race.contestants;
  const ours = (first && elapsed.get(first)) ?? [];
  const { name, unit, target, dataSet, ratioTarget } = race;
  const line = { ...{ name, unit, ...spreadOf(ours.map(figureOf)), target }, dataSet };
  return race.contestants.map((contestant) => {
    const theirs = elapsed.get(contestant) ?? [];
    if (contestant.peer === null) return { ...line, rounds: ours.length };
    const ratio = spreadOf(theirs.map((theirMs, round) => theirMs / (ours[round] ?? Number.NaN)));
    return {
      ...{ ...line, rounds: theirs.length, peer: contestant.peer },
      ...{ ratio: ratio.median, ratioMin: ratio.min, ratioMax: ratio.max },
      ...(ratioTarget !== undefined && contestant.peer === "c++" ? { ratioTarget } : {}),
      peerMedian: spreadOf(theirs.map(figureOf)).median,
    };
  });
}

const scaleOf = (unit: string): number =>
  unit.startsWith("M") ? 1e6 : unit.startsWith("k") ? 1e3 : 1;

/** A running hash of 32-bit words (FNV-1a's constants, a word at a time), the same in all languages here. */
export const digestWord = (digest: number, word: number): number =>
  Math.imul(digest ^ word, 16_777_619);
/** Where such a hash begins. */
export const digestStart = 0x811c9dc5 | 0;

/** Adds tags to a digest: low and high word of each time from its base, then its channel. */
export function digestTags(
  start: number,
  times: Float64Array | BigInt64Array,
  channels: Uint8Array,
  count: number,
): number {
  let digest = start;
  if (times instanceof Float64Array) {
    for (let at = 0; at < count; at++) {
      const time = times[at] as number;
      digest = digestWord(digest, (time % 2 ** 32) | 0);
      digest = digestWord(digest, (time / 2 ** 32) | 0);
      digest = digestWord(digest, channels[at] as number);
    }
    return digest;
  }
  const words = new Int32Array(times.buffer, times.byteOffset, 2 * count);
  for (let at = 0; at < count; at++) {
    digest = digestWord(digest, words[2 * at] as number);
    digest = digestWord(digest, words[2 * at + 1] as number);
    digest = digestWord(digest, channels[at] as number);
  }
  return digest;
}

/** Digests counts: each below 2^32. */
export function digestCounts(counts: ArrayLike<number | bigint>): number {
  let digest = digestStart;
  for (let at = 0; at < counts.length; at++) digest = digestWord(digest, Number(counts[at]));
  return digest >>> 0;
}
