// A block split once into dense columns of one channel each, on which all pair kernels work.

/**
 * Appends each tag's time to the column of its channel. `table` has 256 entries of 8 bytes: u32 address
 * of the next free place, u32 step (8, or 0 for a channel that nobody measures: its times overwrite each
 * other in a place nobody reads). No branch depends on the data.
 */
export function splitChannels(table: usize, times: usize, channels: usize, count: u32): void {
  for (let end = channels + count; channels < end; channels++, times += 8) {
    let entry = table + (<usize>load<u8>(channels) << 3);
    let place = load<u32>(entry);
    store<i64>(place, load<i64>(times));
    store<u32>(entry, place + load<u32>(entry, 4));
  }
}

/** Gives how many of `count` sorted times are below `time`. */
export function lowerBound(column: usize, count: u32, time: i64): u32 {
  let low: u32 = 0, high = count;
  while (low < high) {
    let middle = (low + high) >> 1;
    if (load<i64>(column + (<usize>middle << 3)) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
