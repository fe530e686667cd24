import type { FromMock } from "../mock-child.ts";
import type { LabSettings } from "./lab-settings.ts";

/** What was lost or left out in the mock lab since its start. Nothing is lost without being counted here. */
export interface LabCounters {
  /** Lab time left out because the process was stopped or too slow, and how often. */
  readonly skippedPs: string;
  readonly skips: number;
  /** Frames and clicks not handed to an instrument that read too slowly. */
  readonly framesDropped: number;
  readonly clicksDropped: number;
  /** Photons, dark counts and afterpulses that met a dead detector: physics, not a fault. */
  readonly blockedByDeadTime: string;
  /** Afterpulses that found no place to wait. */
  readonly afterpulsesDropped: number;
}

/** From the host to the physics process. */
export type ToPhysics =
  | { readonly type: "start"; readonly settings: LabSettings; readonly seed: number }
  | { readonly type: "count"; readonly request: number }
  | { readonly type: "stop" };

/** From the physics process to its host; counters come unasked, at most once a second, when something was lost. */
export type FromPhysics = FromMock<{ readonly socketPath: string }, LabCounters>;
