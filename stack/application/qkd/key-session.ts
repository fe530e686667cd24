import { type Observable, Subject, type Subscription } from "rxjs";
import type { Clock } from "../../../hal/clock.ts";
import { messageOf } from "../../../hal/errors.ts";
import type { Logger } from "../../../hal/log.ts";
import type { RandomSource } from "../../../hal/random.ts";
import type { MessagePort } from "../../classical/channel.ts";
import type { PairRecords } from "../../link/pair-records.ts";
import type { KeyContext, KeyEffect, KeyInput, KeyTransition } from "./key-block.ts";
import { blockShape } from "./key-block.ts";
import { initialCorrectorState, stepCorrector } from "./key-corrector.ts";
import type { KeyEvent } from "./key-events.ts";
import type { KeyMessage } from "./key-messages.ts";
import { initialResponderState, stepResponder } from "./key-responder.ts";
import type { KeySettings } from "./key-settings.ts";
import { openToeplitzHasher } from "./privacy-amplification.ts";
import { type KeyEnd, sift } from "./sift.ts";

/** One end's key distillation on one link, running. */
export interface KeySession {
  /** Hot, so that no key lies about for late subscribers: subscribe at once. Completes on close. */
  readonly events$: Observable<KeyEvent>;
  /** Gives up the block in hand, tells the peer, and stops. Keys that were delivered stay with their owners. */
  close(): void;
}

/** What one end works with. */
export interface KeySessionOptions {
  readonly port: MessagePort<KeyMessage>;
  readonly records$: Observable<PairRecords>;
  /** "alice" is the link's first end: her bits are the reference. The other end is "bob". */
  readonly end: KeyEnd;
  readonly settings: KeySettings;
  readonly clock: Clock;
  /** The operating system's generator, except in simulations. */
  readonly random: RandomSource;
  readonly logger: Logger;
  /** `compileKeyKernels()`, shared between sessions. */
  readonly kernels: WebAssembly.Module;
}

/** A machine with its state inside, for either end. */
function startMachine(end: KeyEnd, context: KeyContext): (input: KeyInput) => readonly KeyEffect[] {
  const run = <State>(
    initial: State,
    step: (state: State, input: KeyInput, context: KeyContext) => KeyTransition<State>,
  ) => {
    let state = initial;
    return (input: KeyInput): readonly KeyEffect[] => {
      const next = step(state, input, context);
      state = next.state;
      return next.effects;
    };
  };
  if (end === "alice") return run(initialResponderState, stepResponder);
  const session = Buffer.from(context.random.bytes(8)).toString("hex");
  return run(initialCorrectorState(session), stepCorrector);
}

/**
 * Opens key distillation at one end. It runs on the caller's thread in short slices: the ends take turns, so that a
 * message at a time is taken, as it comes. A block is 150 to 700 rounds, most of them in Cascade's second pass, each as
 * long as the channel's way there and back: larger blocks take more bits through a channel that is slow. The heaviest
 * steps of a block of 60 kbit take 2 ms (drawing the sample), 1.2 ms (the key's hash) and 1 ms (a shuffle and its
 * inverse) on one core once compiled, about ten times that the first time; a block costs 60 to 100 ms of one core
 * in several hundred slices, so no worker is needed.
 */
export function openKeySession(options: KeySessionOptions): KeySession {
  const { port, records$, end, settings, clock, random, kernels } = options;
  const logger = options.logger.child({ layer: "key", end, peer: port.peer });
  const { keyBits } = blockShape(settings);
  const hasher = openToeplitzHasher(kernels, keyBits);
  const step = startMachine(end, { settings, random, hasher });
  const events = new Subject<KeyEvent>();
  const subscriptions: Subscription[] = [];
  let timer: Disposable | null = null;
  let isClosed = false;

  const setTimer = (delayMs: number | null): void => {
    timer?.[Symbol.dispose]();
    timer = delayMs === null ? null : clock.after(delayMs, () => take({ type: "timer" }));
  };
  const send = (message: KeyMessage): void => {
    try {
      port.send(message);
    } catch (error) {
      // A closed channel is like a lost message: the machine asks again and then gives the block up.
      logger.warn({ reason: messageOf(error), message: message.type }, "key message not sent");
    }
  };
  const run = (effect: KeyEffect): void => {
    switch (effect.type) {
      case "send":
        send(effect.message);
        break;
      case "set-timer":
        setTimer(effect.delayMs);
        break;
      case "clear-timer":
        setTimer(null);
        break;
      case "emit":
        logger.debug({ event: effect.event }, "key event");
        events.next(effect.event);
        break;
    }
  };
  const take = (input: KeyInput): void => {
    for (const effect of step(input)) run(effect);
  };
  const close = (): void => {
    if (isClosed) return;
    isClosed = true;
    for (const subscription of subscriptions) subscription.unsubscribe();
    take({ type: "close" });
    setTimer(null);
    events.complete();
  };
  subscriptions.push(
    port.received$.subscribe((message) => take({ type: "message", message })),
    records$.subscribe({
      next: (records) => {
        take({ type: "records", sifted: sift(records, end, settings.bellState) });
      },
      error: (error: unknown) => {
        logger.error({ reason: messageOf(error) }, "the link's records failed: no more keys");
        close();
      },
    }),
  );
  return { events$: events.asObservable(), close };
}
