/** What a node and its port host tell each other over the fork's own channel (structured clone). */
import { LabError, type LabErrorCode } from "../errors.ts";

/** One write of a sequence that makes an instrument safe, and how long to wait after it. */
export interface SafeStep {
  readonly bytes: Uint8Array;
  readonly delayMs: number;
}

/** A LabError as plain data. */
export interface ErrorFacts {
  readonly code: LabErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** From the node to the host. */
export type HostRequest =
  | {
      readonly type: "open";
      readonly requestId: number;
      readonly url: string;
      readonly holder: string;
      readonly baud: number;
    }
  | {
      readonly type: "safe-state";
      readonly requestId: number;
      readonly portId: number;
      readonly steps: readonly SafeStep[];
    }
  | { readonly type: "close"; readonly portId: number }
  | { readonly type: "beat" }
  | { readonly type: "shutdown" };

/** From the host to the node. */
export type HostReport =
  | { readonly type: "ready"; readonly address: string }
  | {
      readonly type: "opened";
      readonly requestId: number;
      readonly portId: number;
      readonly token: string;
    }
  | { readonly type: "failed"; readonly requestId: number; readonly error: ErrorFacts }
  | { readonly type: "done"; readonly requestId: number }
  /** The port is closed and its safe steps were sent, or could not be: then `unsafe` says why. */
  | {
      readonly type: "ended";
      readonly portId: number;
      readonly error: ErrorFacts | null;
      readonly unsafe: ErrorFacts | null;
    };

/** How a node starts its host. */
export interface HostSettings {
  /** Without a beat for this long the host makes all ports safe and closes them. */
  readonly heartbeatTimeoutMs: number;
}

/** Bytes of a token in hex, and the byte that accepts it. */
export const tokenLength = 32;
export const acceptance = 0x06;

/** Bounds of a safe sequence: writes, and total pauses. */
export const safeStepsMax = 512;
export const safeSequenceMsMax = 15_000;

/** Makes plain data of a LabError. */
export const factsOf = ({ code, message, details }: LabError): ErrorFacts => ({
  ...{ code, message },
  // Details must survive the structured clone; text always does.
  details: Object.fromEntries(Object.entries(details).map(([key, value]) => [key, plain(value)])),
});

const plain = (value: unknown): unknown =>
  typeof value === "object" && value !== null ? JSON.stringify(value) : value;

/** Makes a LabError of plain data. */
export const errorOf = ({ code, message, details }: ErrorFacts): LabError =>
  new LabError(code, message, { details });
