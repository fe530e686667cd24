import { packBits } from "./bit-string.ts";
import { answerStep, type ResponderPhase } from "./key-answers.ts";
import {
  type BlockFailure,
  blockShape,
  emit,
  failure,
  type KeyContext,
  type KeyEffect,
  type KeyInput,
  type KeyTransition,
  takeIntoBacklog,
} from "./key-block.ts";
import type { BlockId } from "./key-events.ts";
import type { KeyMessage, KeyMessageOf } from "./key-messages.ts";
import { type KeySettings, settingsDigest } from "./key-settings.ts";
import { drawTestMask, splitByMask } from "./parameter-estimation.ts";
import type { SiftedBits } from "./sift.ts";
import {
  emptyBacklog,
  type ProposedRange,
  rangeStatus,
  type SiftedBacklog,
  takeRange,
} from "./sifted-backlog.ts";

interface ResponderBlock {
  readonly id: BlockId;
  readonly phase: ResponderPhase;
  /** The step of the last answer, and the answer, sent again when the question comes again. */
  readonly step: number;
  readonly answer: KeyMessage | null;
}

/** The state of Alice's end: one block at a time, the one that Bob proposed last. */
export interface KeyResponderState {
  readonly backlog: SiftedBacklog;
  readonly block: ResponderBlock | null;
  /** Sessions of Bob's that are over, newest last; at most `retiredMax`. */
  readonly retired: readonly string[];
  /** The key delivered last, until Bob says that he has it. */
  readonly unsettledKeyId: string | null;
}

const retiredMax = 16;

export const initialResponderState: KeyResponderState = {
  backlog: emptyBacklog,
  block: null,
  retired: [],
  unsettledKeyId: null,
};

/** Takes one input; the state given is spent. */
export function stepResponder(
  state: KeyResponderState,
  input: KeyInput,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  switch (input.type) {
    case "records":
      return takeRecords(state, input.sifted, context);
    case "message":
      return takeMessage(state, input.message, context);
    case "timer":
      return abort(state, failure("peer-silent", "the other end has stopped asking"));
    case "close":
      return abort(state, failure("closed", "this end is closing"));
  }
}

/** How long Bob may be silent: longer than he would go on asking. */
const idleMs = (settings: KeySettings): number =>
  settings.answerTimeoutMs * (settings.attemptsMax + 1);

/** Drops the block in hand, says so to both sides, and forgets its secrets. */
function abort(
  state: KeyResponderState,
  { reason, detail }: BlockFailure,
): KeyTransition<KeyResponderState> {
  const { block } = state;
  if (block === null || block.phase.name === "done") {
    return { state, effects: [{ type: "clear-timer" }] };
  }
  forget(block);
  const message: KeyMessage = { type: "abort", ...block.id, reason };
  return {
    state: { ...state, block: { ...block, phase: { name: "done" }, answer: message } },
    effects: [
      { type: "send", message },
      emit({ type: "aborted", ...block.id, reason, by: "local", detail }),
      { type: "clear-timer" },
    ],
  };
}

/** Overwrites what must not outlive a block. */
function forget({ phase }: ResponderBlock): void {
  if (phase.name === "sampled" || phase.name === "reconciling") phase.keyBits.fill(0);
  if (phase.name === "reconciling") phase.cascade.wipe();
  if (phase.name === "amplified") phase.key.secret.wipe();
}

function takeRecords(
  state: KeyResponderState,
  sifted: SiftedBits,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  const { backlog, effects } = takeIntoBacklog(state.backlog, sifted, context.settings);
  const next = { ...state, backlog };
  if (state.block?.phase.name !== "awaiting-records") return { state: next, effects };
  const opened = answerProposal(next, state.block.phase.proposal, context);
  return { state: opened.state, effects: [...effects, ...opened.effects] };
}

const isOf = (id: BlockId, message: BlockId): boolean =>
  id.session === message.session && id.block === message.block;

function takeMessage(
  state: KeyResponderState,
  message: KeyMessage,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  const { block } = state;
  if (block === null || !isOf(block.id, message)) return takeForeign(state, message, context);
  if (message.type === "abort") return takeAbort(state, message);
  if (message.step <= block.step) {
    const repeats = message.step === block.step && block.answer !== null;
    return { state, effects: repeats ? [{ type: "send", message: block.answer }] : [] };
  }
  if (block.phase.name === "done") return { state, effects: [refusal(block.id)] };
  if (message.step !== block.step + 1) {
    return abort(state, failure("peer-violation", "a step was left out"));
  }
  return takeStep(state, block, message, context);
}

/** Tells Bob that this end does not know his block, or knows it no more. */
const refusal = ({ session, block }: BlockId): KeyEffect => ({
  type: "send",
  message: { type: "abort", session, block, reason: "unknown-block" },
});

/** Takes a message about another block than the one in hand: a new proposal, or a question after a restart here. */
function takeForeign(
  state: KeyResponderState,
  message: KeyMessage,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  if (message.type === "propose") return takeProposal(state, message, context);
  const isStale =
    state.retired.includes(message.session) || state.block?.id.session === message.session;
  return { state, effects: isStale || message.type === "abort" ? [] : [refusal(message)] };
}

