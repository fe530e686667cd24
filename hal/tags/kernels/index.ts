// The kernels of time tags as one WebAssembly module: raw addresses, no heap, no static data that changes.
export { decodeHydraHarpT2, decodePicoHarpT2 } from "./picoquant";
export { decodeA1Events, decodeTdc1Words, findTdc1Slip } from "./s-fifteen";
export { countChannels, countChannelsInBins } from "./counts";
export { splitChannels, lowerBound } from "./columns";
export { countPairs } from "./pairs";
export { binPairs, countDisplacedWindows } from "./histogram";
export { findDisorder, sortNearlySorted } from "./order";
