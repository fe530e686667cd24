/**
 * Chance of the mock lab: xoshiro256++ (Blackman, Vigna, ACM TOMS 47, 36 (2021), "Scrambled linear pseudorandom number generators")
 * and the ziggurats of Marsaglia and Tsang (J. Stat. Softw. 5(8) (2000)) with 256 layers and 53 random bits. The generator's state
 * and the tables are at addresses that the caller gives; nothing here is shared between instances.
 */

/** Bytes of a generator's state: 4 x u64. */
const stateBytes: usize = 32;

/** Layers of a ziggurat; each table has so many 8-byte entries. */
const layers: i32 = 256;
const exponentialThresholdsAt: usize = 0;
const exponentialWidthsAt: usize = 2048;
const exponentialHeightsAt: usize = 4096;
const normalThresholdsAt: usize = 6144;
const normalWidthsAt: usize = 8192;
const normalHeightsAt: usize = 10240;
const tablesBytes: usize = 12288;

/** Right-most abscissa and area of a layer for exp(-x), 256 layers (Marsaglia, Tsang, section 3). */
const exponentialEdge: f64 = 7.69711747013104972;
const exponentialArea: f64 = 3.949659822581572e-3;
/** The same for exp(-x^2 / 2). */
const normalEdge: f64 = 3.6541528853610088;
const normalArea: f64 = 4.92867323399e-3;
const twoTo53: f64 = 9007199254740992.0;
const twoTo52: f64 = 4503599627370496.0;

/** Gives the bytes that a generator's state needs. */
export function randomStateBytes(): usize {
  return stateBytes;
}

/** Gives the bytes that the ziggurats' tables need. */
export function zigguratTablesBytes(): usize {
  return tablesBytes;
}

/** Fills a generator's state at `random` (4 x u64) from a seed by splitmix64, as xoshiro's authors advise. */
export function seedRandom(random: usize, seed: u64): void {
  for (let at: usize = 0; at < stateBytes; at += 8) {
    seed += 0x9e3779b97f4a7c15;
    let word = seed;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
    word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
    store<u64>(random + at, word ^ (word >> 31));
  }
}

@inline
/** Draws 64 random bits. */
export function drawBits(random: usize): u64 {
  let a = load<u64>(random);
  let b = load<u64>(random, 8);
  let c = load<u64>(random, 16);
  let d = load<u64>(random, 24);
  const result = rotl<u64>(a + d, 23) + a;
  const shifted = b << 17;
  c ^= a;
  d ^= b;
  b ^= c;
  a ^= d;
  c ^= shifted;
  d = rotl<u64>(d, 45);
  store<u64>(random, a);
  store<u64>(random, b, 8);
  store<u64>(random, c, 16);
  store<u64>(random, d, 24);
  return result;
}

@inline
/** Draws a uniform number in [0, 1) with 53 random bits. */
export function drawUniform(random: usize): f64 {
  return <f64>(drawBits(random) >> 11) / twoTo53;
}

/** Fills the ziggurats' tables at `tables`: thresholds u64[256], widths f64[256], heights f64[256], exponential then normal. */
export function fillZigguratTables(tables: usize): void {
  let edge = exponentialEdge;
  let base = exponentialArea / Math.exp(-edge);
  setLayer(tables, 0, edge / base, base, 1.0, twoTo53);
  setLayer(tables, layers - 1, 0.0, edge, Math.exp(-edge), twoTo53);
  for (let layer = layers - 2; layer >= 1; layer--) {
    const inner = -Math.log(exponentialArea / edge + Math.exp(-edge));
    setThreshold(tables, layer + 1, inner / edge, twoTo53);
    edge = inner;
    setLayer(tables, layer, 0.0, edge, Math.exp(-edge), twoTo53);
  }

  const normals = tables + normalThresholdsAt;
  edge = normalEdge;
  base = normalArea / Math.exp(-0.5 * edge * edge);
  setLayer(normals, 0, edge / base, base, 1.0, twoTo52);
  setLayer(normals, layers - 1, 0.0, edge, Math.exp(-0.5 * edge * edge), twoTo52);
  for (let layer = layers - 2; layer >= 1; layer--) {
    const inner = Math.sqrt(-2.0 * Math.log(normalArea / edge + Math.exp(-0.5 * edge * edge)));
    setThreshold(normals, layer + 1, inner / edge, twoTo52);
    edge = inner;
    setLayer(normals, layer, 0.0, edge, Math.exp(-0.5 * edge * edge), twoTo52);
  }
}

