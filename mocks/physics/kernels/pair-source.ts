/**
 * The pair source and the passage of time. Only pairs of which at least one photon will be detected are drawn: a Poisson process, and
 * a mixed Poisson process such as thermal light, keeps its form when each pair is kept with one probability, independently.
 */
import { drawBits, drawExponential, drawNormal, drawUniform } from "./random";
import { addPhoton, detect, makeRoom, Receiver, skipClicks } from "./receiver";

/** Places that a receiver keeps free before a coherence cell is drawn: no cell has more pairs. */
const pairsPerCellMax: u32 = 4096;

/** What makes the light, as written into `emission`. */
const dark: u32 = 0;
const poisson: u32 = 1;
const cells: u32 = 2;

@unmanaged
/** The source, 144 bytes. */
class PairSource {
  /** 0: state of the random generator, 4 x u64. */
  random0: u64;
  random1: u64;
  random2: u64;
  random3: u64;
  /** 32: tables of the ziggurats. */
  tables: usize;
  /** 36: the pair's fates: thresholds u32[256], others u8[256] (Walker's alias method), then fates u8[256]: detector + 1 of A << 4 | of B. */
  fates: usize;
  /** 40, 44: the two receivers. */
  receiverA: usize;
  receiverB: usize;
  /** 48: 0 dark, 1 Poisson, 2 cells. */
  emission: u32;
  /** 52: whether pairs lie anywhere in their cell, or about its beginning by `spreadPsRms`. */
  isUniform: u32;
  /** 56, 64: the next pair or the next cell with a pair: whole ps and fraction. */
  nextPs: i64;
  nextFraction: f64;
  /** 72: emission before this time is drawn. */
  horizonPs: i64;
  /** 80: no photon is detected earlier than by so much than its arrival. */
  marginPs: i64;
  /** 88: mean time between pairs (Poisson), or length of a cell. */
  intervalPs: f64;
  /** 96: standard deviation of the time in a cell. */
  spreadPsRms: f64;
  /** 104: -1 / ln(probability of an empty cell). */
  emptyCellsScale: f64;
  /** 112: probability of one pair in a cell with pairs. */
  singleProbability: f64;
  /** 120, 128: P(n + 1) = P(n) (ratioA + ratioB n) / (n + 1) (Panjer's recursion). */
  ratioA: f64;
  ratioB: f64;
}

/** Gives the bytes of a source's struct. */
export function pairSourceBytes(): usize {
  return offsetof<PairSource>();
}

/** Prepares a dark source at lab time 0 that feeds two receivers. */
export function initPairSource(sourceAddress: usize, tables: usize, fates: usize, receiverA: usize, receiverB: usize, marginPs: i64): void {
  const source = changetype<PairSource>(sourceAddress);
  source.tables = tables;
  source.fates = fates;
  source.receiverA = receiverA;
  source.receiverB = receiverB;
  source.marginPs = marginPs;
}

/** Switches the light off, for pairs that are not yet drawn. */
export function setDark(sourceAddress: usize): void {
  changetype<PairSource>(sourceAddress).emission = dark;
}

/** Makes Poisson light with a mean time between detectable pairs. */
export function setPoissonLight(sourceAddress: usize, intervalPs: f64): void {
  const source = changetype<PairSource>(sourceAddress);
  source.emission = poisson;
  source.intervalPs = intervalPs;
  source.nextPs = source.horizonPs;
  source.nextFraction = 0.0;
  moveOn(source, intervalPs * drawExponential(sourceAddress, source.tables));
}

/**
 * Makes light in cells (pulses, or coherence times) whose numbers of detectable pairs are independent: P(0) = exp(-1 / emptyCellsScale),
 * P(1) = singleProbability (1 - P(0)), and P(n + 1) = P(n) (ratioA + ratioB n) / (n + 1). The beat of the cells goes on when the light
 * is changed, so that a pulsed laser keeps its phase.
 */
export function setCellLight(sourceAddress: usize, cellPs: f64, isUniform: u32, spreadPsRms: f64, emptyCellsScale: f64, singleProbability: f64, ratioA: f64, ratioB: f64): void {
  const source = changetype<PairSource>(sourceAddress);
  source.emission = cells;
  source.intervalPs = cellPs;
  source.isUniform = isUniform;
  source.spreadPsRms = spreadPsRms;
  source.emptyCellsScale = emptyCellsScale;
  source.singleProbability = singleProbability;
  source.ratioA = ratioA;
  source.ratioB = ratioB;
  const ahead = <f64>(source.horizonPs - source.nextPs) - source.nextFraction;
  const cellsAhead = Math.ceil(ahead / cellPs) + emptyCells(source, sourceAddress);
  moveOn(source, cellsAhead * cellPs);
}

