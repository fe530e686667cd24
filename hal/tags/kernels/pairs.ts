// Counting pairs of two dense columns.
import { lowerBound } from "./columns";

/**
 * Gives the number of all pairs with lowPs <= stop - start < highPs.
 *
 * The pairs of one start are the stops below start + highPs less those below start + lowPs, so the sum
 * over starts is a difference of two merges. Each merge is one chain of dependent, unpredictable
 * comparisons; two halves of the starts and both bounds make four chains that are stepped in
 * turn without a branch on data, so that the processor overlaps them.
 *
 * A sentinel is written behind the last stop: that place must be free.
 */
export function countPairs(starts: usize, startCount: u32, stops: usize, stopCount: u32, lowPs: i64, highPs: i64): i64 {
  store<i64>(stops + (<usize>stopCount << 3), i64.MAX_VALUE);
  let end = starts + (<usize>startCount << 3), half = starts + (<usize>(startCount >> 1) << 3);
  let highStart = starts, lowStart = starts, highStartB = half, lowStartB = half;
  let highStop = stops, lowStop = stops, highStopB = stops, lowStopB = stops;
  if (half < end) {
    let middle = load<i64>(half);
    highStopB = stops + (<usize>lowerBound(stops, stopCount, middle + highPs) << 3);
    lowStopB = stops + (<usize>lowerBound(stops, stopCount, middle + lowPs) << 3);
  }
  // Sums of byte distances: 8 for each stop.
  let below: i64 = 0, belowB: i64 = 0, under: i64 = 0, underB: i64 = 0;
  while (<i32>(highStart < half) & <i32>(highStartB < end) & <i32>(lowStart < half) & <i32>(lowStartB < end)) {
    let done = <usize>u32(load<i64>(highStop) >= load<i64>(highStart) + highPs);
    below += <i64>((highStop - stops) & (0 - done)); done <<= 3; highStart += done; highStop += 8 - done;
    done = <usize>u32(load<i64>(highStopB) >= load<i64>(highStartB) + highPs);
    belowB += <i64>((highStopB - stops) & (0 - done)); done <<= 3; highStartB += done; highStopB += 8 - done;
    done = <usize>u32(load<i64>(lowStop) >= load<i64>(lowStart) + lowPs);
    under += <i64>((lowStop - stops) & (0 - done)); done <<= 3; lowStart += done; lowStop += 8 - done;
    done = <usize>u32(load<i64>(lowStopB) >= load<i64>(lowStartB) + lowPs);
    underB += <i64>((lowStopB - stops) & (0 - done)); done <<= 3; lowStartB += done; lowStopB += 8 - done;
  }
  below += sumBelow(highStart, half, highStop, stops, highPs) + sumBelow(highStartB, end, highStopB, stops, highPs) + belowB;
  under += sumBelow(lowStart, half, lowStop, stops, lowPs) + sumBelow(lowStartB, end, lowStopB, stops, lowPs) + underB;
  return (below - under) >> 3;
}

/** The rest of one chain: over starts, 8 times the number of stops below start + boundPs. */
function sumBelow(start: usize, end: usize, stop: usize, stops: usize, boundPs: i64): i64 {
  let sum: i64 = 0;
  while (start < end) {
    let done = <usize>u32(load<i64>(stop) >= load<i64>(start) + boundPs);
    sum += <i64>((stop - stops) & (0 - done));
    done <<= 3; start += done; stop += 8 - done;
  }
  return sum;
}
