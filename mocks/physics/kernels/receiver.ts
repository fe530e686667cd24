/**
 * One end of the pair source: light that is still in its fibre, its detectors, and the clicks that they give.
 * Times are lab time in ps, i64. Structs are given as raw addresses; fields lie in the order written, naturally aligned.
 */
import { drawExponential, drawNormal, drawUniform } from "./random";

/** Later than every time. */
const never: i64 = i64.MAX_VALUE;
/** Clicks of one detector at one instant with those of the others: room that is kept when the outputs are nearly full. */
const outputsKept: u32 = 64;

@unmanaged
/** One detector, 56 bytes. */
export class Detector {
  /** 0: standard deviation of the timing jitter. */
  jitterPsRms: f64;
  /** 8: time after a click without another. */
  deadTimePs: i64;
  /** 16: when it last clicked. */
  lastClickPs: i64;
  /** 24: afterpulses bred per photon or dark click. */
  afterpulseProbability: f64;
  /** 32: decay time of their delay. */
  afterpulseDecayPs: f64;
  /** 40: share of the receiver's dark counts in this detector and those before it. */
  darkShareUpTo: f64;
  /** 48: 0-based input of the instrument. */
  input: u32;
}

@unmanaged
/** One receiver, 112 bytes. */
export class Receiver {
  /** 0: time that light spends in the fibre. */
  delayPs: i64;
  /** 8: when the next dark count comes, and 16 its fraction of a ps. */
  nextDarkPs: i64;
  nextDarkFraction: f64;
  /** 24: mean time between dark counts of all detectors; 0 when there are none. */
  darkIntervalPs: f64;
  /** 32: clicks before this time have been given out. */
  reachedPs: i64;
  /** 40, 44: photons that will be detected: arrival with jitter (i64, ascending) and detector (u8). */
  photonTimes: usize;
  photonDetectors: usize;
  /** 48, 52, 56: places for photons; the first one waiting; the one after the last. */
  photonsMax: u32;
  photonHead: u32;
  photonTail: u32;
  /** 60, 64: afterpulses to come: time (i64, ascending) and detector (u8). */
  afterpulseTimes: usize;
  afterpulseDetectors: usize;
  /** 68, 72, 76: places for them, how many wait, and how many found no place. */
  afterpulsesMax: u32;
  afterpulseCount: u32;
  afterpulsesDropped: u32;
  /** 80, 84, 88, 92: clicks: time (i64, ascending) and input (u8), their places and number. */
  clickTimes: usize;
  clickInputs: usize;
  clicksMax: u32;
  clickCount: u32;
  /** 96, 100: the detectors, one after the other, and their number. */
  detectors: usize;
  detectorCount: u32;
  /** 104: photons, dark counts and afterpulses that met a dead detector. */
  blockedCount: u64;
}

@inline
/** Gives one of a receiver's detectors. */
export function detectorAt(receiver: Receiver, index: usize): Detector {
  return changetype<Detector>(receiver.detectors + index * offsetof<Detector>());
}

/** Gives the places for photons that are free once those in the fibre have moved to the front. */
export function makeRoom(receiver: Receiver): u32 {
  const waiting = receiver.photonTail - receiver.photonHead;
  if (receiver.photonHead > 0) {
    memory.copy(receiver.photonTimes, receiver.photonTimes + (<usize>receiver.photonHead << 3), <usize>waiting << 3);
    memory.copy(receiver.photonDetectors, receiver.photonDetectors + receiver.photonHead, waiting);
    receiver.photonHead = 0;
    receiver.photonTail = waiting;
  }
  return receiver.photonsMax - waiting;
}

@inline
/** Adds a photon that left the source at `emissionPs` and will be detected in order of its time of detection. */
export function addPhoton(receiver: Receiver, index: u32, emissionPs: i64, random: usize, tables: usize): void {
  const detector = detectorAt(receiver, index);
  let time = emissionPs + receiver.delayPs;
  if (detector.jitterPsRms > 0) time += <i64>nearest(detector.jitterPsRms * drawNormal(random, tables));
  let place = receiver.photonTail;
  // Jitter and the order of pairs within a coherence time displace a photon by few places, so insertion is the fastest sort.
  while (place > receiver.photonHead && load<i64>(receiver.photonTimes + (<usize>place << 3) - 8) > time) {
    store<i64>(receiver.photonTimes + (<usize>place << 3), load<i64>(receiver.photonTimes + (<usize>place << 3) - 8));
    store<u8>(receiver.photonDetectors + place, load<u8>(receiver.photonDetectors + place - 1));
    place--;
  }
  store<i64>(receiver.photonTimes + (<usize>place << 3), time);
  store<u8>(receiver.photonDetectors + place, <u8>index);
  receiver.photonTail++;
}

