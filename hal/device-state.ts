import { type Observable, ReplaySubject } from "rxjs";
import type { Clock } from "./clock.ts";
import type { DeviceState } from "./device.ts";
import type { LabError } from "./errors.ts";

/** The state of one device, as its driver keeps it. */
export interface DeviceStateKeeper {
  readonly state$: Observable<DeviceState>;
  set(state: "opening" | "ready" | "active"): void;
  /** The port went away, or the instrument does not do as told. The first reason stays. */
  fail(state: "disconnected" | "faulted", error: LabError): void;
  /** Ends the states: nothing follows `closed`. */
  close(): void;
}

/** Creates the state of a device that is being opened. */
export function createDeviceState(clock: Clock): DeviceStateKeeper {
  const now = (): string => new Date(Number(clock.utcPs() / 1_000_000_000n)).toISOString();
  // Replayed to who comes after the end as well, unlike a BehaviorSubject's.
  const states = new ReplaySubject<DeviceState>(1);
  let current: DeviceState = { state: "opening", since: now() };
  const show = (next: DeviceState): void => {
    current = next;
    states.next(next);
  };
  const hasFailed = (): boolean => ["disconnected", "faulted", "closed"].includes(current.state);
  show(current);
  return {
    state$: states.asObservable(),
    set: (state) => {
      if (!hasFailed() && current.state !== state) show({ state, since: now() });
    },
    fail: (state, error) => {
      if (!hasFailed()) show({ state, since: now(), error });
    },
    close: () => {
      if (current.state === "closed") return;
      show({ state: "closed", since: now() });
      states.complete();
    },
  };
}
