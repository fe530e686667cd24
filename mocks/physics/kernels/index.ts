export {
  fillBits,
  fillExponentials,
  fillNormals,
  fillZigguratTables,
  randomStateBytes,
  seedRandom,
  zigguratTablesBytes,
} from "./random";
export {
  afterpulsesDropped,
  blockedCount,
  clickCount,
  detectorBytes,
  initReceiver,
  reachedPs,
  receiverBytes,
  setDetector,
  setReceiverArrays,
} from "./receiver";
export {
  advance,
  initPairSource,
  pairSourceBytes,
  setCellLight,
  setDark,
  setPoissonLight,
  skip,
} from "./pair-source";
export { ticksFromTimes } from "./tagger-clock";
