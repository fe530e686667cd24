/** One layer's typed messages on a channel that several layers share. */
import { Observable, Subject } from "rxjs";
import type { z } from "zod";
import { messageOf } from "../../hal/errors.ts";
import { type Logger, silentLogger } from "../../hal/log.ts";
import type { ClassicalChannel, MessagePort, OpenMessagePort } from "./channel.ts";
import { decodeMessage, isOfLayer, layerHeader, sealEnvelope } from "./message-codec.ts";

/** Malformed messages that one port logs; the rest are counted only, so that a peer cannot fill a disk. */
const malformedLoggedMax = 20;

/** Makes an `OpenMessagePort` that logs what it drops. */
export const messagePortOpener =
  (logger: Logger): OpenMessagePort =>
  <Schema extends z.ZodType>(channel: ClassicalChannel, layer: string, schema: Schema) =>
    createPort(channel, layer, schema, logger);

/**
 * Opens one layer's port on a channel. Messages that are no CBOR or do not match the schema are dropped
 * and counted in `malformed`. Messages that arrive while nobody is subscribed to `received$` are not kept.
 */
export const openMessagePort: OpenMessagePort = messagePortOpener(silentLogger);

function createPort<Schema extends z.ZodType>(
  channel: ClassicalChannel,
  layer: string,
  schema: Schema,
  logger: Logger,
): MessagePort<z.output<Schema>> {
  const header = layerHeader(layer);
  const messages = new Subject<z.output<Schema>>();
  let malformed = 0;
  const refuse = (reason: string): void => {
    malformed++;
    if (malformed <= malformedLoggedMax) {
      logger.warn({ layer, peer: channel.peer, reason, malformed }, "malformed message dropped");
    }
  };
  const parse = (envelope: Uint8Array): { readonly message: z.output<Schema> } | null => {
    try {
      const parsed = schema.safeParse(decodeMessage(envelope.subarray(header.length)));
      if (parsed.success) return { message: parsed.data };
      const [issue] = parsed.error.issues;
      refuse(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? "does not match"}`);
    } catch (error) {
      refuse(messageOf(error));
    }
    return null;
  };
  // One decoding however many subscribe; it stops when the last one leaves.
  const received$ = new Observable<z.output<Schema>>((subscriber) => {
    const own = messages.subscribe(subscriber);
    if (subscribers++ === 0) {
      source = channel.received$.subscribe({
        next: (envelope) => {
          if (!isOfLayer(envelope, header)) return;
          const parsed = parse(envelope);
          if (parsed !== null) messages.next(parsed.message);
        },
        complete: () => messages.complete(),
      });
    }
    return () => {
      own.unsubscribe();
      if (--subscribers === 0) source?.unsubscribe();
    };
  });
  let subscribers = 0;
  let source: { unsubscribe(): void } | undefined;
  return {
    peer: channel.peer,
    send: (message) => channel.send(sealEnvelope(header, message)),
    received$,
    get malformed() {
      return malformed;
    },
  };
}
