/**
 * What the ends of a link tell each other about their detections: announcements (times and bases, never
 * outcomes) and reports (which of them were matched, and in which bases). An index list is sent as
 * differences; times and bits are packed as kernels/announcement-codec.ts says.
 */
import { z } from "zod";
import { LabError } from "../../hal/errors.ts";
import type { KernelSpace } from "./kernel-space.ts";

/** Detections of one announcement. */
export const announcedEventsMax = 65_536;
const lossesMax = 64;
const bytesPerTimeMax = 10;

const psSchema = z
  .bigint()
  .min(-(2n ** 63n))
  .max(2n ** 63n - 1n);
const countSchema = z.number().int().min(0).max(announcedEventsMax);
const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array);

/** A stretch of the sender's stream in which detections are missing. */
export const linkLossSchema = z.object({
  fromPs: psSchema,
  toPs: psSchema,
  count: z.number().int().min(0).nullable(),
  /** A cause of hal/tags/loss-interval.ts, or `channel-backlog`: the channel or the peer did not keep up. */
  cause: z.string().max(32),
});
export type LinkLoss = Readonly<z.output<typeof linkLossSchema>>;

/** One block of one end's detections. Numbers count from 0 in each incarnation, without gaps. */
export const announcementSchema = z.object({
  block: z.bigint().min(0n),
  /** Changes when the sender's stream starts anew: its clock must be found again. */
  segment: z.number().int(),
  /** The stretch of the sender's time that the block covers, [fromPs, toPs). */
  fromPs: psSchema,
  toPs: psSchema,
  count: countSchema,
  /** The first time is given from here, in steps of `unitPs`. */
  basePs: psSchema,
  unitPs: z
    .bigint()
    .min(1n)
    .max(2n ** 40n),
  times: bytesSchema,
  /** Bit i: basis of detection i, 0 Z, 1 X. */
  bases: bytesSchema,
  losses: z.array(linkLossSchema).max(lossesMax),
});
export type Announcement = Readonly<z.output<typeof announcementSchema>>;

/** The answer to one announcement, in the same order. */
export const reportSchema = z.object({
  block: z.bigint().min(0n),
  /** False while the clock is being searched: nothing was matched. */
  matched: z.boolean(),
  /** Sequence number of the first pair; the same count runs at both ends. */
  firstSequence: z.bigint().min(0n),
  count: countSchema,
  /** Indices into the announcement, rising: differences to the one before (the first to -1), minus 1, as varints. */
  indices: bytesSchema,
  /** Bit i: the matcher's basis of pair i. */
  bases: bytesSchema,
});
export type Report = Readonly<z.output<typeof reportSchema>>;

/** Pairs of one announcement as one end holds them; see stack/link/pair-records.ts. */
export interface PairColumns {
  readonly firstSequence: bigint;
  readonly count: number;
  readonly localBasis: Uint8Array;
  readonly remoteBasis: Uint8Array;
  readonly rawOutcome: Uint8Array;
  readonly timesPs: BigInt64Array;
  readonly residualPs?: Int32Array;
  readonly fromPs: bigint;
  readonly toPs: bigint;
}

/** Encodes and decodes columns in a kernel space. */
export class AnnouncementCodec {
  readonly #space: KernelSpace;
  readonly #times: number;
  readonly #bits: number;
  readonly #wire: number;

  constructor(space: KernelSpace) {
    this.#space = space;
    this.#times = space.allocate(8 * announcedEventsMax);
    this.#bits = space.allocate(announcedEventsMax);
    this.#wire = space.allocate(bytesPerTimeMax * announcedEventsMax);
  }

  /** Encodes sorted times, in units of `unitPs` from the first where all are such, else of 1 ps from `fromPs`. */
  encodeTimes(
    times: BigInt64Array,
    fromPs: bigint,
    unitPs: bigint,
  ): Pick<Announcement, "basePs" | "unitPs" | "times"> {
    this.#space.int64(this.#times, times.length).set(times);
    const basePs = times[0] ?? fromPs;
    const encode = (base: bigint, unit: bigint): number =>
      this.#space.kernels.encodeTimes(this.#times, times.length, base, unit, this.#wire);
    let length = encode(basePs, unitPs);
    const isExact = length >= 0;
    if (!isExact) length = encode(basePs, 1n);
    if (length < 0) throw new RangeError("announced times must be sorted");
    const wire = this.#space.bytes(this.#wire, length).slice();
    return { basePs, unitPs: isExact ? unitPs : 1n, times: wire };
  }

  /** Decodes an announcement's times. @throws LabError `pairs.malformed`. */
  decodeTimes(announcement: Announcement): BigInt64Array {
    const { times, count, fromPs, toPs, basePs, unitPs } = announcement;
    const isFit = times.length <= bytesPerTimeMax * count && basePs >= fromPs && basePs <= toPs;
    if (!isFit) throw malformed("an announcement's times");
    this.#space.bytes(this.#wire, times.length).set(times);
    const status = this.#space.kernels.decodeTimes(
      ...([this.#wire, times.length, count, basePs, toPs, unitPs, this.#times] as const),
    );
    if (status !== 0) throw malformed("an announcement's times");
    return this.#space.int64(this.#times, count).slice();
  }

  packBits(values: Uint8Array): Uint8Array {
    this.#space.bytes(this.#bits, values.length).set(values);
    this.#space.kernels.packBits(this.#bits, values.length, this.#wire);
    return this.#space.bytes(this.#wire, Math.ceil(values.length / 8)).slice();
  }

  /** Unpacks `count` bits. @throws LabError `pairs.malformed` when there are not as many. */
  unpackBits(packed: Uint8Array, count: number): Uint8Array {
    if (packed.length !== Math.ceil(count / 8)) throw malformed("a list of bases");
    this.#space.bytes(this.#wire, packed.length).set(packed);
    this.#space.kernels.unpackBits(this.#wire, count, this.#bits);
    return this.#space.bytes(this.#bits, count).slice();
  }
}

/** Encodes rising indices. */
export function encodeIndices(indices: Uint32Array): Uint8Array {
  const bytes: number[] = [];
  let last = -1;
  for (const index of indices) {
    let gap = index - last - 1;
    last = index;
    while (gap >= 0x80) {
      bytes.push((gap & 0x7f) | 0x80);
      gap >>>= 7;
    }
    bytes.push(gap);
  }
  return Uint8Array.from(bytes);
}

/** Decodes exactly `count` rising indices below `limit`. @throws LabError `pairs.malformed`. */
export function decodeIndices(bytes: Uint8Array, count: number, limit: number): Uint32Array {
  const indices = new Uint32Array(count);
  let at = 0;
  let last = -1;
  for (let pair = 0; pair < count; pair++) {
    let gap = 0;
    let shift = 0;
    let byte = 0x80;
    while (byte >= 0x80) {
      const next = bytes[at++];
      if (next === undefined || shift > 21) throw malformed("a list of indices");
      byte = next;
      gap |= (byte & 0x7f) << shift;
      shift += 7;
    }
    last += gap + 1;
    if (last >= limit) throw malformed("a list of indices");
    indices[pair] = last;
  }
  if (at !== bytes.length) throw malformed("a list of indices");
  return indices;
}

const malformed = (what: string): LabError =>
  new LabError(
    "pairs.malformed",
    `${what} from the peer does not decode: both ends must run the same release`,
  );
