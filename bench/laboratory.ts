/** What every figure is given: the clock, the C++ peer where there is one, and the real recordings where they are. */
import type { Clock } from "../hal/clock.ts";
import type { CppPeer } from "./peers/cpp-peer.ts";
import type { Race } from "./race.ts";

/** What every figure is given. */
export interface Laboratory {
  readonly clock: Clock;
  /** Null where no compiler is. */
  readonly cpp: CppPeer | null;
  /** Folder of real recordings, when known. */
  readonly dataFolder: string | undefined;
}

/** A figure by name, prepared when its turn comes; null when its data set is not there. */
export interface Figure {
  readonly name: string;
  readonly about: string;
  prepare(laboratory: Laboratory): Promise<Race | null> | Race | null;
}
