// PicoQuant T2 records (32 bit) to tags. Layouts: PicoQuant "Unified TTTR file format", V1.1.05, records appendix.
//
//   HydraHarp, TimeHarp, MultiHarp, generic      PicoHarp 300
//   31      special                              31-28  channel, 15 = special
//   30-25   channel                              27-0   time
//   24-0    time
//
// Channels given out: photon on input k -> k, SYNC -> 64, external marker bit k -> 65 + k.

const syncChannel: u32 = 64;
const markerChannel: u32 = 65;
/** Records decoded between two decisions for or against SIMD. */
const stretchRecords: u32 = 512;
/** Tags that one record can become: a marker record with all bits set. */
const tagsPerRecordMax: u32 = 4;

// State, 40 bytes:
//    0 i64  ticks of all wraps so far
//    8 i64  resolution, ps per tick, below 2^32
//   16 i64  ticks of one wrap
//   24 u32  1 when an overflow record carries its number of wraps (version 2), 0 when it always means one
//   28 u32  records consumed by the last call
//   32 u32  overflow records so far
//   36 u32  records of no known meaning so far

// @ts-ignore
@inline function storeMarkers(mask: u32, time: i64, times: usize, channels: usize): u32 {
  let count: u32 = 0;
  for (let bit: u32 = 0; bit < 4; bit++) {
    if ((mask >> bit) & 1) {
      store<i64>(times + (<usize>count << 3), time);
      store<u8>(channels + count, <u8>(markerChannel + bit));
      count++;
    }
  }
  return count;
}

/** Decodes special records and photons one by one; gives the number of tags. */
function decodeOneByOne(state: usize, records: usize, end: usize, times: usize, channels: usize): u32 {
  let ticks = load<i64>(state), resolution = load<i64>(state, 8), wrap = load<i64>(state, 16);
  let countsWraps = load<u32>(state, 24);
  let first = channels;
  for (; records < end; records += 4) {
    let record = load<u32>(records);
    let time = <i64>(record & 0x1ffffff), channel = (record >> 25) & 63;
    if (!(record >> 31)) {
      store<i64>(times, (ticks + time) * resolution);
      store<u8>(channels, <u8>channel);
      times += 8; channels++;
    } else if (channel == 63) {
      ticks += wrap * (countsWraps && time ? time : 1);
      store<u32>(state, load<u32>(state, 32) + 1, 32);
    } else if (channel == 0) {
      store<i64>(times, (ticks + time) * resolution);
      store<u8>(channels, <u8>syncChannel);
      times += 8; channels++;
    } else if (channel < 16) {
      let count = storeMarkers(channel, (ticks + time) * resolution, times, channels);
      times += <usize>count << 3; channels += count;
    } else {
      store<u32>(state, load<u32>(state, 36) + 1, 36);
    }
  }
  store<i64>(state, ticks);
  return <u32>(channels - first);
}

// @ts-ignore
@inline function hasSpecial(records: usize): bool {
  return i32x4.bitmask(v128.or(v128.load(records), v128.load(records, 16))) != 0;
}

/** Eight photon records to tags; `base` is the time of the present wrap's start in both lanes. */
// @ts-ignore
@inline function decodeEight(records: usize, base: v128, resolution: v128, times: usize, channels: usize): void {
  let low = v128.load(records), high = v128.load(records, 16);
  let mask = i32x4.splat(0x1ffffff);
  let lowTime = v128.and(low, mask), highTime = v128.and(high, mask);
  v128.store(times, i64x2.add(base, i64x2.extmul_low_i32x4_u(lowTime, resolution)));
  v128.store(times, i64x2.add(base, i64x2.extmul_high_i32x4_u(lowTime, resolution)), 16);
  v128.store(times, i64x2.add(base, i64x2.extmul_low_i32x4_u(highTime, resolution)), 32);
  v128.store(times, i64x2.add(base, i64x2.extmul_high_i32x4_u(highTime, resolution)), 48);
  let wide = i16x8.narrow_i32x4_s(i32x4.shr_u(low, 25), i32x4.shr_u(high, 25));
  v128.store64_lane(channels, i8x16.narrow_i16x8_u(wide, wide), 0);
}

/**
 * Decodes HydraHarp-family T2 records into the two columns and gives the number of tags. Stops early, at
 * a record, when fewer than 4 tags a record might fit; the state says how many records were consumed.
 * Stretches with many special records are decoded one by one, the others eight at a time.
 */
export function decodeHydraHarpT2(state: usize, records: usize, count: u32, times: usize, channels: usize, capacity: u32): u32 {
  let resolution = load<i64>(state, 8), resolutions = i32x4.splat(<i32>resolution);
  let tags: u32 = 0, consumed: u32 = 0, isCrowded = false;
  while (consumed < count) {
    let stretch = min(min(count - consumed, stretchRecords), (capacity - tags) / tagsPerRecordMax);
    if (stretch == 0) break;
    let at = records + (<usize>consumed << 2), end = at + (<usize>stretch << 2);
    let time = times + (<usize>tags << 3), channel = channels + tags, first = channel;
    let specials: u32 = 0;
    if (isCrowded) {
      specials = stretch - decodeOneByOne(state, at, end, time, channel);
      channel += stretch - specials;
      isCrowded = <i32>specials * 20 > <i32>stretch;
    } else {
      let base = i64x2.splat(load<i64>(state) * resolution);
      for (; at + 32 <= end; at += 32) {
        if (!hasSpecial(at)) {
          decodeEight(at, base, resolutions, time, channel);
          time += 64; channel += 8;
        } else {
          let decoded = decodeOneByOne(state, at, at + 32, time, channel);
          time += <usize>decoded << 3; channel += decoded;
          base = i64x2.splat(load<i64>(state) * resolution);
          specials++;
        }
      }
      channel += decodeOneByOne(state, at, end, time, channel);
      // One group of eight in three has a special record when one record in twenty is special.
      isCrowded = specials * 24 > stretch;
    }
    tags += <u32>(channel - first);
    consumed += stretch;
  }
  store<u32>(state, consumed, 28);
  return tags;
}

/** Decodes PicoHarp 300 T2 records; state and return as for `decodeHydraHarpT2`. A marker's time is good to 16 ticks. */
export function decodePicoHarpT2(state: usize, records: usize, count: u32, times: usize, channels: usize, capacity: u32): u32 {
  let ticks = load<i64>(state), resolution = load<i64>(state, 8), wrap = load<i64>(state, 16);
  let consumed: u32 = 0, tags: u32 = 0;
  for (; consumed < count && capacity - tags >= tagsPerRecordMax; consumed++) {
    let record = load<u32>(records + (<usize>consumed << 2));
    let time = <i64>(record & 0xfffffff), channel = record >> 28;
    let timeAt = times + (<usize>tags << 3);
    if (channel != 15) {
      store<i64>(timeAt, (ticks + time) * resolution);
      store<u8>(channels + tags, <u8>channel);
      tags++;
    } else if ((time & 15) == 0) {
      ticks += wrap;
      store<u32>(state, load<u32>(state, 32) + 1, 32);
    } else {
      tags += storeMarkers(<u32>(time & 15), (ticks + (time & ~15)) * resolution, timeAt, channels + tags);
    }
  }
  store<i64>(state, ticks);
  store<u32>(state, consumed, 28);
  return tags;
}
