import type { Observable } from "rxjs";
import type { LabError } from "./errors.ts";

/** Who an instrument says it is. */
export interface DeviceIdentity {
  readonly vendor: string;
  readonly model: string;
  /** null where the instrument does not tell. */
  readonly serialNumber: string | null;
  readonly firmware: string | null;
  /** The instrument's own words, as received. */
  readonly raw: string;
}

/** What a device is doing; `since` is UTC in ISO 8601. */
export type DeviceState =
  | { readonly state: "opening" | "ready" | "active" | "closed"; readonly since: string }
  | {
      readonly state: "disconnected" | "faulted";
      readonly since: string;
      readonly error: LabError;
    };

/** An opened instrument. It is in its safe state when opened and again once closed. */
export interface Device {
  /** Its name in the station file. */
  readonly name: string;
  /** `vendor/model` of the driver. */
  readonly driver: string;
  readonly role: string;
  readonly identity: DeviceIdentity;
  /** Replays the present state to a new subscriber. */
  readonly state$: Observable<DeviceState>;
  /** Reaches the safe state first, then lets the port go. Idempotent; never leaves an output on. */
  close(): Promise<void>;
}
