/**
 * The S-Fifteen TDC1 time tagger as its sheet describes it, byte for byte: commands in, replies and
 * timestamp words out. Pure: clicks, device time and the port's readiness come in by calls.
 *
 * A timestamp word is a little-endian u32:
 *
 *     31                                  5   4   3..0
 *     | time in ticks of 2 ns, modulo 2^27 | dummy | channel pattern, bit 0 = input 1 |
 *
 * Inputs that fire in one tick share a word. After 2^26 ticks without a word comes a dummy. Words wait
 * in the instrument until a USB packet of 512 bytes is full, or INPKT or ABORT is received. Words that
 * find the FIFO full are lost; only bit 0x0010 of STATUS? tells, afterwards.
 *
 * Source: S-Fifteen Timestamp_TDC1 wiki; pyS15 `usb_counter_fpga.py`; qcrypto `readevents4a.c`. Where
 * they are silent the choice here is marked "unpublished".
 */
import {
  type Command,
  CommandReader,
  encodeReply,
  parseDecimal,
  unknownCommandReply,
} from "./dialect.ts";
import { PacketBuffer } from "./packet-buffer.ts";
import { WordFifo } from "./word-fifo.ts";

/** What the box is, apart from what it is told. */
export interface Tdc1Options {
  /** As printed on the box and in the USB descriptor. */
  readonly serialNumber: string;
  /** Words that the FIFO holds. */
  readonly fifoTags: number;
  /** Words per second that the USB controller takes from the FIFO at most. */
  readonly tagsPerSecondMax: number;
  /** Ticks per second of the time base: 5e8 on the real box. */
  readonly ticksPerSecond: number;
  /** What its clock shows when it is switched on, in ticks; may be negative. */
  readonly startTick: number;
}

/** What a test may know and the host may not. */
export interface Tdc1Counters {
  /** Clicks that fell into an acquisition. */
  readonly clicksTaken: number;
  /** Clicks whose word found the FIFO full. */
  readonly clicksLost: number;
  /** Words lost, dummies included. */
  readonly wordsLost: number;
  /** Words waiting in the FIFO. */
  readonly wordsHeld: number;
}

const ticksOfSilenceMax = 2 ** 26;
/** A captured dummy word carried 0x11: its channel bits are not zero. */
const dummyPattern = 0x11;
/** Bit 0x0010 is FIFO overflow; the others are undocumented. It stays until *RST: unpublished. */
const overflowStatus = "0010";
const clearStatus = "0000";
const inputs = 4;
/** Packets in the USB controller beyond the FIFO. */
const packetsMax = 16;
/** Replies that wait for room, as when the host does not read; a command beyond is not executed. */
const repliesMax = 64;
/** The USB controller catches up after the port was busy, by no more than this. */
const catchUpS = 0.05;
/** Thresholds of the presets in volts: unpublished. */
const nimV = -0.5;
const ttlV = 1;
const levelMaxV = 3.3;

const helpLines = [
  "*IDN? *RST HELP ABORT",
  "SINGLES PAIRS TIMESTAMP MODE?",
  "TIME <ms> TIME? COUNTS? STATUS? INPKT",
  "NIM TTL POS <V> NEG <V> LEVEL?",
  "REFCLK <0|1|2> REFCLK? ECLOCK?",
];

type Mode = 0 | 1 | 3;

interface Gate {
  readonly mode: Mode;
  readonly startTick: number;
  readonly endTick: number;
}

/** Ones in each channel pattern. */
const clicksIn = [0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4] as const;
/** Pairs of inputs that PAIRS counts, as patterns: 1-3, 1-4, 2-3, 2-4. */
const pairPatterns = [0b0101, 0b1001, 0b0110, 0b1010] as const;

/** One instrument. Ticks are numbers counted since its clock's zero, exact below 2^53. */
export class Tdc1 {
  readonly #options: Tdc1Options;
  readonly #commands = new CommandReader();
  readonly #fifo: WordFifo;
  readonly #packets = new PacketBuffer(packetsMax);
  readonly #replies: Uint8Array[] = [];
  #mode: Mode = 0;
  #gateMs = 1000;
  #levelV = nimV;
  #referenceClock = 0;
  #hasOverflowed = false;

  #nowTick: number;
  #gate: Gate | null = null;
  #isDraining = false;
  #isStalled = false;
  #slotTick: number;
  #slotPattern = 0;
  #lastWordTick = 0;
  #creditWords = 0;
  #slipBytes = 0;
  #counts = new Float64Array(inputs + pairPatterns.length);
  #clicksTaken = 0;
  #clicksLost = 0;
  #wordsLost = 0;

  constructor(options: Tdc1Options) {
    this.#options = options;
    this.#fifo = new WordFifo(options.fifoTags);
    this.#nowTick = options.startTick;
    this.#slotTick = options.startTick - 1;
  }

