/** A first-order thermal mass with its PID loop: dT/dt = (ambient + kelvinPerVolt * V - T) / timeConstant. */

const ambientC = 22;
/** The loop runs ten times a second: unpublished. */
const stepS = 0.1;
/** Steps done in one call; a host that slept longer finds the stage where it was. */
const stepsMax = 6000;

/** What drives the stage during a step. */
export interface ThermalDrive {
  readonly isPowered: boolean;
  readonly isRegulating: boolean;
  /** Voltage set or last reached; a loop that is switched off holds it. */
  readonly volt: number;
  readonly minV: number;
  readonly maxV: number;
  readonly setC: number;
  /** How fast the target moves to the setpoint; 0 jumps. */
  readonly rampKelvinPerS: number;
  /** In V/K, V/(K s) and V s/K. */
  readonly gains: { readonly p: number; readonly i: number; readonly d: number };
}

/** One heater or peltier with what it warms. */
export class ThermalStage {
  readonly #kelvinPerVolt: number;
  readonly #timeConstantS: number;
  #temperatureC = ambientC;
  #targetC = ambientC;
  #integralV = 0;
  #lastErrorK = 0;
  #wasRegulating = false;
  #restS = 0;

  constructor(stage: { readonly kelvinPerVolt: number; readonly timeConstantS: number }) {
    this.#kelvinPerVolt = stage.kelvinPerVolt;
    this.#timeConstantS = stage.timeConstantS;
  }

  get temperatureC(): number {
    return this.#temperatureC;
  }

  /** The setpoint on its ramp. */
  get targetC(): number {
    return this.#targetC;
  }

  /** Goes on for `seconds` and gives the voltage reached, in V. */
  advance(seconds: number, drive: ThermalDrive): number {
    this.#restS = Math.min(this.#restS + seconds, stepsMax * stepS);
    let { volt } = drive;
    // The tolerance keeps the count of steps exact under rounding.
    while (this.#restS > stepS * (1 - 1e-9)) {
      this.#restS = Math.max(0, this.#restS - stepS);
      volt = this.#step({ ...drive, volt });
    }
    return volt;
  }

  #step(drive: ThermalDrive): number {
    const volt = drive.isRegulating ? this.#regulate(drive) : drive.volt;
    if (!drive.isRegulating) this.#targetC = drive.setC;
    this.#wasRegulating = drive.isRegulating;
    const endC = ambientC + (drive.isPowered ? this.#kelvinPerVolt * volt : 0);
    this.#temperatureC +=
      (endC - this.#temperatureC) * (1 - Math.exp(-stepS / this.#timeConstantS));
    return volt;
  }

  #regulate({ volt, minV, maxV, setC, rampKelvinPerS, gains }: ThermalDrive): number {
    if (!this.#wasRegulating) {
      this.#targetC = this.#temperatureC;
      this.#integralV = volt;
      this.#lastErrorK = 0;
    }
    const stepK = rampKelvinPerS === 0 ? Number.POSITIVE_INFINITY : rampKelvinPerS * stepS;
    this.#targetC += Math.max(-stepK, Math.min(stepK, setC - this.#targetC));
    const errorK = this.#targetC - this.#temperatureC;
    const clamp = (wantedV: number): number => Math.max(minV, Math.min(maxV, wantedV));
    // The integral stays within the output's range, or it would wind up during a long ramp.
    this.#integralV = clamp(this.#integralV + gains.i * errorK * stepS);
    const slopeKelvinPerS = (errorK - this.#lastErrorK) / stepS;
    this.#lastErrorK = errorK;
    return clamp(this.#integralV + gains.p * errorK + gains.d * slopeKelvinPerS);
  }
}
