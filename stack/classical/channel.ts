import type { Observable } from "rxjs";
import type { z } from "zod";

/** The state of a channel; `since` is UTC in ISO 8601. */
export interface ChannelState {
  readonly state: "connecting" | "open" | "closed";
  readonly since: string;
  /** Why it is not open, as one sentence. */
  readonly reason?: string;
}

/** Ordered messages between two nodes, each delivered once or the channel closes. */
export interface ClassicalChannel {
  readonly local: string;
  readonly peer: string;
  /** Replays the present state to a new subscriber. */
  readonly state$: Observable<ChannelState>;
  /** Bytes queued and not yet taken by the transport; a sender of bulk data looks here and drops its own. */
  readonly queuedBytes: number;
  /** @throws LabError `channel.closed`. */
  send(message: Uint8Array): void;
  readonly received$: Observable<Uint8Array>;
  close(): Promise<void>;
}

/** One layer's typed messages on a channel: CBOR on the wire, checked by a schema on arrival. */
export interface MessagePort<Message> {
  readonly peer: string;
  send(message: Message): void;
  /** A message that does not match the schema is dropped, counted and logged, never thrown at the layer. */
  readonly received$: Observable<Message>;
  readonly malformed: number;
}

/** Opens one layer's port on a channel. `layer` goes on the wire; ports of the same name at both ends talk. */
export type OpenMessagePort = <Schema extends z.ZodType>(
  channel: ClassicalChannel,
  layer: string,
  schema: Schema,
) => MessagePort<z.output<Schema>>;
