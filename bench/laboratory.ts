/** What every figure is given: the clock, the C++ peer where there is one, and the real recordings where they are. */
import type { Clock } from "../hal/clock.ts";
import type { CppPeer } from "./peers/cpp-peer.ts";
import type { FigureLine, Race } from "./race.ts";

/** What every figure is given. */
export interface Laboratory {
  readonly clock: Clock;
  /** Null where no compiler is. */
  readonly cpp: CppPeer | null;
  /** Folder of real recordings, when known. */
  readonly dataFolder: string | undefined;
  /** The sources' home. */
  readonly packageFolder: URL;
}

interface Named {
  readonly name: string;
  readonly about: string;
}

/** A figure that is a race, prepared when its turn comes; null when its recording is not there. */
export interface RaceFigure extends Named {
  prepare(laboratory: Laboratory): Promise<Race | null> | Race | null;
}

/** A figure that measures by itself; a text says why it was left out. */
export interface RunFigure extends Named {
  measure(laboratory: Laboratory): Promise<readonly FigureLine[] | string>;
}

/** A figure by name. */
export type Figure = RaceFigure | RunFigure;
