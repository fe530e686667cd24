import { Subject } from "rxjs";
import { type Logger, silentLogger } from "../../../../hal/log.ts";
import type { KeyEvent } from "../../../../stack/application/qkd/key-events.ts";
import {
  type KeyMessage,
  keyMessageSchema,
} from "../../../../stack/application/qkd/key-messages.ts";
import { openKeySession } from "../../../../stack/application/qkd/key-session.ts";
import { parseKeySettings } from "../../../../stack/application/qkd/key-settings.ts";
import type { BellState } from "../../../../stack/application/qkd/sift.ts";
import type { PairRecords } from "../../../../stack/link/pair-records.ts";
import { drawPairs, kernels, openBadChannel, seededRandom, VirtualClock } from "./seeded-lab.ts";

const settings = parseKeySettings({
  blockBits: 12_000,
  testFraction: 0.25,
  securityError: 1e-6,
  correctnessError: 1e-9,
  answerTimeoutMs: 100,
});

type Rewrite = (message: KeyMessage, from: "alice" | "bob") => KeyMessage | null;

/** Two sessions over a good channel whose messages a test may change; `feed` gives both ends pairs. */
export function openLab(
  options: {
    readonly seed?: string;
    readonly rewrite?: Rewrite;
    readonly logger?: Logger;
    readonly bob?: Parameters<typeof parseKeySettings>[0];
    readonly bellState?: BellState;
  } = {},
) {
  const clock = new VirtualClock();
  const random = seededRandom(options.seed ?? "lab");
  const logger = options.logger ?? silentLogger;
  const channel = openBadChannel<KeyMessage>(
    clock,
    random,
    () => ({ loss: 0, duplication: 0, delayMsMax: 0 }),
    (message, from) => {
      keyMessageSchema.parse(message);
      return options.rewrite === undefined ? message : options.rewrite(message, from);
    },
  );
  const bellState = options.bellState ?? "phi+";
  const open = (end: "alice" | "bob") => {
    const records = new Subject<PairRecords>();
    const events: KeyEvent[] = [];
    const own = { ...settings, bellState, ...(end === "bob" ? options.bob : {}) };
    const session = openKeySession({
      port: channel[end],
      records$: records,
      end,
      settings: parseKeySettings(own),
      clock,
      random: seededRandom(`${options.seed} ${end}`),
      logger,
      kernels,
    });
    session.events$.subscribe((event) => events.push(event));
    return { session, records, events };
  };
  const alice = open("alice");
  const bob = open("bob");
  let sequence = 0n;
  const feed = (
    count: number,
    qber: number,
    more: { readonly incarnation?: string; readonly ends?: readonly ("alice" | "bob")[] } = {},
  ): void => {
    const pairs = drawPairs(random, { count, firstSequence: sequence, qber, bellState, ...more });
    sequence += BigInt(count);
    for (const end of more.ends ?? ["alice", "bob"]) {
      (end === "alice" ? alice : bob).records.next(pairs[end as "alice" | "bob"]);
    }
  };
  return { clock, alice, bob, feed, sent: channel.sent };
}

/** Picks the events of one type. */
export const of = <Type extends KeyEvent["type"]>(events: readonly KeyEvent[], type: Type) =>
  events.filter((event): event is Extract<KeyEvent, { type: Type }> => event.type === type);
