// Two sorted lists of times against each other, under a clock model:
//   local time = remote + offset + nearest(drift * (remote - reference)).
// Times are i64; only remote - reference becomes a double, so the product is right to half a picosecond
// for 2.5 h from the reference, however large the times are. `nearest` rounds half to even.

// @ts-ignore: decorator
@inline function predict(remote: i64, offset: i64, drift: f64, reference: i64): i64 {
  return remote + offset + <i64>nearest(drift * <f64>(remote - reference));
}

/**
 * Pairs each remote event with the first unused local event of its window: below <= predicted - local <
 * above. Local events before `localFirst` are used up. Writes remote and local indices (u32) and the
 * residuals predicted - local (i32, ps); gives the number of pairs. Every event is in one pair at most.
 */
export function matchEvents(
  remoteTimes: usize, remoteCount: u32,
  localTimes: usize, localFirst: u32, localCount: u32,
  offset: i64, drift: f64, reference: i64,
  below: i64, above: i64,
  remoteIndices: usize, localIndices: usize, residuals: usize,
): u32 {
  let next = <usize>localFirst, pairs: usize = 0;
  for (let i: usize = 0; i < <usize>remoteCount; i++) {
    const predicted = predict(load<i64>(remoteTimes + (i << 3)), offset, drift, reference);
    // predicted - local < above  <=>  local > predicted - above
    while (next < <usize>localCount && load<i64>(localTimes + (next << 3)) <= predicted - above) next++;
    if (next == <usize>localCount) break;
    const residual = predicted - load<i64>(localTimes + (next << 3));
    if (residual < below) continue;
    store<u32>(remoteIndices + (pairs << 2), <u32>i);
    store<u32>(localIndices + (pairs << 2), <u32>next);
    store<i32>(residuals + (pairs << 2), <i32>residual);
    pairs++;
    next++;
  }
  return <u32>pairs;
}

/** Counts all pairs with -range <= predicted - local < range. */
export function countDifferences(
  remoteTimes: usize, remoteCount: u32, localTimes: usize, localCount: u32,
  offset: i64, drift: f64, reference: i64, range: i64,
): f64 {
  let low: usize = 0, high: usize = 0, count: u64 = 0;
  for (let i: usize = 0; i < <usize>remoteCount; i++) {
    const predicted = predict(load<i64>(remoteTimes + (i << 3)), offset, drift, reference);
    while (low < <usize>localCount && load<i64>(localTimes + (low << 3)) <= predicted - range) low++;
    if (high < low) high = low;
    while (high < <usize>localCount && load<i64>(localTimes + (high << 3)) <= predicted + range) high++;
    count += <u64>(high - low);
  }
  return <f64>count;
}

/**
 * Writes all pairs with -range <= predicted - local < range: their residuals (f64, ps) and their
 * remote times after the reference (f64, ps), up to `room` of them. Gives the number written.
 */
export function collectDifferences(
  remoteTimes: usize, remoteCount: u32, localTimes: usize, localCount: u32,
  offset: i64, drift: f64, reference: i64, range: i64,
  residuals: usize, elapsed: usize, room: u32,
): u32 {
  let low: usize = 0, written: usize = 0;
  for (let i: usize = 0; i < <usize>remoteCount; i++) {
    const remote = load<i64>(remoteTimes + (i << 3));
    const predicted = predict(remote, offset, drift, reference);
    while (low < <usize>localCount && load<i64>(localTimes + (low << 3)) <= predicted - range) low++;
    for (let at = low; at < <usize>localCount; at++) {
      const residual = predicted - load<i64>(localTimes + (at << 3));
      if (residual < -range) break;
      if (written == <usize>room) return room;
      store<f64>(residuals + (written << 3), <f64>residual);
      store<f64>(elapsed + (written << 3), <f64>(remote - reference));
      written++;
    }
  }
  return <u32>written;
}
