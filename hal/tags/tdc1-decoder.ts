/**
 * Decodes the byte stream of an S-Fifteen TDC1: 4-byte little-endian words, not aligned to anything,
 * no marker and no checksum (see kernels/s-fifteen.ts). That the place in the stream was lost shows in two ways:
 *
 * - a step of time longer than the dummy words allow, which come at least every half rollover. Read one or two
 *   bytes late, a word's upper time bits are random, and about half of all steps are too long;
 * - time that runs ahead of the host's. Read one byte early, a word holds 256 times its time,
 *   modulo the range, and every step is possible; but then seconds pass in milliseconds.
 *
 * A few wrong words pass before either shows, and live ones cannot wait to be proved: they are decoded, and the loss that
 * is told begins before the first of them, wherever the bytes were cut. Then the place is sought at every byte (tdc1-place.ts).
 * What follows is a new segment, because how many rollovers went by is not known. Bytes lost by fours, with less than
 * half a rollover of time, cannot be noticed.
 */
import { ps } from "../units.ts";
import type { RawDecoder, RawDecoderContext } from "./raw-decoder.ts";
import { findTdc1Place, tdc1ProvingBytes, tdc1StepTicksMax } from "./tdc1-place.ts";

const wordBytes = 4;
const tickPs = 2_000n;
const rolloverTicks = 2 ** 27;
const rolloverMask = rolloverTicks - 1;
/** 2 ms: steps up to here are ordinary when light falls on the inputs (pyS15's rule). */
const ordinaryStepTicksMax = 2 ** 20;
const lookBackWords = 32;
/** The host's time may lag by what buffers hold, never more than a stall that costs the port. */
const leadPsMax = 2_000_000_000_000n;
/** Short enough that no oscillator drifts by a lead, long enough to see one. */
const paceWindowPs = 10_000_000_000_000n;
/** Leads that differ by less are those of a stream read at its true place. */
const leadNoisePs = 100_000_000_000n;
/** Words read one byte early run ahead 255 times as fast as the true time; half of that is safe. */
const leadPerTrueTimeMin = 128n;
/** More tags than one word can become. */
const tagsPerWordMax = 4;

const stateBytes = 64;
const stagingBytes = 2 ** 16;
const noPreviousWord = 0xffff_ffff;
/** Rollovers are no sign of a slip: with dummies alone every second word is one. */
const rolloversMax = 0xffff_ffff;

/** Bytes of scratch that the decoder needs. */
export const tdc1ScratchBytes = stateBytes + stagingBytes;

/** See the file's head. */
export class Tdc1Decoder implements RawDecoder {
  readonly #context: RawDecoderContext;
  readonly #state: DataView;
  readonly #staging: Uint8Array;
  readonly #staged: DataView;
  readonly #stagingAddress: number;
  #stagedBytes = 0;
  #isLost = false;
  /** From where on what was decoded is doubtful, ps; null where nothing is. */
  #doubtfulFromPs: bigint | null = null;
  #pace: { readonly hostPs: bigint; readonly streamPs: bigint } | null = null;
  /** Time fields of the last words of this segment, those after which a slip can have stayed unseen. */
  #latestTimes: number[] = [];
  /** The least lead since the pace was taken, and up to where the stream had come before it was last as low. */
  #leastLeadPs = 0n;
  #calmPs: bigint | null = null;
  #segmentPs = 0n;
  #checkedPs: bigint | null = null;
  #firstPs: bigint | null = null;
  #tagsDecoded = 0;
  #desynchronisations = 0;

  constructor(context: RawDecoderContext) {
    const { memory, scratchAddress } = context;
    this.#context = context;
    this.#stagingAddress = scratchAddress + stateBytes;
    this.#state = new DataView(memory.buffer, scratchAddress, stateBytes);
    this.#staging = new Uint8Array(memory.buffer, this.#stagingAddress, stagingBytes);
    this.#staged = new DataView(memory.buffer, this.#stagingAddress, stagingBytes);
  }

  get firstPs(): bigint | null {
    return this.#firstPs;
  }

  get observedPs(): bigint | null {
    return this.#firstPs === null ? null : this.#lastPs() + tickPs;
  }