/** Sets one layer: the share of its width that lies wholly under the curve, its width and the curve's height at its edge. */
function setLayer(ziggurat: usize, layer: i32, share: f64, width: f64, height: f64, scale: f64): void {
  setThreshold(ziggurat, layer, share, scale);
  store<f64>(ziggurat + (<usize>layer << 3), width / scale, exponentialWidthsAt);
  store<f64>(ziggurat + (<usize>layer << 3), height, exponentialHeightsAt);
}

/** Sets the mantissa below which a draw in this layer is accepted at once. */
function setThreshold(ziggurat: usize, layer: i32, share: f64, scale: f64): void {
  store<u64>(ziggurat + (<usize>layer << 3), <u64>(share * scale), exponentialThresholdsAt);
}

@inline
/** Draws an exponential number of mean 1. */
export function drawExponential(random: usize, tables: usize): f64 {
  while (true) {
    const bits = drawBits(random);
    const entry = tables + (<usize>(bits & 255) << 3);
    const mantissa = bits >> 11;
    const x = <f64>mantissa * load<f64>(entry, exponentialWidthsAt);
    if (mantissa < load<u64>(entry, exponentialThresholdsAt)) return x;
    const drawn = drawExponentialEdge(random, tables, <usize>(bits & 255), x);
    if (drawn >= 0) return drawn;
  }
}

/** The rare part of an exponential draw: the tail (memoryless) or the wedge of a layer; negative when rejected. */
function drawExponentialEdge(random: usize, tables: usize, layer: usize, x: f64): f64 {
  if (layer == 0) return exponentialEdge - Math.log(1.0 - drawUniform(random));
  const entry = tables + exponentialHeightsAt + (layer << 3);
  const low = load<f64>(entry);
  const high = load<f64>(entry - 8);
  return low + (high - low) * drawUniform(random) < Math.exp(-x) ? x : -1.0;
}

@inline
/** Draws a normal number of mean 0 and variance 1. */
export function drawNormal(random: usize, tables: usize): f64 {
  while (true) {
    const bits = drawBits(random);
    const entry = tables + (<usize>(bits & 255) << 3);
    const mantissa = (bits >> 9) & 0xfffffffffffff;
    let x = <f64>mantissa * load<f64>(entry, normalWidthsAt);
    if (bits & 256) x = -x;
    if (mantissa < load<u64>(entry, normalThresholdsAt)) return x;
    const drawn = drawNormalEdge(random, tables, <usize>(bits & 255), x);
    if (drawn == drawn) return drawn;
  }
}

/** The rare part of a normal draw: the tail (Marsaglia's method) or the wedge of a layer; NaN when rejected. */
function drawNormalEdge(random: usize, tables: usize, layer: usize, x: f64): f64 {
  if (layer == 0) {
    while (true) {
      const beyond = -Math.log(1.0 - drawUniform(random)) / normalEdge;
      const height = -Math.log(1.0 - drawUniform(random));
      if (height + height > beyond * beyond) return x < 0 ? -(normalEdge + beyond) : normalEdge + beyond;
    }
  }
  const entry = tables + normalHeightsAt + (layer << 3);
  const low = load<f64>(entry);
  const high = load<f64>(entry - 8);
  return low + (high - low) * drawUniform(random) < Math.exp(-0.5 * x * x) ? x : f64.NaN;
}

/** Writes `count` draws of 64 random bits to `out` (u64). */
export function fillBits(random: usize, out: usize, count: u32): void {
  for (const end = out + (<usize>count << 3); out < end; out += 8) store<u64>(out, drawBits(random));
}

/** Writes `count` exponential draws of mean 1 to `out` (f64). */
export function fillExponentials(random: usize, tables: usize, out: usize, count: u32): void {
  for (const end = out + (<usize>count << 3); out < end; out += 8) store<f64>(out, drawExponential(random, tables));
}

/** Writes `count` normal draws of variance 1 to `out` (f64). */
export function fillNormals(random: usize, tables: usize, out: usize, count: u32): void {
  for (const end = out + (<usize>count << 3); out < end; out += 8) store<f64>(out, drawNormal(random, tables));
}