@inline
/** Moves the next emission by a time, keeping the fraction of a ps. */
function moveOn(source: PairSource, byPs: f64): void {
  const ahead = source.nextFraction + byPs;
  const whole = Math.floor(ahead);
  source.nextPs += <i64>whole;
  source.nextFraction = ahead - whole;
}

@inline
/** Draws the number of empty cells before the next one with pairs: geometric. */
function emptyCells(source: PairSource, random: usize): f64 {
  return Math.floor(drawExponential(random, source.tables) * source.emptyCellsScale);
}

@inline
/** Draws the number of pairs in a cell that has some, by inversion. */
function drawPairs(source: PairSource, random: usize): u32 {
  const target = drawUniform(random);
  let probability = source.singleProbability;
  let sum = probability;
  let pairs: u32 = 1;
  while (target >= sum && pairs < pairsPerCellMax) {
    probability *= (source.ratioA + source.ratioB * <f64>pairs) / <f64>(pairs + 1);
    sum += probability;
    pairs++;
  }
  return pairs;
}

@inline
/** Draws what becomes of a pair and sends its surviving photons into the fibres. */
function emitPair(source: PairSource, emissionPs: i64, random: usize): void {
  const bits = drawBits(random);
  const slot = <usize>(bits & 255);
  const isOther = <u32>(bits >> 32) >= load<u32>(source.fates + (slot << 2));
  const place = isOther ? <usize>load<u8>(source.fates + slot, 1024) : slot;
  const fate = <u32>load<u8>(source.fates + place, 1280);
  const a = fate >> 4;
  const b = fate & 15;
  if (a > 0) addPhoton(changetype<Receiver>(source.receiverA), a - 1, emissionPs, random, source.tables);
  if (b > 0) addPhoton(changetype<Receiver>(source.receiverB), b - 1, emissionPs, random, source.tables);
}

/** Draws emission before `horizonPs`; returns 0 when a receiver's places for photons run short before that. */
function emit(source: PairSource, horizonPs: i64): u32 {
  const random = changetype<usize>(source);
  const a = changetype<Receiver>(source.receiverA);
  const b = changetype<Receiver>(source.receiverB);
  let room = min<u32>(makeRoom(a), makeRoom(b));
  while (source.emission != dark && source.nextPs < horizonPs) {
    if (room <= pairsPerCellMax) {
      source.horizonPs = source.nextPs;
      return 0;
    }
    if (source.emission == poisson) {
      emitPair(source, source.nextPs, random);
      room--;
      moveOn(source, source.intervalPs * drawExponential(random, source.tables));
    } else {
      const pairs = drawPairs(source, random);
      room -= pairs;
      for (let pair: u32 = 0; pair < pairs; pair++) {
        const inCellPs = source.isUniform ? source.intervalPs * drawUniform(random) : source.spreadPsRms * drawNormal(random, source.tables);
        emitPair(source, source.nextPs + <i64>Math.floor(source.nextFraction + inCellPs), random);
      }
      moveOn(source, (1.0 + emptyCells(source, random)) * source.intervalPs);
    }
  }
  source.horizonPs = horizonPs;
  return 1;
}

/**
 * Lets the lab run to `toPs`: both receivers' outputs are emptied, then filled with the clicks from where they stood.
 * Returns 1 when both are complete to `toPs`, 0 when outputs or fibres are full: take the clicks and call again.
 */
export function advance(sourceAddress: usize, toPs: i64): u32 {
  const source = changetype<PairSource>(sourceAddress);
  const a = changetype<Receiver>(source.receiverA);
  const b = changetype<Receiver>(source.receiverB);
  a.clickCount = 0;
  b.clickCount = 0;
  const isEmitted = emit(source, max<i64>(source.horizonPs, toPs + source.marginPs));
  // What is drawn later arrives after the horizon and the fibre's delay, but for jitter.
  const isCompleteA = detect(a, min<i64>(toPs, source.horizonPs - source.marginPs + a.delayPs), sourceAddress, source.tables);
  const isCompleteB = detect(b, min<i64>(toPs, source.horizonPs - source.marginPs + b.delayPs), sourceAddress, source.tables);
  return isEmitted & isCompleteA & isCompleteB;
}

/**
 * Leaves out the time up to `toPs` without a click: light in the fibres is lost, detectors are ready, dark counts begin anew. Set the
 * light again afterwards, as its next pair may lie in the time left out.
 */
export function skip(sourceAddress: usize, toPs: i64): void {
  const source = changetype<PairSource>(sourceAddress);
  skipClicks(changetype<Receiver>(source.receiverA), toPs, sourceAddress, source.tables);
  skipClicks(changetype<Receiver>(source.receiverB), toPs, sourceAddress, source.tables);
  source.horizonPs = toPs;
}
