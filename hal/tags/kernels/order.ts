// Order of a time column: seeing that it is sorted, and mending one that nearly is.

/** Gives the index of the first time below its predecessor, or `count`; `previousPs` precedes the first. */
export function findDisorder(times: usize, count: u32, previousPs: i64): u32 {
  if (count == 0) return 0;
  if (load<i64>(times) < previousPs) return 0;
  let index: u32 = 1;
  for (; index + 8 <= count; index += 8) {
    let at = times + (<usize>index << 3);
    let a = i64x2.lt_s(v128.load(at), v128.load(at - 8)), b = i64x2.lt_s(v128.load(at, 16), v128.load(at - 8, 16));
    let c = i64x2.lt_s(v128.load(at, 32), v128.load(at - 8, 32)), d = i64x2.lt_s(v128.load(at, 48), v128.load(at - 8, 48));
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) break;
  }
  for (; index < count; index++) {
    let at = times + (<usize>index << 3);
    if (load<i64>(at) < load<i64>(at - 8)) return index;
  }
  return count;
}

/**
 * Sorts both columns by time, keeping the order of equal times, by insertion: fast when tags are few
 * places from theirs. The first `sorted` tags are in order already. Gives the number of tags that moved.
 */
export function sortNearlySorted(times: usize, channels: usize, count: u32, sorted: u32): u32 {
  let moved: u32 = 0;
  for (let index = max<u32>(sorted, 1); index < count; index++) {
    let time = load<i64>(times + (<usize>index << 3));
    if (time >= load<i64>(times + (<usize>(index - 1) << 3))) continue;
    let channel = load<u8>(channels + index), place = index;
    do {
      store<i64>(times + (<usize>place << 3), load<i64>(times + (<usize>(place - 1) << 3)));
      store<u8>(channels + place, load<u8>(channels + place - 1));
      place--;
    } while (place > 0 && load<i64>(times + (<usize>(place - 1) << 3)) > time);
    store<i64>(times + (<usize>place << 3), time);
    store<u8>(channels + place, channel);
    moved++;
  }
  return moved;
}
