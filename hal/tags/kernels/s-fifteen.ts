// S-Fifteen words and events to tags. A pattern of several inputs becomes one tag each, of equal time.

/** Tags that one word can become. */
const tagsPerWordMax: u32 = 4;
const tdc1TimeMask: u32 = 0x7ffffff;

// @ts-ignore
@inline function storePattern(pattern: u32, time: i64, times: usize, channels: usize): u32 {
  let count: u32 = 0;
  while (pattern) {
    store<i64>(times + (<usize>count << 3), time);
    store<u8>(channels + count, <u8>ctz(pattern));
    pattern &= pattern - 1;
    count++;
  }
  return count;
}

// TDC1 words, S-Fifteen "Timestamp_TDC1" documentation and qcrypto readevents4a.c:
//   31-5  time, 2 ns, rolls over every 2^27        4  dummy, no photon        3-0  inputs
//
// State, 24 bytes:
//    0 i64  ticks of all rollovers so far (a tick is 2 ns)
//    8 u32  time field of the previous word
//   12 u32  1 once there is a previous word
//   16 u32  words consumed by the last call
//   20 u32  dummies so far

/** Decodes words one by one, whatever they are; gives the number of tags. */
function decodeTdc1OneByOne(state: usize, words: usize, end: usize, times: usize, channels: usize): u32 {
  let ticks = load<i64>(state), previous = load<u32>(state, 8), dummies: u32 = 0;
  let first = channels;
  for (; words < end; words += 4) {
    let word = load<u32>(words);
    let time = word >> 5;
    ticks += <i64>(time < previous) << 27;
    previous = time;
    if ((word >> 4) & 1) { dummies++; continue; }
    let count = storePattern(word & 15, (ticks + <i64>time) * 2000, times, channels);
    times += <usize>count << 3; channels += count;
  }
  store<i64>(state, ticks);
  store<u32>(state, previous, 8);
  store<u32>(state, load<u32>(state, 20) + dummies, 20);
  return <u32>(channels - first);
}

/** Words decoded between two looks at the room that is left. */
const tdc1StretchWords: u32 = 4096;

/**
 * Decodes TDC1 words into the two columns and gives the number of tags. A time below its predecessor's
 * is a rollover, on dummies too. Stops early when fewer than 4 tags a word might fit. Eight words that are
 * each a photon on one input, in order of time, are decoded at once.
 */
export function decodeTdc1Words(state: usize, words: usize, count: u32, times: usize, channels: usize, capacity: u32): u32 {
  if (count > 0 && !load<u32>(state, 12)) {
    store<u32>(state, load<u32>(words) >> 5, 8);
    store<u32>(state, 1, 12);
  }
  // Input of a pattern with one bit set, 255 for every other pattern.
  let inputOf = i8x16(-1, 0, 1, -1, 2, -1, -1, -1, 3, -1, -1, -1, -1, -1, -1, -1);
  let unit = i32x4.splat(2000), fieldMask = i32x4.splat(31);
  let tags: u32 = 0, consumed: u32 = 0;
  while (consumed < count) {
    let stretch = min(min(count - consumed, tdc1StretchWords), (capacity - tags) / tagsPerWordMax);
    if (stretch == 0) break;
    let at = words + (<usize>consumed << 2), end = at + (<usize>stretch << 2);
    let time = times + (<usize>tags << 3), channel = channels + tags, first = channel;
    let base = i64x2.splat(load<i64>(state) * 2000), before = i32x4.splat(<i32>load<u32>(state, 8));
    for (; at + 32 <= end; at += 32) {
      let low = v128.load(at), high = v128.load(at, 16);
      let lowTime = i32x4.shr_u(low, 5), highTime = i32x4.shr_u(high, 5);
      let falls = v128.or(
        i32x4.lt_s(lowTime, i32x4.shuffle(before, lowTime, 3, 4, 5, 6)),
        i32x4.lt_s(highTime, i32x4.shuffle(lowTime, highTime, 3, 4, 5, 6)));
      let wide = i16x8.narrow_i32x4_u(v128.and(low, fieldMask), v128.and(high, fieldMask));
      // A field above 15, a dummy, is no index: the input becomes 0 there, and the field itself tells.
      let fields = i8x16.narrow_i16x8_u(wide, wide);
      let inputs = i8x16.swizzle(inputOf, fields);
      let odd = v128.or(inputs, i8x16.gt_s(fields, i8x16.splat(15)));
      before = highTime;
      if (v128.any_true(falls) || i8x16.bitmask(odd)) {
        let decoded = decodeTdc1OneByOne(state, at, at + 32, time, channel);
        time += <usize>decoded << 3; channel += decoded;
        base = i64x2.splat(load<i64>(state) * 2000);
      } else {
        v128.store(time, i64x2.add(base, i64x2.extmul_low_i32x4_u(lowTime, unit)));
        v128.store(time, i64x2.add(base, i64x2.extmul_high_i32x4_u(lowTime, unit)), 16);
        v128.store(time, i64x2.add(base, i64x2.extmul_low_i32x4_u(highTime, unit)), 32);
        v128.store(time, i64x2.add(base, i64x2.extmul_high_i32x4_u(highTime, unit)), 48);
        v128.store64_lane(channel, inputs, 0);
        store<u32>(state, i32x4.extract_lane(highTime, 3), 8);
        time += 64; channel += 8;
      }
    }
    channel += decodeTdc1OneByOne(state, at, end, time, channel);
    tags += <u32>(channel - first);
    consumed += stretch;
  }
  store<u32>(state, consumed, 16);
  return tags;
}

