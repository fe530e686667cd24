import { createCipheriv, createHash } from "node:crypto";
import { Subject } from "rxjs";
import type { Clock } from "../../../../hal/clock.ts";
import { type RandomSource, randomFromBytes } from "../../../../hal/random.ts";
import { ps } from "../../../../hal/units.ts";
import { compileKeyKernels } from "../../../../stack/application/qkd/privacy-amplification.ts";
import type { BellState } from "../../../../stack/application/qkd/sift.ts";
import { oppositeByBasis } from "../../../../stack/application/qkd/sift.ts";
import type { MessagePort } from "../../../../stack/classical/channel.ts";
import type { PairRecords } from "../../../../stack/link/pair-records.ts";

export const kernels = compileKeyKernels();

/** Chance that a seed replays. */
export function seededRandom(seed: string): RandomSource {
  const key = createHash("sha256").update(seed).digest();
  const cipher = createCipheriv("aes-256-ctr", key, new Uint8Array(16));
  return randomFromBytes((length) => Uint8Array.from(cipher.update(new Uint8Array(length))));
}

/** Time that moves only when it is told to. */
export class VirtualClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #waiting: { atMs: number; order: number; run: () => void }[] = [];

  monotonicMs(): number {
    return this.#nowMs;
  }

  utcPs() {
    return ps(BigInt(Math.round(this.#nowMs * 1e9)));
  }

  after(delayMs: number, run: () => void): Disposable {
    const entry = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    this.#waiting.push(entry);
    return {
      [Symbol.dispose]: () => {
        const at = this.#waiting.indexOf(entry);
        if (at >= 0) this.#waiting.splice(at, 1);
      },
    };
  }

  /** Runs everything due until `untilMs`. */
  advanceTo(untilMs: number): void {
    for (;;) {
      const due = this.#waiting
        .filter((entry) => entry.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (due === undefined) break;
      this.#waiting.splice(this.#waiting.indexOf(due), 1);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.run();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }
}

/** What a channel does to messages, as probabilities and a delay range. */
export interface ChannelFaults {
  readonly loss: number;
  readonly duplication: number;
  readonly delayMsMax: number;
}

/** Two message ports joined by a bad channel: it drops, doubles, delays and so reorders. */
export function openBadChannel<Message>(
  clock: Clock,
  random: RandomSource,
  faults: () => ChannelFaults,
  rewrite: (message: Message, from: "alice" | "bob") => Message | null = (message) => message,
) {
  const inboxes = { alice: new Subject<Message>(), bob: new Subject<Message>() };
  const sent: Message[] = [];
  const portOf = (end: "alice" | "bob", peer: "alice" | "bob"): MessagePort<Message> => ({
    peer,
    received$: inboxes[end],
    malformed: 0,
    send: (original) => {
      const message = rewrite(original, end);
      sent.push(original);
      if (message === null) return;
      const { loss, duplication, delayMsMax } = faults();
      const copies = random.uniform() < duplication ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        if (random.uniform() < loss) continue;
        clock.after(random.uniform() * delayMsMax, () => inboxes[peer].next(message));
      }
    },
  });
  return { alice: portOf("alice", "bob"), bob: portOf("bob", "alice"), sent };
}

/** Draws a block of pairs as two ends see it: uniform bases and outcomes, flipped with probability `qber`. */
export function drawPairs(
  random: RandomSource,
  options: {
    readonly count: number;
    readonly firstSequence: bigint;
    readonly qber: number;
    readonly incarnation?: string;
    readonly bellState?: BellState;
  },
): { readonly alice: PairRecords; readonly bob: PairRecords } {
  const { count, firstSequence, qber } = options;
  const chance = random.bytes(5 * count);
  const column = () => new Uint8Array(count);
  const [aliceBasis, bobBasis, aliceOutcome, bobOutcome] = [column(), column(), column(), column()];
  const view = new DataView(chance.buffer, chance.byteOffset, chance.byteLength);
  for (let i = 0; i < count; i++) {
    const bits = view.getUint8(5 * i);
    const basis = bits & 1;
    aliceBasis[i] = basis;
    bobBasis[i] = (bits >> 1) & 1;
    aliceOutcome[i] = (bits >> 2) & 1;
    const isWrong = view.getUint32(5 * i + 1) / 2 ** 32 < qber ? 1 : 0;
    const opposite = oppositeByBasis[options.bellState ?? "phi+"][basis as 0 | 1];
    bobOutcome[i] =
      basis === bobBasis[i] ? (aliceOutcome[i] ?? 0) ^ opposite ^ isWrong : (bits >> 3) & 1;
  }
  const common = {
    link: "alice-bob",
    incarnation: options.incarnation ?? "0123456789abcdef",
    selection: "post-selected" as const,
    firstSequence,
    count,
    timesPs: new BigInt64Array(count),
    fromPs: ps(0n),
    toPs: ps(1n),
  };
  return {
    alice: { ...common, localBasis: aliceBasis, remoteBasis: bobBasis, rawOutcome: aliceOutcome },
    bob: { ...common, localBasis: bobBasis, remoteBasis: aliceBasis, rawOutcome: bobOutcome },
  };
}
