/**
 * S-Fifteen SPDC source board (family token SPDCSDR): commands of the pump laser, and the way down to dark.
 * Pure. The dialect is in ../dialect.ts; currents have three decimals, in mA.
 *
 *     LCURRENT?  LCURRENT 1.000      pump current, 0 to LLIMIT
 *     LLIMIT?    LLIMIT 60.000       its limit, 0 to 97
 *     ON  OFF                        laser switch; no query, see STATUS?
 *     POWER?     POWER 3             rails: bit 0 heater and peltier, bit 1 laser
 *     STATUS?                        decimal: bit 0 heater loop, 1 peltier loop, 2 laser switch, 8 and 9 the rails
 *
 * On: current 0, rail on, ON, then up 1 mA every 50 ms. Off: down the same way, 0, OFF, rail off.
 * Whether ON at 0 mA emits is not published: the switch alone counts as light.
 * Source: S-Fifteen pyS15, spdc_driver.py.
 */
import type { SafeStep } from "../../../hal/ports/port-messages.ts";
import { emptyCommand, encodeCommands } from "../dialect.ts";

export const spdcFamily = "SPDCSDR";
/** The factory firmware's own limit. */
export const currentMaMax = 97;
export const rampStepMs = 50;
const rampStepMa = 1;

const laserRail = 2;
const thermalRail = 1;
const laserSwitchBit = 4;
const laserRailBit = 0x200;

export const currentQuery = encodeCommands("LCURRENT?");
export const statusQuery = encodeCommands("STATUS?");
export const railsQuery = encodeCommands("POWER?");

const currentText = (currentMa: number): string => `LCURRENT ${currentMa.toFixed(3)}`;

/** Encodes a current with the query that reads it back. */
export const setAndReadCurrent = (currentMa: number): string =>
  encodeCommands(currentText(currentMa), "LCURRENT?");

/** Encodes the board's own limit with the query that reads it back. */
export const setAndReadLimit = (limitMa: number): string =>
  encodeCommands(`LLIMIT ${limitMa.toFixed(3)}`, "LLIMIT?");

/** Encodes the laser's rail and switch, heater and peltier left as `rails` says, and reads the status. */
export const switchOnAndReadStatus = (rails: number): string =>
  encodeCommands(`POWER ${(rails & thermalRail) | laserRail}`, "ON", "STATUS?");

export const switchOffAndReadStatus = (rails: number): string =>
  encodeCommands("OFF", `POWER ${rails & thermalRail}`, "STATUS?");

/** Parses a status. */
export function parseStatus(line: string): {
  readonly isSwitchedOn: boolean;
  readonly isPowered: boolean;
} {
  const word = Number(line);
  return {
    isSwitchedOn: (word & laserSwitchBit) !== 0,
    isPowered: (word & laserRailBit) !== 0,
  };
}

/** Gives the currents of a ramp after `fromMa`, at most 1 mA apart, the last one `toMa`. */
export function rampMa(fromMa: number, toMa: number): readonly number[] {
  const steps = Math.ceil(Math.abs(toMa - fromMa) / rampStepMa - 1e-9);
  return Array.from({ length: steps }, (_, index) =>
    index === steps - 1 ? toMa : fromMa + Math.sign(toMa - fromMa) * rampStepMa * (index + 1),
  );
}

/**
 * Gives what makes the board dark from at most `fromMa`, paced: the ramp, then switch and laser rail off,
 * heater and peltier left as `rails` says; null leaves all rails alone. The ramp never goes up as long as `fromMa`
 * is the present current.
 */
export function safeSteps(fromMa: number, rails: number | null): readonly SafeStep[] {
  const railsOff = rails === null ? [] : [`POWER ${rails & thermalRail}`];
  const step = (text: string, delayMs: number): SafeStep => ({
    bytes: Buffer.from(text, "latin1"),
    delayMs,
  });
  return [
    step(emptyCommand, 0),
    ...rampMa(fromMa, 0).map((currentMa) =>
      step(encodeCommands(currentText(currentMa)), rampStepMs),
    ),
    step(encodeCommands(currentText(0), "OFF", ...railsOff), 0),
  ];
}
