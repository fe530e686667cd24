/** The instruments of a station as a command sees them; who opens them is in cli/run. */
import type { Clock } from "../hal/clock.ts";
import type { Logger } from "../hal/log.ts";
import type { RandomSource } from "../hal/random.ts";
import type { TimeTagger } from "../hal/roles/time-tagger.ts";
import type { SettingsSnapshot } from "../hal/station/snapshot.ts";
import type { Station } from "../hal/station/station-schema.ts";

/** One opened time tagger, and whatever had to be started for it. */
export interface StationSession {
  readonly tagger: TimeTagger;
  /** All settings as they are now. */
  takeSnapshot(): SettingsSnapshot;
  /** Sources off first; idempotent; leaves nothing running. */
  close(): Promise<void>;
}

/**
 * Opens what is needed to take tags from one tagger of a station: its port, and the mock lab when the station has one.
 * @throws LabError `station.*`, `device.*`, `link.*`, `mock.*`; what was opened by then is closed again.
 */
export type OpenStationSession = (
  station: Station,
  options: {
    readonly node: string;
    readonly device: string;
    readonly clock: Clock;
    readonly random: RandomSource;
    readonly logger: Logger;
  },
) => Promise<StationSession>;