  /** What happened inside, for tests. */
  get counters(): Tdc1Counters {
    return {
      clicksTaken: this.#clicksTaken,
      clicksLost: this.#clicksLost,
      wordsLost: this.#wordsLost,
      wordsHeld: this.#fifo.length,
    };
  }

  /** Takes bytes from the host and executes the commands they complete. */
  receive(bytes: Uint8Array): void {
    this.#commands.push(bytes, (command) => {
      if (this.#replies.length < repliesMax) this.#execute(command);
      this.#fill();
    });
  }

  /** Takes `count` clicks, ascending ticks and 0-based inputs, none before the time last given to `advance`. */
  addClicks(ticks: Float64Array, clickInputs: Uint8Array, count: number): void {
    for (let index = 0; index < count; index++) {
      const input = clickInputs[index] ?? inputs;
      if (input >= inputs) continue;
      const tick = ticks[index] ?? 0;
      if (tick > this.#slotTick) {
        this.#closeSlot();
        this.#slotTick = tick;
      }
      this.#slotPattern |= 1 << input;
    }
  }

  /** Tells the device time: every click before `tick` has been given. */
  advance(tick: number): void {
    if (tick <= this.#nowTick) return;
    const { tagsPerSecondMax, ticksPerSecond } = this.#options;
    if (tick > this.#slotTick) this.#closeSlot();
    if (this.#gate !== null && tick >= this.#gate.endTick) this.#endGate(this.#gate);
    if (this.#gate?.mode === 3) this.#breakSilence(tick);
    const earned = ((tick - this.#nowTick) / ticksPerSecond) * tagsPerSecondMax;
    this.#creditWords = Math.min(this.#creditWords + earned, tagsPerSecondMax * catchUpS + 1);
    this.#nowTick = tick;
    this.#fill();
  }

  /** Bytes that the USB controller would hand to the host now; valid until the next call. */
  peek(): Uint8Array {
    return this.#packets.peek();
  }

  /** Removes bytes that the host took, and moves on what waited for their room. */
  take(count: number): void {
    this.#packets.take(count);
    this.#fill();
  }

  /** Fault: loses `bytes` of the stream on the way to the host, as overloaded hosts do. */
  slip(bytes: number): void {
    this.#slipBytes += bytes;
  }

  /** Fault: the USB controller takes nothing from the FIFO while this is so. */
  set isStalled(isStalled: boolean) {
    this.#isStalled = isStalled;
    this.#fill();
  }

  #closeSlot(): void {
    const tick = this.#slotTick;
    const pattern = this.#slotPattern;
    this.#slotPattern = 0;
    if (pattern === 0) return;
    if (this.#gate !== null && tick >= this.#gate.endTick) this.#endGate(this.#gate);
    const gate = this.#gate;
    if (gate === null || tick < gate.startTick) return;
    const clicks = clicksIn[pattern] ?? 0;
    this.#clicksTaken += clicks;
    if (gate.mode !== 3) {
      this.#count(pattern);
      return;
    }
    this.#breakSilence(tick);
    if (!this.#pushWord(tick, pattern)) this.#clicksLost += clicks;
  }

  #count(pattern: number): void {
    for (let input = 0; input < inputs; input++) {
      if ((pattern >> input) & 1) this.#counts[input] = (this.#counts[input] ?? 0) + 1;
    }
    // The width of the coincidence window is unpublished: here it is one tick.
    for (const [index, pair] of pairPatterns.entries()) {
      const at = inputs + index;
      if ((pattern & pair) === pair) this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    }
  }

  /** Emits the dummies due up to `tick`: one after every 2^26 ticks without a word. */
  #breakSilence(tick: number): void {
    while (tick - this.#lastWordTick >= ticksOfSilenceMax) {
      this.#pushWord(this.#lastWordTick + ticksOfSilenceMax, dummyPattern);
    }
  }

  #pushWord(tick: number, pattern: number): boolean {
    this.#lastWordTick = tick;
    // `>>> 0` takes the time modulo 2^32 and the shift leaves it modulo 2^27.
    const isTaken = this.#fifo.push((((tick >>> 0) << 5) | pattern) >>> 0);
    if (!isTaken) {
      this.#hasOverflowed = true;
      this.#wordsLost++;
    }
    return isTaken;
  }

  #startGate(): void {
    const startTick = this.#nowTick;
    const gateTicks = (this.#gateMs / 1000) * this.#options.ticksPerSecond;
    const endTick = this.#gateMs === 0 ? Number.POSITIVE_INFINITY : startTick + gateTicks;
    this.#gate = { mode: this.#mode, startTick, endTick };
    this.#counts.fill(0);
    this.#lastWordTick = startTick;
    this.#isDraining = false;
  }

  /** Ends at the gate's own time, which may lie before the present. */
  #endGate(gate: Gate): void {
    this.#gate = null;
    if (gate.mode === 3) {
      this.#breakSilence(gate.endTick);
      this.#isDraining = true;
      return;
    }
    const columns = gate.mode === 1 ? this.#counts.length : inputs;
    this.#reply(this.#counts.subarray(0, columns).join(" "));
  }

  #abort(): void {
    this.#closeSlot();
    // An aborted counting gate gives no counts: unpublished.
    if (this.#gate?.mode === 3) this.#isDraining = true;
    this.#gate = null;
    this.#fill();
    if (!this.#isDraining) this.#packets.commit();
  }

  #reset(): void {
    this.#gate = null;
    this.#isDraining = false;
    this.#fifo.clear();
    this.#packets.clear();
    this.#replies.length = 0;
    this.#hasOverflowed = false;
    this.#mode = 0;
    this.#gateMs = 1000;
    this.#levelV = nimV;
    this.#referenceClock = 0;
  }

  #reply(line: string): void {
    this.#replies.push(encodeReply(line));
  }

  /** Moves what may move towards the host: words as the controller's pace allows, then replies. */
  #fill(): void {
    if (!this.#isStalled) this.#moveWords();
    if (this.#isDraining && this.#fifo.length > 0) return;
    if (this.#isDraining) {
      this.#isDraining = false;
      this.#packets.commit();
    }
    for (let next = this.#replies[0]; next !== undefined; next = this.#replies[0]) {
      if (next.length > this.#packets.room) break;
      this.#packets.append(next);
      this.#packets.commit();
      this.#replies.shift();
    }
    this.#applySlip();
  }

  #moveWords(): void {
    const room = Math.floor(this.#packets.room / 4);
    const words = Math.min(Math.floor(this.#creditWords), this.#fifo.length, room);
    this.#creditWords -= words;
    this.#fifo.shift(words, (bytes) => this.#packets.append(bytes));
  }

  #applySlip(): void {
    if (this.#slipBytes === 0 || this.#packets.peek().length < this.#slipBytes) return;
    this.#packets.take(this.#slipBytes);
    this.#slipBytes = 0;
  }

  #execute(command: Command): void {
    const isDone =
      command.words.length === 0 ? this.#executeBare(command.name) : this.#executeWith(command);
    if (!isDone) this.#reply(unknownCommandReply);
  }

  #executeBare(name: string): boolean {
    const replyOf = this.#queries.get(name);
    if (replyOf !== undefined) {
      this.#reply(replyOf());
      return true;
    }
    const act = this.#actions.get(name);
    act?.();
    return act !== undefined;
  }

  readonly #queries: ReadonlyMap<string, () => string> = new Map([
    // The exact text is unpublished; it contains TDC1.
    ["*IDN?", () => `S-Fifteen TDC1, ${this.#options.serialNumber}`],
    ["HELP", () => helpLines.join("\r\n")],
    ["MODE?", () => `${this.#mode}`],
    // The firmware prints a signed 16-bit number.
    ["TIME?", () => `${this.#gateMs > 32_767 ? this.#gateMs - 65_536 : this.#gateMs}`],
    ["LEVEL?", () => `${this.#levelV.toFixed(3)} V`],
    ["REFCLK?", () => `${this.#referenceClock}`],
    ["ECLOCK?", () => "0"],
    ["STATUS?", () => `${this.#hasOverflowed ? overflowStatus : clearStatus} `],
  ]);

  readonly #actions: ReadonlyMap<string, () => void> = new Map([
    ["*RST", () => this.#reset()],
    ["ABORT", () => this.#abort()],
    ["INPKT", () => this.#packets.commit()],
    ["COUNTS?", () => this.#startGate()],
    ["SINGLES", () => this.#setMode(0)],
    ["PAIRS", () => this.#setMode(1)],
    ["TIMESTAMP", () => this.#setMode(3)],
    ["NIM", () => this.#setLevel(nimV)],
    ["TTL", () => this.#setLevel(ttlV)],
  ]);

  #setMode(mode: Mode): void {
    this.#mode = mode;
  }

  #setLevel(levelV: number): void {
    this.#levelV = levelV;
  }

  #executeWith({ name, words }: Command): boolean {
    const value = parseDecimal(words[0]);
    if (value === null || words.length !== 1) return false;
    if (name === "TIME" && Number.isInteger(value) && value >= 0 && value <= 65_535) {
      this.#gateMs = value;
    } else if ((name === "POS" || name === "NEG") && Math.abs(value) <= levelMaxV) {
      this.#setLevel(name === "POS" ? Math.abs(value) : -Math.abs(value));
    } else if (name === "REFCLK" && (value === 0 || value === 1 || value === 2)) {
      this.#referenceClock = value;
    } else {
      return false;
    }
    return true;
  }
}
