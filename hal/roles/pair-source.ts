import type { Device } from "../device.ts";

/** A source of photon pairs whose light is switched and limited. Off when opened and after `close`. */
export interface PairSource extends Device {
  readonly role: "pair-source";
  /**
   * Switches the pump on and ramps it to `currentMa`, within the station's limits, for as long as the lease is renewed.
   * @throws LabError `device.limit`, `device.refused`.
   */
  arm(options: { readonly currentMa: number; readonly leaseMs: number }): Promise<void>;
  /** Extends the lease; past its end the source goes off by itself. */
  renewLease(): void;
  /** Ramps down and switches off, then reads back that it is off. Idempotent. */
  disarm(): Promise<void>;
  /** Pump current in mA and whether light is on, read from the instrument. */
  measureOutput(): Promise<{ readonly currentMa: number; readonly isOn: boolean }>;
}
