/** Decoders in plain JavaScript: times as doubles, exact to 2^53 ps. */

/** Running state of a T2 decoder. */
export interface T2State {
  ticks: number;
}

const markerChannel = 65;
const syncChannel = 64;

/** Decodes HydraHarp T2 records of version 2; gives the number of tags. */
export function decodeHydraHarpT2(
  state: T2State,
  records: Uint32Array,
  range: { readonly from: number; readonly to: number },
  out: { readonly times: Float64Array; readonly channels: Uint8Array },
): number {
  const { times, channels } = out;
  const { from, to } = range;
  let ticks = state.ticks;
  let count = 0;
  for (let at = from; at < to; at++) {
    const record = records[at] as number;
    const time = record & 0x1ffffff;
    const channel = (record >>> 25) & 63;
    if (record >>> 31 === 0) {
      times[count] = ticks + time;
      channels[count++] = channel;
    } else if (channel === 63) {
      ticks += 33_554_432 * (time || 1);
    } else if (channel === 0) {
      times[count] = ticks + time;
      channels[count++] = syncChannel;
    } else {
      count = storeMarkers(channel, ticks + time, out, count);
    }
  }
  state.ticks = ticks;
  return count;
}

function storeMarkers(
  mask: number,
  timePs: number,
  { times, channels }: { readonly times: Float64Array; readonly channels: Uint8Array },
  from: number,
): number {
  let count = from;
  for (let bit = 0; bit < 4 && mask < 16; bit++) {
    if (((mask >>> bit) & 1) === 1) {
      times[count] = timePs;
      channels[count++] = markerChannel + bit;
    }
  }
  return count;
}

/** Running state of a TDC1 decoder. */
export interface Tdc1State {
  ticks: number;
  /** Time field of the previous word, or -1. */
  previous: number;
}

/** Decodes TDC1 words; gives the number of tags. */
export function decodeTdc1Words(
  state: Tdc1State,
  words: Uint32Array,
  range: { readonly from: number; readonly to: number },
  out: { readonly times: Float64Array; readonly channels: Uint8Array },
): number {
  const { times, channels } = out;
  const { from, to } = range;
  let { ticks, previous } = state;
  let count = 0;
  for (let at = from; at < to; at++) {
    const word = words[at] as number;
    const time = word >>> 5;
    if (time < previous) ticks += 134_217_728;
    previous = time;
    let pattern = (word & 16) === 0 ? word & 15 : 0;
    while (pattern !== 0) {
      times[count] = (ticks + time) * 2000;
      channels[count++] = 31 - Math.clz32(pattern & -pattern);
      pattern &= pattern - 1;
    }
  }
  state.ticks = ticks;
  state.previous = previous;
  return count;
}
