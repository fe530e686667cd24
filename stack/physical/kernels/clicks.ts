// Raw tags of one end become events: delays are added, order is restored, and clicks that fall together
// become one event.

/**
 * Adds the wired tags of a block, with their delays, to the pending clicks, which stay sorted by time.
 * `delays`: i64 a channel (256). `codes`: u8 a channel (256): bit mask of the click, 1 << (2 basis +
 * outcome), or 0 where nothing is wired. Pending columns: times i64, masks u8, with room for `pending +
 * count`. Gives the new number of pending clicks.
 */
export function collectClicks(
  times: usize, channels: usize, count: u32,
  delays: usize, codes: usize,
  pendingTimes: usize, pendingMasks: usize, pending: u32,
): u32 {
  let end = <usize>pending;
  for (let i: usize = 0; i < <usize>count; i++) {
    const channel = <usize>load<u8>(channels + i);
    const mask = load<u8>(codes + channel);
    if (mask == 0) continue;
    const time = load<i64>(times + (i << 3)) + load<i64>(delays + (channel << 3));
    // Delays differ by nanoseconds, so a click moves past a few neighbours at most.
    let at = end;
    while (at > 0 && load<i64>(pendingTimes + ((at - 1) << 3)) > time) {
      store<i64>(pendingTimes + (at << 3), load<i64>(pendingTimes + ((at - 1) << 3)));
      store<u8>(pendingMasks + at, load<u8>(pendingMasks + at - 1));
      at--;
    }
    store<i64>(pendingTimes + (at << 3), time);
    store<u8>(pendingMasks + at, mask);
    end++;
  }
  return <u32>end;
}

/**
 * Joins pending clicks into events: an event starts at a click and takes in every later click before
 * start + window; its mask is the union. Clicks at or after `horizon` may still be joined by others that
 * have not arrived and stay pending, as does an event whose window is not over at `horizon`. Writes the
 * events' times and masks and, as u32, the indices of events with more than one bit in their mask.
 * `result` (3 x u32): events, ambiguous events, clicks consumed.
 */
export function resolveClicks(
  pendingTimes: usize, pendingMasks: usize, pending: u32,
  horizon: i64, window: i64,
  eventTimes: usize, eventMasks: usize, ambiguous: usize, result: usize,
): void {
  let events: usize = 0, doubtful: usize = 0, at: usize = 0;
  const count = <usize>pending;
  while (at < count) {
    const start = load<i64>(pendingTimes + (at << 3));
    const end = start + window;
    if (end > horizon) break;
    let mask: u8 = 0, next = at;
    while (next < count && load<i64>(pendingTimes + (next << 3)) < end) {
      mask |= load<u8>(pendingMasks + next);
      next++;
    }
    store<i64>(eventTimes + (events << 3), start);
    store<u8>(eventMasks + events, mask);
    if ((mask & (mask - 1)) != 0) {
      store<u32>(ambiguous + (doubtful << 2), <u32>events);
      doubtful++;
    }
    events++;
    at = next;
  }
  store<u32>(result, <u32>events);
  store<u32>(result, <u32>doubtful, 4);
  store<u32>(result, <u32>at, 8);
}
