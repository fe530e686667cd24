// The kernels of the physical layer: one WebAssembly module, raw addresses, no state between calls.
export { collectClicks, resolveClicks } from "./clicks";
export { decodeTimes, encodeTimes, packBits, unpackBits } from "./announcement-codec";
export { collectDifferences, countDifferences, matchEvents } from "./matching";
export { binTimes, chancePairs, findPeak, lineHistogram } from "./search";
export { crossSpectrum, fillTwiddles, transform } from "./fft";
