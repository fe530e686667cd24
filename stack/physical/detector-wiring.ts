/** Which input of an end's tagger is which detector: basis, outcome, and the delay of its cable. */
import { LabError } from "../../hal/errors.ts";

/** One detector. */
export interface WiredDetector {
  readonly name: string;
  /** Input of the tagger, 0-based. */
  readonly channel: number;
  /** 0 Z (H/V), 1 X (D/A). */
  readonly basis: 0 | 1;
  readonly outcome: 0 | 1;
  /** Added to the channel's times. */
  readonly delayPs: bigint;
}

/** All detectors of one end; plain data that crosses threads. */
export interface DetectorWiring {
  readonly detectors: readonly WiredDetector[];
}

/** Delays beyond this are a mistake: cables and electronics, not fibre links. */
const delayPsMax = 1_000_000_000n;

/**
 * Checks a wiring: channels differ, no two detectors share basis and outcome, delays within 1 ms.
 * @throws LabError `physical.wiring`.
 */
export function checkWiring(wiring: DetectorWiring): DetectorWiring {
  const channels = new Map<number, string>();
  const meanings = new Map<number, string>();
  if (wiring.detectors.length === 0) {
    throw new LabError("physical.wiring", "no detector is wired: name at least one in the station");
  }
  for (const { name, channel, basis, outcome, delayPs } of wiring.detectors) {
    const sharing = channels.get(channel) ?? meanings.get(clickMask(basis, outcome));
    if (sharing !== undefined) {
      throw new LabError(
        "physical.wiring",
        `detectors ${sharing} and ${name} have the same input, or the same basis and outcome: give each its own`,
        { details: { channel, basis, outcome } },
      );
    }
    if (channel < 0 || channel > 255 || delayPs > delayPsMax || delayPs < -delayPsMax) {
      throw new LabError(
        "physical.wiring",
        `detector ${name} has input ${channel + 1} and delay ${delayPs} ps: inputs go to 256, delays to 1 ms`,
        { details: { channel } },
      );
    }
    channels.set(channel, name);
    meanings.set(clickMask(basis, outcome), name);
  }
  return wiring;
}

/** The bit that stands for a click of one detector: 1 << (2 basis + outcome). */
export const clickMask = (basis: number, outcome: number): number => 1 << (2 * basis + outcome);

/** The smallest of a wiring's delays, ps. */
export const delayPsMinOf = (wiring: DetectorWiring): bigint =>
  wiring.detectors.map(({ delayPs }) => delayPs).sort((a, b) => (a < b ? -1 : 1))[0] ?? 0n;