/** Moves the next dark count on by one exponential interval. */
function stepDark(receiver: Receiver, random: usize, tables: usize): void {
  const ahead = receiver.nextDarkFraction + receiver.darkIntervalPs * drawExponential(random, tables);
  const whole = Math.floor(ahead);
  receiver.nextDarkPs += <i64>whole;
  receiver.nextDarkFraction = ahead - whole;
}

/** Draws the detector of a dark count. */
function drawDarkDetector(receiver: Receiver, random: usize): u32 {
  const share = drawUniform(random);
  let index: u32 = 0;
  while (index + 1 < receiver.detectorCount && share >= detectorAt(receiver, index).darkShareUpTo) index++;
  return index;
}

/** Draws whether a click breeds an afterpulse, and keeps it. */
function breedAfterpulse(receiver: Receiver, index: u32, clickPs: i64, random: usize, tables: usize): void {
  const detector = detectorAt(receiver, index);
  if (drawUniform(random) >= detector.afterpulseProbability) return;
  const time = clickPs + <i64>nearest(detector.afterpulseDecayPs * drawExponential(random, tables));
  if (receiver.afterpulseCount == receiver.afterpulsesMax) {
    receiver.afterpulsesDropped++;
    return;
  }
  let place = receiver.afterpulseCount++;
  while (place > 0 && load<i64>(receiver.afterpulseTimes + (<usize>place << 3) - 8) > time) {
    store<i64>(receiver.afterpulseTimes + (<usize>place << 3), load<i64>(receiver.afterpulseTimes + (<usize>place << 3) - 8));
    store<u8>(receiver.afterpulseDetectors + place, load<u8>(receiver.afterpulseDetectors + place - 1));
    place--;
  }
  store<i64>(receiver.afterpulseTimes + (<usize>place << 3), time);
  store<u8>(receiver.afterpulseDetectors + place, <u8>index);
}

/** Takes the first afterpulse away and gives its detector. */
function takeAfterpulse(receiver: Receiver): u32 {
  const index = <u32>load<u8>(receiver.afterpulseDetectors);
  const rest = --receiver.afterpulseCount;
  memory.copy(receiver.afterpulseTimes, receiver.afterpulseTimes + 8, <usize>rest << 3);
  memory.copy(receiver.afterpulseDetectors, receiver.afterpulseDetectors + 1, rest);
  return index;
}

/**
 * Gives the clicks before `untilPs`: photons, dark counts and afterpulses in order of time, each one lost that comes within the dead
 * time of its detector, which it does not prolong. Afterpulses follow photons and dark counts, not each other.
 * Returns 0 when the outputs are full before that; `reachedPs` then says how far they go.
 */
export function detect(receiver: Receiver, untilPs: i64, random: usize, tables: usize): u32 {
  let lastPs: i64 = i64.MIN_VALUE;
  while (true) {
    const photonPs = receiver.photonHead < receiver.photonTail ? load<i64>(receiver.photonTimes + (<usize>receiver.photonHead << 3)) : never;
    const darkPs = receiver.darkIntervalPs > 0 ? receiver.nextDarkPs : never;
    const afterpulsePs = receiver.afterpulseCount > 0 ? load<i64>(receiver.afterpulseTimes) : never;
    const time = min<i64>(photonPs, min<i64>(darkPs, afterpulsePs));
    if (time >= untilPs) break;
    const room = receiver.clicksMax - receiver.clickCount;
    if (room == 0 || (room <= outputsKept && time > lastPs)) {
      receiver.reachedPs = max<i64>(receiver.reachedPs, time);
      return 0;
    }
    let index: u32;
    if (time == photonPs) {
      index = load<u8>(receiver.photonDetectors + receiver.photonHead++);
    } else if (time == darkPs) {
      index = drawDarkDetector(receiver, random);
      stepDark(receiver, random, tables);
    } else {
      index = takeAfterpulse(receiver);
    }
    const detector = detectorAt(receiver, index);
    if (time - detector.lastClickPs < detector.deadTimePs) {
      receiver.blockedCount++;
      continue;
    }
    detector.lastClickPs = time;
    lastPs = time;
    store<i64>(receiver.clickTimes + (<usize>receiver.clickCount << 3), time);
    store<u8>(receiver.clickInputs + receiver.clickCount, <u8>detector.input);
    receiver.clickCount++;
    const isPrimary = time == photonPs || time == darkPs;
    if (isPrimary && detector.afterpulseProbability > 0) breedAfterpulse(receiver, index, time, random, tables);
  }
  receiver.reachedPs = max<i64>(receiver.reachedPs, untilPs);
  return 1;
}

