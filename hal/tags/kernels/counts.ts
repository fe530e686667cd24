// Counting tags by channel, over all and in bins of time.

// @ts-ignore
@inline function sumBytes(bytes: v128): u32 {
  let words = i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(bytes));
  return i32x4.extract_lane(words, 0) + i32x4.extract_lane(words, 1) + i32x4.extract_lane(words, 2) + i32x4.extract_lane(words, 3);
}

// @ts-ignore
@inline function addTo(counts: usize, channel: u32, count: u32): void {
  let at = counts + (<usize>channel << 2);
  store<u32>(at, load<u32>(at) + count);
}

/** Counts four neighbouring channels in up to 255 vectors of 16 channels: more would overflow a byte lane. */
function countFour(channels: usize, vectors: u32, channel: u32, counts: usize): void {
  let zero = i8x16.splat(0), a = zero, b = zero, c = zero, d = zero;
  let first = i8x16.splat(<i8>channel), second = i8x16.splat(<i8>(channel + 1));
  let third = i8x16.splat(<i8>(channel + 2)), fourth = i8x16.splat(<i8>(channel + 3));
  for (let end = channels + (<usize>vectors << 4); channels < end; channels += 16) {
    let vector = v128.load(channels);
    a = i8x16.sub(a, i8x16.eq(vector, first));
    b = i8x16.sub(b, i8x16.eq(vector, second));
    c = i8x16.sub(c, i8x16.eq(vector, third));
    d = i8x16.sub(d, i8x16.eq(vector, fourth));
  }
  addTo(counts, channel, sumBytes(a));
  addTo(counts, channel + 1, sumBytes(b));
  addTo(counts, channel + 2, sumBytes(c));
  addTo(counts, channel + 3, sumBytes(d));
}

/**
 * Adds the number of tags on each channel to 256 counters (u32). `channelLimit` is above every channel
 * that occurs; up to 16 are counted 16 tags at a time, a higher limit by a plain loop.
 */
export function countChannels(channels: usize, count: u32, channelLimit: u32, counts: usize): void {
  let index: u32 = 0;
  if (channelLimit <= 16) {
    while (index + 64 <= count) {
      let vectors = min<u32>((count - index) >> 4, 255);
      for (let channel: u32 = 0; channel < channelLimit; channel += 4) countFour(channels + index, vectors, channel, counts);
      index += vectors << 4;
    }
  }
  for (; index < count; index++) addTo(counts, load<u8>(channels + index), 1);
}

/** Gives how many of the first `count` times are below `edge`, looking near the start first. */
function countBelow(times: usize, count: u32, edge: i64): u32 {
  let low: u32 = 0, step: u32 = 64;
  while (low + step < count && load<i64>(times + (<usize>(low + step) << 3)) < edge) { low += step; step <<= 1; }
  let high = min(low + step, count);
  while (low < high) {
    let middle = (low + high) >> 1;
    if (load<i64>(times + (<usize>middle << 3)) < edge) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Counts tags by channel in bins of time and gives how many tags it took: fewer than `count` when
 * `binsMax` bins are full. Counters are u32, 256 a bin. State, 16 bytes: i64 end of the present bin (ps),
 * u32 index of the present bin.
 */
export function countChannelsInBins(state: usize, times: usize, channels: usize, count: u32, binPs: i64, channelLimit: u32, counts: usize, binsMax: u32): u32 {
  let edge = load<i64>(state), bin = load<u32>(state, 8);
  let index: u32 = 0;
  while (index < count) {
    if (bin == binsMax) break;
    let inBin = load<i64>(times + (<usize>(count - 1) << 3)) < edge ? count - index : countBelow(times + (<usize>index << 3), count - index, edge);
    countChannels(channels + index, inBin, channelLimit, counts + (<usize>bin << 10));
    index += inBin;
    if (index < count) { edge += binPs; bin++; }
  }
  store<i64>(state, edge);
  store<u32>(state, bin, 8);
  return index;
}
