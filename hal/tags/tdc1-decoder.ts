/**
 * Decodes the byte stream of an S-Fifteen TDC1: 4-byte little-endian words, not aligned to anything,
 * no marker and no checksum (see kernels/s-fifteen.ts). That the place in the stream was lost shows in two ways:
 *
 * - a step of time longer than the dummy words allow, which come at least every half rollover. Read one or two
 *   bytes late, a word's upper time bits are random, and about half of all steps are too long;
 * - time that runs ahead of the host's. Read one byte early, a word holds 256 times its time,
 *   modulo the range, and every step is possible; but then seconds pass in milliseconds.
 *
 * The words from the last ordinary step on are given up and the place is sought at every byte: 32 steps in a
 * row must be possible (chance 1e-8 for noise), and of four neighbouring places the one is right in which
 * time goes most slowly. What follows is a new segment, because how many rollovers went by is not
 * known. Bytes lost by fours, with less than half a rollover of time, cannot be noticed.
 */
import { ps } from "../units.ts";
import type { RawDecoder, RawDecoderContext } from "./raw-decoder.ts";

const wordBytes = 4;
const tickPs = 2_000n;
const rolloverTicks = 2 ** 27;
const rolloverMask = rolloverTicks - 1;
/** Half a rollover is 134 ms; the maker says "about every 140 ms". */
const stepTicksMax = 75_000_000;
/** 2 ms: steps up to here are ordinary when light falls on the inputs (pyS15's rule). */
const ordinaryStepTicksMax = 2 ** 20;
const lookBackWords = 32;
const provingWords = 33;
/** The host's time may lag by what buffers hold, never more than a stall that costs the port. */
const leadPsMax = 2_000_000_000_000n;
/** Short enough that no oscillator drifts by a lead, long enough to see one. */
const paceWindowPs = 10_000_000_000_000n;
const provingBytes = provingWords * wordBytes;
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
    const block = writer.finish({ toPs: ps(this.observedPs) });
    if (block !== null) emit(block);
  }

  #decodeStaged(): void {
    while (!this.#isLost || this.#findPlace()) {
      const words = Math.floor(this.#stagedBytes / wordBytes);
      const slip = this.#context.kernels.findTdc1Slip(
        ...([this.#stagingAddress, words, this.#previousTime(), stepTicksMax] as const),
        rolloversMax,
      );
      const isWhole = slip === words;
      this.#decodeWords(isWhole ? words : this.#lastOrdinaryWord(slip));
      const leadPs = this.#leadPs();
      if (isWhole && leadPs <= leadPsMax) return;
      this.#isLost = true;
      this.#desynchronisations++;
      const observedPs = this.observedPs;
      const isAhead = observedPs !== null && leadPs > leadPsMax;
      this.#doubtfulFromPs = isAhead ? observedPs - leadPs : null;
    }
  }

  /** By how much the stream's time ran ahead of the host's since it was last compared. */
  #leadPs(): bigint {
    const streamPs = this.observedPs;
    if (streamPs === null) return 0n;
    const hostPs = this.#context.hostElapsedPs();
    if (this.#pace === null || hostPs - this.#pace.hostPs > paceWindowPs) {
      this.#pace = { hostPs, streamPs };
    }
    return streamPs - this.#pace.streamPs - (hostPs - this.#pace.hostPs);
  }

  /** Decodes the first words that are staged and moves the rest to the front. */
  #decodeWords(count: number): void {
    const { kernels, scratchAddress, writer } = this.#context;
    if (count > 0 && this.#firstPs === null) {
      this.#firstPs = BigInt(this.#timeAt(0)) * tickPs;
      writer.start(ps(this.#firstPs), { newSegment: false });
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
    this.#drop(wordBytes * count);
  }

  /** Gives the word from which on to distrust, at or before the one whose step is impossible. */
  #lastOrdinaryWord(slip: number): number {
    for (let word = Math.max(1, slip - lookBackWords); word < slip; word++) {
      if (this.#stepAt(wordBytes * (word - 1)) > ordinaryStepTicksMax) return word;
    }
    return slip;
  }

  /** Seeks the place in the byte stream; true when it was found and decoding can go on. */
  #findPlace(): boolean {
    const last = this.#stagedBytes - provingBytes - wordBytes + 1;
    for (let offset = 0; offset <= last; offset++) {
      const advances = [0, 1, 2, 3].map((shift) => this.#advanceAt(offset + shift));
      const slowest = Math.min(...advances);
      if (slowest === Number.POSITIVE_INFINITY) continue;
      this.#drop(offset + advances.indexOf(slowest));
      this.#startSegment();
      return true;
    }
    this.#drop(Math.max(0, last + 1));
    return false;
  }

  /** Ticks that pass from the word at a byte to the 32nd after it; infinite when that is no place to go on. */
  #advanceAt(byteIndex: number): number {
    // Time goes on: a new segment cannot start in the tick that was observed last.
    if (this.#timeAt(byteIndex) === this.#previousTime()) return Number.POSITIVE_INFINITY;
    let advance = 0;
    for (let word = 0; word < provingWords - 1; word++) {
      const step = this.#stepAt(byteIndex + wordBytes * word);
      if (step > stepTicksMax) return Number.POSITIVE_INFINITY;
      advance += step;
    }
    return advance;
  }

  /** Goes on with the staged words, as if no more than one rollover had passed since the last good one. */
  #startSegment(): void {
    this.#isLost = false;
    this.#pace = null;
    const observedPs = this.observedPs;
    // Lost before the first good word: the stream has not begun, so nothing of it is missing.
    if (observedPs === null) return;
    const { writer } = this.#context;
    this.flush();
    this.#advanceTo(this.#timeAt(0));
    const toPs = ps(this.#lastPs());
    const fromPs = ps(this.#doubtfulFromPs ?? observedPs);
    this.#doubtfulFromPs = null;
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

  #stepAt(byteIndex: number): number {
    return (this.#timeAt(byteIndex + wordBytes) - this.#timeAt(byteIndex)) & rolloverMask;
  }

  #previousTime(): number {
    return this.#state.getUint32(12, true) === 0 ? noPreviousWord : this.#state.getUint32(8, true);
  }

  #lastPs(): bigint {
    const ticks = this.#state.getBigInt64(0, true) + BigInt(this.#state.getUint32(8, true));
    return ticks * tickPs;
  }
}