/** Forgets all light, afterpulses and dark counts before `toPs`. */
export function skipClicks(receiver: Receiver, toPs: i64, random: usize, tables: usize): void {
  receiver.photonHead = 0;
  receiver.photonTail = 0;
  receiver.afterpulseCount = 0;
  receiver.clickCount = 0;
  receiver.reachedPs = toPs;
  receiver.nextDarkPs = toPs;
  receiver.nextDarkFraction = 0.0;
  if (receiver.darkIntervalPs > 0) stepDark(receiver, random, tables);
}

/** Gives the bytes of a receiver's struct. */
export function receiverBytes(): usize {
  return offsetof<Receiver>();
}

/** Gives the bytes of a detector's struct. */
export function detectorBytes(): usize {
  return offsetof<Detector>();
}

/** Prepares a receiver whose memory is all 0: its delay, its detectors (set next), dark counts of all of them from lab time 0. */
export function initReceiver(receiverAddress: usize, delayPs: i64, detectors: usize, detectorCount: u32, darkIntervalPs: f64, random: usize, tables: usize): void {
  const receiver = changetype<Receiver>(receiverAddress);
  receiver.delayPs = delayPs;
  receiver.detectors = detectors;
  receiver.detectorCount = detectorCount;
  receiver.darkIntervalPs = darkIntervalPs;
  if (darkIntervalPs > 0) stepDark(receiver, random, tables);
}

/** Gives a receiver its arrays: photons, afterpulses, clicks; times are i64, the others u8. */
export function setReceiverArrays(receiverAddress: usize, photonTimes: usize, photonDetectors: usize, photonsMax: u32, afterpulseTimes: usize, afterpulseDetectors: usize, afterpulsesMax: u32, clickTimes: usize, clickInputs: usize, clicksMax: u32): void {
  const receiver = changetype<Receiver>(receiverAddress);
  receiver.photonTimes = photonTimes;
  receiver.photonDetectors = photonDetectors;
  receiver.photonsMax = photonsMax;
  receiver.afterpulseTimes = afterpulseTimes;
  receiver.afterpulseDetectors = afterpulseDetectors;
  receiver.afterpulsesMax = afterpulsesMax;
  receiver.clickTimes = clickTimes;
  receiver.clickInputs = clickInputs;
  receiver.clicksMax = clicksMax;
}

/** Describes one detector; `darkShareUpTo` is the share of the receiver's dark counts in it and those before it. */
export function setDetector(detectorAddress: usize, input: u32, jitterPsRms: f64, deadTimePs: i64, afterpulseProbability: f64, afterpulseDecayPs: f64, darkShareUpTo: f64): void {
  const detector = changetype<Detector>(detectorAddress);
  detector.input = input;
  detector.jitterPsRms = jitterPsRms;
  detector.deadTimePs = deadTimePs;
  detector.afterpulseProbability = afterpulseProbability;
  detector.afterpulseDecayPs = afterpulseDecayPs;
  detector.darkShareUpTo = darkShareUpTo;
  detector.lastClickPs = i64.MIN_VALUE / 2;
}

/** Gives the number of clicks that wait in a receiver's output. */
export function clickCount(receiverAddress: usize): u32 {
  return changetype<Receiver>(receiverAddress).clickCount;
}

/** Gives the time before which a receiver's clicks are complete. */
export function reachedPs(receiverAddress: usize): i64 {
  return changetype<Receiver>(receiverAddress).reachedPs;
}

/** Gives how many photons, dark counts and afterpulses met a dead detector. */
export function blockedCount(receiverAddress: usize): u64 {
  return changetype<Receiver>(receiverAddress).blockedCount;
}

/** Gives how many afterpulses found no place to wait. */
export function afterpulsesDropped(receiverAddress: usize): u32 {
  return changetype<Receiver>(receiverAddress).afterpulsesDropped;
}
