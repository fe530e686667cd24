/**
 * How one end's time follows from the other's:
 *   local = remote + offset + nearest(drift x (remote - reference)).
 */

/** A clock model with standard uncertainties (k = 1). Times are offsets from each stream's own epoch. */
export interface ClockModel {
  /** Remote time at which `offsetPs` holds. */
  readonly referencePs: bigint;
  /** Local minus remote time at the reference. */
  readonly offsetPs: bigint;
  /** Local rate over remote rate, minus one. */
  readonly driftPpb: number;
  readonly offsetUncertaintyPs: number;
  readonly driftUncertaintyPpb: number;
}

/** The model's part that kernels take: offset, drift as a ratio, reference. */
export const kernelModel = (model: ClockModel): readonly [bigint, number, bigint] => [
  model.offsetPs,
  model.driftPpb * 1e-9,
  model.referencePs,
];

/** Rounds half to even, as the kernels' `nearest` does. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Gives the local time of a remote one, by the same arithmetic as the kernels. */
export function localFromRemote(model: ClockModel, remotePs: bigint): bigint {
  const [offset, drift, reference] = kernelModel(model);
  return remotePs + offset + BigInt(roundHalfEven(drift * Number(remotePs - reference)));
}

/** Standard uncertainty of a predicted local time, ps, with offset and drift uncorrelated at the reference. */
export const uncertaintyPsAt = (model: ClockModel, remotePs: bigint): number =>
  Math.hypot(
    model.offsetUncertaintyPs,
    model.driftUncertaintyPpb * 1e-9 * Number(remotePs - model.referencePs),
  );