/** Words before a silent one that may belong to it: 131 us, the time until shifted words look silent, at 30 million a second. */
const lookBackWordsMax: u32 = 4096;
/** Steps of words shifted by two bytes are true steps times 2^16: at least this, unless they carry. */
const shiftedStepTicksMin: u32 = 32768;

// @ts-ignore
@inline function tdc1Step(words: usize, index: u32): u32 {
  let at = words + (<usize>index << 2);
  return ((load<u32>(at) >> 5) - (load<u32>(at - 4) >> 5)) & tdc1TimeMask;
}

/**
 * Gives the index of the first word that cannot be trusted, or `count`, by three signs that the place in the
 * byte stream was lost. A step from one word to the next is longer than `stepTicksMax`: dummies come at
 * least every 2^26 ticks, and half of all steps are longer once words of a slow stream are shifted by two
 * bytes. Or two words in a row are neither click nor dummy: at high rates steps stay short when shifted, but the
 * low bits then run through all values, silence among them; the long steps before belong to it. Or
 * there are more than `rolloversMax` rollovers. `previous` is the time field before the first
 * word, or 0xffffffff when there is none.
 */
export function findTdc1Slip(words: usize, count: u32, previous: u32, stepTicksMax: u32, rolloversMax: u32): u32 {
  if (count == 0) return 0;
  let before = previous == 0xffffffff ? load<u32>(words) >> 5 : previous;
  let rollovers: u32 = 0, wasSilent: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    let word = load<u32>(words + (<usize>index << 2)), time = word >> 5;
    let isSilent = u32((word & 31) == 0);
    rollovers += u32(time < before);
    if (((time - before) & tdc1TimeMask) > stepTicksMax || rollovers > rolloversMax) return index;
    if (wasSilent & isSilent) {
      let first = index, limit = index > lookBackWordsMax ? index - lookBackWordsMax : 0;
      while (first > limit && tdc1Step(words, first) >= shiftedStepTicksMin) first--;
      return min(first + 1, index);
    }
    wasSilent = isSilent;
    before = time;
  }
  return count;
}

// Events of "a1" files, qcrypto readevents7.c and fpfind parse_timestamps.py:
//   63-10  time, 1/256 ns, rolls over every 2^54       9-5  ignored      4  dummy      3-0  inputs
//
// State, 32 bytes:
//    0 i64  ps of all rollovers so far
//    8 u64  time field of the previous event
//   16 u32  1 when the high word comes first ("legacy")
//   20 u32  events consumed by the last call
//   24 u32  dummies so far

/**
 * Decodes events into the two columns and gives the number of tags. One unit is 125/32 ps; times are
 * rounded to the nearest picosecond, halves up. A time that falls by more than half the range is
 * a rollover; by less, it is a tag out of order and stays so.
 */
export function decodeA1Events(state: usize, events: usize, count: u32, times: usize, channels: usize, capacity: u32): u32 {
  let rolledPs = load<i64>(state), previous = load<u64>(state, 8), isLegacy = load<u32>(state, 16);
  let dummies = load<u32>(state, 24);
  let tags: u32 = 0, consumed: u32 = 0;
  for (; consumed < count && capacity - tags >= tagsPerWordMax; consumed++) {
    let event = load<u64>(events + (<usize>consumed << 3));
    if (isLegacy) event = rotl<u64>(event, 32);
    let time = event >> 10;
    // 2^54 units of 125/32 ps are 125 * 2^49 ps.
    if (time < previous && previous - time > (<u64>1 << 53)) rolledPs += <i64>125 << 49;
    previous = time;
    if ((event >> 4) & 1) { dummies++; continue; }
    let timePs = rolledPs + <i64>((time * 125 + 16) >> 5);
    tags += storePattern(<u32>event & 15, timePs, times + (<usize>tags << 3), channels + tags);
  }
  store<i64>(state, rolledPs);
  store<u64>(state, previous, 8);
  store<u32>(state, consumed, 20);
  store<u32>(state, dummies, 24);
  return tags;
}