function takeAbort(
  state: KeyResponderState,
  message: KeyMessageOf<"abort">,
): KeyTransition<KeyResponderState> {
  const { block, unsettledKeyId } = state;
  if (block === null) return { state, effects: [] };
  if (block.phase.name === "done") {
    // Only a block whose key was delivered here can still be given up: Bob has not heard of it.
    if (unsettledKeyId === null || block.answer?.type !== "confirmed")
      return { state, effects: [] };
    const revoked = emit({ type: "revoked", keyId: unsettledKeyId });
    return { state: { ...state, unsettledKeyId: null }, effects: [revoked] };
  }
  forget(block);
  return {
    state: { ...state, block: { ...block, phase: { name: "done" }, answer: null } },
    effects: [
      emit({
        type: "aborted",
        ...block.id,
        reason: message.reason,
        by: "peer",
        detail: "the other end gave the block up",
      }),
      { type: "clear-timer" },
    ],
  };
}

/** Starts the block that Bob proposes, unless it is an old proposal that arrives late. */
function takeProposal(
  state: KeyResponderState,
  proposal: KeyMessageOf<"propose">,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  const { block } = state;
  const sameSession = block?.id.session === proposal.session;
  if (state.retired.includes(proposal.session)) return { state, effects: [] };
  if (block !== null && sameSession && proposal.block < block.id.block) {
    return { state, effects: [] };
  }
  const dropped = abort(state, failure("superseded", "the other end has begun another block"));
  const effects = dropped.effects.filter((effect) => effect.type === "emit");
  const { unsettledKeyId } = state;
  if (unsettledKeyId !== null && unsettledKeyId !== proposal.lastKeyId) {
    const type = sameSession ? "revoked" : "unsettled";
    effects.push({ type: "emit", event: { type, keyId: unsettledKeyId } });
  }
  const retired =
    block === null || sameSession
      ? state.retired
      : [...state.retired, block.id.session].slice(-retiredMax);
  const id = { session: proposal.session, block: proposal.block };
  const phase: ResponderPhase = { name: "awaiting-records", proposal };
  const opened: KeyResponderState = {
    ...state,
    retired,
    unsettledKeyId: null,
    block: { id, phase, step: 0, answer: null },
  };
  const answered = answerProposal(opened, proposal, context);
  const timer: KeyEffect = { type: "set-timer", delayMs: idleMs(context.settings) };
  return { state: answered.state, effects: [...effects, timer, ...answered.effects] };
}

/** Answers a proposal with a test sample when the records are here, or waits for them. */
function answerProposal(
  state: KeyResponderState,
  proposal: KeyMessageOf<"propose">,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  const { settings, random } = context;
  const { block } = state;
  if (block === null) return { state, effects: [] };
  if (proposal.settings !== settingsDigest(settings)) {
    return abort(state, failure("settings-differ", "the ends have different key settings"));
  }
  const range: ProposedRange = {
    incarnation: proposal.incarnation,
    firstSequence: BigInt(proposal.firstSequence),
    endSequence: BigInt(proposal.endSequence),
    digest: proposal.digest,
  };
  const status = rangeStatus(state.backlog, range);
  if (status === "awaited") return { state, effects: [] };
  if (status === "gone") {
    return abort(
      state,
      failure("records-missing", "the records are of an incarnation that is over"),
    );
  }
  const { backlog, taken, discarded } = takeRange(state.backlog, range);
  const losses = discarded.map((loss) => emit({ type: "discarded", ...loss }));
  if (taken === null || taken.bits.length !== settings.blockBits) {
    const failed = abort(
      { ...state, backlog },
      failure("records-differ", "the ends do not hold the same sifted records"),
    );
    return { state: failed.state, effects: [...losses, ...failed.effects] };
  }
  const mask = drawTestMask(random, settings.blockBits, blockShape(settings).testBits);
  const { testBits, keyBits } = splitByMask(taken.bits, mask);
  taken.bits.fill(0);
  const answer: KeyMessage = {
    type: "sample",
    ...block.id,
    step: 0,
    mask: packBits(mask),
    testBits,
  };
  const phase: ResponderPhase = { name: "sampled", sifted: taken, mask, testBits, keyBits };
  return {
    state: { ...state, backlog, block: { ...block, phase, answer } },
    effects: [...losses, { type: "send", message: answer }],
  };
}

function takeStep(
  state: KeyResponderState,
  block: ResponderBlock,
  message: KeyMessage,
  context: KeyContext,
): KeyTransition<KeyResponderState> {
  const answered = answerStep(block.id, block.phase, message, context);
  const events = answered.events.map(emit);
  if ("failed" in answered) {
    const failed = abort(state, answered.failed);
    return { state: failed.state, effects: [...events, ...failed.effects] };
  }
  const { phase, answer, keyId } = answered;
  const timer: KeyEffect =
    phase.name === "done"
      ? { type: "clear-timer" }
      : { type: "set-timer", delayMs: idleMs(context.settings) };
  return {
    state: {
      ...state,
      block: { ...block, phase, answer, step: block.step + 1 },
      unsettledKeyId: keyId ?? state.unsettledKeyId,
    },
    effects: [...events, { type: "send", message: answer }, timer],
  };
}
