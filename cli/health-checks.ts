/** What `doctor` looks at: each check is one fact about this machine, and what to do when it is not as needed. */
import { execFileSync } from "node:child_process";
import { accessSync, constants, readFileSync, statfsSync, statSync } from "node:fs";
import { freemem, totalmem } from "node:os";
import type { Clock } from "../hal/clock.ts";
import { entryPointUrl } from "../hal/entry-point.ts";
import { messageOf } from "../hal/errors.ts";
import { compileTagKernels } from "../hal/tags/tag-kernels.ts";
import { TagMemory } from "../hal/tags/tag-memory.ts";
import { psPerS } from "../hal/units.ts";
import { hasPty, openPty } from "../mocks/ports/pty.ts";
import { formatQuantity } from "../web/quantity.ts";

/** The outcome of one check. `isOk` null: it does not apply here. */
export interface HealthCheck {
  readonly name: string;
  readonly isOk: boolean | null;
  readonly message: string;
}

const nodeVersionMin = [20, 19] as const;
const diskBytesMin = 2 ** 30;
const memoryBytesMin = 2 ** 30;
/** The first moment at which this program existed: an earlier clock is wrong. */
const earliestUtcS = 1_790_000_000;

/** Longer than `timedatectl` takes, shorter than anyone's patience. */
const clockQueryTimeoutMs = 2_000;

/** Runs all checks. They open no instrument and change nothing; a pseudo-terminal is opened and closed. */
export function runHealthChecks(options: {
  readonly clock: Clock;
  readonly folder: string;
  readonly serialPaths: readonly string[];
}): readonly HealthCheck[] {
  return [
    checkNode(),
    checkBuild(),
    checkMemory(),
    checkTagMemory(),
    checkDisk(options.folder),
    checkClock(options.clock),
    checkSynchronisation(),
    checkSerialPorts(options.serialPaths),
    checkPseudoTerminals(),
  ];
}

const bytesText = (bytes: number): string => formatQuantity(Math.round(bytes / 1e6) * 1e6, "B");

function checkNode(): HealthCheck {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [majorMin, minorMin] = nodeVersionMin;
  const isOk = major > majorMin || (major === majorMin && minor >= minorMin);
  const advice = isOk ? "" : `; install ${majorMin}.${minorMin} or later`;
  return { name: "node", isOk, message: `Node.js ${process.versions.node}${advice}` };
}

function checkBuild(): HealthCheck {
  try {
    compileTagKernels();
    entryPointUrl("#hal/tags/recording-worker");
    return { name: "build", isOk: true, message: "kernels and workers are built" };
  } catch (error) {
    const message = `kernels or workers are missing (${messageOf(error)}); run "npm run build"`;
    return { name: "build", isOk: false, message };
  }
}

function checkMemory(): HealthCheck {
  const isOk = freemem() >= memoryBytesMin;
  const advice = isOk ? "" : `; a running station wants ${bytesText(memoryBytesMin)}`;
  const message = `${bytesText(freemem())} of ${bytesText(totalmem())} free${advice}`;
  return { name: "memory", isOk, message };
}

function checkTagMemory(): HealthCheck {
  try {
    const bytes = TagMemory.create().layout.bytes;
    const message = `shared memory of ${bytesText(bytes)} can be had`;
    return { name: "tag memory", isOk: true, message };
  } catch (error) {
    return { name: "tag memory", isOk: false, message: messageOf(error) };
  }
}

function checkDisk(folder: string): HealthCheck {
  const { bavail, bsize } = statfsSync(folder);
  const isOk = bavail * bsize >= diskBytesMin;
  const advice = isOk ? "" : "; a recording fills 9 bytes a tag: make room";
  return { name: "disk", isOk, message: `${bytesText(bavail * bsize)} free here${advice}` };
}

function checkClock(clock: Clock): HealthCheck {
  const utcS = Number(clock.utcPs() / psPerS);
  const isOk = utcS >= earliestUtcS;
  const time = new Date(utcS * 1000).toISOString().replace(/\.\d+/, "");
  const advice = isOk ? "" : "; that is in the past: set the clock, best by NTP or PTP";
  return { name: "clock", isOk, message: `UTC is ${time}${advice}` };
}

function checkSynchronisation(): HealthCheck {
  const name = "clock sync";
  const state = synchronisation();
  if (state === null) return { name, isOk: null, message: "not known: timedatectl does not tell" };
  const message =
    state === "yes"
      ? "kept by a time service"
      : "kept by nothing: links find clocks up to clock.offsetMaxMs apart; start chrony, NTP or PTP";
  return { name, isOk: state === "yes", message };
}

/** What systemd says of the system clock; null where it is not there to be asked. */
function synchronisation(): "yes" | "no" | null {
  try {
    const answer = execFileSync("timedatectl", ["show", "--property=NTPSynchronized", "--value"], {
      ...{ encoding: "utf8", timeout: clockQueryTimeoutMs },
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
    return answer === "yes" || answer === "no" ? answer : null;
  } catch {
    return null;
  }
}

function checkSerialPorts(paths: readonly string[]): HealthCheck {
  const name = "serial ports";
  if (paths.length === 0) return { name, isOk: null, message: "none found" };
  const closed = paths.filter((path) => !isOpenToUs(path));
  if (closed.length === 0) return { name, isOk: true, message: `${paths.length} may be opened` };
  const groups = [...new Set(closed.map(groupOf))].join(",");
  const advice = `run "sudo usermod -aG ${groups} $USER" and log in again`;
  return { name, isOk: false, message: `no permission for ${closed.join(", ")}; ${advice}` };
}

/** The group that may open a port: dialout on Debian, uucp on Arch; its number where it has no name. */
function groupOf(path: string): string {
  try {
    const { gid } = statSync(path);
    const entry = readFileSync("/etc/group", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .find(([, , number]) => number === String(gid));
    return entry?.[0] ?? String(gid);
  } catch {
    return "dialout";
  }
}

function isOpenToUs(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function checkPseudoTerminals(): HealthCheck {
  const name = "pseudo-terminals";
  if (!hasPty()) {
    return { name, isOk: null, message: "none here; mock instruments plug in over TCP" };
  }
  try {
    const port = openPty();
    port.close();
    return { name, isOk: true, message: `mock instruments can plug in (tried ${port.url})` };
  } catch (error) {
    const advice = "let mock instruments plug in over TCP (at: tcp)";
    return { name, isOk: false, message: `${messageOf(error)}; ${advice}` };
  }
}
