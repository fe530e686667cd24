import type { Clock } from "../clock.ts";
import { LabError, messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { ByteLink } from "./byte-link.ts";
import {
  initialLineState,
  type LineEffect,
  type LineInput,
  type LineMarker,
  stepLines,
} from "./line-transaction.ts";

/** What an instrument said to a query. */
export interface LineAnswer {
  readonly reply: string;
  /** Lines that came before the reply and are none: refusals of a command in the same write. */
  readonly remarks: readonly string[];
}

/** Talks lines over a link. */
export interface LineClient {
  /**
   * Writes `text` (terminator included) and waits for the line that `isReply` accepts.
   * @throws LabError `link.timeout`, `link.busy`, `link.closed`, `link.disconnected`, `protocol.unexpected-reply`.
   */
  query(
    text: string,
    options: { readonly isReply: (line: string) => boolean; readonly timeoutMs: number },
  ): Promise<LineAnswer>;
  /** Writes text that has no reply. */
  send(text: string): Promise<void>;
  /**
   * Discards what arrives until nothing has for `quietMs`, at most `timeoutMs`; gives what was discarded (its last
   * bytes, as latin1) and whether it became quiet.
   */
  drain(options: {
    readonly quietMs: number;
    readonly timeoutMs: number;
  }): Promise<{ readonly heard: string; readonly isQuiet: boolean }>;
  /** Stops listening; queries that wait fail. The link stays open. */
  dispose(): void;
}

const drainedLengthMax = 4_096;
/** An instrument that talks on, or streams, is logged this often and then no more. */
const straysLoggedMax = 3;
const strayLengthMax = 80;

interface Waiting {
  readonly resolve: (answer: LineAnswer) => void;
  readonly reject: (error: LabError) => void;
}

/** Gives `setListener` a listener, and undefined again once nothing was heard for `quietMs`. */
function listenUntilQuiet(
  clock: Clock,
  limits: { readonly quietMs: number; readonly timeoutMs: number },
  setListener: (listener: ((bytes: Uint8Array) => void) | undefined) => void,
): Promise<{ readonly heard: string; readonly isQuiet: boolean }> {
  const { quietMs, timeoutMs } = limits;
  return new Promise((resolve) => {
    const startedMs = clock.monotonicMs();
    let heard = "";
    const settle = (isQuiet: boolean): void => {
      setListener(undefined);
      resolve({ heard, isQuiet });
    };
    let timer = clock.after(quietMs, () => settle(true));
    setListener((bytes) => {
      heard = (heard + Buffer.from(bytes).toString("latin1")).slice(-drainedLengthMax);
      timer[Symbol.dispose]();
      const leftMs = timeoutMs - (clock.monotonicMs() - startedMs);
      if (leftMs <= 0) settle(false);
      else timer = clock.after(Math.min(quietMs, leftMs), () => settle(leftMs > quietMs));
    });
  });
}

/** Runs the line conversation of `line-transaction.ts` on a link. */
export function createLineClient(
  link: ByteLink,
  options: { readonly marker: LineMarker; readonly clock: Clock; readonly logger: Logger },
): LineClient {
  const { clock, logger } = options;
  let state = initialLineState(options.marker);
  let nextId = 1;
  let strays = 0;
  let deadline: Disposable | undefined;
  let overhear: ((bytes: Uint8Array) => void) | undefined;
  const waiting = new Map<number, Waiting>();

  const run = (effect: LineEffect): void => {
    switch (effect.type) {
      case "write":
        link.send(Buffer.from(effect.text, "latin1")).catch((error: unknown) => {
          const reason =
            error instanceof LabError ? error : new LabError("link.closed", messageOf(error));
          feed({ type: "closed", error: reason });
        });
        return;
      case "wait":
        deadline?.[Symbol.dispose]();
        deadline =
          effect.timeoutMs === null
            ? undefined
            : clock.after(effect.timeoutMs, () => feed({ type: "expired" }));
        return;
      case "answer":
        waiting.get(effect.id)?.resolve({ reply: effect.reply, remarks: effect.remarks });
        waiting.delete(effect.id);
        return;
      case "fail":
        waiting.get(effect.id)?.reject(effect.error);
        waiting.delete(effect.id);
        return;
      case "stray":
        if (++strays > straysLoggedMax) return;
        logger.warn(
          { link: link.url, line: effect.line.slice(0, strayLengthMax) },
          "the instrument spoke unasked",
        );
    }
  };
  const feed = (input: LineInput): void => {
    const step = stepLines(state, input);
    state = step.state;
    for (const effect of step.effects) run(effect);
  };
  const closedError = (): LabError => new LabError("link.closed", `${link.url} was closed`);
  const subscription = link.received$.subscribe({
    next: (bytes) => {
      if (overhear === undefined) feed({ type: "bytes", bytes });
      else overhear(bytes);
    },
    error: (error: LabError) => feed({ type: "closed", error }),
    complete: () => feed({ type: "closed", error: closedError() }),
  });

  const drain: LineClient["drain"] = async (limits) => {
    const unfinished = state.tail;
    state = { ...state, tail: "" };
    const outcome = await listenUntilQuiet(clock, limits, (listener) => {
      overhear = listener;
    });
    return { ...outcome, heard: unfinished + outcome.heard };
  };

  return {
    query: (text, { isReply, timeoutMs }) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { resolve, reject });
        feed({ type: "ask", query: { id, text, isReply, timeoutMs } });
      }),
    send: (text) => link.send(Buffer.from(text, "latin1")),
    drain,
    dispose: () => {
      subscription.unsubscribe();
      feed({ type: "closed", error: closedError() });
    },
  };
}
