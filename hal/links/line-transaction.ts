/**
 * Queries and replies of an instrument that speaks lines, as a pure state machine: one query in
 * flight, the others in a bounded queue.
 *
 * Such an instrument does not number its replies. After a query went unanswered its reply may still
 * come, and would be taken for the next query's. So the machine first sends a *marker*, a query whose
 * reply nobody can mistake (`*IDN?`), and drops every line until the marker's reply; instruments
 * answer in order, so whatever was late has passed by then. A marker that was itself given up stays
 * owed, and its reply is dropped wherever it turns up.
 */
import { LabError } from "../errors.ts";
import { takeLines } from "./framing.ts";

const queueMax = 32;
const remarksMax = 16;
const lineLengthMax = 4_096;

/** One query: what to write, which line answers it, how long that may take. */
export interface LineQuery {
  readonly id: number;
  /** Sent as it is, terminator included. */
  readonly text: string;
  /** Tells the reply from remarks, such as a refusal of the command before it in the same write. */
  readonly isReply: (line: string) => boolean;
  readonly timeoutMs: number;
}

/** The query that finds the place in the conversation again. */
export interface LineMarker {
  readonly text: string;
  readonly isReply: (line: string) => boolean;
  readonly timeoutMs: number;
}

/** Where the conversation stands. */
export interface LineState {
  readonly marker: LineMarker;
  /** Bytes of an unfinished line, as latin1. */
  readonly tail: string;
  readonly queue: readonly LineQuery[];
  readonly phase: "idle" | "asking" | "resynchronising" | "lost" | "closed";
  readonly remarks: readonly string[];
  /** Marker replies that may still come. */
  readonly owedMarkers: number;
}

/** What can happen to a conversation. */
export type LineInput =
  | { readonly type: "ask"; readonly query: LineQuery }
  | { readonly type: "bytes"; readonly bytes: Uint8Array }
  /** The deadline set by the last `wait` passed. */
  | { readonly type: "expired" }
  | { readonly type: "closed"; readonly error: LabError };

/** What a conversation asks its runner to do. */
export type LineEffect =
  | { readonly type: "write"; readonly text: string }
  /** Replaces the deadline before it; null when nothing is awaited. */
  | { readonly type: "wait"; readonly timeoutMs: number | null }
  | {
      readonly type: "answer";
      readonly id: number;
      readonly reply: string;
      readonly remarks: readonly string[];
    }
  | { readonly type: "fail"; readonly id: number; readonly error: LabError }
  /** A line that nobody asked for; worth a log entry. */
  | { readonly type: "stray"; readonly line: string };

/** A conversation advanced by one input. */
export interface LineStep {
  readonly state: LineState;
  readonly effects: readonly LineEffect[];
}

/** Gives a conversation in which nothing was said yet. */
export const initialLineState = (marker: LineMarker): LineState => ({
  ...{ marker, tail: "", queue: [], phase: "idle", remarks: [], owedMarkers: 0 },
});

/** Advances a conversation by one input. */
export function stepLines(state: LineState, input: LineInput): LineStep {
  switch (input.type) {
    case "ask":
      return ask(state, input.query);
    case "bytes":
      return receive(state, input.bytes);
    case "expired":
      return expire(state);
    case "closed":
      return {
        state: { ...state, phase: "closed", queue: [], remarks: [] },
        effects: [
          { type: "wait", timeoutMs: null },
          ...state.queue.map(({ id }): LineEffect => ({ type: "fail", id, error: input.error })),
        ],
      };
  }
}

function ask(state: LineState, query: LineQuery): LineStep {
  if (state.phase === "closed" || state.queue.length >= queueMax) {
    const error =
      state.phase === "closed"
        ? new LabError("link.closed", "the port was closed before the query")
        : new LabError("link.busy", `${queueMax} queries wait already: wait for their replies`);
    return { state, effects: [{ type: "fail", id: query.id, error }] };
  }
  const queued = { ...state, queue: [...state.queue, query] };
  return state.phase === "idle" || state.phase === "lost" ? sendNext(queued) : still(queued);
}

const still = (state: LineState): LineStep => ({ state, effects: [] });

/** Sends the head of the queue, or the marker when the place in the conversation is lost. */
function sendNext(state: LineState): LineStep {
  const [next] = state.queue;
  if (next === undefined) {
    return {
      state: { ...state, phase: state.phase === "lost" ? "lost" : "idle", remarks: [] },
      effects: [{ type: "wait", timeoutMs: null }],
    };
  }
  const isLost = state.phase === "lost";
  const { text, timeoutMs } = isLost ? state.marker : next;
  return {
    state: {
      ...state,
      phase: isLost ? "resynchronising" : "asking",
      remarks: [],
      owedMarkers: state.owedMarkers + (isLost ? 1 : 0),
    },
    effects: [
      { type: "write", text },
      { type: "wait", timeoutMs },
    ],
  };
}

function receive(state: LineState, bytes: Uint8Array): LineStep {
  const { lines, tail } = takeLines(state.tail, bytes, lineLengthMax);
  let step = still({ ...state, tail });
  for (const line of lines) {
    const next = receiveLine(step.state, line);
    step = { state: next.state, effects: [...step.effects, ...next.effects] };
  }
  return step;
}

function receiveLine(state: LineState, line: string): LineStep {
  const [asked] = state.queue;
  const isMarkerReply = state.owedMarkers > 0 && state.marker.isReply(line);
  if (isMarkerReply) {
    const paid = { ...state, owedMarkers: state.owedMarkers - 1 };
    return state.phase === "resynchronising" ? sendNext({ ...paid, phase: "idle" }) : still(paid);
  }
  if (state.phase !== "asking" || asked === undefined) {
    return { state, effects: [{ type: "stray", line }] };
  }
  if (!asked.isReply(line)) {
    return still({ ...state, remarks: [...state.remarks, line].slice(-remarksMax) });
  }
  const answered = sendNext({ ...state, phase: "idle", queue: state.queue.slice(1) });
  return {
    state: answered.state,
    effects: [
      { type: "answer", id: asked.id, reply: line, remarks: state.remarks },
      ...answered.effects,
    ],
  };
}

/** What to tell who asked: silence, or words that are no reply. */
function unanswered(query: LineQuery, remarks: readonly string[]): LabError {
  const asked = query.text.trim();
  const details = { asked, received: remarks };
  if (remarks.length === 0) {
    return new LabError("link.timeout", `no reply to ${asked} within ${query.timeoutMs} ms`, {
      details,
    });
  }
  return new LabError(
    "protocol.unexpected-reply",
    `${asked} was answered by "${remarks.join(" / ")}", which is no reply to it`,
    { details },
  );
}

function expire(state: LineState): LineStep {
  const [asked] = state.queue;
  if ((state.phase !== "asking" && state.phase !== "resynchronising") || asked === undefined) {
    return still(state);
  }
  const error = unanswered(asked, state.remarks);
  // A query that waited behind a lost marker fails too: one try each, so that nobody waits for ever.
  const next = sendNext({ ...state, phase: "lost", queue: state.queue.slice(1), tail: "" });
  return {
    state: next.state,
    effects: [{ type: "fail", id: asked.id, error }, ...next.effects],
  };
}
