import {
  type BlockFailure,
  emit,
  failure,
  type KeyContext,
  type KeyEffect,
  type KeyInput,
  type KeyTransition,
  takeIntoBacklog,
} from "./key-block.ts";
import type { BlockId } from "./key-events.ts";
import type { KeyMessage } from "./key-messages.ts";
import { type CorrectorBlock, type CorrectorPhase, takeAnswer } from "./key-questions.ts";
import { settingsDigest } from "./key-settings.ts";
import { type SiftedBits, siftDigest } from "./sift.ts";
import { emptyBacklog, type SiftedBacklog, takeOldest } from "./sifted-backlog.ts";

/** The state of Bob's end. One block at a time; more wait in the backlog, which is bounded. */
export interface KeyCorrectorState {
  readonly session: string;
  readonly backlog: SiftedBacklog;
  readonly block: CorrectorBlock | null;
  /** Number of the last block proposed. */
  readonly lastBlock: number;
  readonly lastKeyId: string | null;
}

/** Gives the state of a session that has just opened; `session` is 16 random hex digits. */
export const initialCorrectorState = (session: string): KeyCorrectorState => ({
  session,
  backlog: emptyBacklog,
  block: null,
  lastBlock: 0,
  lastKeyId: null,
});

/** Takes one input; the state given is spent. */
export function stepCorrector(
  state: KeyCorrectorState,
  input: KeyInput,
  context: KeyContext,
): KeyTransition<KeyCorrectorState> {
  switch (input.type) {
    case "records":
      return takeRecords(state, input.sifted, context);
    case "message":
      return takeMessage(state, input.message, context);
    case "timer":
      return askAgain(state, context);
    case "close": {
      const aborted = abort(state, failure("closed", "this end is closing"));
      return { state: aborted.state, effects: aborted.effects };
    }
  }
}

function takeRecords(
  state: KeyCorrectorState,
  sifted: SiftedBits,
  context: KeyContext,
): KeyTransition<KeyCorrectorState> {
  const { backlog, effects } = takeIntoBacklog(state.backlog, sifted, context.settings);
  const begun = begin({ ...state, backlog }, context);
  return { state: begun.state, effects: [...effects, ...begun.effects] };
}

/** Proposes the next block when none is in hand and the bits suffice. */
function begin(
  state: KeyCorrectorState,
  { settings }: KeyContext,
): KeyTransition<KeyCorrectorState> {
  if (state.block !== null) return { state, effects: [] };
  const { backlog, taken, discarded } = takeOldest(state.backlog, settings.blockBits);
  const losses = discarded.map((loss) => emit({ type: "discarded", ...loss }));
  if (taken === null) return { state: { ...state, backlog }, effects: losses };
  const id: BlockId = { session: state.session, block: state.lastBlock + 1 };
  const question: KeyMessage = {
    type: "propose",
    ...id,
    step: 0,
    settings: settingsDigest(settings),
    link: taken.link,
    incarnation: taken.incarnation,
    firstSequence: `${taken.firstSequence}`,
    endSequence: `${taken.endSequence}`,
    digest: siftDigest(taken),
    lastKeyId: state.lastKeyId,
  };
  const phase: CorrectorPhase = { name: "proposed" };
  const block: CorrectorBlock = { id, sifted: taken, phase, question, step: 0, attempts: 1 };
  return {
    state: { ...state, backlog, block, lastBlock: id.block },
    effects: [
      ...losses,
      { type: "send", message: question },
      { type: "set-timer", delayMs: settings.answerTimeoutMs },
    ],
  };
}

/** Sends the question in flight once more, or gives the block up. */
function askAgain(state: KeyCorrectorState, context: KeyContext): KeyTransition<KeyCorrectorState> {
  const { block } = state;
  const { settings } = context;
  if (block === null) return { state, effects: [] };
  if (block.attempts >= settings.attemptsMax) {
    const detail = `no answer to "${block.question.type}" after ${block.attempts} attempts`;
    return abortAndBegin(state, failure("no-answer", detail), context);
  }
  return {
    state: { ...state, block: { ...block, attempts: block.attempts + 1 } },
    effects: [
      { type: "send", message: block.question },
      { type: "set-timer", delayMs: settings.answerTimeoutMs },
    ],
  };
}

/** Drops the block in hand, says so, and forgets its secrets. */
function abort(
  state: KeyCorrectorState,
  { reason, detail }: BlockFailure,
  by: "local" | "peer" = "local",
): KeyTransition<KeyCorrectorState> {
  const { block } = state;
  if (block === null) return { state, effects: [{ type: "clear-timer" }] };
  block.sifted.bits.fill(0);
  const { phase } = block;
  if (phase.name === "correcting" || phase.name === "verifying") phase.cascade.bits.fill(0);
  if (phase.name === "confirming") phase.key.secret.wipe();
  const message: KeyMessage = { type: "abort", ...block.id, reason };
  const effects: KeyEffect[] = by === "local" ? [{ type: "send", message }] : [];
  return {
    state: { ...state, block: null },
    effects: [
      ...effects,
      emit({ type: "aborted", ...block.id, reason, by, detail }),
      { type: "clear-timer" },
    ],
  };
}

function abortAndBegin(
  state: KeyCorrectorState,
  failed: BlockFailure,
  context: KeyContext,
  by: "local" | "peer" = "local",
): KeyTransition<KeyCorrectorState> {
  const aborted = abort(state, failed, by);
  const begun = begin(aborted.state, context);
  return { state: begun.state, effects: [...aborted.effects, ...begun.effects] };
}

function takeMessage(
  state: KeyCorrectorState,
  message: KeyMessage,
  context: KeyContext,
): KeyTransition<KeyCorrectorState> {
  const { block } = state;
  const isCurrent =
    block !== null && message.session === block.id.session && message.block === block.id.block;
  if (!isCurrent) return { state, effects: [] };
  if (message.type === "abort") {
    const failed = failure(message.reason, "the other end gave the block up");
    return abortAndBegin(state, failed, context, "peer");
  }
  // An answer to an earlier question has come twice or late.
  if (message.step !== block.step) return { state, effects: [] };
  const taken = takeAnswer(block, message, context);
  const events = taken.events.map(emit);
  if ("failed" in taken) {
    const aborted = abortAndBegin(state, taken.failed, context);
    return { state: aborted.state, effects: [...events, ...aborted.effects] };
  }
  if ("keyId" in taken) {
    const done = begin({ ...state, block: null, lastKeyId: taken.keyId }, context);
    return { state: done.state, effects: [...events, { type: "clear-timer" }, ...done.effects] };
  }
  const { phase, question } = taken;
  return {
    state: { ...state, block: { ...block, phase, question, step: block.step + 1, attempts: 1 } },
    effects: [
      ...events,
      { type: "send", message: question },
      { type: "set-timer", delayMs: context.settings.answerTimeoutMs },
    ],
  };
}