  get tagsDecoded(): number {
    return this.#tagsDecoded;
  }

  get desynchronisations(): number {
    return this.#desynchronisations;
  }

  get unfinishedBytes(): number {
    return this.#stagedBytes;
  }

  push(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; ) {
      const length = Math.min(bytes.length - start, stagingBytes - this.#stagedBytes);
      this.#staging.set(bytes.subarray(start, start + length), this.#stagedBytes);
      this.#stagedBytes += length;
      start += length;
      this.#decodeStaged();
    }
  }

  flush(): void {
    const { writer, emit } = this.#context;
    if (this.observedPs === null) return;
    const block = writer.publish({ toPs: ps(this.observedPs) });
    if (block !== null) emit(block);
  }

  finish(): void {
    const { writer, emit } = this.#context;
    if (this.observedPs === null) {
      writer.discard();
      return;
    }
    if (this.#isLost && this.#doubtfulFromPs !== null) {
      const [fromPs, toPs] = [ps(this.#doubtfulFromPs), ps(this.observedPs)];
      writer.addLoss({ fromPs, toPs, count: null, cause: "desynchronised" });
    }
    const block = writer.finish({ toPs: ps(this.observedPs) });
    if (block !== null) emit(block);
  }

  #decodeStaged(): void {
    while (!this.#isLost || this.#findPlace()) {
      const words = Math.floor(this.#stagedBytes / wordBytes);
      const slip = this.#context.kernels.findTdc1Slip(
        ...([this.#stagingAddress, words, this.#previousTime(), tdc1StepTicksMax] as const),
        rolloversMax,
      );
      this.#decodeWords(slip);
      const leadPs = this.#leadPs();
      if (slip === words && leadPs <= leadPsMax) {
        this.#noteLead(leadPs);
        return;
      }
      this.#isLost = true;
      this.#desynchronisations++;
      this.#doubtfulFromPs = this.#firstDoubtfulPs(leadPs);
    }
  }

  /** By how much the stream's time ran ahead of the host's since it was last compared. */
  #leadPs(): bigint {
    const streamPs = this.observedPs;
    if (streamPs === null) return 0n;
    const hostPs = this.#context.hostElapsedPs();
    if (this.#pace === null || hostPs - this.#pace.hostPs > paceWindowPs) {
      this.#pace = { hostPs, streamPs };
      this.#leastLeadPs = 0n;
    }
    return streamPs - this.#pace.streamPs - (hostPs - this.#pace.hostPs);
  }

  #noteLead(leadPs: bigint): void {
    if (leadPs < this.#leastLeadPs) this.#leastLeadPs = leadPs;
    if (leadPs <= this.#leastLeadPs + leadNoisePs) this.#calmPs = this.#checkedPs;
    this.#checkedPs = this.observedPs;
  }

  /** Gives the time from which on nothing that was decoded in this segment can be trusted, null when nothing was decoded. */
  #firstDoubtfulPs(leadPs: bigint): bigint | null {
    const observedPs = this.observedPs;
    if (observedPs === null) return null;
    const fromStepsPs = this.#lastPs() - BigInt(this.#doubtfulTicks()) * tickPs;
    if (leadPs <= leadNoisePs) return fromStepsPs;
    // The host's time cannot have been wrong by more than the lead that is allowed, so the slip is no older than this.
    const slowestPs = leadPs + leadPsMax;
    const oldestPs = observedPs - slowestPs - slowestPs / leadPerTrueTimeMin;
    const calmPs = this.#calmPs ?? this.#segmentPs;
    const fromLeadPs = calmPs > oldestPs ? calmPs : oldestPs;
    const doubtfulPs = fromLeadPs < fromStepsPs ? fromLeadPs : fromStepsPs;
    return doubtfulPs > this.#segmentPs ? doubtfulPs : this.#segmentPs;
  }

  /**
   * Ticks from the first doubtful one of the latest words to the last of them: it is the one before the first step that is
   * not ordinary, because a word made of the ends of two has nearly the right time, or the last one when all are.
   */
  #doubtfulTicks(): number {
    const times = this.#latestTimes;
    const steps = times.slice(1).map((time, word) => (time - (times[word] ?? 0)) & rolloverMask);
    const first = steps.findIndex((step) => step > ordinaryStepTicksMax);
    return first < 0 ? 0 : steps.slice(first).reduce((sum, step) => sum + step, 0);
  }

  /** Decodes the first words that are staged and moves the rest to the front. */
  #decodeWords(count: number): void {
    const { kernels, scratchAddress, writer } = this.#context;
    if (count > 0 && this.#firstPs === null) {
      this.#firstPs = BigInt(this.#timeAt(0)) * tickPs;
      writer.start(ps(this.#firstPs), { newSegment: false });
      this.#segmentPs = this.#firstPs;
    }
    for (let done = 0; done < count; ) {
      const room = writer.begin(tagsPerWordMax);
      if (room === null) {
        this.flush();
        continue;
      }
      const tags = kernels.decodeTdc1Words(
        ...([scratchAddress, this.#stagingAddress + wordBytes * done, count - done] as const),
        ...([room.timesAddress, room.channelsAddress, room.capacity] as const),
      );
      writer.append(tags);
      this.#tagsDecoded += tags;
      done += this.#state.getUint32(16, true);
    }
    this.#keepTimes(count);
    this.#drop(wordBytes * count);
  }

  #keepTimes(count: number): void {
    for (let word = Math.max(0, count - lookBackWords - 1); word < count; word++) {
      this.#latestTimes.push(this.#timeAt(wordBytes * word));
    }
    this.#latestTimes = this.#latestTimes.slice(-lookBackWords - 1);
  }

  /** Seeks the place in the byte stream; true when it was found and decoding can go on. */
  #findPlace(): boolean {
    const staged = new DataView(this.#staged.buffer, this.#stagingAddress, this.#stagedBytes);
    const place = findTdc1Place(staged, 0);
    if (place === null) {
      // All places tried are given up, by whole words, so that the same ones are tried wherever the bytes were cut.
      const tried = Math.floor((this.#stagedBytes - tdc1ProvingBytes) / wordBytes) + 1;
      this.#drop(wordBytes * Math.max(0, tried));
      return false;
    }
    this.#drop(place);
    // Time goes on: a new segment cannot start in the tick that was observed last.
    while (this.#stagedBytes > wordBytes && this.#timeAt(0) === this.#previousTime()) {
      this.#drop(wordBytes);
    }
    this.#startSegment();
    return true;
  }

  /** Goes on with the staged words, as if no more than one rollover had passed since the last good one. */
  #startSegment(): void {
    this.#isLost = false;
    this.#pace = null;
    this.#latestTimes = [];
    this.#calmPs = null;
    this.#checkedPs = null;
    const observedPs = this.observedPs;
    // Lost before the first good word: the stream has not begun, so nothing of it is missing.
    if (observedPs === null) return;
    const { writer } = this.#context;
    this.flush();
    this.#advanceTo(this.#timeAt(0));
    const toPs = ps(this.#lastPs());
    const fromPs = ps(this.#doubtfulFromPs ?? observedPs);
    this.#doubtfulFromPs = null;
    this.#segmentPs = toPs;
    writer.addLoss({ fromPs, toPs, count: null, cause: "desynchronised" });
    writer.start(toPs, { newSegment: true });
  }

  #advanceTo(time: number): void {
    const ticks = this.#state.getBigInt64(0, true);
    const rolled = time < this.#previousTime() ? BigInt(rolloverTicks) : 0n;
    this.#state.setBigInt64(0, ticks + rolled, true);
    this.#state.setUint32(8, time, true);
  }

  #drop(bytes: number): void {
    this.#staging.copyWithin(0, bytes, this.#stagedBytes);
    this.#stagedBytes -= bytes;
  }

  /** Time field, in ticks, of the word at a byte of the staged ones. */
  #timeAt(byteIndex: number): number {
    return this.#staged.getUint32(byteIndex, true) >>> 5;
  }

  #previousTime(): number {
    return this.#state.getUint32(12, true) === 0 ? noPreviousWord : this.#state.getUint32(8, true);
  }

  #lastPs(): bigint {
    const ticks = this.#state.getBigInt64(0, true) + BigInt(this.#state.getUint32(8, true));
    return ticks * tickPs;
  }
}
