/** Lets lab time run with the wall clock, and hands the clicks to the instruments at whose inputs they come. */
import type { Clock } from "../../hal/clock.ts";
import { type Ps, ps, roundMsToPs } from "../../hal/units.ts";
import type { LabClicks } from "../lab-socket.ts";
import type { LabSettings } from "./lab-settings.ts";
import { endsOf } from "./pair-fates.ts";
import type { PhotonLab, ReceiverClicks } from "./photon-lab.ts";

const periodMs = 5;
/** Lab time in one slice; frames cover no more than that. */
const slicePsMax = 10_000_000_000n;
/** Slices in one turn, so that sockets and signals are heard in between. */
const slicesPerTurnMax = 20;
/** A lab that is later than this does not catch up but leaves time out, and counts it. */
const behindPsMax = 1_000_000_000_000n;

/** Lab time as it runs. */
export interface LabPacer {
  /** Lab time left out so far, and how often. */
  readonly skippedPs: Ps;
  readonly skips: number;
  /** Stops time. Idempotent. */
  stop(): void;
}

/**
 * Lets lab time run; it was 0 when the clock's monotonic time was `originMs`. No click is given out before its time has come. When
 * the process has stood still, lab time catches up in slices, or leaves out what is more than a second.
 */
export function startLabPacer(
  photons: PhotonLab,
  lab: Pick<LabSettings, "receivers">,
  { clock, originMs }: { readonly clock: Clock; readonly originMs: number },
  deliver: (instrument: string, clicks: LabClicks) => void,
): LabPacer {
  const [a, b] = endsOf(lab);
  const instruments = [a.instrument, b.instrument] as const;
  const state = { skippedPs: 0n, skips: 0 };
  let timer: Disposable | null = null;

  const advance = (toPs: Ps): void => {
    if (instruments[0] !== instruments[1]) {
      photons.advance(toPs, (clicks) => deliver(instruments[clicks.receiver], clicks));
      return;
    }
    const fromPs = photons.nowPs;
    const portions: [LabClicks[], LabClicks[]] = [[], []];
    photons.advance(toPs, (clicks) => portions[clicks.receiver].push(copyOf(clicks)));
    const merged = mergeClicks(join(portions[0]), join(portions[1]));
    deliver(instruments[0], { fromPs, toPs, ...merged });
  };
  const turn = (): void => {
    const nowPs = roundMsToPs(clock.monotonicMs() - originMs);
    const behindPs = nowPs - photons.nowPs;
    if (behindPs > behindPsMax) {
      state.skips++;
      state.skippedPs += behindPs;
      photons.leaveOut(nowPs);
    }
    for (let slice = 0; slice < slicesPerTurnMax && photons.nowPs < nowPs; slice++) {
      const endPs = photons.nowPs + slicePsMax;
      advance(ps(endPs < nowPs ? endPs : nowPs));
    }
    timer = clock.after(periodMs, turn);
  };
  timer = clock.after(periodMs, turn);

  return {
    get skippedPs() {
      return ps(state.skippedPs);
    },
    get skips() {
      return state.skips;
    },
    stop: () => timer?.[Symbol.dispose](),
  };
}

interface Columns {
  readonly timesPs: BigInt64Array;
  readonly inputs: Uint8Array;
}

const copyOf = (clicks: ReceiverClicks): LabClicks => ({
  fromPs: clicks.fromPs,
  toPs: clicks.toPs,
  timesPs: clicks.timesPs.slice(),
  inputs: clicks.inputs.slice(),
});

function join(portions: readonly Columns[]): Columns {
  const count = portions.reduce((sum, { inputs }) => sum + inputs.length, 0);
  const joined = { timesPs: new BigInt64Array(count), inputs: new Uint8Array(count) };
  let at = 0;
  for (const { timesPs, inputs } of portions) {
    joined.timesPs.set(timesPs, at);
    joined.inputs.set(inputs, at);
    at += inputs.length;
  }
  return joined;
}

/** Merges the clicks of two receivers that share an instrument. */
export function mergeClicks(a: Columns, b: Columns): Columns {
  const count = a.inputs.length + b.inputs.length;
  const merged = { timesPs: new BigInt64Array(count), inputs: new Uint8Array(count) };
  let atA = 0;
  let atB = 0;
  for (let at = 0; at < count; at++) {
    const timeA = a.timesPs[atA];
    const timeB = b.timesPs[atB];
    const isA = timeB === undefined || (timeA !== undefined && timeA <= timeB);
    merged.timesPs[at] = (isA ? timeA : timeB) ?? 0n;
    merged.inputs[at] = (isA ? a.inputs[atA++] : b.inputs[atB++]) ?? 0;
  }
  return merged;
}
